"""Where each execution of a run stands in a timeline: its time, and a row of its own while it runs.

A child stands in a row below its parent's, and an execution with all that lies in it gets a block of rows that
nothing else uses at that time. Siblings that follow each other share rows; siblings that overlap (threads, async
tasks, worker processes) get blocks of their own, the earliest on top.
"""

from __future__ import annotations

import heapq
import itertools
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from clew.analyze.times import measure_times
from clew.analyze.tree import NO_PARENT, Tree, build_tree

if TYPE_CHECKING:
    from clew.analyze.times import Times
    from clew.model.trace import ExecutionTrace


class Lanes(msgspec.Struct, frozen=True, kw_only=True):
    """Times and rows of executions, by position in `ExecutionTrace.nodes`. Times are ns after `origin`."""

    origin: datetime | None
    """Wall clock at the left edge: the run's start, or the earliest execution's; None where no time is known."""
    span_ns: int
    """From the left edge to the right one; at least 1."""
    starts: list[int]
    """(n,) when each began."""
    ends: list[int]
    """(n,) when each ended; an open one lasts until the run was last heard of, a skipped one takes no time."""
    rows: list[int]
    """(n,) row of each, from 0 at the top."""
    height: int
    """Rows in all."""
    tree: Tree
    """Who lies in whom."""


def assign_lanes(trace: ExecutionTrace) -> Lanes:
    """Give every execution of a trace its row. O(n log n); no recursion, so any depth will do."""
    tree = build_tree(trace.nodes)
    times = measure_times(trace)
    rows, height = _rows(tree, times)
    starts, ends = times.starts.copy(), times.ends.copy()
    _trim(rows, starts, ends, slack_ns=times.step_ns)
    return Lanes(
        origin=times.origin,
        span_ns=max(times.span_ns, max(ends, default=0)),
        starts=starts,
        ends=ends,
        rows=rows,
        height=height,
        tree=tree,
    )


def _rows(tree: Tree, times: Times) -> tuple[list[int], int]:
    """Return each execution's row and the number of rows: sizes of the blocks from below, places from above."""
    blocks = _Blocks(times)
    height = 0
    for position in [*reversed(tree.order), NO_PARENT]:
        below = tree.children.get(position)
        if not below:
            continue
        stacked = blocks.stack(below)
        if position == NO_PARENT:
            height = stacked
        else:
            blocks.enclose(position, below, rows_below=stacked)
    rows = [0] * len(times.starts)
    for position in tree.order:
        parent = tree.parents[position]
        above = 0 if parent == NO_PARENT else rows[parent] + 1
        rows[position] = above + blocks.offsets[position]
    return rows, height


class _Blocks:
    """For each execution the block that holds it and all that lies in it: its time, its rows, its place."""

    def __init__(self, times: Times) -> None:
        self.first = times.starts.copy()
        self.last = times.ends.copy()
        self.heights = [1] * len(self.first)
        self.offsets = [0] * len(self.first)
        self._slack_ns = times.step_ns

    def enclose(self, position: int, below: list[int], *, rows_below: int) -> None:
        self.heights[position] = 1 + rows_below
        self.first[position] = min(self.first[position], *[self.first[child] for child in below])
        self.last[position] = max(self.last[position], *[self.last[child] for child in below])

    def stack(self, siblings: list[int]) -> int:
        """Set the offset of each sibling's block, and return how many rows they take together. O(k log k)."""
        ordered = sorted(siblings, key=self.first.__getitem__)
        lanes: list[int] = []
        tallest: list[int] = []
        busy: list[tuple[int, int]] = []
        free: list[int] = []
        for position in ordered:
            while busy and busy[0][0] <= self.first[position] + self._slack_ns:
                heapq.heappush(free, heapq.heappop(busy)[1])
            if free:
                lane = heapq.heappop(free)
                tallest[lane] = max(tallest[lane], self.heights[position])
            else:
                lane = len(tallest)
                tallest.append(self.heights[position])
            lanes.append(lane)
            heapq.heappush(busy, (self.last[position], lane))
        tops = [0, *itertools.accumulate(tallest)]
        for position, lane in zip(ordered, lanes, strict=True):
            self.offsets[position] = tops[lane]
        return tops[-1]


def _trim(rows: list[int], starts: list[int], ends: list[int], *, slack_ns: int) -> None:
    """Take back the overlap that the clock's step allowed, so that no two executions share a row and a moment."""
    before: dict[int, tuple[int, int]] = {}
    by_end = sorted(
        range(len(rows)), key=ends.__getitem__
    )  # so that what takes no time comes before what does
    for position in sorted(by_end, key=starts.__getitem__):
        row = rows[position]
        start, end = starts[position], ends[position]
        begun, reached = before.get(row, (start, start))
        if start < reached <= start + slack_ns:
            start = reached
        elif start < reached:
            # It ended where the one before it began, and is by the clock's step too late.
            start = end = begun
        starts[position], ends[position] = start, max(start, end)
        before[row] = (begun if start == end == begun else start, max(reached, ends[position]))
