"""Bars out of characters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.view.bars import ASCII, UNICODE, bar, glyphs_for, heights, load

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure
EIGHTHS = {" ": 0, **{glyph: number + 1 for number, glyph in enumerate("▏▎▍▌▋▊▉█")}, "▕": 1, "▐": 4}
INTERVALS = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(lambda pair: (min(pair), max(pair)))
)


@ANY_SPEED
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 80), st.sampled_from(["utf-8", "ascii"]))
def test_a_bar_has_its_cells_and_is_never_invisible(
    one: int, other: int, columns: int, encoding: str
) -> None:
    begin, end = min(one, other), max(one, other)
    drawn = bar(begin, end, span_ns=1000, columns=columns, glyphs=glyphs_for(encoding))
    assert len(drawn) == columns
    assert drawn.strip()
    assert " " not in drawn.strip()


@ANY_SPEED
@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 80))
def test_a_bar_is_as_long_as_its_time_within_three_quarters_of_a_cell(
    begin: int, length: int, columns: int
) -> None:
    end = min(begin + length, 1000)
    drawn = bar(begin, end, span_ns=1000, columns=columns, glyphs=UNICODE)
    filled = sum(EIGHTHS[cell] for cell in drawn) / 8
    assert abs(filled - (end - begin) * columns / 1000) <= 0.75


@pytest.mark.parametrize(
    "begin,end,drawn",
    [
        (0, 80, "██████████"),
        (0, 40, "█████     "),
        (0, 41, "█████▏    "),
        (0, 47, "█████▉    "),
        (16, 20, "  ▌       "),
        (20, 20, "  ▕       "),
        (28, 40, "   ▐█     "),
        (31, 40, "   ▕█     "),
        (80, 80, "         ▕"),
    ],
)
def test_the_ends_of_a_bar_are_eighths_of_a_cell(begin: int, end: int, drawn: str) -> None:
    assert bar(begin, end, span_ns=80, columns=10, glyphs=UNICODE) == drawn


@ANY_SPEED
@given(INTERVALS, st.integers(1, 40))
def test_the_load_of_a_column_is_the_time_that_executions_spent_in_it(
    intervals: list[tuple[int, int]], columns: int
) -> None:
    loads = load(intervals, span_ns=1000, columns=columns)
    for column, found in enumerate(loads):
        left, right = 1000 * column // columns, 1000 * (column + 1) // columns
        spent = sum(max(0, min(end, right) - max(begin, left)) for begin, end in intervals)
        assert found * (right - left) == pytest.approx(spent, abs=len(intervals) + 1)


def test_levels_are_relative_to_the_fullest_column_and_show_the_least_touch() -> None:
    assert heights([4.0, 2.0, 0.0, 0.0], [3], glyphs=UNICODE) == "█▄ ▁"
    assert heights([0.5, 0.25], [], glyphs=UNICODE) == "▄▂"
    assert heights([4.0, 2.0, 0.0, 0.0], [3], glyphs=ASCII) == "#= ."


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "no-such-encoding"])
def test_an_encoding_without_blocks_gets_ascii(encoding: str) -> None:
    assert glyphs_for(encoding) is ASCII
    assert glyphs_for("utf-8") is UNICODE
    assert all("".join(glyph).isascii() for glyph in ASCII[:6])
