"""The run that a command is about."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

from clew.cli.options import home_to_read
from clew.cli.runs_inside import RunsInside
from clew.store.payloads import WholePayloads
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
    trace, runs_inside, _ = read_whole_run(reference, home, with_payloads=False)
    return trace, runs_inside


def read_whole_run(
    reference: str, home: Path | None, *, with_payloads: bool
) -> tuple[ExecutionTrace, RunsInside, str | None]:
    """Return the same, and where payloads stored beside the log are put back, what is said of those that cannot be.

    Raises: NoSuchRunError, AmbiguousRunError, ConfigError.
    """
    store = Store(home_to_read(home))
    payloads = WholePayloads(store.home) if with_payloads else None
    trace = store.trace(store.resolve(reference), payloads=payloads)
    # A trace of a million events lives as long as the command does. Looking through it for cycles, again and again
    # while it is summed up, would take longer than summing it up.
    gc.freeze()
    missing = None
    if payloads is not None and payloads.unread:
        count = len(payloads.unread)
        what = "1 large payload that is" if count == 1 else f"{count:,} large payloads that are"
        missing = f"{what} gone from {store.home / 'blobs'} or damaged; clew doctor says more"
    return trace, RunsInside(store, trace.run_id), missing
