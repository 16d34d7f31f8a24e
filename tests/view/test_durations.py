"""How quantities are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.view.durations import format_bytes, format_count, format_duration, format_usd

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure
UNITS_S = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize(
    "ns,text",
    [
        (None, "-"),
        (0, "0 s"),
        (1, "1 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (850_000, "850 µs"),
        (999_499, "999 µs"),
        (999_600, "1.00 ms"),
        (9_994_000, "9.99 ms"),
        (9_996_000, "10.0 ms"),
        (99_960_000, "100 ms"),
        (812_000_000, "812 ms"),
        (999_700_000, "1.00 s"),
        (1_240_000_000, "1.24 s"),
        (59_940_000_000, "59.9 s"),
        (59_960_000_000, "1 min 00 s"),
        (200_000_000_000, "3 min 20 s"),
        (3_599_400_000_000, "59 min 59 s"),
        (3_599_600_000_000, "1 h 00 min"),
        (7_500_000_000_000, "2 h 05 min"),
        (86_399_000_000_000, "1 d 00 h"),
        (273_600_000_000_000, "3 d 04 h"),
        (-1_240_000_000, "-1.24 s"),
    ],
)
def test_a_duration_is_written_with_three_digits_or_two_units(ns: int | None, text: str) -> None:
    assert format_duration(ns) == text


def test_a_terminal_without_the_micro_sign_gets_a_u() -> None:
    assert format_duration(850_000, ascii_only=True) == "850 us"
    assert format_duration(-850_000, ascii_only=True) == "-850 us"


@ANY_SPEED
@given(st.integers(0, 10**17))
def test_what_is_written_is_the_duration_within_half_of_its_last_digit(ns: int) -> None:
    text = format_duration(ns)
    words = text.split()
    read_s = sum(float(value) * UNITS_S[unit] for value, unit in zip(words[::2], words[1::2], strict=True))
    last = words[-2]
    step_s = UNITS_S[words[-1]] / (10 ** len(last.partition(".")[2]))
    assert abs(read_s - ns / 1e9) <= step_s * 0.5001
    assert len(text) <= 11


@ANY_SPEED
@given(st.integers(0, 10**17), st.integers(0, 10**17))
def test_a_longer_duration_is_never_written_as_a_shorter_one(one: int, other: int) -> None:
    def read_s(ns: int) -> float:
        words = format_duration(ns).split()
        return sum(float(value) * UNITS_S[unit] for value, unit in zip(words[::2], words[1::2], strict=True))

    assert read_s(min(one, other)) <= read_s(max(one, other))


def test_counts_have_commas_and_unknown_ones_are_a_dash() -> None:
    assert [format_count(count) for count in (None, 0, 999, 1234567)] == ["-", "0", "999", "1,234,567"]


@pytest.mark.parametrize(
    "size,text",
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1270, "1.24 KiB"),
        (1_023_900, "0.98 MiB"),
        (1024**2, "1.00 MiB"),
        (3 * 1024**3, "3.00 GiB"),
        (5 * 1024**4, "5.00 TiB"),
        (7 * 1024**5, "7.00 PiB"),
        (2000 * 1024**5, "2,000 PiB"),
    ],
)
def test_a_size_has_a_binary_unit(size: int | None, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    "usd,text",
    [
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "-"),
        (0.0, "$0.00"),
        (12.345, "$12.35"),
        (1234.5, "$1,234.50"),
        (0.5, "$0.50"),
        (0.0123, "$0.0123"),
        (0.00012, "$0.00012"),
        (0.0001234, "$0.000123"),
        (0.9999, "$1.00"),
        (-0.25, "-$0.25"),
    ],
)
def test_dollars_below_one_keep_the_digits_that_count(usd: float | None, text: str) -> None:
    assert format_usd(usd) == text
