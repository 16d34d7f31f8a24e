"""Bars out of characters: eighths of a cell where the terminal has them, plain ASCII where it has not."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Glyphs(NamedTuple):
    """What a terminal can show."""

    left: str
    """A cell that is filled from the left: one eighth to eight."""
    right: str
    """A cell that is filled from the right: a sliver, a half, nearly all."""
    level: str
    """A cell that is filled from below: nothing, then one eighth to eight."""
    open: str
    """A cell of something without an end."""
    tick: str
    """A moment at which something was skipped."""
    rule: str
    """A mark of the axis."""
    marks: dict[str, str]
    """What stands before a line, by status."""
    ellipsis: str
    times: str
    inside: str
    dash: str


UNICODE = Glyphs(
    left="▏▎▍▌▋▊▉█",
    right="▕▐█",
    level=" ▁▂▃▄▅▆▇█",
    open="▒",
    tick="◇",
    rule="│",
    marks={"failed": "✗", "interrupted": "!", "running": "▸", "skipped": "·", "orphan": "?"},
    ellipsis="…",
    times="×",  # noqa: RUF001 - the sign itself is meant
    inside=" › ",  # noqa: RUF001 - as above
    dash="·",
)
ASCII = Glyphs(
    left="|||#####",
    right="|##",
    level=" .:-=+*%#",
    open="~",
    tick="o",
    rule="|",
    marks={"failed": "X", "interrupted": "!", "running": ">", "skipped": ".", "orphan": "?"},
    ellipsis="...",
    times="x",
    inside=" > ",
    dash="-",
)


def glyphs_for(encoding: str) -> Glyphs:
    """Return the best characters that an encoding has."""
    try:
        "".join([*UNICODE[:6], *UNICODE.marks.values(), *UNICODE[7:]]).encode(encoding)
    except (UnicodeError, LookupError):
        return ASCII
    return UNICODE


def bar(start_ns: int, end_ns: int, *, span_ns: int, columns: int, glyphs: Glyphs) -> str:
    """Return a bar of exactly `columns` cells; what is shorter than an eighth of one shows as an eighth."""
    eighths = columns * 8
    first = min(start_ns * eighths // span_ns, eighths - 1)
    last = min(max(-(-end_ns * eighths // span_ns), first + 1), eighths)
    cells = [" "] * columns
    for column in range(first // 8, (last - 1) // 8 + 1):
        left = max(first - column * 8, 0)
        right = min(last - column * 8, 8)
        cells[column] = _cell(left, right, glyphs)
    return "".join(cells)


def _cell(left: int, right: int, glyphs: Glyphs) -> str:
    filled = right - left
    if left == 0:
        return glyphs.left[filled - 1]
    if right == 8:
        return glyphs.right[0 if filled < 3 else 1 if filled < 7 else 2]
    # Nothing is drawn in the middle of a cell: the nearer edge stands for it.
    return glyphs.left[filled - 1] if left + right <= 8 else glyphs.right[0 if filled < 3 else 1]


def load(intervals: Iterable[tuple[int, int]], *, span_ns: int, columns: int) -> list[float]:
    """Return how many of some executions ran in each column, on average over the column.

    Args:    intervals: (n,) start and end. O(n + columns).
    """
    # How much the sum of all rises or falls at a column, so that a long interval costs no more than a short one.
    amounts = [0.0] * columns
    slopes = [0] * (columns + 1)
    edges = [span_ns * column // columns for column in range(columns + 1)]
    for start, end in intervals:
        first = min(start * columns // span_ns, columns - 1)
        last = min(end * columns // span_ns, columns - 1)
        if first == last:
            amounts[first] += end - start
            continue
        amounts[first] += edges[first + 1] - start
        amounts[last] += end - edges[last]
        slopes[first + 1] += 1
        slopes[last] -= 1
    running = 0
    loads = []
    for column, (left, right) in enumerate(pairwise(edges)):
        running += slopes[column]
        loads.append(max(0.0, running + amounts[column] / max(1, right - left)))
    return loads


def heights(loads: Sequence[float], touched: Iterable[int], *, glyphs: Glyphs) -> str:
    """Return a row of levels: the fullest column is full, and a column that anything touched is never empty."""
    full = max(1.0, *loads)
    steps = len(glyphs.level) - 1
    levels = [min(steps, round(amount / full * steps)) for amount in loads]
    for column in touched:
        levels[column] = max(1, levels[column])
    return "".join(glyphs.level[level] for level in levels)
