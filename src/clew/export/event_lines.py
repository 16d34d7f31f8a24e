"""Event lines of any origin as events: Clew's public form, Trident's, and what resembles them.

An event needs a date, a run and a name. Everything else may be missing, and whatever is there beside the envelope
is kept in it. What comes out is sound: its payload decodes, its date is in UTC, and it is one line again when encoded.
"""

from __future__ import annotations

from sys import intern
from typing import Any, Final

import msgspec

from clew.export.foreign import moment, raw, utc
from clew.export.scan import Scan
from clew.model.events import Event, decode_event
from clew.model.levels import LEVELS

_TEXTS: Final = ("node_id", "span_id", "parent_id", "writer")
_LEVELS: Final = {**{name: name for name in LEVELS}, "WARN": "WARNING", "CRITICAL": "ERROR", "FATAL": "ERROR"}
_ENVELOPE: Final = frozenset(("timestamp", "run_id", "event", "level", "seq", "data", *_TEXTS))
_RESERVED: Final = _ENVELOPE | {"$extra"}

_decode = msgspec.json.decode


def scan_events(data: bytes) -> Scan[Event]:
    """Return a scan of a file for events. Lines that begin or seal a segment of a journal are passed over."""
    return Scan(data, line=event_of_line, value=events_of_value)


def event_of_line(line: memoryview) -> Event | None:
    """Return the event that a line is, where it is one in every respect; else None, and it wants a closer look."""
    event = decode_event(line)
    if event is None or not event.run_id or not event.event or event.level not in _LEVELS:
        return None
    if event.extra is not None and not _RESERVED.isdisjoint(event.extra):
        return None  # written again, they would take the place of the envelope's own fields
    try:
        event.timestamp = utc(event.timestamp)
        _decode(event.data)
    except (OverflowError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    # A line has a dozen short texts, most of which stand in every other line too; and a payload that is a view of
    # the file would keep the whole file in memory.
    event.run_id, event.event = intern(event.run_id), intern(event.event)
    event.node_id = None if event.node_id is None else intern(event.node_id)
    event.writer = None if event.writer is None else intern(event.writer)
    event.data = event.data.copy()
    return event


def events_of_value(value: object) -> list[Event] | None:
    """Return the events that a decoded value is or holds; None for a line that is part of our own bookkeeping."""
    if isinstance(value, list):
        return [event for item in value if isinstance(item, dict) and (event := event_of(item)) is not None]
    if not isinstance(value, dict):
        return []
    if value.get("clew") in ("segment", "seal"):
        return None
    event = event_of(value)
    return [] if event is None else [event]


def event_of(fields: dict[str, Any]) -> Event | None:
    """Return the event that a decoded object is; None where it is none.

    Raises: RecursionError where its payload nests too deep.
    """
    timestamp, run_id, name = moment(fields.get("timestamp")), fields.get("run_id"), fields.get("event")
    if isinstance(run_id, int) and not isinstance(run_id, bool):
        run_id = str(run_id)
    if (
        timestamp is None
        or not isinstance(run_id, str)
        or not isinstance(name, str)
        or not run_id
        or not name
    ):
        return None
    extra = {field: value for field, value in fields.items() if field not in _ENVELOPE}
    odd: dict[str, Any] = {"$extra": extra.pop("$extra")} if "$extra" in extra else {}
    event = Event(timestamp=timestamp, run_id=run_id, event=name)
    for field in _TEXTS:
        value = fields.get(field)
        if isinstance(value, str):
            setattr(event, field, value)
        elif value is not None:
            odd[field] = value
    level, seq, data = fields.get("level"), fields.get("seq"), fields.get("data")
    if isinstance(level, str):
        event.level = _LEVELS.get(level.upper(), level)
    elif level is not None:
        odd["level"] = level
    if isinstance(seq, int) and not isinstance(seq, bool):
        event.seq = seq
    elif seq is not None:
        odd["seq"] = seq
    if data is not None:
        event.data = raw(data)
    if odd:
        extra["original_envelope"] = (
            odd  # under their own names they would stand where the envelope's fields do
        )
    event.extra = extra or None
    return event
