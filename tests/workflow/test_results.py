"""What the result of a run is does not depend on which of its nodes happened to end last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clew.session import session
from clew.store.store import Store
from clew.workflow.wholeness import Payloads
from tests.workflow.running import run_project, write_project

pytestmark = pytest.mark.needs_extra("workflow")
TOOLS = """
    import pathlib, time

    ENDED = pathlib.Path(__file__).parents[1] / "ended"

    def slow(x):
        deadline = time.monotonic() + 30
        while not ENDED.exists():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return {"x": "slow"}

    def fast(x):
        return {"x": "fast"}

    def end(x):
        ENDED.touch()
        return {"x": "end"}

    def objects(x):
        return {"x": slow(x).keys()}
"""
"""`slow` always ends after `end`."""
MANIFEST = """
    clew: "1"
    name: ends
    nodes: {NODES}
    tools:
      slow: {type: python, module: t, function: slow}
      fast: {type: python, module: t, function: fast}
      end: {type: python, module: t, function: end}
    edges:
      a: {from: input, to: slow}
      b: {from: input, to: fast}
      c: {from: fast, to: end}
"""
NO_OUTPUT = MANIFEST.replace("NODES", "input: {type: input}")
TWO_OUTPUTS = (
    MANIFEST.replace("NODES", "input: {type: input}, of_slow: {type: output}, of_end: {type: output}")
    + "      d: {from: slow, to: of_slow}\n      e: {from: end, to: of_end}\n"
)
AROUND = """
    clew: "1"
    name: around
    nodes: {input: {type: input}, part: {type: branch, workflow: ./ends.yaml}, output: {type: output}}
    edges: {a: {from: input, to: part}, b: {from: part, to: output}}
"""


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"clew_yaml": NO_OUTPUT}, {"x": "end"}),
        ({"clew_yaml": TWO_OUTPUTS}, {"of_slow": {"x": "slow"}, "of_end": {"x": "end"}}),
        ({"clew_yaml": AROUND, "ends_yaml": NO_OUTPUT}, {"output": {"x": "end"}}),
        ({"clew_yaml": AROUND, "ends_yaml": TWO_OUTPUTS}, {"output": {"x": "end"}}),
    ],
    ids=["no output", "two outputs", "no output in a branch", "two outputs in a branch"],
)
def test_a_run_gives_what_its_resume_and_its_replay_give_whichever_node_ended_last(
    tmp_path: Path, files: dict[str, str], expected: dict[str, Any]
) -> None:
    place = write_project(tmp_path, tools__t_py=TOOLS, **files)
    first = run_project(place, {"x": 1})
    runs = [
        first,
        run_project(place, resume=first.trace.run_id),
        run_project(place, replay=first.trace.run_id),
    ]
    for ran in runs:
        assert ran.error is None
        assert ran.outputs == expected
        assert list(ran.outputs) == list(expected)


def test_objects_in_the_outputs_of_a_node_are_those_of_the_run_only_if_it_gave_the_result(
    tmp_path: Path,
) -> None:
    other = NO_OUTPUT.replace("function: slow", "function: objects")
    for folder, manifest, expected in [
        ("a", other, []),
        (
            "b",
            other.replace(
                "c: {from: fast, to: end}", "c: {from: fast, to: end}\n      d: {from: end, to: slow}"
            ),
            ["slow"],
        ),
    ]:
        place = write_project(tmp_path / folder, tools__t_py=TOOLS, clew_yaml=manifest)
        ran = run_project(place, {"x": 1})
        payloads = Payloads(Store(session.home).trace(ran.trace.run_id), home=session.home)
        assert payloads.with_objects() == expected
