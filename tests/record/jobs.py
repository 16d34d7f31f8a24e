"""Work that tests send to other processes: it must be importable there."""

from __future__ import annotations

import os
from typing import Any

import clew


def in_span(name: str, value: Any) -> tuple[int, Any]:
    """Open a span, and tell the process that did it."""
    with clew.span(name, value=value, pid=os.getpid()):
        clew.event("worked", name=name)
    return os.getpid(), value


@clew.traced(name="decorated")
def decorated(value: Any) -> Any:
    """Give back what came."""
    return value


def in_run(name: str) -> str | None:
    """Open a run within a run."""
    with clew.run(name) as run, clew.span("inside"):
        return run.run_id


def place() -> str | None:
    """Tell where in a run this runs."""
    return clew.traceparent()
