"""Whether writers still live, and what that means for the runs that they left without an end.

A writer that died cannot say so. What it would have said is put together here by the reader: `run_interrupted`
for a run or nodes that it left open, `events_lost` for numbers that are missing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.journal.process import Process, is_alive
from clew.model.events import Event
from clew.model.inside import order
from clew.store.rows import WriterRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clew.store.rows import Part

DIED: Final = "process died"
"""Why a run was interrupted: its writer ended without sealing its segment."""
LEFT: Final = "process ended"
"""Why a run was interrupted: its writer sealed its segment and ended, but the run had no end."""
NOT_IMPORTED: Final = "no end in what was imported"
"""Why a run was interrupted: it comes from elsewhere, and nobody is going to add to it but a further import."""
_MISSING: Final = "missing from the log"


def life_of(process: Process | None) -> bool | None:
    """Say whether a process lives; None where that cannot be known from here.

    Ask before reading what the process wrote: what is not there by then will not come any more.
    """
    try:
        return None if process is None else is_alive(process)
    except (OverflowError, ValueError):  # a damaged header may hold anything as process id
        return None


class Written(msgspec.Struct, frozen=True):
    """What one writer wrote of one run."""

    writer: WriterRow
    parts: list[Part]


def boundaries_of(written: Sequence[Written]) -> list[Event]:
    """Return the starts and ends of a run that are in the log, in order."""
    return sorted((e for one in written for part in one.parts for e in part.boundaries), key=order)


def synthesized(run_id: str, written: Sequence[Written]) -> list[Event]:
    """Return the events of a run that its writers did not live to write, and those that tell of lost events."""
    boundaries = boundaries_of(written)
    start = next((e for e in boundaries if e.event == "workflow_started"), None)
    owner = None if start is None else start.writer
    ended = any(
        e.event in {"workflow_completed", "workflow_failed"}
        or (e.event == "run_interrupted" and owner in {None, e.writer})
        for e in boundaries
    )
    told = {e.writer for e in boundaries if e.event == "run_interrupted"}
    closed = _closed(written)
    # Who wrote the segments of an imported run is the import, which says nothing of those that recorded the run.
    # Where its beginning is missing, the events say themselves that others recorded them.
    recorders = _recorders(written) if owner is None else {owner}
    is_imported = bool(recorders) and all(one.writer.writer not in recorders for one in written)
    events = []
    is_left = not ended or any(_left_open(one.parts, closed) for one in written)
    if is_imported and is_left and all(one.writer.dead or one.writer.sealed for one in written):
        events += _not_imported(run_id, written, told=told)
    for one in sorted(written, key=lambda one: one.writer.writer):
        writer = one.writer
        leaves = (owner == writer.writer and not ended) or _left_open(one.parts, closed)
        if writer.dead and leaves and writer.writer not in told and not is_imported:
            reason = LEFT if writer.sealed else DIED
            events.append(_event(run_id, "run_interrupted", writer, {"reason": reason}))
        missing = writer.missing.get(run_id, 0)
        if missing:
            data = {"count": missing, "reason": _MISSING, "numbered": True}
            events.append(_event(run_id, "events_lost", writer, data))
    return events


def is_settled(written: Sequence[Written], status: str) -> bool:
    """Say whether the death of a process can no longer change what is said of a run."""
    if all(one.writer.dead for one in written):
        return True
    closed = _closed(written)
    return status != "running" and not any(
        _left_open(one.parts, closed) for one in written if not one.writer.dead
    )


def _closed(written: Sequence[Written]) -> set[str]:
    return {span for one in written for part in one.parts for span in part.early_ends}


def _left_open(parts: Sequence[Part], closed: set[str]) -> bool:
    nameless = sum(part.nameless_starts - part.nameless_ends for part in parts)
    return nameless > 0 or any(not part.open_spans <= closed for part in parts)


def _event(run_id: str, name: str, writer: WriterRow, data: Mapping[str, Any]) -> Event:
    return Event(
        timestamp=moment(writer.last_at) or datetime.fromtimestamp(0, tz=UTC),
        run_id=run_id,
        event=name,
        level="WARNING",
        writer=writer.writer,
        data=msgspec.Raw(msgspec.json.encode(data)),
    )


def _not_imported(run_id: str, written: Sequence[Written], *, told: set[str | None]) -> list[Event]:
    """Return what each process that recorded an imported run would have said at its end."""
    last_at = max(part.last_at for one in written for part in one.parts)
    recorders = _recorders(written)
    recorders |= {event.writer for event in boundaries_of(written) if event.writer is not None}
    return [
        _event(run_id, "run_interrupted", WriterRow(writer=writer, last_at=last_at), {"reason": NOT_IMPORTED})
        for writer in sorted(recorders - told)
    ]


def _recorders(written: Sequence[Written]) -> set[str]:
    """Return the writers that events name other than those in whose segments they are."""
    return {writer for one in written for part in one.parts for writer in part.recorders}


def moment(timestamp: str) -> datetime | None:
    """Read a timestamp of the log; None where it is none."""
    try:
        return datetime.fromisoformat(timestamp).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
