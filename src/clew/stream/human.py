"""Events for people: exactly one line each, whatever the payload holds.

`[2026-11-21 03:59:12.123] [INFO] NODE_COMPLETED run=0199c2f1a3b4 node=classify duration=812ms tokens=12/40`

Times are UTC, as in the log, so that a line can be found there and in the terminal by the same time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from clew.model.events import Event, decode_event
from clew.model.levels import FAMILY_OF
from clew.stream.values import duration_of, make_harmless, show_raw, show_text

VALUE_LIMIT: Final = 80
"""Characters of a value that are shown; an error's text is worth more than any other value."""
ERROR_LIMIT_FACTOR: Final = 4
RUN_DIGITS: Final = 12
"""The time part of a run id: fewer digits would be the same for all runs of one minute."""

_is_own_run_id: Final = re.compile(r"[0-9a-f]{32}").fullmatch
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_DURATIONS: Final = {"_ms": 1e6, "_us": 1e3, "_ns": 1.0}
_TOKENS: Final = ("input_tokens", "output_tokens")
_OPENED: Final = frozenset({"attributes", "metrics"})
"""Shown field by field, because that is what a user wrote: `iteration=3`, not `attributes={"iteration":"3"}`."""

_RESET: Final = "\x1b[0m"
_DIM, _RED, _GREEN, _YELLOW = "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"


def format_human(
    line: bytes,
    *,
    colour: bool = False,
    whole: bool = False,
    value_limit: int = VALUE_LIMIT,
) -> str:
    """Return one event as one line of text without its newline.

    Args: line: an event in the public form. colour: whether to use terminal colours; without, the result has no
        escape at all. whole: nothing is shortened, and ids are shown too. value_limit: characters of a value.
    Returns: printable text. A line that is no event is shown as it is, made harmless. Never raises.
    """
    limit = None if whole else value_limit
    try:
        event = decode_event(line)
        if event is not None:
            return _format_event(event, colour=colour, limit=limit)
    except (ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        event = None  # a payload that passes as JSON and cannot be taken apart: shown as it is
    text = line.decode("utf-8", "backslashreplace")
    kept = text if limit is None else text[: limit * ERROR_LIMIT_FACTOR]
    return make_harmless(kept) + (f"…({len(text)})" if len(kept) < len(text) else "")


def should_colour(stream: object, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether to use colours on a stream or file descriptor.

    NO_COLOR forbids them, else FORCE_COLOR (not `0`) asks for them, else they are for terminals that are not
    `TERM=dumb`.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    if environ.get("TERM") == "dumb":
        return False
    try:
        if isinstance(stream, int):
            return os.isatty(stream)
        return bool(getattr(stream, "isatty", bool)())
    except (OSError, ValueError):
        return False  # a closed stream is no terminal


def _format_event(event: Event, *, colour: bool, limit: int | None) -> str:
    words = [f"run={_run(event.run_id, limit)}"]
    if event.node_id is not None:
        words.append(f"node={show_text(event.node_id, limit)}")
    if limit is None:
        words += _identity(event)
    words += [f"{name}={value}" for name, value in _payload(event, limit)]
    moment = f"[{_moment(event.timestamp)}]"
    title = f"[{show_text(event.level, limit)}] {show_text(event.event.upper(), limit)}"
    if not colour:
        return f"{moment} {title} {' '.join(words)}"
    paint = _paint(event)
    titled = f"{paint}{title}{_RESET}" if paint else title
    return f"{_DIM}{moment}{_RESET} {titled} {' '.join(words)}"


def _moment(timestamp: datetime) -> str:
    try:
        timestamp = timestamp.replace(tzinfo=None) if timestamp.tzinfo is UTC else _to_utc(timestamp)
    except OverflowError:
        timestamp = timestamp.replace(tzinfo=None)  # first or last hours of the calendar, from another system
    return timestamp.isoformat(" ", "milliseconds")


def _to_utc(timestamp: datetime) -> datetime:
    if timestamp.tzinfo is None:
        return timestamp  # another system's log: UTC is the only guess that does not depend on the reader
    return timestamp.astimezone(UTC).replace(tzinfo=None)


def _run(run_id: str, limit: int | None) -> str:
    if limit is not None and _is_own_run_id(run_id):
        return run_id[:RUN_DIGITS]
    return show_text(run_id, limit)


def _identity(event: Event) -> Iterator[str]:
    for name, value in (("span", event.span_id), ("parent", event.parent_id), ("writer", event.writer)):
        if value is not None:
            yield f"{name}={show_text(value)}"
    if event.seq is not None:
        yield f"seq={event.seq}"


def _payload(event: Event, limit: int | None) -> Iterator[tuple[str, str]]:
    """Give the payload as names and values to show, names without repetition."""
    taken = {"run", "node", "span", "parent", "writer", "seq"}
    for origin, name, raw in _fields(event):
        duration = _duration(name, raw)
        if duration is not None and name[:-3] not in taken:
            shown, value = name[:-3], duration
        else:
            factor = ERROR_LIMIT_FACTOR if name == "error" else 1
            value = show_raw(raw, None if limit is None else limit * factor)
            shown = "workflow" if name == "name" and FAMILY_OF.get(event.event) == "lifecycle" else name
        while shown in taken:
            shown = f"{origin}.{shown}"
        taken.add(shown)
        yield show_text(shown, limit), value


def _duration(name: str, raw: bytes) -> str | None:
    """Return a field whose name ends in a unit of time as a duration in the unit that reads best."""
    unit_ns = _DURATIONS.get(name[-3:])
    return None if unit_ns is None or len(name) == 3 else duration_of(raw, unit_ns=unit_ns)


def _fields(event: Event) -> Iterator[tuple[str, str, bytes]]:
    """Give where a field comes from, its name, and its encoded value."""
    data = bytes(event.data)
    if data[:1] != b"{":
        yield "data", "value", data
    else:
        fields = _decode_fields(data)
        _join_tokens(fields)
        for name, raw in fields.items():
            value = bytes(raw)
            if name in _OPENED and value[:1] == b"{":
                for inner, inner_raw in _decode_fields(value).items():
                    yield name, inner, bytes(inner_raw)
            else:
                yield "data", name, value
    for name, unknown in (event.extra or {}).items():
        yield "extra", name, msgspec.json.encode(unknown)


def _join_tokens(fields: dict[str, msgspec.Raw]) -> None:
    """Put tokens sent and received, `?` where unknown, into one field at the place of the first."""
    known = [name for name in fields if name in _TOKENS]
    if not known or "tokens" in fields:
        return
    counts = [bytes(fields.get(name, b"null")) for name in _TOKENS]
    if not all(count.isdigit() or count == b"null" for count in counts):
        return
    joined = b'"%b"' % b"/".join(b"?" if count == b"null" else count for count in counts)
    items = [
        ("tokens", msgspec.Raw(joined)) if name == known[0] else (name, raw)
        for name, raw in fields.items()
        if name not in known[1:]
    ]
    fields.clear()
    fields.update(items)


def _paint(event: Event) -> str:
    if event.level == "ERROR" or event.event.endswith("_failed"):
        return _RED
    if event.level == "WARNING" or event.event == "run_interrupted":
        return _YELLOW
    if event.level == "DEBUG":
        return _DIM
    return _GREEN if event.event.endswith("_completed") else ""
