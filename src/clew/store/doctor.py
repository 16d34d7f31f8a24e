"""The doctor: what is wrong with a journal, segment by segment, without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from clew.journal.layout import segment_name, segments
from clew.journal.marks import Header
from clew.journal.reader import SegmentReader, SegmentState, read_header, read_seal
from clew.journal.tail import find_end
from clew.model.events import decode_event
from clew.store.liveness import Written, life_of, synthesized
from clew.store.losses import holes_of, undeclared_of
from clew.store.payloads import is_stored, references_in
from clew.store.repair import Repair, repair
from clew.store.rows import SegmentRow, WriterRow
from clew.store.scan import Scan
from clew.store.surroundings import Surroundings, look_around

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clew.store.rows import Part

__all__ = ["Repair", "SegmentReport", "Surroundings", "examine", "look_around", "repair"]

_BITE_BYTES: Final = 256 * 1024
_LIFE: Final[dict[bool | None, Literal["alive", "dead", "unknown"]]] = {
    True: "alive",
    False: "dead",
    None: "unknown",
}


class SegmentReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor found in one segment."""

    path: str
    """Below the home directory."""
    writer: str
    """Who writes it, by its header, else by its name."""
    number: int
    """Which of the writer's segments it is."""
    pid: int | None
    """The writer's process; None where the header is missing."""
    host: str | None
    """Where that process ran."""
    process: Literal["alive", "dead", "unknown"]
    """Whether it still runs; unknown on another machine and in another container."""
    sealed_by: Literal["writer", "doctor"] | None
    """Who said that it is complete; None while it is open."""
    size_bytes: int
    events: int
    runs: int
    """How many runs have events in it."""
    bad_lines: int
    """Lines that are neither events nor marks."""
    torn_bytes: int
    """Bytes of a last line that its writer did not live to finish."""
    nul_bytes: int
    """NUL bytes between lines: never written, or lost by the disk."""
    reserved_bytes: int
    """Bytes at the end that are reserved and not used."""
    missing: int
    """Numbers missing from all of the writer's segments and not declared; told once, with its last segment."""
    removed: int
    """Numbers before the writer's first segment that is left; told once, with that segment."""
    missing_payloads: list[str]
    """Hashes of large payloads that its events refer to and that are not there."""
    problems: list[str]
    """What is wrong, a sentence each; empty for a sound segment."""
    remarks: list[str]
    """What is not as a writer leaves it when it ends by itself, and yet no damage: nothing is lost, torn or open."""

    @property
    def can_be_repaired(self) -> bool:
        """Whether `repair` would seal it, or give back what its writer did not live to."""
        return self.process == "dead" and (self.sealed_by is None or self.reserved_bytes > 0)


class _Found(msgspec.Struct):
    """A segment while it is being looked at."""

    row: SegmentRow
    header: Header | None = None
    alive: bool | None = None
    parts: dict[str, Part] = {}
    """What it holds of each run."""
    payloads: set[str] = set()
    """Hashes of stored payloads that its events refer to."""
    torn: int = 0
    reserved: int = 0
    fault: str | None = None


def examine(home: Path) -> list[SegmentReport]:
    """Look at every segment of a home directory, oldest date first. Changes nothing; never raises for contents."""
    found = [_look_at(path) for path in segments(home)]
    by_writer: dict[str, list[SegmentRow]] = {}
    for one in found:
        by_writer.setdefault(one.row.writer, []).append(one.row)
    leaving = _left_something_open(found)
    there = {name: is_stored(home, name) for one in found for name in one.payloads}
    return [
        _report(
            one,
            by_writer[one.row.writer],
            left_open=one.row.writer in leaving,
            missing_payloads=sorted(name for name in one.payloads if not there[name]),
        )
        for one in found
    ]


def _left_something_open(found: Sequence[_Found]) -> set[str | None]:
    """Return the writers that died in the middle of a run or of a node."""
    writers: dict[str, WriterRow] = {}
    by_run: dict[str, dict[str, Written]] = {}
    for one in sorted(found, key=lambda one: one.row.number):
        name = one.row.writer
        writers[name] = WriterRow(writer=name, dead=one.alive is False, sealed=one.row.sealed_by_writer)
        for run_id, part in one.parts.items():
            of_run = by_run.setdefault(run_id, {})
            earlier = of_run[name].parts if name in of_run else []
            of_run[name] = Written(writers[name], [*earlier, part])
    said = [
        event for run_id, of_run in by_run.items() for event in synthesized(run_id, list(of_run.values()))
    ]
    return {event.writer for event in said if event.event == "run_interrupted"}


def _look_at(path: Path) -> _Found:
    header = read_header(path)
    alive = life_of(None if header is None else header.process)
    final = alive is False or read_seal(path) is not None
    writer, number = segment_name(path.name) or ("", 0)
    row = SegmentRow(
        path=f"journal/{path.parent.name}/{path.name}",
        writer=writer if header is None else header.writer,
        number=number if header is None else header.number,
        inode=0,
        size=0,
        mtime_ns=0,
        state=SegmentState(),
    )
    try:
        row.size = path.stat().st_size
        with path.open("rb") as file:
            end = find_end(file.fileno())
    except OSError as error:
        return _Found(row, header, alive, fault=f"it cannot be read: {error.strerror or error}")
    scan = Scan(row, lambda _: None)
    payloads: set[str] = set()
    reader = SegmentReader(path, state=row.state)
    offset = -1
    while offset != row.state.offset:
        offset = row.state.offset
        lines = reader.read(limit_bytes=_BITE_BYTES, final=final)
        events = [line for line in lines if _is_event(line, row)]
        scan.add(events)
        payloads.update(*map(references_in, events))
    torn = end.torn_bytes if final else 0
    if row.state.header is None:  # something stands before it in its line, and readers do not accept that
        header = alive = None
    reserved = row.size - end.offset - end.torn_bytes
    return _Found(row, header, alive, scan.parts, payloads, torn, reserved)


def _is_event(line: bytes, row: SegmentRow) -> bool:
    if decode_event(line) is not None:
        return True
    row.state.bad_lines += 1
    return False


def _report(
    found: _Found, siblings: Sequence[SegmentRow], *, left_open: bool, missing_payloads: list[str]
) -> SegmentReport:
    row, state, header = found.row, found.row.state, found.header
    is_last = row is max(siblings, key=lambda segment: segment.number)
    is_first = row is min(siblings, key=lambda segment: segment.number)
    missing = undeclared_of(siblings) if is_last else 0
    removed = holes_of(siblings)[1] if is_first else 0
    seal = state.seal
    report = SegmentReport(
        path=row.path,
        writer=row.writer,
        number=row.number,
        pid=None if header is None else header.process.pid,
        host=None if header is None else header.process.host,
        process=_LIFE[found.alive],
        sealed_by=None if seal is None else seal.by,
        size_bytes=row.size,
        events=row.events,
        runs=len(found.parts),
        bad_lines=state.bad_lines,
        torn_bytes=found.torn,
        nul_bytes=state.nul_bytes,
        reserved_bytes=max(0, found.reserved),
        missing=missing,
        removed=removed,
        missing_payloads=missing_payloads,
        problems=[],
        remarks=[],
    )
    report.problems.extend(_problems(report, found))
    if report.can_be_repaired:
        is_whole = not (report.problems or left_open)
        (report.remarks if is_whole else report.problems).insert(0, _unfinished(report, is_whole=is_whole))
    report.problems.extend(_without_payloads(report))
    return report


def _unfinished(report: SegmentReport, *, is_whole: bool) -> str:
    pid, rest = report.pid, "; nothing of it is lost" if is_whole else ""
    if report.sealed_by is None:
        return f"its process {pid} died before sealing it{rest}; a repair seals it"
    reserved = report.reserved_bytes
    return f"its process {pid} died before giving back {reserved} reserved bytes{rest}; a repair does"


def _without_payloads(report: SegmentReport) -> list[str]:
    count = len(report.missing_payloads)
    what = _counted(count, "large payload")
    return [f"{what} that its events refer to {_are(count)} not in blobs"] if count else []


def _problems(report: SegmentReport, found: _Found) -> list[str]:
    if found.fault is not None:
        return [found.fault]
    problems = []
    name = segment_name(report.path.rpartition("/")[2])
    if found.header is None:
        problems.append("its first line is not a header, so nobody can say who writes it")
    elif name != (report.writer, report.number):
        problems.append(f"its header says that it is segment {report.number} of writer {report.writer}")
    if report.torn_bytes:
        problems.append(f"its last line is torn: {report.torn_bytes} bytes are no event")
    if report.nul_bytes:
        problems.append(f"{report.nul_bytes} NUL bytes stand between its lines: the disk lost what was there")
    if report.bad_lines:
        problems.append(f"{_counted(report.bad_lines, 'line')} of it cannot be read as an event")
    if report.missing:
        problems.append(f"{_counted(report.missing, 'event')} of its writer {_are(report.missing)} missing")
    return problems


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
