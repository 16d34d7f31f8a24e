"""A timeline as a bounded number of boxes, however many executions the run has.

What is wide enough to be seen is a box of its own. What is narrower than a column is put together with its
neighbours in the row: one block says how many executions it stands for, how busy they kept the row, and how many
of them failed, so that nothing goes unseen and no picture grows with the run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from clew.analyze.lanes import Lanes, assign_lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from clew.model.trace import ExecutionTrace

_DENSITY_STEPS: Final = 4
"""Neighbouring blocks stay apart where one is busier than the other by such a step."""
_REFINEMENTS: Final = 4
"""Attempts to show more, where twice the column made far fewer boxes than there may be."""
_BOXES_A_ROW: Final = 3
"""What a row comes to at least: a block, something wide, and a block again."""


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """One execution, or a block of short ones. Times are ns after the left edge."""

    row: int
    """From 0 at the top."""
    start_ns: int
    """Left end."""
    end_ns: int
    """Right end; the same as the left one where nothing took any time."""
    node_id: str
    """The node, or the one with most time in the block."""
    nodes: int
    """Different node_ids in it."""
    count: int
    """Executions in it."""
    index: int
    """Position in `ExecutionTrace.nodes` of the execution, or of the first in the block."""
    busy_ns: int
    """Durations added up; more than the box's width where a block has executions that overlap."""
    status: str
    """failed where one failed, else interrupted or running where one is open, else completed or skipped."""
    failed: int = 0
    """Executions that raised."""
    open: int = 0
    """Executions whose end is not in the log."""
    skipped: int = 0
    """Executions that did not run."""
    orphans: int = 0
    """Executions whose parent is named but not in the log."""

    @property
    def busy_ratio(self) -> float:
        """How much of the box's time something ran, from 0 to 1."""
        width = self.end_ns - self.start_ns
        return min(1.0, self.busy_ns / width) if width else 1.0


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """What every renderer draws."""

    origin: datetime | None
    """Wall clock at the left edge; None where no time is known."""
    span_ns: int
    """From the left edge to the right one; at least 1."""
    rows: int
    """Rows that have boxes."""
    boxes: list[Box]
    """By row, then by time; no two share a row and a moment."""
    executions: int
    """Executions that the boxes stand for: all of the run."""
    aggregated: int
    """Those that have no box of their own."""
    column_ns: int
    """What is shorter than this may be in a block."""
    rows_folded: int
    """Rows that were folded into the last one, because there are more than may be drawn."""


def lay_out(
    trace: ExecutionTrace,
    *,
    columns: int = 1200,
    most_rows: int = 120,
    most_boxes: int = 4000,
    lanes: Lanes | None = None,
) -> Timeline:
    """Return the boxes of a run's timeline.

    Args:    columns: how many positions the drawing can tell apart. most_rows, most_boxes: bounds that hold for
             every run; `most_rows` is lowered to a third of `most_boxes`. lanes: the trace's, where they are known.
    O(n log n): about 5 us an execution.
    """
    lanes = assign_lanes(trace) if lanes is None else lanes
    most_rows = max(1, min(most_rows, most_boxes // _BOXES_A_ROW))
    rows = _by_row(lanes, most_rows)

    def draw(column_ns: int) -> list[Box]:
        return [
            box
            for row, members in enumerate(rows)
            for box in _boxes_of_row(trace, lanes, members, row=row, column_ns=column_ns, most_rows=most_rows)
        ]

    column_ns, boxes = _finest(draw, -(-lanes.span_ns // columns), lanes.span_ns, most_boxes=most_boxes)
    return Timeline(
        origin=lanes.origin,
        span_ns=lanes.span_ns,
        rows=len(rows),
        boxes=boxes,
        executions=len(trace.nodes),
        aggregated=sum(box.count for box in boxes if box.count > 1),
        column_ns=column_ns,
        rows_folded=max(0, lanes.height - most_rows),
    )


def _finest(
    draw: Callable[[int], list[Box]], column_ns: int, span_ns: int, *, most_boxes: int
) -> tuple[int, list[Box]]:
    """Return the narrowest column, from the one given, with which the boxes are few enough, and the boxes."""
    too_fine = 0
    boxes = draw(column_ns)
    while len(boxes) > most_boxes and column_ns <= span_ns:
        # Where there are far too many, take the long step at once.
        too_fine = column_ns
        column_ns *= max(2, len(boxes) // most_boxes)
        boxes = draw(column_ns)
    for _ in range(_REFINEMENTS if too_fine else 0):
        if len(boxes) * 4 > most_boxes * 3:
            break
        between = math.isqrt(too_fine * column_ns)
        attempt = draw(between)
        if len(attempt) > most_boxes:
            too_fine = between
        else:
            column_ns, boxes = between, attempt
    return column_ns, boxes


def _by_row(lanes: Lanes, most_rows: int) -> list[list[int]]:
    """Return the executions of each row in time order; rows beyond the last that may be drawn are in that one."""
    rows: list[list[int]] = [[] for _ in range(min(lanes.height, most_rows))]
    by_end = sorted(range(len(lanes.rows)), key=lanes.ends.__getitem__)
    for position in sorted(by_end, key=lanes.starts.__getitem__):
        rows[min(lanes.rows[position], most_rows - 1)].append(position)
    return rows


def _boxes_of_row(
    trace: ExecutionTrace,
    lanes: Lanes,
    members: list[int],
    *,
    row: int,
    column_ns: int,
    most_rows: int,
) -> list[Box]:
    if row == most_rows - 1 and lanes.height > most_rows:
        return [block.box(row) for block in _overlapping(trace, lanes, members, column_ns=column_ns)]
    blocks: list[_Block] = []
    cell: _Block | None = None
    cell_number = -1
    for position in members:
        start, end = lanes.starts[position], lanes.ends[position]
        is_wide = end - start >= column_ns
        number = start // column_ns
        if cell is None or is_wide or number != cell_number:
            cell = _Block(start, is_wide=is_wide)
            blocks.append(cell)
            # Nothing joins what is wide.
            cell_number = -1 if is_wide else number
        cell.take(trace, lanes, position)
    return [block.box(row) for block in _joined(blocks, column_ns)]


def _overlapping(trace: ExecutionTrace, lanes: Lanes, members: list[int], *, column_ns: int) -> list[_Block]:
    """Return blocks of executions from several rows: whatever overlaps or nearly touches is one."""
    blocks: list[_Block] = []
    for position in members:
        if not blocks or lanes.starts[position] > blocks[-1].end + column_ns:
            blocks.append(_Block(lanes.starts[position], is_wide=False))
        blocks[-1].take(trace, lanes, position)
    return blocks


def _joined(blocks: Iterable[_Block], column_ns: int) -> list[_Block]:
    """Join neighbouring blocks that look the same, so that an even loop is one block."""
    joined: list[_Block] = []
    for block in blocks:
        before = joined[-1] if joined else None
        if (
            before is not None
            and not before.is_wide
            and not block.is_wide
            and block.start - before.end < column_ns
            and before.look(column_ns) == block.look(column_ns)
        ):
            before.join(block)
        else:
            joined.append(block)
    return joined


class _Block:
    """A box in the making."""

    __slots__ = (
        "count",
        "end",
        "failed",
        "first",
        "interrupted",
        "is_wide",
        "open",
        "orphans",
        "skipped",
        "start",
        "times",
    )

    def __init__(self, start: int, *, is_wide: bool) -> None:
        self.start = start
        self.end = start
        self.is_wide = is_wide
        self.count = self.failed = self.open = self.interrupted = self.skipped = self.orphans = 0
        self.first = -1
        self.times: dict[str, int] = {}

    def take(self, trace: ExecutionTrace, lanes: Lanes, position: int) -> None:
        node = trace.nodes[position]
        if self.first < 0:
            self.first = position
        self.count += 1
        self.end = max(self.end, lanes.ends[position])
        taken = lanes.ends[position] - lanes.starts[position]
        self.times[node.node_id] = self.times.get(node.node_id, 0) + taken
        status = node.status
        if status != "completed":
            self.failed += status == "failed"
            self.open += status in ("running", "interrupted")
            self.interrupted += status == "interrupted"
            self.skipped += status == "skipped"
        if position in lanes.tree.orphans:
            self.orphans += 1

    def join(self, other: _Block) -> None:
        self.end = max(self.end, other.end)
        self.count += other.count
        self.failed += other.failed
        self.open += other.open
        self.interrupted += other.interrupted
        self.skipped += other.skipped
        self.orphans += other.orphans
        for node_id, taken in other.times.items():
            self.times[node_id] = self.times.get(node_id, 0) + taken

    def look(self, column_ns: int) -> tuple[object, ...]:
        """Return what a reader would see of it, so that like can be joined with like."""
        width = max(self.end - self.start, column_ns)
        density = min(_DENSITY_STEPS - 1, sum(self.times.values()) * _DENSITY_STEPS // width)
        return self.most(), density, self.failed > 0, self.open > 0, self.skipped == self.count

    def most(self) -> str:
        if len(self.times) == 1:
            return next(iter(self.times))
        return max(self.times, key=lambda node_id: self.times[node_id])

    def box(self, row: int) -> Box:
        if self.failed:
            status = "failed"
        elif self.open:
            status = "interrupted" if self.interrupted else "running"
        else:
            status = "skipped" if self.skipped == self.count else "completed"
        return Box(
            row=row,
            start_ns=self.start,
            end_ns=self.end,
            node_id=self.most(),
            nodes=len(self.times),
            count=self.count,
            index=self.first,
            busy_ns=sum(self.times.values()),
            status=status,
            failed=self.failed,
            open=self.open,
            skipped=self.skipped,
            orphans=self.orphans,
        )
