"""Sets of sequence numbers as intervals: a writer's numbers have no gaps, so there are few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clew.store.rows import Numbers


def united(intervals: Iterable[tuple[int, int]]) -> Numbers:
    """Return closed intervals, given in any order and however they overlap, in normal form."""
    result: Numbers = []
    for low, high in sorted(intervals):
        if result and low <= result[-1][1] + 1:
            if high > result[-1][1]:
                result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return result


def gaps(numbers: Numbers, first: int, last: int) -> Numbers:
    """Return what is missing between `first` and `last`, both included; numbers outside do not matter."""
    missing: Numbers = []
    expected = first
    for low, high in numbers:
        if low > last:
            break
        if low > expected:
            missing.append((expected, low - 1))
        expected = max(expected, high + 1)
    if expected <= last:
        missing.append((expected, last))
    return missing


def count(numbers: Numbers) -> int:
    """Return how many numbers the intervals hold."""
    return sum(high - low + 1 for low, high in numbers)
