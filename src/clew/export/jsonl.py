"""Clew's public form: one event a line, as the journal has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, Final

from clew.export.adopt import adopt
from clew.export.contract import Exporter, Imported, Importer, ImportFile, nothing_found
from clew.export.event_lines import scan_events
from clew.export.timeline import timeline
from clew.model.events import encode_event
from clew.model.trace import ExecutionTrace

EVENT_KEYS: Final = frozenset({"timestamp", "run_id", "event"})
_OUR_KEYS: Final = frozenset({"writer", "seq", "span_id"})


def write_lines(lines: Iterable[bytes], out: BinaryIO) -> None:
    """Write lines that are in the public form already, such as those of the journal. Give them without newlines."""
    out.writelines(line + b"\n" for line in lines)


def write(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write the events that fold to this trace again, in order of time, writer and number."""
    write_lines((encode_event(event) for event, _ in timeline(trace)), out)


def is_event(keys: frozenset[str]) -> bool:
    """Say whether an object with these keys may be an event of any system that writes this form."""
    return keys >= EVENT_KEYS


def _read(file: ImportFile) -> Imported:
    scan = scan_events(file.data)
    runs = adopt(scan, source="jsonl")
    if not runs:
        raise nothing_found(file, scan.fault, expected=IMPORTER.expected)
    return Imported(format="jsonl", runs=runs, skipped=scan.skipped)


def _recognises(keys: frozenset[str]) -> bool:
    return is_event(keys) and not keys.isdisjoint(_OUR_KEYS)


EXPORTER: Final = Exporter(
    name="jsonl",
    description="every event, one JSON object a line: Clew's public form, for jq, tail and `clew import`",
    suffix=".jsonl",
    write=write,
    has_payloads=True,
)
IMPORTER: Final = Importer(
    name="jsonl",
    description="event lines that Clew wrote: an export, a stream, a segment of the journal",
    expected="a line that is a JSON object with timestamp, run_id and event",
    recognises=_recognises,
    read=_read,
)
