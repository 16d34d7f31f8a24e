"""The run that a command is about."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

from clew.cli.options import home_to_read
from clew.cli.runs_inside import RunsInside
from clew.store.store import Store

if TYPE_CHECKING:
    from clew.model.trace import ExecutionTrace


def read_trace(reference: str, home: Path | None) -> ExecutionTrace:
    """Return the trace of the run that a person named.

    Args: reference: as in `clew.store.references`. home: the value of `--home`.
    Raises: NoSuchRunError, AmbiguousRunError, ConfigError.
    """
    return read_run(reference, home)[0]


def read_run(reference: str, home: Path | None) -> tuple[ExecutionTrace, RunsInside]:
    """Return the trace of the run that a person named, and the runs inside it.

    Raises: NoSuchRunError, AmbiguousRunError, ConfigError.
    """
    store = Store(home_to_read(home))
    trace = store.trace(store.resolve(reference))
    # A trace of a million events lives as long as the command does. Looking through it for cycles, again and again
    # while it is summed up, would take longer than summing it up.
    gc.freeze()
    return trace, RunsInside(store, trace.run_id)
