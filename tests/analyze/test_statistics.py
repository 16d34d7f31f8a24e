"""Percentiles and aggregates against the standard library's own."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from clew.analyze.statistics import percentile, rounded_mean, summarize_numbers

DURATIONS = st.lists(st.integers(0, 10**15), min_size=2, max_size=60)

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure


@ANY_SPEED
@given(DURATIONS)
def test_percentiles_are_those_of_the_standard_library(values: list[int]) -> None:
    values.sort()
    cuts = statistics.quantiles([Fraction(value) for value in values], n=100, method="inclusive")
    for percent in (50, 95, 99):
        expected = math.floor(cuts[percent - 1] + Fraction(1, 2))
        assert percentile(values, percent) == expected


@ANY_SPEED
@given(DURATIONS)
def test_the_ends_of_the_percentiles_are_the_smallest_and_the_largest(values: list[int]) -> None:
    values.sort()
    assert (percentile(values, 0), percentile(values, 100)) == (min(values), max(values))


def test_every_percentile_of_one_value_is_that_value_and_of_nothing_is_unknown() -> None:
    assert [percentile([7], percent) for percent in (0, 50, 99, 100)] == [7, 7, 7, 7]
    assert percentile([], 50) is None


@ANY_SPEED
@given(DURATIONS)
def test_the_mean_is_rounded_half_up(values: list[int]) -> None:
    expected = math.floor(Fraction(sum(values), len(values)) + Fraction(1, 2))
    assert rounded_mean(sum(values), len(values)) == expected


def test_the_mean_of_nothing_is_unknown() -> None:
    assert rounded_mean(0, 0) is None


@ANY_SPEED
@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_a_metric_is_aggregated_as_the_standard_library_would(values: list[float]) -> None:
    found = summarize_numbers(values)
    assert found.sum == math.fsum(values)
    assert found.mean == math.fsum(values) / len(values)
    assert (found.min, found.max, found.count) == (min(values), max(values), len(values))


def test_what_is_not_finite_is_counted_and_does_not_spoil_the_rest() -> None:
    found = summarize_numbers([1.0, math.nan, 3.0, math.inf, -math.inf])
    assert (found.mean, found.sum, found.min, found.max) == (2.0, 4.0, 1.0, 3.0)
    assert (found.count, found.not_finite) == (2, 3)


def test_a_metric_without_a_finite_value_has_no_mean() -> None:
    found = summarize_numbers([math.nan])
    assert (found.mean, found.min, found.max, found.count) == (None, None, None, 0)


def test_a_sum_beyond_the_largest_float_is_infinite_and_no_error() -> None:
    assert summarize_numbers([1e308, 1e308]).sum == math.inf
