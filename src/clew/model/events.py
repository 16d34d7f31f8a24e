"""The event: one line of the log, in its public form.

The envelope is decoded first and `data` stays raw until someone asks, so that unknown events pass unharmed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec

from clew.model.boundaries import Payload
from clew.model.payloads import PAYLOADS

SCHEMA_VERSION: Final = 1
"""A reader of version N reads every version up to N, and of a later one whatever it knows."""

EMPTY: Final = msgspec.Raw(b"{}")
_P = TypeVar("_P", bound=Payload)


# gc=False: events come by the million and hold no cycle.
class Event(msgspec.Struct, kw_only=True, omit_defaults=True, eq=False, forbid_unknown_fields=True, gc=False):
    """Something happened at a time, in a run, maybe in a span."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    """Wall clock, UTC, to the microsecond."""
    run_id: str
    """The run that it happened in: 32 hex digits from Clew, anything from other systems."""
    event: str
    """What happened. Names that Clew does not define are a user's own."""
    level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    node_id: str | None = None
    """Name of the node that it happened in."""
    span_id: str | None = None
    """The execution of that node: 16 hex digits."""
    parent_id: str | None = None
    """The span that this span was started in; None or zeros at the top."""
    writer: str | None = None
    """The process lifetime that wrote it."""
    seq: int | None = None
    """Position among the writer's events, without gaps."""
    data: msgspec.Raw = EMPTY
    """The payload, still encoded."""
    extra: dict[str, Any] | None = msgspec.field(default=None, name="$extra")
    """Envelope fields that this version does not know; written again as they were."""

    def __eq__(self, other: object) -> bool:
        """Two events are equal when they say the same, however their data is spaced."""
        if not isinstance(other, Event):
            return NotImplemented
        mine, theirs = _fields(self), _fields(other)
        return mine == theirs and (bytes(self.data) == bytes(other.data) or self.values() == other.values())

    def __hash__(self) -> int:
        return hash((self.run_id, self.event, self.timestamp, self.writer, self.seq))

    def values(self) -> dict[str, Any]:
        """Return the payload as plain data; a payload that is not an object is under `value`."""
        data = msgspec.json.decode(self.data)
        return data if isinstance(data, dict) else {"value": data}

    def payload(self) -> Payload | None:
        """Return the typed payload; None for an event that Clew does not define."""
        kind = PAYLOADS.get(self.event)
        return None if kind is None else decode_payload(kind, self.data)[0]


_OPTIONAL: Final[dict[str, type[str | int]]] = {
    "level": str,
    "node_id": str,
    "span_id": str,
    "parent_id": str,
    "writer": str,
    "seq": int,
}
_decode_line = msgspec.json.Decoder(Event).decode
_decode_any = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode
_strict: dict[type[Payload], Callable[[msgspec.Raw | bytes], Any]] = {
    kind: msgspec.json.Decoder(kind).decode for kind in PAYLOADS.values()
}


def _fields(event: Event) -> tuple[object, ...]:
    return (
        event.timestamp,
        event.run_id,
        event.event,
        event.level,
        event.node_id,
        event.span_id,
        event.parent_id,
        event.writer,
        event.seq,
        event.extra,
    )


def decode_event(line: bytes | memoryview | str) -> Event | None:
    """Decode one line; None where it is not an event (a segment's header, a foreign or a torn line)."""
    # The decoder looks at the syntax of `data`, but not at whether its bytes are UTF-8.
    if type(line) is bytes and not line.isascii() and not _is_utf8(line):
        return None
    try:
        return _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_unusual(line)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_unusual(line: bytes | memoryview | str) -> Event | None:
    """Decode a line with fields that are unknown or of another type than ours; those are kept as they are."""
    try:
        fields = _decode_any(line)
        timestamp = msgspec.json.decode(fields.pop("timestamp"), type=datetime)
        known: dict[str, Any] = {
            name: msgspec.json.decode(fields.pop(name), type=str) for name in ("run_id", "event")
        }
        for name, kind in _OPTIONAL.items():
            if name in fields and (value := _decode_if(fields[name], kind)) is not None:
                known[name] = value
                del fields[name]
        data = fields.pop("data", EMPTY).copy()
        extra = {name: msgspec.json.decode(value) for name, value in fields.items()}
    except (msgspec.MsgspecError, UnicodeError, RecursionError, KeyError):
        return None
    # Without a time zone it is UTC by the definition of the log.
    moment = timestamp if timestamp.tzinfo is not None else timestamp.replace(tzinfo=UTC)
    return Event(timestamp=moment, data=data, extra=extra or None, **known)


def _decode_if(value: msgspec.Raw, kind: type[str | int]) -> str | int | None:
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def encode_event(event: Event) -> bytes:
    """Encode one event as a line of the public form, without the newline."""
    record: dict[str, Any] = {
        "timestamp": format_timestamp(event.timestamp),
        "run_id": event.run_id,
        "event": event.event,
        "level": event.level,
    }
    for name in ("node_id", "span_id", "parent_id", "writer", "seq"):
        value = getattr(event, name)
        if value is not None:
            record[name] = value
    record["data"] = event.data
    if event.extra:
        record.update(event.extra)
    return _encode(record)


def format_timestamp(moment: datetime) -> str:
    """Return a moment as the log has it: UTC, microseconds, `Z`."""
    with contextlib.suppress(OverflowError):  # the first or the last day that there is, in another time zone
        moment = moment.astimezone(UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def decode_payload(kind: type[_P], data: msgspec.Raw | bytes) -> tuple[_P, dict[str, Any]]:
    """Decode a payload, and beside it every field that its type does not know or cannot take.

    Never raises: a field of another type than ours is kept with the unknown ones, and so is the text of what
    cannot be decoded at all, such as a number that is too large, or a nesting that is too deep for this stack.
    """
    try:
        return _strict[kind](data), {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _decode_odd(kind, msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return kind(), {"undecoded": bytes(data).decode("utf-8", "replace")}


def _decode_odd(kind: type[_P], fields: object) -> tuple[_P, dict[str, Any]]:
    if not isinstance(fields, dict):
        return kind(), {"value": fields}
    known = {name: fields[name] for name in kind.__struct_fields__ if name in fields}
    extra = {name: value for name, value in fields.items() if name not in known}
    while True:
        try:
            return msgspec.convert(known, kind), extra
        except msgspec.ValidationError:
            name = next(name for name in known if not _fits(kind, name, known[name]))
            extra[name] = known.pop(name)


def _fits(kind: type[Payload], name: str, value: object) -> bool:
    try:
        msgspec.convert({name: value}, kind)
    except msgspec.ValidationError:
        return False
    return True
