"""Runs that another run in the same file must have started, where time leaves no other possibility.

Trident gives the runs inside its branches and triggers new ids and says nothing else of them: neither where they
begin nor what started them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from clew.export.foreign import nanoseconds
from clew.export.nesting import containers

_EPOCH = datetime.fromtimestamp(0, UTC)


class Outline(msgspec.Struct, kw_only=True):
    """What is needed of a run to find its place."""

    run_id: str
    is_placeable: bool
    """Whether its start is not in the file, so that another run may have started it."""
    first: datetime
    last: datetime
    calls: list[tuple[datetime, datetime | None]] = []
    """Start and end of its nodes that start runs; an end of None is not in the file."""
    parent: Outline | None = None
    """The run that started it, once it is known."""

    def ancestors(self) -> list[Outline]:
        """Return the runs around it, the innermost first."""
        found: list[Outline] = []
        run = self.parent
        while run is not None:
            found.append(run)
            run = run.parent
        return found


def place_sub_runs(runs: Sequence[Outline]) -> None:
    """Set `parent` of each placeable run that lies, as a whole, in one call of one other run. O(n log n)."""
    intervals: list[tuple[float, float]] = []
    owners: list[Outline] = []
    for run in runs:
        for start, end in run.calls:
            intervals.append((_ns(start), math.inf if end is None else _ns(end)))
            owners.append(run)
    call_count = len(intervals)
    placeable = [run for run in runs if run.is_placeable]
    if not call_count or not placeable:
        return
    intervals += [(_ns(run.first), _ns(run.last)) for run in placeable]
    names = [f"call {index}" for index in range(call_count)] + ["run"] * len(placeable)
    holders = [True] * call_count + [False] * len(placeable)
    found = containers(intervals, names, holders=holders)[call_count:]
    for run, index in zip(placeable, found, strict=True):
        # No circle can come of it: runs that lie in each other's calls begin at one instant, and all that begins then
        # lies in the same innermost call.
        if index >= 0 and owners[index] is not run:
            run.parent = owners[index]


def _ns(moment: datetime) -> int:
    return nanoseconds(moment - _EPOCH)
