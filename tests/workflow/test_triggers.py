"""Workflows that go on by themselves: their inputs are of any size and nobody's business, and a chain of them ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.commands import run
from tests.workflow.running import write_project

pytestmark = pytest.mark.needs_extra("workflow")

STARTER = """
    clew: "1"
    name: starter
    nodes:
      input: {type: input}
      start: {type: trigger, workflow: ./started.yaml}
      output: {type: output}
    edges: {a: {from: input, to: start}, b: {from: start, to: output}}
"""
STARTED = """
    clew: "1"
    name: started
    nodes: {input: {type: input}}
    tools: {look: {type: python, module: t, function: look}}
    edges: {a: {from: input, to: look}}
"""
CHAIN = """
    clew: "1"
    name: chain
    nodes:
      input: {type: input}
      again: {type: trigger, workflow: self}
    tools: {look: {type: python, module: t, function: look}}
    edges: {a: {from: input, to: look}, b: {from: look, to: again}}
"""
TOOLS = """
    import json, os, sys
    from pathlib import Path

    def look(text):
        command = Path("/proc/self/cmdline").read_bytes().split(b"\\0")
        said = {
            "size": len(text),
            "longest": max(map(len, command)),
            "stdin": sys.stdin.read(),
            "depth": os.environ.get("CLEW_WORKFLOW_DEPTH"),
        }
        with open(os.environ["TOOL_LOG"], "a") as log:
            log.write(json.dumps(said) + "\\n")
        return {"text": text}
"""


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_inputs_of_any_size_arrive_and_are_not_in_the_command(tmp_path: Path) -> None:
    place = write_project(tmp_path / "project", clew_yaml=STARTER, started_yaml=STARTED, tools__t_py=TOOLS)
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"text": "x" * 300_000}))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    log = tmp_path / "log"
    done = run(place, "-f", given, TOOL_LOG=str(log), TMPDIR=str(temporary))
    assert done.returncode == 0, done.stderr
    wait_for(lambda: len(lines(log)) == 1)
    (said,) = lines(log)
    assert (said["size"], said["stdin"], said["depth"]) == (300_000, "", "1")
    assert int(str(said["longest"])) < 1000
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_a_chain_of_processes_ends_where_workflows_in_workflows_end(tmp_path: Path, enabled: str) -> None:
    place = write_project(tmp_path / "project", clew_yaml=CHAIN, tools__t_py=TOOLS)
    log = tmp_path / "log"
    done = run(
        place,
        "-i",
        '{"text": "x"}',
        TOOL_LOG=str(log),
        CLEW_ENABLED=enabled,
        CLEW_WORKFLOW_DEPTH="30",
    )
    assert done.returncode == 0, done.stderr
    wait_for(lambda: len(lines(log)) == 3)
    last = run(
        place, "-i", '{"text": "x"}', TOOL_LOG=str(log), CLEW_ENABLED=enabled, CLEW_WORKFLOW_DEPTH="32"
    )
    assert last.returncode == 1
    assert "workflows are nested 32 deep at again; a condition has to end that" in last.stderr
    assert [said["depth"] for said in lines(log)] == ["30", "31", "32", "32"]
