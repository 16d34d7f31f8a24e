"""Which interval lies in which, where only their times are known."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Final

TOP: Final = -1
"""Nothing holds it."""
AMBIGUOUS: Final = -2
"""Several intervals hold it that do not lie in each other, so time alone does not say which."""


def containers(
    intervals: Sequence[tuple[float, float]],
    names: Sequence[str],
    *,
    holders: Sequence[bool] | None = None,
) -> list[int]:
    """Return, for each interval, the index of the innermost one that holds it; or TOP, or AMBIGUOUS.

    intervals: (n,) starts and ends, end >= start, an open one ends at infinity. Of two equal ones the later in the
    sequence holds the earlier, for systems write what is inside first. Where an interval lies in one of the same
    name, the two are taken for parallel work, and what lies in both is ambiguous. holders: (n,) which can hold
    others; all if None. O(n log n).
    """
    found = [TOP] * len(intervals)
    stack: list[int] = []  # holders around this moment, each inside the one before it
    falling: list[float] = []  # their ends, negated, so that they ascend
    on_stack: Counter[str] = Counter()
    crossed = float("-inf")  # the latest end of a holder that another one overlaps in part
    order = sorted(range(len(intervals)), key=lambda i: (intervals[i][0], -intervals[i][1], -i))
    for i in order:
        end = intervals[i][1]
        is_holder = holders is None or holders[i]
        if is_holder:
            while stack and -falling[-1] < end:
                crossed = max(crossed, -falling.pop())
                on_stack[names[stack.pop()]] -= 1
        depth = bisect_right(falling, -end)
        if crossed >= end or (is_holder and on_stack[names[i]]):
            found[i] = AMBIGUOUS
        elif depth:
            found[i] = stack[depth - 1]
        if is_holder:
            if on_stack[names[i]]:
                crossed = max(crossed, end)
            stack.append(i)
            falling.append(-end)
            on_stack[names[i]] += 1
    return found
