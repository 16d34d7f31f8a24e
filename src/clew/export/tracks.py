"""Executions on tracks, for viewers that draw a track as a stack: on each, every two intervals nest or are apart.

An execution stands on its parent's track while nothing else of the parent's runs there, else on a track of the same
writer that is free. So threads and async tasks get tracks of their own, and what is drawn inside an execution was
started by it.
"""

from __future__ import annotations

import heapq
from datetime import datetime
from typing import Final

import msgspec

from clew.export.foreign import nanoseconds
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace

ALONE: Final = -1
_MOST_ANCESTORS = 64


class Tracks(msgspec.Struct, frozen=True, kw_only=True):
    """Place of every execution, by position in `ExecutionTrace.nodes`. Times are ns after `origin`."""

    origin: datetime | None
    """Left edge: the run's start, or what came first; None where no time is known."""
    begins: list[int]
    """(n,) starts, in whole microseconds as the log has them."""
    ends: list[int]
    """(n,) ends by the monotonic clock, less the fraction of a step that the log's dates are coarser."""
    track: list[int]
    """(n,) track of each."""
    under: list[int]
    """(n,) the execution that it is drawn inside, or ALONE."""
    writers: list[str | None]
    """(m,) the writer whose track it is."""
    order: list[int]
    """(n,) positions by start, outer ones first."""

    def offset_ns(self, moment: datetime | None) -> int:
        """Return nanoseconds from the left edge."""
        return _offset_ns(moment, self.origin)


def assign_tracks(trace: ExecutionTrace) -> Tracks:
    """Give every execution of a trace its track. O(n log n)."""
    known = [moment for node in trace.nodes if (moment := node.started_at or node.ended_at) is not None]
    known += [moment for moment in (trace.started_at,) if moment is not None]
    known += [event.timestamp for event in trace.events[:1]]
    placing = _Placing(trace, min(known, default=trace.last_event_at))
    return placing.run()


def _offset_ns(moment: datetime | None, origin: datetime | None) -> int:
    return 0 if moment is None or origin is None else nanoseconds(moment - origin)


class _Placing:
    """The tracks while they fill, from left to right."""

    def __init__(self, trace: ExecutionTrace, origin: datetime | None) -> None:
        self._nodes = trace.nodes
        self._origin = origin
        self._slack_ns = _clock_step_ns(trace.nodes)
        self._begins = [_offset_ns(node.started_at or node.ended_at, origin) for node in trace.nodes]
        self._ends = [self._end(index, trace.last_event_at) for index in range(len(trace.nodes))]
        self._track = [0] * len(trace.nodes)
        self._under = [ALONE] * len(trace.nodes)
        self._writers: list[str | None] = []
        self._position = {
            node.span_id: index for index, node in enumerate(trace.nodes) if node.span_id is not None
        }
        self._stacks: list[list[int]] = []
        self._is_running = [False] * len(trace.nodes)
        self._free: dict[str | None, list[int]] = {}
        self._busy: dict[str | None, list[tuple[int, int]]] = {}

    def run(self) -> Tracks:
        """Place everything."""
        order = sorted(range(len(self._nodes)), key=self._begins.__getitem__)
        for position in order:
            self._place(position)
        return Tracks(
            origin=self._origin,
            begins=self._begins,
            ends=self._ends,
            track=self._track,
            under=self._under,
            writers=self._writers,
            order=order,
        )

    def _end(self, position: int, last: datetime | None) -> int:
        node, begin = self._nodes[position], self._begins[position]
        if node.duration_ns is not None:
            return begin + max(0, node.duration_ns)
        return max(begin, _offset_ns(node.ended_at or last, self._origin))

    def _place(self, position: int) -> None:
        outer = self._ancestor(position)
        if outer is not None and self._fits(position, outer):
            self._put(position, self._track[outer], under=outer)
            return
        writer = self._nodes[position].writer
        track = self._free_track(writer, self._begins[position])
        self._put(position, track, under=ALONE)
        heapq.heappush(self._busy.setdefault(writer, []), (self._ends[position], track))

    def _ancestor(self, position: int) -> int | None:
        """Return the nearest execution around it that the same writer recorded and that still stands on its track."""
        node = self._nodes[position]
        parent = node.parent_id
        for _ in range(_MOST_ANCESTORS):
            outer = self._position.get(parent) if parent is not None else None
            if outer is None:
                return None
            if self._nodes[outer].writer == node.writer and self._is_running[outer]:
                return outer
            parent = self._nodes[outer].parent_id
        return None

    def _fits(self, position: int, outer: int) -> bool:
        slack, last = self._slack_ns, self._ends[outer]
        begin, end = self._begins[position], self._ends[position]
        if begin > last or end > last + slack:
            return False
        stack = self._stacks[self._track[outer]]
        while stack[-1] != outer:
            if self._ends[stack[-1]] > begin + slack:
                return False
            self._close(stack.pop(), begin)
        self._ends[position] = min(end, last)
        return True

    def _close(self, position: int, begin: int) -> None:
        """Take an execution off its stack, and back the overlap that the clock's step allowed."""
        self._ends[position] = min(self._ends[position], begin)
        self._is_running[position] = False

    def _free_track(self, writer: str | None, begin: int) -> int:
        free = self._free.setdefault(writer, [])
        busy = self._busy.get(writer, [])
        while busy and busy[0][0] <= begin + self._slack_ns:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if not free:
            self._stacks.append([])
            self._writers.append(writer)
            return len(self._stacks) - 1
        track = heapq.heappop(free)
        stack = self._stacks[track]
        while stack:
            self._close(stack.pop(), begin)
        return track

    def _put(self, position: int, track: int, *, under: int) -> None:
        self._track[position] = track
        self._under[position] = under
        self._stacks[track].append(position)
        self._is_running[position] = True


def _clock_step_ns(nodes: list[NodeExecution]) -> int:
    """Return by how much a start may be too early: the log has microseconds, some other systems milliseconds."""
    fine = any(node.started_at is not None and node.started_at.microsecond % 1000 for node in nodes)
    return 1_000 if fine or not nodes else 1_000_000
