"""The index: which run lies in which segment, and one row for each run.

It is brought up to date by reading only what is new. Everything in it comes from the segments, so whatever is
wrong with its file, the answer is to make it again, or to do without a file.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from clew.errors import JournalError
from clew.journal.layout import date_folders, journal_folder, segment_name
from clew.journal.reader import SegmentReader, SegmentState, read_header, read_seal
from clew.model.events import format_timestamp
from clew.store.database import Database, is_damage
from clew.store.liveness import life_of, synthesized
from clew.store.rows import (
    Part,
    RunRow,
    SegmentRow,
    decode_part,
    decode_run,
    decode_segment,
    decode_writer,
)
from clew.store.scan import Scan
from clew.store.settle import Settling, written_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence

    from clew.journal.marks import Header
    from clew.model.events import Event

__all__ = ["Index", "RunRow"]

_T = TypeVar("_T")
_BITE_BYTES: Final = 256 * 1024
_BATCH_BYTES: Final = 64 * 1024 * 1024
_BATCH_SEGMENTS: Final = 1000
_MOST_ROUNDS: Final = 5

_COUNTS: Final = "SELECT (SELECT count(row) FROM runs) = (SELECT count(DISTINCT run_id) FROM parts)"
"""One statement, so that another process that writes cannot come in between."""
_KNOWN: Final = list[tuple[str, int, int, int, int]]


class _Scanned(msgspec.Struct):
    """A segment as it is now, not yet in the index."""

    before: bytes | None
    """Its row in the index when it was read; None where there was none."""
    fresh: bool
    """Whether it was read from its beginning."""
    row: SegmentRow
    parts: dict[str, Part]
    bytes_read: int


class Index:
    """The index of one home directory. Safe for threads."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._journal = journal_folder(home)
        self._database = Database(home)
        self._lock = threading.RLock()

    @property
    def in_memory(self) -> bool:
        """Whether there is no file for it, because there cannot be or because somebody holds it."""
        return self._database.in_memory

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def refresh(self) -> None:
        """Read what is new in the journal.

        Raises: JournalError where there is one that may not be read.
        """
        try:
            with os.scandir(self._journal):
                pass
        except PermissionError as error:
            raise JournalError(f"{self._journal} cannot be read: {error.strerror}") from error
        except OSError:
            pass  # there is none
        self._guarded(self._refresh)

    def runs(self) -> list[RunRow]:
        """Return a row for every run, newest first."""

        def read() -> list[RunRow]:
            rows = self._rows(
                "SELECT run_id, started_at, row FROM runs ORDER BY started_at DESC, run_id DESC"
            )
            found = [_of_run(run_id, key, decode_run(row)) for run_id, key, row in rows]
            if self._rows(_COUNTS).fetchone() != (1,):
                raise ValueError("rows of the index are gone")
            return found

        return self._guarded(read)

    def renewed(self) -> bool:
        """Make the index again if its file is damaged, and say so. Reads all of it: for when something is missing."""

        def check() -> bool:
            return [text for (text,) in self._rows("PRAGMA integrity_check(1)")] == ["ok"]

        with self._lock:
            if self._guarded(check):
                return False
            self._database.rebuild()
            self._guarded(self._refresh)
            return True

    def segments(self) -> list[SegmentRow]:
        """Return what is known of every segment, oldest date first."""
        return self._guarded(
            lambda: [decode_segment(row) for (row,) in self._rows("SELECT row FROM segments ORDER BY path")],
        )

    def segments_of(self, run_id: str) -> list[tuple[Path, bool, bool]]:
        """Return the segments that hold a run: path, whether nothing will be added, and whether nothing else is in it."""
        query = """SELECT segments.row, (SELECT count(*) FROM parts AS others WHERE others.path = segments.path)
                   FROM runs LEFT JOIN parts USING (run_id) LEFT JOIN segments USING (path)
                   WHERE runs.run_id = ?"""  # a run without segments is damage, and so a row that cannot be read

        def read() -> list[tuple[Path, bool, bool]]:
            found = [(decode_segment(row), runs) for row, runs in self._rows(query, run_id)]
            found.sort(key=lambda item: (item[0].path[:10], item[0].writer, item[0].number))
            return [(self._journal / row.path, row.finished, runs == 1) for row, runs in found]

        return self._guarded(read)

    def synthesized(self, run_id: str) -> list[Event]:
        """Return what the reader adds to the events of a run: interruptions and losses."""
        return self._guarded(lambda: synthesized(run_id, written_of(self._database.connection, run_id)))

    def runs_by_segment(self) -> dict[str, list[str]]:
        """Return the runs that each segment holds something of."""

        def read() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for path, run_id in self._rows("SELECT path, run_id FROM parts"):
                found.setdefault(path, []).append(run_id)
            return found

        return self._guarded(read)

    def interruptions(self, writer: str) -> list[Event]:
        """Return the `run_interrupted` events that a dead writer did not live to write, by run."""
        query = "SELECT DISTINCT run_id FROM parts JOIN segments USING (path) WHERE writer=? ORDER BY run_id"
        runs = self._guarded(lambda: [run_id for (run_id,) in self._rows(query, writer)])
        events = [event for run_id in runs for event in self.synthesized(run_id)]
        return [event for event in events if event.event == "run_interrupted" and event.writer == writer]

    # --- how it is kept ------------------------------------------------------------------------------

    def _guarded(self, action: Callable[[], _T]) -> _T:
        """Do something with the index; where its file fails, make it again, or go on in memory."""
        with self._lock:
            try:
                return action()
            except Exception as error:
                if isinstance(error, OSError):
                    raise
                if is_damage(error):
                    self._database.rebuild()
                else:
                    self._database.move_to_memory()
            try:
                self._refresh()
                return action()
            except Exception as error:
                if isinstance(error, OSError):
                    raise
                self._database.start_empty_in_memory()
            self._refresh()
            return action()

    def _rows(self, query: str, *values: object) -> sqlite3.Cursor:
        return self._database.connection.execute(query, values)

    def _refresh(self) -> None:
        """Read what is new, again while there are writers whose process has not been looked at."""
        for _ in range(_MOST_ROUNDS):
            died = self._died()
            known = self._known()
            found, changed = self._look(known)
            gone = [path for path in known if path not in found]
            if not (died or changed or gone):
                return
            batch: list[_Scanned] = []
            batch_bytes = 0
            again = False
            for path, stat in changed:
                scanned = self._scan(path, stat, died)
                if scanned is None:
                    continue
                batch.append(scanned)
                batch_bytes += scanned.bytes_read
                again = again or scanned.fresh
                if len(batch) >= _BATCH_SEGMENTS or batch_bytes >= _BATCH_BYTES:
                    again = not self._save(batch) or again
                    batch, batch_bytes = [], 0
            if batch or gone or died:
                again = not self._save(batch, gone=gone, died=died) or again
            if not again:
                return

    def _died(self) -> set[str]:
        """Return writers that still mattered when the index was last refreshed and that are dead now."""
        query = """SELECT row FROM writers WHERE writer IN (
                       SELECT writer FROM segments WHERE finished = 0
                       UNION SELECT segments.writer FROM runs JOIN parts USING (run_id) JOIN segments USING (path)
                             WHERE runs.unsettled)"""
        rows = [decode_writer(row) for (row,) in self._rows(query)]
        return {row.writer for row in rows if not row.dead and life_of(row.process) is False}

    def _known(self) -> dict[str, tuple[int, int, int, int]]:
        rows = self._rows("SELECT path, inode, size, mtime_ns, finished FROM segments").fetchall()
        return {row[0]: row[1:] for row in msgspec.convert(rows, _KNOWN)}

    def _look(
        self, known: dict[str, tuple[int, int, int, int]]
    ) -> tuple[set[str], list[tuple[str, os.stat_result]]]:
        """Return all segments that there are, and those that may hold something new, oldest first."""
        found: set[str] = set()
        changed: list[tuple[str, os.stat_result]] = []
        for folder in date_folders(self._home):
            date = folder.name
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            for entry in entries:
                path = f"{date}/{entry.name}"
                row = known.get(path)
                if row is None and segment_name(entry.name) is None:
                    continue
                try:
                    stat = entry.stat()
                except OSError:
                    continue
                if not S_ISREG(stat.st_mode):
                    continue
                found.add(path)
                if row != (_signed(stat.st_ino), stat.st_size, stat.st_mtime_ns, 1):
                    changed.append((path, stat))
        return found, sorted(changed, key=lambda item: item[0])

    def _scan(self, path: str, stat: os.stat_result, died: set[str]) -> _Scanned | None:
        """Read what is new in one segment; None where there is nothing."""
        file = self._journal / path
        before = self._row("SELECT row FROM segments WHERE path=?", path)
        header = read_header(file)
        known = None if before is None else _still_the_same(decode_segment(before), stat, header)
        fresh = known is None or known.state.offset == 0
        row = known or _first_row(path, stat, header)
        # Sealed is looked at before the lines are read, as death was: what is not there then will not come.
        final = row.writer in died or self._is_dead(row.writer) or read_seal(file) is not None
        began, offset = row.state.offset, -1
        scan = Scan(row, lambda run_id: None if fresh else self._part(path, run_id))
        reader = SegmentReader(file, state=row.state)
        while offset != row.state.offset:
            offset = row.state.offset
            scan.add(reader.read(limit_bytes=_BITE_BYTES, final=final))
        if known is not None and not final and offset == began:
            return None
        row.size, row.mtime_ns, row.finished = stat.st_size, stat.st_mtime_ns, final
        return _Scanned(before, fresh, row, scan.parts, offset - began)

    def _row(self, query: str, *values: object) -> bytes | None:
        return next((row for (row,) in self._rows(query, *values)), None)

    def _part(self, path: str, run_id: str) -> Part | None:
        row = self._row("SELECT row FROM parts WHERE path=? AND run_id=?", path, run_id)
        return None if row is None else decode_part(row)

    def _is_dead(self, writer: str) -> bool:
        row = self._row("SELECT row FROM writers WHERE writer=?", writer)
        return row is not None and decode_writer(row).dead

    def _save(self, batch: list[_Scanned], *, gone: Sequence[str] = (), died: Collection[str] = ()) -> bool:
        """Put into the index what was read; False where another process was quicker with some of it."""
        complete = True
        with self._database.transaction() as connection:
            settling = Settling(connection, died=died)
            for path in gone:
                settling.forget(path)
            for scanned in batch:
                path = scanned.row.path
                if self._row("SELECT row FROM segments WHERE path=?", path) != scanned.before:
                    complete = False
                    continue
                if scanned.fresh:
                    settling.forget(path)
                settling.put(scanned.row, scanned.parts.values())
            settling.settle()
        return complete


def _of_run(run_id: object, key: object, row: RunRow) -> RunRow:
    """Return the row of a run. Raises: ValueError where it stands in another's place."""
    if row.run_id != run_id or (row.started_at is not None and format_timestamp(row.started_at) != key):
        raise ValueError("a row of the index stands in another's place")
    return row


def _still_the_same(row: SegmentRow, stat: os.stat_result, header: Header | None) -> SegmentRow | None:
    """Return the row to go on with; None where the file must be read from its beginning."""
    grew = row.inode == _signed(stat.st_ino) and stat.st_size >= row.state.offset and not row.finished
    known = row.state.header == header or row.state.offset == 0
    return row if grew and known else None


def _first_row(path: str, stat: os.stat_result, header: Header | None) -> SegmentRow:
    writer, number = segment_name(path.rpartition("/")[2]) or ("", 0)
    return SegmentRow(
        path=path,
        writer=writer if header is None else header.writer,
        number=number if header is None else header.number,
        inode=_signed(stat.st_ino),
        size=0,
        mtime_ns=0,
        state=SegmentState(),
    )


def _signed(inode: int) -> int:
    """Return an inode number as SQLite can hold it."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode
