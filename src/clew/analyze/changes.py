"""What changed from one value to another, as a list of places; and how much a number grew."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clew.model.difference import diff
from clew.model.patch import Operation

_DEEPEST: Final = 8
_MOST_PARTS: Final = 64


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
    if old is None or new is None or not old:
        return Measure(old=old, new=new, change_ratio=None)
    return Measure(old=old, new=new, change_ratio=(new - old) / old)


def changes(old: Any, new: Any) -> list[Change]:
    """Return where two values of JSON differ, from their RFC 6902 patch. Nothing where they are the same.

    A patch replaces a part whole where that takes fewer bytes. People look for the place, so such a part is gone into
    as long as its sides have something in common.
    """
    return [inner for operation in diff(old, new) for inner in _gone_into(_change(old, operation), _DEEPEST)]


def _gone_into(change: Change, deepest: int) -> list[Change]:
    parts = _parts(change.old, change.new) if deepest else None
    if parts is None:
        return [change]
    found: list[Change] = []
    for key, old, new in parts:
        path = f"{change.path}/{key}"
        if old is msgspec.UNSET or new is msgspec.UNSET:
            found.append(Change(path=path, old=old, new=new))
            continue
        for operation in diff(old, new):
            inner = _change(old, operation)
            placed = Change(path=path + inner.path, old=inner.old, new=inner.new)
            found += _gone_into(placed, deepest - 1)
    return found


def _parts(old: Any, new: Any) -> list[tuple[str, Any, Any]] | None:
    """Return the parts of two containers side by side; None where they are not to be taken apart."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        nothing_in_common = bool(old and new) and len(keys) == len(old) + len(new)
        if len(keys) > _MOST_PARTS or nothing_in_common:
            return None
        return [
            (
                key.replace("~", "~0").replace("/", "~1"),
                old.get(key, msgspec.UNSET),
                new.get(key, msgspec.UNSET),
            )
            for key in keys
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new) <= _MOST_PARTS:
        return [(str(index), *both) for index, both in enumerate(zip(old, new, strict=True))]
    return None


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
