"""The store: runs read back from the journal of a home directory."""

from __future__ import annotations

import gc
import heapq
import itertools
import math
from datetime import datetime
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clew.errors import NoSuchRunError
from clew.journal.layout import segment_name
from clew.journal.reader import SegmentReader
from clew.model.events import decode_event, encode_event
from clew.model.fold import Fold
from clew.model.trace import ExecutionTrace
from clew.store.index import Index
from clew.store.references import resolve
from clew.store.run_filter import RunFilter
from clew.store.spending import spending

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from clew.model.events import Event
    from clew.store.payloads import WholePayloads
    from clew.store.rows import RunRow
    from clew.store.spending import Spent

_BITE_BYTES: Final = 256 * 1024
_Segment = tuple[Path, bool, bool]
"""Path, whether nothing will be added, and whether nothing but one run is in it."""
_Place = tuple[datetime, str, float]
"""Time, writer and number of an event."""


class Store:
    """Reads runs. Creates nothing but `index.sqlite`, and works without it where that cannot be written."""

    def __init__(self, home: Path) -> None:
        """Open the store of a home directory, which need not exist."""
        self.home = home
        self._index = Index(home)

    def close(self) -> None:
        """Let go of the index's file."""
        self._index.close()

    def refresh(self) -> None:
        """Bring the index up to date with the segments; the methods below do so themselves."""
        self._index.refresh()

    def runs(
        self,
        *,
        name: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[RunRow]:
        """Return runs, newest first.

        Args:
            name: a glob (`*`, `?`, `[`), else a part of the name, in any case of letters.
            status: running, completed, failed or interrupted.
            since: only runs that began then or later (were last heard of, where the start is not known).
            limit: at most so many.
        """
        self.refresh()
        rows = self._index.runs()
        if name is not None:
            rows = [row for row in rows if row.name is not None and _fits(row.name, name)]
        if status is not None:
            rows = [row for row in rows if row.status == status]
        if since is not None:
            rows = [row for row in rows if _heard_since(row, since)]
        return rows if limit is None else rows[:limit]

    def resolve(self, reference: str) -> str:
        """Return the id of the run that a person names: see `clew.store.references`.

        Raises: NoSuchRunError, AmbiguousRunError.
        """
        self.refresh()
        try:
            return resolve(reference, self._index.runs(), home=self.home)
        except NoSuchRunError:
            if not self._index.renewed():
                raise
        return resolve(reference, self._index.runs(), home=self.home)

    def lines(self, run_id: str) -> Iterator[bytes]:
        """Yield a run's events as they are in the log, without newlines, and then what its writers could not say.

        The lines of one writer in the order in which it wrote them, those of several merged by time, writer and
        number. A piece of one segment of each writer is held at a time. Nothing for an unknown run.
        """
        self.refresh()
        added = [(_place(event), encode_event(event)) for event in self._index.synthesized(run_id)]
        by_writer: dict[str, list[_Segment]] = {}
        for segment in self._index.segments_of(run_id):
            writer, _ = segment_name(segment[0].name) or (segment[0].name, 0)
            by_writer.setdefault(writer, []).append(segment)
        streams = [self._placed(run_id, segments) for segments in by_writer.values()]
        merged = heapq.merge(*streams, sorted(added), key=itemgetter(0))
        for _, line in merged if len(streams) > 1 else itertools.chain(*streams, added):
            yield line

    def _placed(self, run_id: str, segments: list[_Segment]) -> Iterator[tuple[_Place, bytes]]:
        for bite in self._bites(run_id, segments):
            for line in bite:
                # The index goes by the looks of a line; who prints it relies on its being JSON.
                event = decode_event(line)
                if event is not None:
                    yield _place(event), line

    def trace(self, run_id: str, *, payloads: WholePayloads | None = None) -> ExecutionTrace:
        """Return what a run did, as far as it is in the log.

        Args: payloads: puts back what is stored beside the log; held in memory then, however much it is.
        Raises: NoSuchRunError where no event of it is there.
        """
        self.refresh()
        collecting = gc.isenabled()
        # Millions of new objects and not one cycle among them: the collector would walk them again and again.
        gc.disable()
        try:
            fold = self._folded(run_id, payloads)
            if not fold.count and self._index.renewed():
                fold = self._folded(run_id, payloads)
            if not fold.count:
                raise NoSuchRunError(
                    f"There is no run {run_id!r} in {self.home}; `clew runs` lists what is there."
                )
            return ExecutionTrace.from_fold(fold)
        finally:
            if collecting:
                gc.enable()

    def _folded(self, run_id: str, payloads: WholePayloads | None) -> Fold:
        fold = Fold(run_id)
        added = self._index.synthesized(run_id)
        for bite in self._bites(run_id, self._index.segments_of(run_id)):
            fold.add_lines(bite if payloads is None else map(payloads, bite))
        for event in added:
            fold.add(event)
        return fold

    def spending(self, run_ids: Collection[str]) -> dict[str, Spent]:
        """Return tokens and costs of each of some runs: see `clew.store.spending`."""
        self.refresh()
        return spending(self._index, run_ids)

    def _bites(self, run_id: str, segments: list[_Segment]) -> Iterator[list[bytes]]:
        """Yield the run's lines, some hundred at a time."""
        of_run = RunFilter(run_id)
        for path, finished, alone in segments:
            reader = SegmentReader(path)
            offset = -1
            while offset != reader.state.offset:
                offset = reader.state.offset
                lines = reader.read(limit_bytes=_BITE_BYTES, final=finished)
                if lines:
                    yield lines if alone and finished else of_run(lines)


def _place(event: Event) -> _Place:
    # What a reader adds has no number, and comes after what the writer itself said at that time.
    return event.timestamp, event.writer or "", math.inf if event.seq is None else event.seq


def _fits(name: str, wanted: str) -> bool:
    if any(character in wanted for character in "*?["):
        return fnmatchcase(name, wanted)
    return wanted.lower() in name.lower()


def _heard_since(row: RunRow, since: datetime) -> bool:
    moment = row.started_at or row.last_event_at
    return moment is not None and moment >= since
