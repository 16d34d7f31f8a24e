"""Points and spans of time as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {
    "s": 1,
    "sec": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "day": 86400,
    "days": 86400,
    "w": 604800,
}
_SPAN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def parse_span(text: str) -> timedelta:
    """Return a span of time such as `2h`, `30d`, `90s`, `15min`.

    Raises: ValueError where it is not one.
    """
    match = _SPAN.fullmatch(text)
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError(f"{text!r} is not a span of time; write it like 90s, 15min, 2h, 3d or 1w")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS[match[2].lower()])
    except OverflowError:
        raise ValueError(f"{text!r} is longer than there are dates") from None


def parse_moment(text: str, now: datetime) -> datetime:
    """Return a point of time: so long before `now`, or an ISO date with or without a time; local without a zone.

    Raises: ValueError where it is neither.
    """
    if _SPAN.fullmatch(text):
        try:
            return now - parse_span(text)
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is neither a span like 2h or 3d nor a date like 2026-11-21") from None


def format_age(moment: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in one unit: `12 s`, `5 min`, `3 h`, `12 d`; `-` where not known."""
    if moment is None:
        return "-"
    seconds = max(0, int((now - moment).total_seconds()))  # another machine's clock may be ahead
    for size, unit, least in ((86400, "d", 2), (3600, "h", 1), (60, "min", 1)):
        if seconds >= size * least:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
