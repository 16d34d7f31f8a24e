"""Whether a value can be written as JSON text, and why not, in words."""

from __future__ import annotations

import types
from typing import Any, Final

import msgspec

_GENERATORS: Final = (types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType)


class _NotAValueError(Exception):
    """Something that is run, not written."""


def why_unusable(value: Any) -> str | None:
    """Say why neither a file nor another step could be given this result; None where nothing is wrong with it.

    Objects of Python are no obstacle here: they go from step to step as they are, and are written as text.
    """
    return _why(value, _refuse_generators, (_NotAValueError, UnicodeError, RecursionError))


def why_not_json(value: Any) -> str | None:
    """Say why a value cannot be written as JSON, with objects of Python as text; None where it can be."""
    return _why(value, str, (Exception,))


def _why(value: Any, hook: Any, obstacles: tuple[type[Exception], ...]) -> str | None:
    try:
        msgspec.json.encode(value, enc_hook=hook)
    except obstacles as error:
        return _said(value, error)
    except Exception:
        return None
    return None


def _said(value: Any, error: Exception) -> str:
    match error:
        case UnicodeError():
            return "has a text with half a character in it (a lone surrogate), which no JSON can hold"
        case RecursionError():
            return "contains itself" if _contains_itself(value) else "is nested too deeply"
        case _NotAValueError():
            return f"is or holds a {error}; return a list instead"
    return f"cannot be written as JSON: {error}"


def _refuse_generators(value: Any) -> str:
    """Stand for whatever else there is with a text: what it would say of itself is nobody's business yet."""
    if isinstance(value, _GENERATORS):
        raise _NotAValueError("coroutine" if isinstance(value, types.CoroutineType) else "generator")
    return ""  # also for a key, which only a text can be


def _contains_itself(value: Any) -> bool:
    """Whether a way through lists and mappings leads back to where it was. Without recursion: it may be deep."""
    inside: set[int] = set()
    done: set[int] = set()
    waiting: list[tuple[Any, bool]] = [(value, False)]
    while waiting:
        one, is_left = waiting.pop()
        if is_left:
            inside.discard(id(one))
            done.add(id(one))
            continue
        if id(one) in inside:
            return True
        if id(one) in done or not isinstance(one, dict | list | tuple):
            continue
        inside.add(id(one))
        waiting.append((one, True))
        waiting += [(item, False) for item in (one.values() if isinstance(one, dict) else one)]
    return False
