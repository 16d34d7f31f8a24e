"""The time axis."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.view.axis import ticks

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure
UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}


@ANY_SPEED
@given(st.integers(1, 10**19), st.integers(1, 30))
def test_marks_are_at_even_distances_on_the_axis_and_never_too_many(span_ns: int, at_most: int) -> None:
    marks = ticks(span_ns, at_most)
    assert 1 <= len(marks) <= at_most
    assert marks[0].at_ns == 0
    assert all(mark.at_ns <= span_ns for mark in marks)
    assert len({b.at_ns - a.at_ns for a, b in itertools.pairwise(marks)}) <= 1


@ANY_SPEED
@given(st.integers(1, 10**19), st.integers(2, 30))
def test_a_mark_stands_where_it_says_and_all_have_one_unit(span_ns: int, at_most: int) -> None:
    marks = ticks(span_ns, at_most)
    units = UNITS_NS | {"d": 86400 * 10**9}
    for mark in marks[1:]:
        value, unit = mark.label.split()
        assert round(float(value) * 1000) * units[unit] == mark.at_ns * 1000
    assert len({mark.label.split()[1] for mark in marks[1:]}) <= 1


@ANY_SPEED
@given(st.integers(10, 10**17), st.integers(6, 10))
def test_the_axis_is_not_left_empty(span_ns: int, at_most: int) -> None:
    assert len(ticks(span_ns, at_most)) * 3 >= at_most


@pytest.mark.parametrize(
    "span_ns,labels",
    [
        (7, ["0", "2 ns", "4 ns", "6 ns"]),
        (920_000_000, ["0", "200 ms", "400 ms", "600 ms", "800 ms"]),
        (2_310_000_000, ["0", "0.5 s", "1.0 s", "1.5 s", "2.0 s"]),
        (400_000_000_000, ["0", "2 min", "4 min", "6 min"]),
        (20_000_000_000_000, ["0", "1 h", "2 h", "3 h", "4 h", "5 h"]),
        (10**15, ["0", "2 d", "4 d", "6 d", "8 d", "10 d"]),
    ],
)
def test_marks_are_round_in_the_unit_that_people_use(span_ns: int, labels: list[str]) -> None:
    assert [mark.label for mark in ticks(span_ns, 6)] == labels


def test_a_terminal_without_the_micro_sign_gets_a_u() -> None:
    assert ticks(800_000, 3, ascii_only=True)[1].label == "500 us"
