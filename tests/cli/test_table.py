"""Tables fit the window whatever is in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.cli.output import Page
from clew.cli.table import Cell, Column, print_table, shorten, shorten_end
from clew.view.cells import cell_width

COLUMNS = [
    Column(title="NAME", least=8),
    Column(title="COUNT", right=True),
    Column(title="TOTAL", right=True, missable=1),
    Column(title="MEAN", right=True, missable=2),
]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setenv("COLUMNS", "30")
    return Page()


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def rows(*names: str) -> list[list[Cell]]:
    return [[Cell(name), Cell("12"), Cell("3.14s"), Cell("1.2ms")] for name in names]


def test_numbers_end_at_the_right_edge_of_their_column(
    page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(page, COLUMNS, [*rows("ask"), [Cell("tell"), Cell("12345"), Cell("-"), Cell("-")]])
    assert printed(capsys) == [
        "NAME  COUNT  TOTAL   MEAN",
        "ask      12  3.14s  1.2ms",
        "tell  12345      -      -",
    ]


def test_a_name_that_does_not_fit_loses_its_middle(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(page, COLUMNS, rows("simulation.submit_batch"))
    assert printed(capsys) == ["NAME         COUNT TOTAL  MEAN", "simu…t_batch    12 3.14s 1.2ms"]


def test_where_names_cannot_shrink_enough_columns_go_and_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "21")
    print_table(Page(), COLUMNS, rows("simulation.submit_batch"))
    assert printed(capsys) == [
        "NAME      COUNT TOTAL",
        "sim…batch    12 3.14s",
        "a wider window also",
        "shows MEAN",
    ]


def test_a_pipe_gets_everything(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(Page(), COLUMNS, rows("n" * 500))
    assert "n" * 500 in printed(capsys)[1]


def test_colours_do_not_move_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = [[Cell("a", "red"), Cell("1", "bold"), Cell("x"), Cell("", "dim")]]
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(Page(), COLUMNS, table)
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(Page(), COLUMNS, table)
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == capsys.readouterr().out


def test_no_line_ends_in_spaces(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        page, [Column(title="A"), Column(title="B")], [[Cell("x"), Cell("")], [Cell("x"), Cell("yy")]]
    )
    assert [line for line in printed(capsys) if line != line.rstrip()] == []


@given(st.text(max_size=40).filter(str.isprintable), st.integers(0, 50))
def test_a_shortened_text_is_never_wider_than_asked(text: str, width: int) -> None:
    assert cell_width(shorten(text, width)) <= width
    assert cell_width(text) > width or shorten(text, width) == text


def test_a_shortened_text_keeps_both_ends() -> None:
    assert shorten("simulation.submit_batch", 15) == "simul…mit_batch"


def test_a_list_loses_its_end_so_that_no_two_of_its_parts_look_like_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    columns = [Column(title="N"), Column(title="TAGS", least=5, loses_end=True)]
    print_table(Page(), columns, [[Cell("1"), Cell("job_id=a1 questions=3 tasks=3")]])
    assert printed(capsys) == ["N TAGS", "1 job_id=a1 questio…"]


@pytest.mark.parametrize(
    "text,width,expected",
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("黒井黒", 4, "黒…"), ("ab", 1, "…"), ("ab", 0, "")],
)
def test_the_end_is_cut_by_columns_not_by_characters(text: str, width: int, expected: str) -> None:
    assert shorten_end(text, width) == expected
