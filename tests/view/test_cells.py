"""Text in the cells of a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.view.cells import cell_width, fit, harmless

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure
TEXT = st.text(st.characters(), max_size=40)


@pytest.mark.parametrize(
    "text,cells",
    [
        ("plan", 4),
        ("検索", 4),
        ("ｱ", 1),
        ("e\u0301", 1),
        ("🎉", 2),
        ("❤\ufe0f", 2),
        ("👩\u200d👧", 4),
        ("█▏\u00d7…", 4),
        ("", 0),
    ],
)
def test_width_is_what_a_terminal_gives_it_at_most(text: str, cells: int) -> None:
    assert cell_width(text) == cells


@ANY_SPEED
@given(TEXT, st.integers(1, 50))
def test_fitted_text_fills_its_cells_exactly_and_is_the_text_or_its_beginning(text: str, width: int) -> None:
    safe = harmless(text)
    fitted = fit(safe, width)
    assert cell_width(fitted) == width
    kept = fitted.rstrip(" ")
    assert safe.rstrip(" ").startswith(kept.removesuffix("…").rstrip(" ")) or kept == "…"


@ANY_SPEED
@given(TEXT, st.integers(1, 50))
def test_text_that_has_room_is_not_cut(text: str, more: int) -> None:
    safe = harmless(text)
    assert fit(safe, cell_width(safe) + more) == safe + " " * more


@ANY_SPEED
@given(TEXT, st.sampled_from(["utf-8", "ascii", "latin-1", "cp437", "shift_jis"]))
def test_nothing_is_left_that_could_steer_a_terminal_or_that_it_cannot_show(text: str, encoding: str) -> None:
    safe = harmless(text, encoding=encoding)
    safe.encode(encoding)
    for char in safe:
        assert unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}
        assert unicodedata.bidirectional(char) not in {
            "RLO",
            "LRO",
            "RLE",
            "LRE",
            "PDF",
            "RLI",
            "LRI",
            "FSI",
            "PDI",
        }


def test_what_is_made_harmless_stays_readable() -> None:
    assert harmless("a\x1b[2J\r\nb\u202e\ud800") == "a\\x1b[2J\\r\\nb\\u202e\\ud800"
    assert harmless("検索 🎉 é") == "検索 🎉 é"
    assert harmless("検索", encoding="ascii") == "\\u691c\\u7d22"


def test_no_cells_hold_no_text() -> None:
    assert fit("plan", 0) == ""
    assert fit("plan", 2, ellipsis="...") == ".."
