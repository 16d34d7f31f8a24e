"""Where one node's failure ends the others, the record says so, and only the one is a cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.analyze.failures import find_failures
from clew.analyze.tree import build_tree
from clew.session import session
from clew.store.store import Store
from tests.workflow.running import run_project, write_project

pytestmark = pytest.mark.needs_extra("workflow")

MANIFEST = """
    clew: "1"
    name: siblings
    defaults: {on_error: cancel}
    nodes:
      input: {type: input}
      nested: {type: branch, workflow: ./nested.yaml}
    tools:
      bad: {type: python, module: t, function: bad}
      patient: {type: python, module: t, function: patient}
      quick: {type: python, module: t, function: quick}
    edges:
      a: {from: input, to: bad}
      b: {from: input, to: patient}
      c: {from: input, to: nested}
      d: {from: input, to: quick}
"""
NESTED = """
    clew: "1"
    name: nested
    nodes: {input: {type: input}, output: {type: output}}
    tools: {inside: {type: python, module: t, function: patient}}
    edges: {a: {from: input, to: inside}, b: {from: inside, to: output}}
"""
TOOLS = """
    import asyncio, time

    started = []

    async def patient():
        started.append(1)
        await asyncio.sleep(60)

    def quick():
        return {}

    def bad():
        while len(started) < 2:
            time.sleep(0.01)
        raise ValueError("bad luck")
"""


def test_a_cancelled_node_says_whose_failure_ended_it_and_is_no_cause(tmp_path: Path) -> None:
    ran = run_project(
        write_project(tmp_path / "project", clew_yaml=MANIFEST, nested_yaml=NESTED, tools__t_py=TOOLS)
    )
    said = "cancelled, because node bad failed"
    told = {
        node.node_id: (node.status, node.error.message if node.error else None, node.attributes)
        for node in ran.trace.nodes
    }
    assert told["patient"] == ("failed", said, {"cancelled_by": "bad"})
    assert told["nested"] == ("failed", said, {"cancelled_by": "bad"})
    assert told["quick"] == ("completed", None, {})
    assert told["bad"][0] == "failed"
    causes = find_failures(ran.trace, build_tree(ran.trace.nodes))
    assert [(cause.node_id, cause.ended_run) for cause in causes if cause.node_id is not None] == [
        ("bad", True)
    ]
    store = Store(session.home)
    (row,) = [row for row in store.runs() if row.parent_run_id == ran.trace.run_id]
    within = store.trace(row.run_id)
    (inside,) = [node for node in within.nodes if node.node_id == "inside"]
    assert inside.error is not None
    assert (inside.error.message, inside.attributes) == (said, {"cancelled_by": "bad"})
    assert within.error is not None
    assert within.error.message == said
