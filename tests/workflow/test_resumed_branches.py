"""Branches and triggers of a run that goes on: which of their rounds are kept, and what is said of those that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workflow.commands import run
from tests.workflow.test_resume_again import chain, gone_on
from tests.workflow.test_whole_answers import logged, written

pytestmark = pytest.mark.needs_extra("workflow")
AROUND = """
    clew: "1"
    name: around
    nodes:
      input: {type: input}
      part: {type: branch, workflow: ./step.yaml}
      output: {type: output}
    edges:
      a: {from: input, to: part}
      b: {from: part, to: output}
"""
STEP = """
    clew: "1"
    name: step
    nodes:
      input: {type: input}
      output: {type: output}
    tools: {look: {type: python, module: t, function: look}}
    edges:
      a: {from: input, to: look}
      b: {from: look, to: output}
"""
LOOK = """
import pathlib

def look(n):
    note(n)
    return {"n": n, "value": (pathlib.Path(__file__).parents[1] / "value").read_text()}
"""


@pytest.mark.parametrize("entry", ["type: branch", "type: trigger, mode: wait"])
@pytest.mark.parametrize("start_from", ["before", "part"])
def test_start_from_does_a_workflow_within_the_workflow_again(
    tmp_path: Path, entry: str, start_from: str
) -> None:
    manifest = AROUND.replace("type: branch", entry).replace(
        "    edges:\n      a: {from: input, to: part}",
        "    tools: {before: {type: python, module: s, function: same}}\n    edges:\n"
        "      a: {from: input, to: before}\n      c: {from: before, to: part}",
    )
    place = written(tmp_path, manifest, tools=LOOK, step_yaml=STEP)
    (place / "tools" / "s.py").write_text("def same(n):\n    return {'n': n}\n")
    (place / "value").write_text("old")
    assert run(place, "-i", '{"n": 1}').returncode == 0
    (place / "value").write_text("new")
    outputs, said = gone_on(place, "--start-from", start_from)
    assert "part runs again: it was asked for" in said
    assert logged(tmp_path) == [1, 1]
    assert '"new"' in json.dumps(outputs)


def test_a_node_that_runs_again_in_the_rounds_of_a_loop_is_told_once_and_why(tmp_path: Path) -> None:
    place = chain(tmp_path, "two-3")
    assert run(place, "-i", '{"n": 0}').returncode == -9
    step = place / "step.yaml"
    step.write_text(step.read_text().replace("{from: one, to: two}", "{from: one, to: two, mapping: {n: n}}"))
    _, said = gone_on(place)
    assert said.count("in the workflow of loop, two runs again: its definition has changed") == 1
    assert said.count("in the workflow of loop, output runs again: two runs again") == 1
    assert "in the workflow of loop, one" not in said
    done = logged(tmp_path)
    assert [entry for entry in done if entry.startswith("one")] == [f"one {n}" for n in range(4)]
    assert [entry for entry in done if entry.startswith("two")] == [f"two {n}" for n in (0, 1, 2, 0, 1, 2, 3)]
