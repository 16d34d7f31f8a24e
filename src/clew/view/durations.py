"""How quantities are written for people: durations, counts, bytes, dollars. What is unknown is a dash."""

from __future__ import annotations

import math
from typing import Final

UNKNOWN: Final = "-"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400


def format_duration(ns: int | None, *, ascii_only: bool = False) -> str:
    """Write a duration with three digits, or with its two largest units from a minute on.

    `812 ms`, `1.24 s`, `3 min 20 s`, `2 h 05 min`, `3 d 04 h`; `850 µs`, or `850 us` where only ASCII will do.
    """
    if ns is None:
        return UNKNOWN
    if ns < 0:
        return f"-{format_duration(-ns, ascii_only=ascii_only)}"
    if ns == 0:
        return "0 s"
    if ns < 1000:
        return f"{ns} ns"
    for unit_ns, unit in ((1_000, "us" if ascii_only else "µs"), (1_000_000, "ms"), (1_000_000_000, "s")):
        text = _three_digits(ns / unit_ns)
        if float(text) < (_MINUTE if unit == "s" else 1000):
            return f"{text} {unit}"
    return _long(ns)


def format_count(count: int | None) -> str:
    """Write a whole number with commas: `1,234,567`."""
    return UNKNOWN if count is None else f"{count:,}"


def format_bytes(size_bytes: int | None) -> str:
    """Write a size with three digits and a binary unit: `812 B`, `1.24 KiB`, `3.00 GiB`."""
    if size_bytes is None:
        return UNKNOWN
    if abs(size_bytes) < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        text = _three_digits(size)
        if abs(float(text)) < 1000:
            return f"{text} {unit}"
    size /= 1024
    return f"{_three_digits(size) if abs(size) < 1000 else f'{size:,.0f}'} PiB"


def format_usd(usd: float | None) -> str:
    """Write dollars: `$12.34`, and below a dollar with three digits that count: `$0.0123`, `$0.50`."""
    if usd is None or not math.isfinite(usd):
        return UNKNOWN
    if usd < 0:
        return f"-{format_usd(-usd)}"
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    whole, digits = f"{usd:.{2 - math.floor(math.log10(usd))}f}".split(".")
    return f"${whole}.{digits.rstrip('0').ljust(2, '0')}"


def _three_digits(value: float) -> str:
    size = abs(value)
    if size < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if size < 99.95 else f"{value:.0f}"


def _long(ns: int) -> str:
    seconds = (ns + 500_000_000) // 1_000_000_000
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE:02d} s"
    minutes = (ns + 30_000_000_000) // 60_000_000_000
    if minutes < _DAY // _MINUTE:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = (ns + 1_800_000_000_000) // 3_600_000_000_000
    return f"{hours // 24} d {hours % 24:02d} h"
