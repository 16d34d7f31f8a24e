"""Numbers that stand for many: percentiles and aggregated metrics. Nothing here estimates what was not measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class NumberSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What many values of one metric come to. NaN and the infinities are counted and otherwise left out."""

    mean: float | None
    """None where no value was finite."""
    sum: float
    """Of the finite values."""
    min: float | None
    """None where no value was finite."""
    max: float | None
    """None where no value was finite."""
    count: int
    """Finite values."""
    not_finite: int
    """Values that were NaN or infinite."""


def summarize_numbers(values: Sequence[float]) -> NumberSummary:
    """Aggregate the values of one metric."""
    finite = [value for value in values if math.isfinite(value)]
    total = _sum(finite)
    return NumberSummary(
        mean=total / len(finite) if finite else None,
        sum=total,
        min=min(finite, default=None),
        max=max(finite, default=None),
        count=len(finite),
        not_finite=len(values) - len(finite),
    )


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """Return a percentile of whole numbers by linear interpolation between the two nearest ranks.

    This is method 7 of Hyndman & Fan (1996), the default of NumPy, pandas and `statistics.quantiles` with
    `method="inclusive"`; a result between two whole numbers is rounded half up.

    Args:    ordered: (n,) ascending. percent: 0-100.
    Returns: None where there is no value.
    """
    if not ordered:
        return None
    # Whole numbers throughout: a float would lose nanoseconds of a run that lasts for months.
    low, remainder = divmod((len(ordered) - 1) * percent, 100)
    if not remainder:
        return ordered[low]
    gap = ordered[low + 1] - ordered[low]
    return ordered[low] + (gap * remainder + 50) // 100


def rounded_mean(total: int, count: int) -> int | None:
    """Return the mean of whole numbers, rounded half up; None of nothing."""
    return (2 * total + count) // (2 * count) if count else None


def _sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return sum(values)  # beyond the largest float: infinite, as IEEE 754 has it
