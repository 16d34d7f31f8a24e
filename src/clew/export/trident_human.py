"""Trident's telemetry lines for people, as far as they can be read back.

`[<time>] [LEVEL] EVENT run=<id> node=<id> name=value ...`: times have milliseconds and no zone (they are UTC), ids are
whole, strings end after 47 characters in `...`, values that are objects, lists or null are left out. Nothing is quoted
and a newline in an error stays one, so of an event that is known the names of its fields, in their order, say where a
value ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from clew.export.foreign import moment, raw
from clew.model.events import Event

_HEAD: Final = re.compile(
    r"\[(?P<at>\d{4}-\d\d-\d\dT[\d:.+Z-]+)\] \[(?P<level>[A-Z]+)\] (?P<event>[A-Z][A-Z0-9_]*) run=(?P<run>\S+)"
    r"(?: node=(?P<node>.+?))?(?P<rest>(?: [A-Za-z_]\w*=.*)?)",
    re.DOTALL,
)
_BEGIN: Final = re.compile(rb"\[\d{4}-\d\d-\d\dT[\d:.+Z-]+\] \[[A-Z]+\] [A-Z][A-Z0-9_]* run=")
_OURS: Final = re.compile(rb"\[\d{4}-\d\d-\d\d \d\d:[\d:.]+\] \[[A-Z]+\] \S+ run=")
_NAME: Final = re.compile(r" ([A-Za-z_]\w*)=")

_FIELDS: Final = {
    "workflow_started": ("name", "entrypoint", "dry_run"),
    "workflow_completed": ("name", "duration_ms"),
    "workflow_failed": ("name", "error", "duration_ms"),
    "node_failed": ("type", "error", "error_type"),
}
"""The fields of events that carry free text, in their order."""
_LAST: Final = {"workflow_failed": "duration_ms", "node_failed": "error_type"}
"""The field after an error, which shows that the error's lines are complete."""
_TEXTS: Final = frozenset(
    {"name", "entrypoint", "error", "type", "error_type", "reason", "signal_type", "workflow"}
)
_ERROR_CHARACTERS: Final = 50
"""What Trident leaves of a string, so an error has no more lines than this."""


def is_human(line: bytes) -> bool:
    """Say whether a line is one of Trident's for people."""
    return _BEGIN.match(line) is not None


def is_ours(line: bytes) -> bool:
    """Say whether a line is one of Clew's for people, which shorten the ids."""
    return _OURS.match(line) is not None


class HumanLines:
    """One pass over a text. Iterate once, then read `skipped`."""

    def __init__(self, data: bytes) -> None:
        """Take the text."""
        self._data = data
        self.skipped = 0
        """Lines that are no event and no part of one."""

    def __iter__(self) -> Iterator[Event]:
        lines = [line.rstrip("\r") for line in self._data.decode("utf-8", "replace").split("\n")]
        at = 0
        while at < len(lines):
            event, taken = _event_at(lines, at)
            if event is not None:
                yield event
            elif lines[at].strip("\0 \t"):
                self.skipped += 1
            at += taken


def _event_at(lines: list[str], at: int) -> tuple[Event | None, int]:
    """Return the event that begins in a line, and how many lines it takes."""
    event = _event(lines[at])
    last = None if event is None else _LAST.get(event.event)
    if event is None or last is None or last in event.values():
        return event, 1
    text = lines[at]
    for taken, line in enumerate(lines[at + 1 : at + 1 + _ERROR_CHARACTERS], start=2):
        if _HEAD.fullmatch(line):
            break
        text += "\n" + line
        whole = _event(text)
        if whole is not None and last in whole.values():
            return whole, taken
    return event, 1


def _event(text: str) -> Event | None:
    match = _HEAD.fullmatch(text)
    at = None if match is None else moment(match["at"])
    if match is None or at is None:
        return None
    name = match["event"].lower()
    return Event(
        timestamp=at,
        run_id=match["run"],
        event=name,
        level=match["level"],
        node_id=match["node"],
        data=raw(_fields(name, match["rest"])),
    )


def _fields(event: str, rest: str) -> dict[str, Any]:
    """Return the values of a line by name. Where free text may hold one, a name out of its order is part of it."""
    known = _FIELDS.get(event, ())
    places: list[tuple[str, int, int]] = []
    position = before_last = 0
    for match in _NAME.finditer(rest):
        name = match[1]
        if known and name == known[-1]:
            # The text may hold this name too: the last one is the field.
            if position < len(known):
                position, before_last = len(known), len(places)
            del places[before_last:]
        elif position < len(known):
            if name not in known[position:]:
                continue
            position = known.index(name) + 1
        places.append((name, match.start(), match.end()))
    ends = [start for _, start, _ in places[1:]] + [len(rest)]
    return {name: _value(name, rest[begin:end]) for (name, _, begin), end in zip(places, ends, strict=True)}


def _value(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        # Python reads 1_000 and nan as numbers; Trident wrote a string there.
        return number if re.fullmatch(r"-?[\d.]+(?:e[+-]?\d+)?", text) else text
    return text
