"""Reads the parts of an answer, which is whatever a server sent: the SDKs do not look at types."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clew.model.usage import Usage

MISSHAPEN: Final = (AttributeError, TypeError, KeyError, IndexError, ValueError, OverflowError)
"""What reading an answer raises that has not the form of one."""

MOST_TOKENS: Final = 2**53
"""From here on not every reader of JSON counts exactly, and no answer has as many."""


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
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS:
        return value
    return None


def index_of(value: object) -> int:
    """Return the number of a part of the answer.

    Raises: TypeError where it is something else.
    """
    if not isinstance(value, int):
        raise TypeError(f"a number was to come, and {type(value).__name__} came")
    return value


def consistent(usage: Usage) -> Usage:
    """Return the counts; of two that contradict each other the part is unknown, for the whole is what is paid for."""
    return msgspec.structs.replace(
        usage,
        cached_tokens=_part(usage.cached_tokens, usage.input_tokens),
        reasoning_tokens=_part(usage.reasoning_tokens, usage.output_tokens),
    )


def _part(part: int | None, whole: int | None) -> int | None:
    return None if part is not None and whole is not None and part > whole else part


def json_object(raw: str) -> dict[str, Any] | None:
    """Return the object that a text in JSON is, {} for an empty text, None for everything else."""
    if not raw.strip():
        return {}
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
