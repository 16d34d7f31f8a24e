"""What `clew diff --fail-on` understands: conditions on a comparison that end it with exit code 1."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

import msgspec

from clew.errors import UsageError
from clew.view.durations import format_count, format_duration, format_usd

if TYPE_CHECKING:
    from clew.analyze.comparison import Comparison

_GROWTH: Final = re.compile(r"(duration|tokens|cost)\s*>\s*(\d{1,9}(?:\.\d{1,9})?)\s*%")
_WORDS: Final = ("any", "outputs", "status", "nodes")


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One condition."""

    text: str
    """As it was given, for the message."""
    what: str
    """any, outputs, status, nodes, duration, tokens or cost."""
    most_growth_ratio: float | None = None
    """Of a measure: how much it may grow, 0.2 for a fifth; None of the others."""

    def reason(self, found: Comparison) -> str | None:
        """Return why the gate is shut; None where it is open."""
        if self.most_growth_ratio is not None:
            return self._growth(found, self.most_growth_ratio)
        if self.what == "any":
            return None if found.same else "the runs differ"
        if self.what == "nodes":
            count = found.missing + found.added
            return f"{found.missing:,} missing, {found.added:,} added" if count else None
        pairs = found.fields.get(self.what, 0)
        return f"{pairs:,} differ{'s' if pairs == 1 else ''}" if pairs else None

    def _growth(self, found: Comparison, most: float) -> str | None:
        measures, write = {
            "duration": ([found.duration_ns], _duration),
            "tokens": ([found.input_tokens, found.output_tokens], _count),
            "cost": ([found.cost_usd], format_usd),
        }[self.what]
        old = _total([one.old for one in measures])
        new = _total([one.new for one in measures])
        if old is None or new is None:
            if old == new:
                return None
            # A limit that nobody can check has not been kept.
            side, other = ("old", write(new)) if old is None else ("new", write(old))
            return f"not known of the {side} run, {other} in the other"
        # The product and not the quotient: the old number may be 0, and 1.2 of 100 is then exactly at the limit.
        if new <= old or new - old <= old * most or math.isclose(new - old, old * most):
            return None
        growth = f", {(new - old) / old:+.1%}" if old else ""
        return f"{write(old)} -> {write(new)}{growth}"


def _total(numbers: list[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _duration(ns: float | None) -> str:
    return format_duration(None if ns is None else round(ns))


def _count(number: float | None) -> str:
    return format_count(None if number is None else round(number))


def parse_gate(text: str) -> Gate:
    """Read one condition.

    Raises: UsageError: it is none.
    """
    wanted = text.strip().lower()
    if wanted in _WORDS:
        return Gate(text=wanted, what=wanted)
    match = _GROWTH.fullmatch(wanted)
    if match is None:
        raise UsageError(
            f"--fail-on {text!r} is none of {', '.join(_WORDS)}, duration>20%, tokens>10%, cost>5%"
            " (with any number)."
        )
    return Gate(text="".join(wanted.split()), what=match[1], most_growth_ratio=float(match[2]) / 100)
