"""Reads the parts of an answer, which is whatever a server sent: the SDKs do not look at types."""

from __future__ import annotations

from typing import Any, Final

import msgspec

MISSHAPEN: Final = (AttributeError, TypeError, KeyError, IndexError, ValueError)
"""What reading an answer raises that has not the form of one."""


def text_of(value: object) -> str:
    """Return a text, the empty one for None.

    Raises: TypeError where it is something else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"a text was to come, and {type(value).__name__} came")
    return value


def count_of(value: object) -> int | None:
    """Return a number of tokens, or None where the server does not say one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def json_object(raw: str) -> dict[str, Any] | None:
    """Return the object that a text in JSON is, {} for an empty text, None for everything else."""
    if not raw.strip():
        return {}
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
