"""Tables that fit the window: columns that may shrink do so, then those that can be missed go.

Our own and not rich's, because that gives every column the same chance to be cut, takes 60 ms to load, and fills
a pipe to 80 columns.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from clew.view.cells import cell_width

if TYPE_CHECKING:
    from clew.cli.output import Page

_WIDE_GAP: Final = "  "
_GAP: Final = " "


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a table."""

    title: str
    """What stands above it."""
    right: bool = False
    """Whether its cells end at its right edge, as numbers do."""
    least: int | None = None
    """How narrow it may become; None where its cells are never cut."""
    loses_end: bool = False
    """Whether a cell that is too long loses its end and not its middle, as a list does."""
    missable: int = 0
    """Which columns go first where the window is too narrow: the highest; 0 for one that always stays."""


class Cell(msgspec.Struct, frozen=True):
    """What stands in one place of a table."""

    text: str
    style: str | None = None


def print_table(
    page: Page,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    indent: str = "",
) -> None:
    """Print a heading and the rows. A name that is too long loses its middle, which says least.

    Where even that does not fit, columns are left out, and a line says which.
    """
    texts = [[page.safe(cell.text) for cell in row] for row in rows]
    widths = [
        max([cell_width(column.title), *(cell_width(row[i]) for row in texts)])
        for i, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    gap = _WIDE_GAP
    if page.width is not None:
        room = page.width - len(indent)
        shown = _kept(columns, widths, room)
        gap = _gap_that_fits([widths[i] for i in shown], room)
        _shrink(columns, widths, shown, room=room - len(gap) * (len(shown) - 1))

    def print_row(cells: Sequence[str], styles: Sequence[str | None]) -> None:
        parts = []
        for i in shown:
            text = _aligned(cells[i], columns[i], widths[i], ellipsis=page.ellipsis)
            parts.append(page.paint(text.rstrip() if i == shown[-1] else text, styles[i]))
        page.line(indent, gap.join(parts).rstrip())

    print_row([column.title for column in columns], ["bold"] * len(columns))
    for row, row_texts in zip(rows, texts, strict=True):
        print_row(row_texts, [cell.style for cell in row])
    left_out = [column.title for i, column in enumerate(columns) if i not in shown]
    if left_out:
        text = f"a wider window also shows {', '.join(left_out)}"
        for line in [text] if page.width is None else textwrap.wrap(text, page.width - len(indent)):
            page.line(indent, page.paint(line, "dim"))


def shorten(text: str, width: int, *, ellipsis: str = "…") -> str:
    """Return harmless text in at most that many columns; what is too long loses its middle."""
    if cell_width(text) <= width:
        return text
    if width <= 1:
        return ellipsis[: max(0, width)]
    room = width - 1
    head, tail = "", ""
    for char in text:
        if cell_width(head + char) > room * 2 // 5:
            break
        head += char
    for char in reversed(text[len(head) :]):
        if cell_width(head + char + tail) > room:
            break
        tail = char + tail
    return f"{head}{ellipsis}{tail}"


def shorten_end(text: str, width: int, *, ellipsis: str = "…") -> str:
    """Return harmless text in at most that many columns; what is too long loses its end."""
    if cell_width(text) <= width:
        return text
    kept = ""
    for char in text:
        if cell_width(kept + char) >= width:
            break
        kept += char
    return f"{kept}{ellipsis}" if width > 0 else ""


def _least(columns: Sequence[Column], widths: Sequence[int], shown: Sequence[int]) -> int:
    """Return the narrowest that these columns can stand in."""
    cells = [widths[i] if (least := columns[i].least) is None else min(widths[i], least) for i in shown]
    return sum(cells) + len(_GAP) * (len(cells) - 1)


def _kept(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    shown = list(range(len(columns)))
    while _least(columns, widths, shown) > room:
        most = max(shown, key=lambda i: columns[i].missable)
        if not columns[most].missable:
            break
        shown.remove(most)
    return shown


def _gap_that_fits(widths: Sequence[int], room: int) -> str:
    return _WIDE_GAP if sum(widths) + len(_WIDE_GAP) * (len(widths) - 1) <= room else _GAP


def _shrink(columns: Sequence[Column], widths: list[int], shown: Sequence[int], *, room: int) -> None:
    """Take from the widest column that may shrink, one by one, until all fit."""
    while sum(widths[i] for i in shown) > room:
        able = [i for i in shown if (least := columns[i].least) is not None and widths[i] > least]
        if not able:
            return
        widths[max(able, key=lambda i: widths[i])] -= 1


def _aligned(text: str, column: Column, width: int, *, ellipsis: str) -> str:
    text = (shorten_end if column.loses_end else shorten)(text, width, ellipsis=ellipsis)
    padding = " " * (width - cell_width(text))
    return padding + text if column.right else text + padding
