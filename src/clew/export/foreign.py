"""Values from other systems: times, ids, and JSON that is not quite JSON, as Clew's log can carry them."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import msgspec

from clew.model.unfold import number_text

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MILLISECONDS_FROM: Final = 1e11
"""A number above this is a date in milliseconds: as seconds it would lie after the year 5000."""


def is_run_id(value: str) -> bool:
    """Say whether a run id can be kept as it is."""
    return _RUN_ID.fullmatch(value) is not None and value.strip("0") != ""


def derived_id(*parts: str, digits: int) -> str:
    """Return hex digits that are the same for the same parts, here and everywhere."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=digits // 2).hexdigest()


def moment(value: object) -> datetime | None:
    """Read a date as other systems write it; None where it is none.

    ISO 8601 with `Z`, an offset or neither (then UTC), or a number: seconds or milliseconds since 1970.
    """
    try:
        if isinstance(value, str):
            return utc(datetime.fromisoformat(value.strip()))
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        seconds = value / 1000 if value > _MILLISECONDS_FROM else value
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def utc(value: datetime) -> datetime:
    """Return a date in UTC; one without a zone is taken for UTC.

    Raises: OverflowError where UTC has no such date.
    """
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def nanoseconds(duration: timedelta) -> int:
    """Return a difference of two dates, which have microseconds."""
    return duration // timedelta(microseconds=1) * 1000


def loads(text: bytes | str) -> Any:
    """Decode JSON as Python's own encoder writes it, with NaN, infinities and lone surrogates.

    The result can be written as strict JSON: such numbers are strings, such characters the replacement character.

    Raises: ValueError where it is not even that; RecursionError where it nests too deep.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return plain(json.loads(text))


def plain(value: Any) -> Any:
    """Return a value of Python's JSON decoder as strict JSON can carry it.

    Raises: RecursionError where it nests too deep.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, dict):
        return {_text(name): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _text(value: str) -> str:
    if _SURROGATE.search(value) is None:
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def raw(data: Any) -> msgspec.Raw:
    """Encode a payload on one line. Raises: RecursionError where it nests too deep."""
    return msgspec.Raw(msgspec.json.encode(data))


def finite(value: object) -> float | None:
    """Return a number; None for anything else, and for NaN and the infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None
