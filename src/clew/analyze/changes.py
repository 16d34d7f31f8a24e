"""What changed from one value to another, as a list of places; and how much a number grew."""

from __future__ import annotations

from typing import Any

import msgspec

from clew.model.difference import diff
from clew.model.patch import Operation


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One place at which two values differ. A side that has nothing there has no such field in JSON."""

    path: str
    """JSON pointer into the old value, or into the new one for what was added; empty for the whole value."""
    old: Any = msgspec.UNSET
    """What was there."""
    new: Any = msgspec.UNSET
    """What is there now."""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A number of both runs. None is unknown, which is not zero."""

    old: float | int | None
    new: float | int | None
    change_ratio: float | None
    """Growth as a share of the old number, 0.2 for a fifth more; None where one is unknown or the old one is 0."""


def measure(old: float | None, new: float | None) -> Measure:
    """Return a number of both runs with its growth."""
    known = old is not None and new is not None and old
    return Measure(old=old, new=new, change_ratio=(new - old) / old if known else None)  # type: ignore[operator]


def changes(old: Any, new: Any) -> list[Change]:
    """Return where two values of JSON differ, from their RFC 6902 patch. Nothing where they are the same."""
    return [_change(old, operation) for operation in diff(old, new)]


def _change(document: Any, operation: Operation) -> Change:
    path = operation["path"]
    if operation["op"] == "add":
        return Change(path=path, new=operation["value"])
    # `diff` changes places before it moves any, and shortens a list from its end, so that each path still leads to
    # its place in the old value.
    for token in path.split("/")[1:]:
        if isinstance(document, list):
            document = document[int(token)]
        else:
            document = document[token.replace("~1", "/").replace("~0", "~")]
    if operation["op"] == "remove":
        return Change(path=path, old=document)
    return Change(path=path, old=document, new=operation["value"])
