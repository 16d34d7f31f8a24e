"""A whole trace as one indented JSON document, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import msgspec

from clew.export.adopt import adopt
from clew.export.contract import Exporter, Imported, Importer, ImportFile, nothing_found
from clew.export.foreign import loads, raw, utc
from clew.model.events import Event
from clew.model.trace import ExecutionTrace, lean_node

_LONG_LISTS: Final = ("nodes", "events")
_INDENT: Final = 2


def write(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write `trace.to_json(indent=2)`, a record at a time, so that a long trace needs no second copy in memory."""
    short = msgspec.structs.replace(trace, nodes=[], events=[])
    document = msgspec.json.decode(short.to_json(), type=dict[str, msgspec.Raw])
    opening = b"{"
    for name in ExecutionTrace.__struct_fields__:
        records = getattr(trace, name) if name in _LONG_LISTS else []
        if records:
            out.write(b'%s\n  "%s": [' % (opening, name.encode()))
            comma = b""
            for record in records:
                out.write(
                    comma + b"\n    " + _indented(lean_node(record) if name == "nodes" else record, levels=2)
                )
                comma = b","
            out.write(b"\n  ]")
        elif name in document:
            out.write(b'%s\n  "%s": ' % (opening, name.encode()) + _indented(document[name], levels=1))
        else:
            continue
        opening = b","
    out.write(b"\n}")


def _indented(value: Any, *, levels: int) -> bytes:
    encoded = bytes(value) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value)
    # A newline inside a string is escaped in JSON: every newline here is one of the indentation.
    return msgspec.json.format(encoded, indent=_INDENT).replace(b"\n", b"\n" + b" " * (_INDENT * levels))


def _events(document: bytes) -> Iterator[Event]:
    try:
        trace = ExecutionTrace.from_json(document)
    except (msgspec.MsgspecError, UnicodeError):
        trace = ExecutionTrace.from_json(bytes(raw(loads(document))))
    for event in trace.to_events():
        event.timestamp = utc(event.timestamp)
        event.data = _sound(event.data)
        yield event


def _sound(data: msgspec.Raw) -> msgspec.Raw:
    """Return a payload that decodes, for until now nobody has looked inside."""
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError):
        return raw(loads(bytes(data)))
    return data


def _read(file: ImportFile) -> Imported:
    try:
        runs = adopt(_events(file.data), source="json")
    except (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        fault = (_line_of(file.data), f"something else ({error})")
        raise nothing_found(file, fault, expected=IMPORTER.expected) from error
    if not runs:
        raise nothing_found(file, (1, "a trace without events"), expected=IMPORTER.expected)
    return Imported(format="json", runs=runs, skipped=0)


def _line_of(data: bytes) -> int:
    """Return the line where a document stops being JSON; 1 where it is JSON."""
    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        return error.lineno
    except (ValueError, RecursionError):
        return 1
    return 1


def _recognises(keys: frozenset[str]) -> bool:
    return "run_id" in keys and not keys.isdisjoint({"boundaries", "last_event_at"})


EXPORTER: Final = Exporter(
    name="json",
    description="the whole trace as one indented JSON document, for programs and for `clew import`",
    suffix=".json",
    write=write,
    has_payloads=True,
)
IMPORTER: Final = Importer(
    name="json",
    description="a trace that Clew exported as one JSON document",
    expected="one JSON document as `clew export --to json` writes it",
    recognises=_recognises,
    read=_read,
)
