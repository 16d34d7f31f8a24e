"""The last events of some runs, and which events were shown already."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from clew.store.index import RunRow
    from clew.store.store import Store

Select = Callable[[Sequence[bytes]], Sequence[bytes]]
_BATCH: Final = 1000


class Numbered(msgspec.Struct):
    """What tells one event from another."""

    timestamp: str = ""
    writer: str | None = None
    seq: int | None = None


_decode: Final = msgspec.json.Decoder(Numbered).decode
_NOTHING: Final = Numbered()


def identify(line: bytes) -> Numbered:
    """Return time, writer and number of a line; nothing where it is no event. About 0.5 us."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _NOTHING


class SeenEvents:
    """Numbers of events by writer, kept as ranges: a million events in a row need no more memory than one."""

    def __init__(self) -> None:
        self._starts: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        self.unnumbered: set[bytes] = set()
        """Lines without a number, which cannot be told from others that say the same: what a reader adds to a log."""

    def add(self, line: bytes) -> None:
        """Remember an event."""
        event = identify(line)
        if event.writer is None or event.seq is None:
            self.unnumbered.add(line)
            return
        starts, ends = self._starts.setdefault(event.writer, []), self._ends.setdefault(event.writer, [])
        before = bisect_right(starts, event.seq) - 1
        if before >= 0 and ends[before] >= event.seq - 1:
            ends[before] = max(ends[before], event.seq)
            return
        starts.insert(before + 1, event.seq)
        ends.insert(before + 1, event.seq)

    def writers(self) -> Sequence[str]:
        """Return the writers of all that was remembered."""
        return list(self._starts)

    def __contains__(self, line: bytes) -> bool:
        event = identify(line)
        if event.writer is None or event.seq is None:
            return False
        before = bisect_right(self._starts.get(event.writer, []), event.seq) - 1
        return before >= 0 and self._ends[event.writer][before] >= event.seq


def family_of_run(rows: Iterable[RunRow], run_id: str) -> list[RunRow]:
    """Return a run and the runs inside it, at any depth."""
    rows = list(rows)
    inside: dict[str | None, list[RunRow]] = {}
    for row in rows:
        inside.setdefault(row.parent_run_id, []).append(row)
    found = [row for row in rows if row.run_id == run_id]
    known = {run_id}
    for row in found:  # grows while it is walked
        for child in inside.get(row.run_id, []):
            if child.run_id not in known:
                known.add(child.run_id)
                found.append(child)
    return found


def last_lines(
    store: Store,
    rows: Sequence[RunRow],
    *,
    count: int | None,
    select: Select,
    seen: SeenEvents | None = None,
) -> Iterator[bytes]:
    """Yield the last `count` lines of some runs that `select` keeps, in order of time; None for all lines.

    Runs that have been silent for longer than the lines found so far are not read. All lines of several runs that
    do not belong together would have to be held to be sorted: those come run by run.

    Args: seen: remembers every line that was read, shown or not.
    """
    if count == 0 and seen is None:
        return
    if count is None:
        for row in sorted(rows, key=lambda row: row.run_id):
            yield from _selected(store.lines(row.run_id), select, seen)
        return
    kept: list[tuple[str, bytes]] = []
    for row in sorted(rows, key=_last_heard, reverse=True):
        if seen is None and len(kept) == count and _last_heard(row) < kept[0][0]:
            break
        of_run = deque(_selected(store.lines(row.run_id), select, seen), maxlen=count)
        kept += [(identify(line).timestamp, line) for line in of_run]
        kept.sort(key=itemgetter(0))
        kept = kept[max(0, len(kept) - count) :]
    for _, line in kept:
        yield line


def _last_heard(row: RunRow) -> str:
    """Return when a run was last heard of, as a text that sorts like the lines' own."""
    return row.last_event_at.isoformat() if row.last_event_at is not None else ""


def _selected(lines: Iterable[bytes], select: Select, seen: SeenEvents | None) -> Iterator[bytes]:
    batch: list[bytes] = []
    for line in lines:
        if seen is not None:
            seen.add(line)
        batch.append(line)
        if len(batch) >= _BATCH:
            yield from select(batch)
            batch.clear()
    yield from select(batch)
