"""A run as a short indented list: what lies in what, with the repetitions of a loop in one line."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from clew.analyze.tree import NO_PARENT, Tree

if TYPE_CHECKING:
    from clew.analyze.times import Times
    from clew.model.trace import ExecutionTrace

MOST_REPEATS: Final = 3
"""Executions of one node in the same place that have a line each; where there are more, they share one."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One execution, or all executions of one node in the same place of the tree."""

    depth: int
    """How many lines this one lies in."""
    node_id: str
    """Name of the node."""
    positions: list[int]
    """Which of `ExecutionTrace.nodes`, in start order."""
    total_ns: int | None
    """Durations added up; None where none is known."""
    statuses: dict[str, int]
    """Executions by status."""
    orphans: int
    """Executions whose parent is named but not in the log."""
    is_leaf: bool
    """Whether nothing lies in it."""

    @property
    def count(self) -> int:
        """Executions."""
        return len(self.positions)

    @property
    def failed(self) -> int:
        """Executions that raised."""
        return self.statuses.get("failed", 0)


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """Lines in the order of a tree, siblings by their first start."""

    lines: list[Line]
    """At most as many as were asked for."""
    left_out: int
    """Executions that are in no line."""


def outline(trace: ExecutionTrace, tree: Tree, *, times: Times, most_lines: int) -> Outline:
    """Return what lies in what in at most `most_lines` lines.

    Where the lines do not suffice, every repetition is put in one line; where they still do not, what failed or is
    open and what took longest goes first, always with the lines around it. O(n log n).
    """
    found = _Writer(trace, tree, times=times, repeats=MOST_REPEATS).write(most_lines)
    return _Writer(trace, tree, times=times, repeats=1).write(most_lines) if found.left_out else found


class _Entry:
    """A line in the making, with the lines that lie in it."""

    __slots__ = ("depth", "entries", "node_id", "positions")

    def __init__(self, node_id: str, positions: list[int], depth: int) -> None:
        self.node_id = node_id
        self.positions = positions
        self.depth = depth
        self.entries: list[_Entry] = []


class _Writer:
    def __init__(self, trace: ExecutionTrace, tree: Tree, *, times: Times, repeats: int) -> None:
        self._nodes = trace.nodes
        self._times = times
        self._tree = tree
        self._repeats = repeats
        self._notable = _with_trouble_inside(trace, tree)

    def write(self, most_lines: int) -> Outline:
        root = _Entry("", [NO_PARENT], -1)
        waiting: list[tuple[tuple[bool, int], int, _Entry, _Entry]] = []
        number = 0
        written = 0
        taken = root
        while True:
            for entry in self._below(taken):
                heapq.heappush(waiting, (self._priority(entry), number, entry, taken))
                number += 1
            if not waiting or written == most_lines:
                break
            _, _, taken, around = heapq.heappop(waiting)
            around.entries.append(taken)
            written += 1
        lines = self._lines(root)
        shown = sum(line.count for line in lines)
        return Outline(lines=lines, left_out=len(self._nodes) - shown)

    def _below(self, entry: _Entry) -> list[_Entry]:
        groups: dict[str, list[int]] = {}
        for position in entry.positions:
            for child in self._tree.children.get(position, ()):
                groups.setdefault(self._nodes[child].node_id, []).append(child)
        below: list[_Entry] = []
        for node_id, positions in groups.items():
            positions.sort()
            together = len(entry.positions) > 1 or len(positions) > self._repeats
            pieces = [positions] if together else [[position] for position in positions]
            below.extend(_Entry(node_id, piece, entry.depth + 1) for piece in pieces)
        return below

    def _priority(self, entry: _Entry) -> tuple[bool, int]:
        quiet = not any(self._notable[position] for position in entry.positions)
        taken_ns = sum(
            self._times.ends[position] - self._times.starts[position] for position in entry.positions
        )
        return quiet, -taken_ns

    def _lines(self, root: _Entry) -> list[Line]:
        lines: list[Line] = []
        waiting = [root]
        while waiting:
            entry = waiting.pop()
            if entry is not root:
                lines.append(self._line(entry))
            entry.entries.sort(key=lambda below: below.positions[0], reverse=True)
            waiting.extend(entry.entries)
        return lines

    def _line(self, entry: _Entry) -> Line:
        nodes = [self._nodes[position] for position in entry.positions]
        known = [node.duration_ns for node in nodes if node.duration_ns is not None]
        return Line(
            depth=entry.depth,
            node_id=entry.node_id,
            positions=entry.positions,
            total_ns=sum(known) if known else None,
            statuses=dict(Counter(node.status for node in nodes)),
            orphans=sum(position in self._tree.orphans for position in entry.positions),
            is_leaf=not any(position in self._tree.children for position in entry.positions),
        )


def _with_trouble_inside(trace: ExecutionTrace, tree: Tree) -> list[bool]:
    """Return, for each execution, whether it or anything in it failed or has no end."""
    notable = [node.status in ("failed", "running", "interrupted") for node in trace.nodes]
    for position in reversed(tree.order):
        parent = tree.parents[position]
        if notable[position] and parent != NO_PARENT:
            notable[parent] = True
    return notable
