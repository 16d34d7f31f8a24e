"""The doctor: what is wrong with a journal, segment by segment, without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from clew.journal.layout import segment_name, segments
from clew.journal.marks import Header
from clew.journal.reader import SegmentReader, SegmentState, read_header, read_seal
from clew.journal.tail import find_end
from clew.model.events import decode_event
from clew.store.liveness import life_of
from clew.store.losses import holes_of, undeclared_of
from clew.store.repair import Repair, repair
from clew.store.rows import SegmentRow
from clew.store.scan import Scan
from clew.store.surroundings import Surroundings, look_around

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
    problems: list[str]
    """What is wrong, a sentence each; empty for a sound segment."""

    @property
    def can_be_repaired(self) -> bool:
        """Whether `repair` would seal it, or give back what its writer did not live to."""
        return self.process == "dead" and (self.sealed_by is None or self.reserved_bytes > 0)


class _Found(msgspec.Struct):
    """A segment while it is being looked at."""

    row: SegmentRow
    header: Header | None
    alive: bool | None
    runs: int
    torn: int
    reserved: int
    fault: str | None


def examine(home: Path) -> list[SegmentReport]:
    """Look at every segment of a home directory, oldest date first. Changes nothing; never raises for contents."""
    found = [_look_at(path) for path in segments(home)]
    by_writer: dict[str, list[SegmentRow]] = {}
    for one in found:
        by_writer.setdefault(one.row.writer, []).append(one.row)
    return [_report(one, by_writer[one.row.writer]) for one in found]


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
    fault = None
    try:
        row.size = path.stat().st_size
        with path.open("rb") as file:
            end = find_end(file.fileno())
    except OSError as error:
        fault = f"it cannot be read: {error.strerror or error}"
        return _Found(row, header, alive, 0, 0, 0, fault)
    scan = Scan(row, lambda _: None)
    reader = SegmentReader(path, state=row.state)
    offset = -1
    while offset != row.state.offset:
        offset = row.state.offset
        lines = reader.read(limit_bytes=_BITE_BYTES, final=final)
        scan.add([line for line in lines if _is_event(line, row)])
    torn = end.torn_bytes if final else 0
    if row.state.header is None:  # something stands before it in its line, and readers do not accept that
        header = alive = None
    return _Found(row, header, alive, len(scan.parts), torn, row.size - end.offset - end.torn_bytes, fault)


def _is_event(line: bytes, row: SegmentRow) -> bool:
    if decode_event(line) is not None:
        return True
    row.state.bad_lines += 1
    return False


def _report(found: _Found, siblings: Sequence[SegmentRow]) -> SegmentReport:
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
        runs=found.runs,
        bad_lines=state.bad_lines,
        torn_bytes=found.torn,
        nul_bytes=state.nul_bytes,
        reserved_bytes=max(0, found.reserved),
        missing=missing,
        removed=removed,
        problems=[],
    )
    report.problems.extend(_problems(report, found))
    return report


def _problems(report: SegmentReport, found: _Found) -> list[str]:
    if found.fault is not None:
        return [found.fault]
    problems = []
    name = segment_name(report.path.rpartition("/")[2])
    if found.header is None:
        problems.append("its first line is not a header, so nobody can say who writes it")
    elif name != (report.writer, report.number):
        problems.append(f"its header says that it is segment {report.number} of writer {report.writer}")
    if report.can_be_repaired and report.sealed_by is not None:
        problems.append(
            f"its process {report.pid} died before giving back {report.reserved_bytes} reserved bytes; a repair does"
        )
    elif report.can_be_repaired:
        problems.append(f"its process {report.pid} died before sealing it; a repair seals it")
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
