"""The rows of the live tree: which nodes are shown, and what of each, however little room there is.

Where lines are too few, what runs or failed is shown first, and a line says what is not. Where columns are too few,
mark and time always stay: the kind goes first, then names are shortened, then what is said, then cost and tokens.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from clew.view.cells import harmless
from clew.view.durations import format_count, format_duration, format_usd

MARKS: Final = {
    "running": ("●", "cyan"),
    "retrying": ("↻", "yellow"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "interrupted": ("■", "yellow"),
    "skipped": ("-", "dim"),
}
UNDER_WAY: Final = frozenset({"running", "retrying"})
_WORTH: Final = {"running": 0, "retrying": 0, "failed": 1, "interrupted": 2, "completed": 3, "skipped": 4}
_WORDS: Final = {"completed": "done", "retrying": "waiting to be tried again"}
_NARROW: Final = 60
"""Columns below which no space is given away."""
_NAME_MOST: Final = 48
_NAME_FAIR: Final = 16
"""Cells that a name keeps, its mark included, before what is said is shortened for it."""
_NAME_LEAST: Final = 10
"""Cells that a name keeps before a number goes for it."""
_SAID_FAIR: Final = 20
_SAID_LEAST: Final = 8
"""Fewer cells than this say nothing."""
_TIME, _TOKENS, _COST, _TURN = range(4)


@dataclass
class NodeState:
    """One node as it stands: of a node that ran several times, the latest execution."""

    name: str
    kind: str
    depth: int
    state: str = "running"
    began_s: float = field(default_factory=time.monotonic)
    took_ns: int | None = None
    times: int = 0
    tokens: int | None = None
    cost_usd: float | None = None
    turn: str = ""
    """Of an agent its turn, of a loop its round."""
    said: str = ""
    heard: str = ""
    changed: int = 0
    """The higher, the later something happened in it."""


class _Row(NamedTuple):
    indent: str
    mark: str
    style: str
    name: str
    more: str
    numbers: tuple[str, str, str, str]
    said: str

    @property
    def lead_cells(self) -> int:
        return len(self.indent) + 2

    @property
    def name_cells(self) -> int:
        return self.lead_cells + cell_len(self.name)


class _Layout(NamedTuple):
    gap: int
    name: int
    shows_more: bool
    numbers: dict[int, int]
    """Cells of each number that is shown, in the order of the columns."""
    said: int


def chosen(nodes: Sequence[NodeState], room: int) -> tuple[list[NodeState], list[NodeState]]:
    """Return the nodes that `room` lines show, in the order given, and those that are left out.

    Where some are left out, the last of the lines is kept for `left_out`.
    """
    if len(nodes) <= room:
        return list(nodes), []
    # What runs longest comes first: it is what holds up the rest, or what the others run in.
    by_worth = sorted(
        nodes,
        key=lambda node: (
            _WORTH[node.state],
            node.began_s if node.state in UNDER_WAY else 0.0,
            -node.changed,
        ),
    )
    kept = {id(node) for node in by_worth[: max(1, room - 1)]}
    return [n for n in nodes if id(n) in kept], [n for n in nodes if id(n) not in kept]


def left_out(hidden: Sequence[NodeState], *, waiting: int) -> str:
    """Return the line that says what is not shown: `… 63 done and 70 waiting not shown`."""
    counts = Counter(_WORDS.get(node.state, node.state) for node in hidden)
    said = [f"{count} {word}" for word, count in counts.most_common()]
    if waiting > 0:
        said.append(f"{waiting} waiting")
    return f"… {' and '.join(part for part in (', '.join(said[:-1]), said[-1]) if part)} not shown"


def head(name: str, nodes: Sequence[NodeState], *, node_count: int | None, took_ns: int, width: int) -> Text:
    """Return the first line: the run, how many nodes are done and of how many where that is known, the time."""
    own = [node for node in nodes if node_count is None or not node.depth]
    done = sum(node.state in {"completed", "skipped"} for node in own)
    many = f"{done} nodes" if node_count is None else f"{done} of {max(node_count, len(own))} nodes"
    few = f"{done}" if node_count is None else f"{done}/{max(node_count, len(own))}"
    took = format_duration(took_ns)
    name = harmless(name)
    room = 0
    for said, gap in ((f"{many} done", 2), (f"{few} done", 1), (few, 1)):
        room = width - cell_len(said) - cell_len(took) - 2 * gap
        if room >= min(cell_len(name), _NAME_LEAST):
            break
    shown = shortened(name, max(0, room))
    space = " " * gap
    parts = [(shown, "bold"), space, said, space] if shown else [said, space]
    return Text.assemble(*parts, (took, "dim"), no_wrap=True, overflow="ellipsis")


def lines(nodes: Sequence[NodeState], *, width: int) -> list[Text]:
    """Return one line for each node, none of them wider than `width` cells."""
    step = 2 if width >= _NARROW else 1
    rows = [_row(node, step=step, most=width // 8) for node in nodes]
    layout = _layout(rows, width)
    return [_line(row, layout) for row in rows]


def shortened(text: str, width: int) -> str:
    """Return text in at most `width` cells, with an ellipsis where something is missing.

    That is in the middle where there is room: names of a list often differ at their end.
    """
    if cell_len(text) <= width:
        return text
    if width < 2:
        return "…"[: max(0, width)]
    tail = (width - 1) // 3 if width >= _NAME_LEAST - 2 else 0
    end = ""
    for char in reversed(text):
        if cell_len(char + end) > tail:
            break
        end = char + end
    return f"{set_cell_size(text, width - 1 - cell_len(end)).rstrip()}…{end}"


def _row(node: NodeState, *, step: int, most: int) -> _Row:
    mark, style = MARKS[node.state]
    took_ns = node.took_ns
    if node.state in UNDER_WAY:
        took_ns = round((time.monotonic() - node.began_s) * 1e9)
    more = f"  {harmless(node.kind)}" if node.kind else ""
    if node.times > 1:
        more += f"  {node.times} times"
    numbers = (
        "" if node.state == "skipped" else format_duration(took_ns),
        "" if node.tokens is None else f"{format_count(node.tokens)} tok",
        "" if node.cost_usd is None else format_usd(node.cost_usd),
        node.turn,
    )
    indent = " " * min(step * node.depth, most)
    return _Row(indent, mark, style, harmless(node.name), more, numbers, harmless(node.said))


def _layout(rows: Sequence[_Row], width: int) -> _Layout:
    gap = 2 if width >= _NARROW else 1
    cells = [max((cell_len(row.numbers[place]) for row in rows), default=0) for place in range(4)]
    bare = min(_NAME_MOST, max((row.name_cells for row in rows), default=0))
    full = min(_NAME_MOST, max((row.name_cells + cell_len(row.more) for row in rows), default=0))
    said = max((cell_len(row.said) for row in rows), default=0)
    kept = [place for place in (_TIME, _TURN, _TOKENS, _COST) if cells[place]]
    while len(kept) > 1 and min(bare, _NAME_LEAST) + sum(cells[place] + gap for place in kept) > width:
        kept.pop()
    room = width - sum(cells[place] + gap for place in kept)
    for_said = gap + min(said, _SAID_FAIR) if said else 0
    name = full if full + for_said <= room else max(min(bare, _NAME_FAIR), min(bare, room - for_said))
    said_cells = min(said, room - name - gap)
    if said_cells < min(said, _SAID_LEAST):
        said_cells, name = 0, full if full <= room else min(bare, room)
    numbers = {place: cells[place] for place in sorted(kept)}
    return _Layout(gap, max(name, 0), name == full, numbers, max(said_cells, 0))


def _line(row: _Row, layout: _Layout) -> Text:
    more = row.more if layout.shows_more else ""
    if row.lead_cells + _NAME_LEAST + cell_len(more) > layout.name < row.name_cells + cell_len(more):
        more = ""
    name = shortened(row.name, layout.name - row.lead_cells - cell_len(more))
    line = Text(row.indent, no_wrap=True, overflow="ellipsis")
    line.append(row.mark, row.style).append(f" {name}").append(more, "dim")
    line.append(" " * (layout.name - line.cell_len))
    for place, cells in layout.numbers.items():
        text = row.numbers[place]
        space = " " * (cells - cell_len(text))
        line.append(" " * layout.gap + (text + space if place == _TURN else space + text))
    if layout.said and row.said:
        kept = row.said
        if cell_len(kept) > layout.said:
            kept = f"{set_cell_size(kept, layout.said - 1).rstrip()}…"
        line.append(" " * layout.gap).append(kept, "dim")
    line.rstrip()
    return line
