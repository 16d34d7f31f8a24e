"""What the tests that start programs of their own have in common."""

from __future__ import annotations

import json
from typing import Any

from clew.model.trace import ExecutionTrace
from tests.record.reading import home, run_program, traces_in


def parents(trace: ExecutionTrace) -> dict[str, str | None]:
    """The name of each node's parent, by the node's name."""
    names = {node.span_id: node.node_id for node in trace.nodes}
    return {node.node_id: None if node.parent_id is None else names[node.parent_id] for node in trace.nodes}


def run_and_read(code: str, *args: str, **variables: str) -> tuple[Any, dict[str, ExecutionTrace]]:
    """Run a program; return what it printed as JSON, and the traces by name."""
    done = run_program(code, *args, **variables)
    return json.loads(done.stdout or "null"), traces_in(home())


def check_sealed() -> None:
    """Every process closed its segment in order: the last line is a seal, and nothing follows."""
    for path in (home() / "journal").glob("*/*.jsonl"):
        last = path.read_bytes().splitlines()[-1]
        assert json.loads(last)["clew"] == "seal", path.name
