"""From what was read of segments to what is said of writers and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clew.model.ends import run_fields
from clew.model.events import format_timestamp
from clew.model.inside import order
from clew.store.liveness import Written, boundaries_of, is_settled, moment, synthesized
from clew.store.losses import holes_of, missing_by_run, undeclared_of
from clew.store.rows import (
    Part,
    RunRow,
    SegmentRow,
    WriterRow,
    decode_part,
    decode_segment,
    decode_writer,
    encode_row,
)
from clew.store.scan import ORIGINAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence

_WRITTEN: Final = """
SELECT writers.row, parts.row FROM parts JOIN segments USING (path) JOIN writers USING (writer)
WHERE parts.run_id = ? ORDER BY segments.writer"""
_UNSETTLED: Final = """
SELECT DISTINCT runs.run_id FROM segments JOIN parts USING (path) JOIN runs USING (run_id)
WHERE segments.writer = ? AND runs.unsettled"""

_RUNS_OF_WRITER: Final = """
SELECT segments.writer, parts.row FROM parts JOIN segments USING (path) WHERE parts.run_id IN
    (SELECT run_id FROM parts JOIN segments USING (path) WHERE segments.writer = ?)"""
"""All parts of the runs that a writer had to do with, its own and those of others."""


class Settling:
    """One change of the index: segments are put or forgotten, then their writers and runs are worked out anew."""

    def __init__(self, connection: sqlite3.Connection, *, died: Collection[str] = ()) -> None:
        """Begin a change, inside a transaction.

        Args:
            connection: the index.
            died: writers whose process was seen to be dead before what they wrote was read.
        """
        self._connection = connection
        self._died = died
        self._writers = set(died)
        self._runs: set[str] = set()

    def forget(self, path: str) -> None:
        """Take a segment and all that it holds out of the index."""
        self._runs.update(run for (run,) in self._execute("SELECT run_id FROM parts WHERE path=?", path))
        self._writers.update(w for (w,) in self._execute("SELECT writer FROM segments WHERE path=?", path))
        self._execute("DELETE FROM parts WHERE path=?", path)
        self._execute("DELETE FROM segments WHERE path=?", path)

    def put(self, row: SegmentRow, parts: Iterable[Part]) -> None:
        """Put in a segment, and those of its parts that changed."""
        for part in parts:
            self._runs.add(part.run_id)
            self._execute(
                "INSERT OR REPLACE INTO parts VALUES (?,?,?)", row.path, part.run_id, encode_row(part)
            )
        self._writers.add(row.writer)
        values = (row.path, row.writer, row.inode, row.size, row.mtime_ns, int(row.finished), encode_row(row))
        self._execute("INSERT OR REPLACE INTO segments VALUES (?,?,?,?,?,?,?)", *values)

    def settle(self) -> None:
        """Work out the writers and the runs that are touched."""
        for writer in sorted(self._writers):
            self._settle_writer(writer)
        for run_id in sorted(self._runs):
            self._settle_run(run_id)

    def _execute(self, query: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(query, values)

    def _settle_writer(self, writer: str) -> None:
        rows = self._execute("SELECT row FROM writers WHERE writer=?", writer)
        before = next((decode_writer(row) for (row,) in rows), None)
        segments = [
            decode_segment(row) for (row,) in self._execute("SELECT row FROM segments WHERE writer=?", writer)
        ]
        if not segments:
            self._execute("DELETE FROM writers WHERE writer=?", writer)
            return
        last = max(segments, key=lambda segment: segment.number)
        now = WriterRow(
            writer=writer,
            process=next((s.process for s in segments if s.process is not None), None),
            dead=writer in self._died or (before is not None and before.dead),
            sealed=last.sealed_by_writer,
            last_at=max(segment.last_at for segment in segments),
            missing=self._missing(writer, segments),
        )
        if now == before:
            return
        self._execute("INSERT OR REPLACE INTO writers VALUES (?,?)", writer, encode_row(now))
        self._runs.update(run for (run,) in self._execute(_UNSETTLED, writer))
        self._runs.update(now.missing)
        if before is not None:
            self._runs.update(before.missing)

    def _missing(self, writer: str, segments: Sequence[SegmentRow]) -> dict[str, int]:
        if not undeclared_of(segments) and not holes_of(segments)[1]:
            return {}  # by far the most usual case
        rows = [(owner, decode_part(row)) for owner, row in self._execute(_RUNS_OF_WRITER, writer)]
        begun = {p.run_id for _, p in rows if any(e.event == "workflow_started" for e in p.boundaries)}
        return missing_by_run(segments, [part for owner, part in rows if owner == writer], begun=begun)

    def _settle_run(self, run_id: str) -> None:
        written = written_of(self._connection, run_id)
        if not written:
            self._execute("DELETE FROM runs WHERE run_id=?", run_id)
            return
        row = _run_row(run_id, written)
        key = format_timestamp(row.started_at) if row.started_at is not None else _first_at(written)
        unsettled = int(not is_settled(written, row.status))
        self._execute("INSERT OR REPLACE INTO runs VALUES (?,?,?,?)", run_id, key, unsettled, encode_row(row))


def written_of(connection: sqlite3.Connection, run_id: str) -> list[Written]:
    """Return what each writer wrote of a run, by writer; empty where the index does not know the run."""
    by_writer: dict[str, Written] = {}
    for writer_row, part in connection.execute(_WRITTEN, (run_id,)):
        writer = decode_writer(writer_row)
        by_writer.setdefault(writer.writer, Written(writer, [])).parts.append(decode_part(part))
    return list(by_writer.values())


def _run_row(run_id: str, written: Sequence[Written]) -> RunRow:
    parts = [part for one in written for part in one.parts]
    boundaries = boundaries_of(written)
    fields = run_fields(sorted([*boundaries, *synthesized(run_id, written)], key=order))
    start = next((e for e in boundaries if e.event == "workflow_started"), None)
    owner = next((one.writer for one in written if start is None or one.writer.writer == start.writer), None)
    return RunRow(
        run_id=run_id,
        name=fields.get("name"),
        kind=fields.get("kind"),
        status=fields.get("status", "running"),
        started_at=fields.get("started_at"),
        last_event_at=moment(max(part.last_at for part in parts)),
        duration_ns=fields.get("duration_ns"),
        events=sum(part.events for part in parts),
        nodes=_nodes(parts),
        failed_nodes=sum(part.failed for part in parts),
        lost=sum(part.lost for part in parts) + sum(one.writer.missing.get(run_id, 0) for one in written),
        parent_run_id=fields.get("parent_run_id"),
        depth=fields.get("depth", 0),
        host=None if owner is None or owner.process is None else owner.process.host,
        exit_code=fields.get("exit_code"),
        original_run_id=fields.get("attributes", {}).get(ORIGINAL),
    )


def _nodes(parts: Sequence[Part]) -> int:
    """Count executions: every start is one, and so is every end whose start is not in the log."""
    opened = {span for part in parts for span in part.open_spans}
    closed = {span for part in parts for span in part.early_ends}
    nameless = sum(part.nameless_ends - part.nameless_starts for part in parts)
    return sum(part.starts for part in parts) + len(closed - opened) + max(0, nameless)


def _first_at(written: Sequence[Written]) -> str:
    return min(part.first_at for one in written for part in one.parts)
