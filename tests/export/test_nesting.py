"""The innermost holder of an interval, against a search through all pairs."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from clew.export.nesting import AMBIGUOUS, TOP, containers

INTERVALS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6), st.sampled_from("abc"), st.booleans()), max_size=9
)


def holds(outer: int, inner: int, intervals: list[tuple[float, float]]) -> bool:
    """Whether one interval holds another; of two equal ones the later in the list holds the earlier."""
    (a, b), (c, d) = intervals[outer], intervals[inner]
    return outer != inner and a <= c and d <= b and ((a, b) != (c, d) or outer > inner)


def searched(intervals: list[tuple[float, float]], names: list[str], holders: list[bool]) -> list[int]:
    everything = range(len(intervals))
    # Two of the same name, one in the other, are parallel; so are two that overlap in part.
    same = [
        (i, j)
        for i in everything
        for j in everything
        if names[i] == names[j] and holders[i] and holders[j]
        if holds(i, j, intervals)
    ]
    found = []
    for i in everything:
        around = [j for j in everything if holders[j] and holds(j, i, intervals)]
        apart = [
            (j, k)
            for j in around
            for k in around
            if j != k
            if not holds(j, k, intervals) and not holds(k, j, intervals)
        ]
        twins = [pair for pair in same if set(pair) <= set(around)]
        is_twin = holders[i] and any(names[j] == names[i] for j in around)
        innermost = [j for j in around if all(j == k or holds(k, j, intervals) for k in around)]
        found.append(TOP if not around else AMBIGUOUS if apart or twins or is_twin else innermost[0])
    return found


@given(INTERVALS)
def test_the_sweep_finds_what_a_search_finds(drawn: list[tuple[int, int, str, bool]]) -> None:
    intervals: list[tuple[float, float]] = [(start, start + length) for start, length, _, _ in drawn]
    names, holders = [name for _, _, name, _ in drawn], [can_hold for *_, can_hold in drawn]
    assert containers(intervals, names, holders=holders) == searched(intervals, names, holders)
    everyone = [True] * len(drawn)
    assert containers(intervals, names) == searched(intervals, names, everyone)


def test_an_open_interval_holds_what_begins_in_it() -> None:
    assert containers([(5, 6), (1, float("inf"))], ["a", "b"]) == [1, TOP]


def test_a_hundred_thousand_intervals_take_a_moment() -> None:
    count = 100_000
    intervals: list[tuple[float, float]] = [(i, i + count) for i in range(count)]
    begun = time.process_time()
    containers(intervals, [str(i) for i in range(count)])
    assert time.process_time() - begun < 5
