"""What the log does not have as it was - secrets removed, payloads cut, Python objects - is never handed on as if it were."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clew.store.store import Store
from tests.workflow.commands import CLEW, run
from tests.workflow.running import write_project

pytestmark = pytest.mark.needs_extra("workflow")
SECRET = "tk-real-value-1"
AGENT = """
    clew: "1"
    name: calls
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input, schema: {q: {type: string, default: hello}}}
      ag: {type: agent, prompt: ask, tools: [use]}
      output: {type: output}
    tools: {use: {type: python, module: t, function: use}}
    edges: {e1: {from: input, to: ag, mapping: {q: q}}, e2: {from: ag, to: output}}
"""
ASK = "---\nid: ask\ninput: {q: {type: string}}\n---\n{{q}}\n"
TWO_PROMPTS = """
    clew: "1"
    name: two
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input, schema: {q: {type: string, default: hello}}}
      first: {type: prompt, prompt: ask}
      second: {type: prompt, prompt: use}
      output: {type: output}
    edges:
      e1: {from: input, to: first, mapping: {q: q}}
      e2: {from: first, to: second, mapping: {token: token}}
      e3: {from: second, to: output}
"""
TYPED = """---
id: ask
input: {q: {type: string}}
output: {format: json, schema: {token: {type: string}, kind: {type: string}}}
---
{{q}}
"""
USE = "---\nid: use\ninput: {token: {type: string}}\n---\nWith {{token}}\n"
TOOL = """
    clew: "1"
    name: tool
    nodes: {input: {type: input}, output: {type: output}}
    tools: {s: {type: python, module: t, function: make}, u: {type: python, module: t, function: use}}
    edges:
      e1: {from: input, to: s}
      e2: {from: s, to: u}
      e3: {from: u, to: output}
"""


def written(folder: Path, manifest: str, *, tools: str = "", answers: str = "", **more: str) -> Path:
    """Write a project. Its tools note what they were given in a file `log` beside it, one JSON value a line."""
    head = f"""
import json

def note(value):
    with open({str(folder / "log")!r}, "a") as log:
        log.write(json.dumps(value) + chr(10))

"""
    place = write_project(folder / "project", clew_yaml=manifest, answers_yaml=answers, **more)
    (place / "tools").mkdir()
    (place / "tools" / "t.py").write_text(head + tools)
    return place


def logged(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines()]


def replay(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [*CLEW, "replay", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=60
    )


def outputs(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["outputs"]


def test_a_secret_argument_of_an_interrupted_call_is_asked_for_again_and_the_tool_gets_the_real_one(
    tmp_path: Path,
) -> None:
    place = written(
        tmp_path,
        AGENT,
        tools=f"""
import os, pathlib, signal

def use(token):
    note(token)
    if len(pathlib.Path({str(tmp_path / "log")!r}).read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {{"got": len(token)}}
""",
        answers=f"""
            answers:
              - {{node: ag, turn: 1, tool_calls: [{{name: use, arguments: {{token: {SECRET}}}}}]}}
              - {{node: ag, turn: 2, text: done}}
        """,
        prompts__ask_prompt=ASK,
    )
    assert run(place).returncode == -9
    done = run(place, "--resume", "latest", "-o", "text")
    assert done.returncode == 0, done.stderr
    assert logged(tmp_path) == [SECRET, SECRET]
    assert (
        "ag asks its model again: the answer of node ag to request 1 is not whole in the log (secrets were removed)"
    ) in done.stderr


def test_a_replay_stops_at_the_answer_that_lost_a_secret_and_a_fork_there_goes_on(tmp_path: Path) -> None:
    place = written(
        tmp_path,
        TWO_PROMPTS,
        answers=f"""
            answers:
              - {{node: first, json: {{token: {SECRET}, kind: a}}}}
              - {{node: second, text: done}}
        """,
        prompts__ask_prompt=TYPED,
        prompts__use_prompt=USE,
    )
    assert outputs(run(place, "-o", "json")) == {"output": {"text": "done"}}
    run_id = Store(tmp_path / ".clew").runs()[0].run_id
    done = replay(run_id)
    assert done.returncode == 1
    assert (
        "node first (prompt) failed: the replay needs the answer of node first to request 1, which is not whole in "
        f"the record of the run (secrets were removed); clew replay {run_id[:16]} --fork first goes on for real there"
    ) in done.stderr
    assert "has changed since" not in done.stderr
    forked = replay(run_id, "--fork", "first", "-o", "json")
    assert outputs(forked) == {"output": {"text": "done"}}
    assert "1 answer came from run" in forked.stderr


def test_a_text_that_only_looks_like_a_removed_secret_is_an_answer_like_any_other(tmp_path: Path) -> None:
    place = written(
        tmp_path,
        AGENT.replace("type: agent", "type: prompt").replace(", tools: [use]", ""),
        tools="def use(): pass",
        answers="answers:\n  - {node: ag, text: 'the name was [redacted] by the court'}\n",
        prompts__ask_prompt=ASK,
    )
    first = outputs(run(place, "-o", "json"))
    done = replay("latest", "-o", "json")
    assert outputs(done) == first == {"output": {"text": "the name was [redacted] by the court"}}
    assert "1 answer came from run" in done.stderr
    assert "the outputs are the same" in done.stderr


@pytest.mark.parametrize(
    "result, lack",
    [
        ("{'password': 'hunter2hunter2'}", "secrets were removed"),
        ("{'n': float('nan')}", "Python objects, which the log does not hold"),
        ("{'n': (1, 2)}", "Python objects, which the log does not hold"),
        ("{'n': object()}", "Python objects, which the log does not hold"),
        ("{'text': 'x' * 30_000}", "30,011 bytes, cut at max_payload_bytes"),
    ],
)
def test_what_a_tool_gave_is_served_only_whole_and_the_reason_is_said(
    tmp_path: Path, result: str, lack: str
) -> None:
    place = written(
        tmp_path,
        TOOL,
        tools=f"def make(**_):\n    return {result}\n\ndef use(**given):\n    note(len(given))\n    return {{}}\n",
    )
    settings = {"CLEW_MAX_PAYLOAD_BYTES": "20000"}
    assert run(place, **settings).returncode == 0
    run_id = Store(tmp_path / ".clew").runs()[0].run_id
    done = replay(run_id, **settings)
    assert done.returncode == 1
    assert (
        f"the replay needs what tool s gave, which is not whole in the record of the run ({lack}); "
        f"clew replay {run_id[:16]} --fork s goes on for real there"
    ) in done.stderr
    assert "the outputs are" not in done.stderr
    assert logged(tmp_path) == [1]  # neither tool ran again


def test_an_answer_that_was_cut_is_no_answer_and_one_beside_the_log_is(tmp_path: Path) -> None:
    for size, is_whole in ((18_000, True), (40_000, False)):
        folder = tmp_path / str(size)
        place = written(
            folder,
            AGENT.replace("type: agent", "type: prompt").replace(", tools: [use]", ""),
            tools="def use(): pass",
            answers=f"answers:\n  - {{node: ag, text: {'y' * size}}}\n",
            prompts__ask_prompt=ASK,
        )
        settings = {"CLEW_MAX_PAYLOAD_BYTES": "30000", "CLEW_HOME": str(folder / ".clew")}
        first = outputs(run(place, "-o", "json", **settings))
        done = replay("latest", "-o", "json", **settings)
        if is_whole:
            assert outputs(done) == first
            assert "the outputs are the same" in done.stderr
        else:
            assert done.returncode == 1
            assert (
                "the answer of node ag to request 1, which is not whole in the record of the run (40,0"
                in done.stderr
            )
            assert " bytes, cut at max_payload_bytes)" in done.stderr


def test_a_result_that_the_model_of_an_agent_would_read_otherwise_is_not_served(tmp_path: Path) -> None:
    for result, is_served in (("(1, 2)", True), ("{'n': float('nan')}", False)):
        folder = tmp_path / str(is_served)
        place = written(
            folder,
            AGENT,
            tools=f"def use():\n    note(1)\n    return {result}\n",
            answers="""
                answers:
                  - {node: ag, turn: 1, tool_calls: [{name: use, arguments: {}}]}
                  - {node: ag, turn: 2, text: done}
            """,
            prompts__ask_prompt=ASK,
        )
        home = {"CLEW_HOME": str(folder / ".clew")}
        assert run(place, **home).returncode == 0
        done = replay("latest", **home)
        assert logged(folder) == [1]
        if is_served:
            assert done.returncode == 0, done.stderr
            assert "3 answers came from run" in done.stderr
        else:
            assert done.returncode == 1
            assert "what tool use gave, which is not whole" in done.stderr


def test_an_input_that_lost_a_secret_has_to_be_given_again(tmp_path: Path) -> None:
    place = written(
        tmp_path,
        TOOL.replace("{from: s, to: u}", "{from: input, to: u}").replace(
            "from: input, to: s", "from: u, to: s"
        ),
        tools="def use(q, password):\n    note(password)\n    return {'n': len(password)}\n\ndef make(n):\n    return 1 // (n - 15)\n",
    )
    assert run(place, "-i", json.dumps({"q": "a", "password": SECRET})).returncode == 1
    run_id = Store(tmp_path / ".clew").runs()[0].run_id
    refused = run(place, "--resume", "latest")
    assert refused.returncode == 2
    assert (
        f"the input of run {run_id[:16]} (password) is not whole in the log: secrets were removed; "
        "give it again with -i JSON"
    ) in refused.stderr
    refused = replay(run_id)
    assert refused.returncode == 2
    assert "give it again with --set input.NAME=VALUE" in refused.stderr
    done = run(place, "--resume", "latest", "-i", json.dumps({"password": SECRET + "2"}), "-o", "json")
    assert done.returncode == 0, done.stderr
    assert (
        "input runs again: its inputs of then are not whole in the log (secrets were removed)" in done.stderr
    )
    assert logged(tmp_path) == [SECRET, SECRET + "2"]


def test_outputs_are_only_called_the_same_as_far_as_the_log_has_them(tmp_path: Path) -> None:
    place = written(
        tmp_path,
        """
            clew: "1"
            name: echo
            nodes:
              input: {type: input, schema: {n: {type: integer}, password: {type: string}}}
              output: {type: output}
            edges: {e1: {from: input, to: output}}
        """,
    )
    assert run(place, "-i", json.dumps({"n": 1, "password": SECRET})).returncode == 0
    run_id = Store(tmp_path / ".clew").runs()[0].run_id
    done = replay(run_id, "--set", f"input.password={SECRET}", "-o", "json")
    assert outputs(done) == {"output": {"n": 1, "password": SECRET}}
    assert (
        "the outputs can only be compared in part, and that part is the same; "
        "not output.password: secrets were removed"
    ) in done.stderr
    other = replay(run_id, "--set", f"input.password={SECRET}", "--set", "input.n=2")
    assert "the outputs are others" in other.stderr
    refused = run(place, "--input-from", run_id)
    assert refused.returncode == 2
    assert (
        f"the outputs of run {run_id[:16]} are not whole in the log (secrets were removed)" in refused.stderr
    )


def test_forked_outputs_are_not_compared_with_what_the_log_does_not_hold(tmp_path: Path) -> None:
    place = written(
        tmp_path, TOOL, tools="def make(**_):\n    return {}\n\ndef use():\n    return {'n': {1, 2}}\n"
    )
    assert run(place).returncode == 0
    done = replay("latest", "--fork", "u")
    assert done.returncode == 0, done.stderr
    assert "not output: Python objects, which the log does not hold" in done.stderr


def test_what_the_setting_capture_shortened_is_not_handed_on(tmp_path: Path) -> None:
    place = written(
        tmp_path,
        TOOL.replace("input: {type: input}", "input: {type: input, schema: {q: {type: string}}}"),
        tools=(
            "def make(q):\n    return {'text': 500 * 'x'}\n\ndef use(text):\n    note(len(text))\n"
            f"    return 1 // (len(open({str(tmp_path / 'log')!r}).readlines()) - 1)\n"
        ),
    )
    settings = {"CLEW_CAPTURE": "summary"}
    assert run(place, "-i", json.dumps({"q": "short"}), **settings).returncode == 1
    done = run(place, "--resume", "latest", "-o", "json", **settings)
    assert outputs(done) == {"output": {"output": 1}}
    assert "kept of" in done.stderr
    assert "input, s" in done.stderr
    assert logged(tmp_path) == [500, 500]
    assert outputs(run(place, "-i", json.dumps({"q": 300 * "y"}), "-o", "json", **settings))
    refused = replay("latest")
    assert refused.returncode == 2
    assert "is not whole in the log: shortened by capture = summary" in refused.stderr
