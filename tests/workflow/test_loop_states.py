"""What a loop goes on with is in the record as states, each of which can be rebuilt: an account by the tools agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.running import run_project, write_project

pytestmark = pytest.mark.needs_extra("workflow")
MANIFEST = """
    clew: "1"
    name: talk
    nodes:
      input: {type: input}
      talk: {type: branch, workflow: ./round.yaml, loop_while: "n < 6", max_iterations: 9}
      output: {type: output}
    edges:
      e1: {from: input, to: talk, mapping: {n: n, said: said, token: token}}
      e2: {from: talk, to: output, mapping: {n: n}}
"""
ROUND = """
    clew: "1"
    name: round
    nodes:
      input: {type: input}
      output: {type: output}
    tools:
      say: {type: python, module: t, function: say}
    edges:
      e1: {from: input, to: say, mapping: {n: n, said: said, token: token}}
      e2: {from: say, to: output, mapping: {n: n, said: said, token: token}}
"""
TOOLS = """
    import json, os

    def say(n, said, token):
        found = {"n": n + 1, "said": [*said, {"turn": n, "text": "round %d " % n * 20}], "token": token}
        with open(os.environ["TOOL_LOG"], "a") as log:
            log.write(json.dumps(found) + "\\n")
        return found
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOOL_LOG", str(tmp_path / "log.jsonl"))
    return write_project(tmp_path / "project", clew_yaml=MANIFEST, round_yaml=ROUND, tools__t_py=TOOLS)


def test_every_state_of_a_loop_is_rebuilt_as_the_tools_gave_it_without_its_secrets(project: Path) -> None:
    secret = "sk-ant-" + "a1B2" * 12
    start: dict[str, Any] = {"n": 0, "said": [{"turn": -1, "text": "x" * 400}], "token": secret}
    ran = run_project(project, start)
    given = [json.loads(line) for line in (project.parent / "log.jsonl").read_text().splitlines()]
    assert len(given) == 6
    states = ran.trace.states
    rebuilt = [states.at(index)["talk"] for index in range(len(states))]
    assert [{**state, "token": secret} for state in rebuilt] == [start, *given]
    assert {state["token"] for state in rebuilt} == {"[redacted]"}
    assert (
        sum(delta.patch is not None for delta in states.deltas) >= 3
    )  # what grows is not written whole each time
    (talk,) = [node for node in ran.trace.nodes if node.node_id == "talk"]
    assert (talk.state_before_index, talk.state_after_index) == (None, 6)


def test_a_state_too_large_for_a_line_is_shortened_and_stays_readable(project: Path) -> None:
    ran = run_project(project, {"n": 0, "said": [{"turn": 0, "text": "y" * 50_000}], "token": "t"})
    states = ran.trace.states
    assert len(states) == 7
    assert states.at(6)["talk"]["n"] == 6
    assert states.at(6)["talk"]["said"][0]["text"].endswith("… (50000 characters)")
