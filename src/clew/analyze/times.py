"""When each execution of a run began and ended, on one scale of nanoseconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from clew.model.records import NodeExecution
    from clew.model.trace import ExecutionTrace

_MICROSECOND: Final = timedelta(microseconds=1)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Times by position in `ExecutionTrace.nodes`, in ns after `origin`."""

    origin: datetime | None
    """Wall clock at 0: the run's start, or the earliest execution's; None where no time is known."""
    span_ns: int
    """Until the run ended or was last heard of; at least 1."""
    starts: list[int]
    """(n,) when each began."""
    ends: list[int]
    """(n,) when each ended; an open one lasts until it was last heard of, a skipped one takes no time."""
    step_ns: int
    """By how much a start may be too early: the log has microseconds, other systems only milliseconds."""


class LastHeard:
    """Until when executions without an end are known to have been open."""

    def __init__(self, trace: ExecutionTrace, *, now: datetime | None = None) -> None:
        """Args: now: where known, until when a process lives that was not seen to die."""
        moments = [moment for moment in (now, trace.last_event_at) if moment is not None]
        self._of_living = max(moments, default=None)
        # What tells of a death has the time of the last event of the process that died.
        self._of_dead = {
            event.writer: event.timestamp for event in trace.boundaries if event.event == "run_interrupted"
        }

    def of(self, node: NodeExecution) -> datetime | None:
        """Return the moment for an open execution: of a dead one, the last event of its own process."""
        if node.status == "interrupted":
            return self._of_dead.get(node.writer, self._of_living)
        return self._of_living


def as_of(trace: ExecutionTrace, now: datetime) -> ExecutionTrace:
    """Return the trace of a run that goes on as if it had been heard of now, so that it is drawn until now."""
    heard = trace.last_event_at
    if trace.status != "running" or (heard is not None and heard >= now):
        return trace
    return msgspec.structs.replace(trace, last_event_at=now)


def measure_times(trace: ExecutionTrace) -> Times:
    """Return the times of a trace. O(n)."""
    origin = _origin(trace)
    heard = LastHeard(trace)
    starts: list[int] = []
    ends: list[int] = []
    for node in trace.nodes:
        start = _since(node.started_at or node.ended_at, origin)
        if node.duration_ns is not None:
            end = start + node.duration_ns
        elif node.ended_at is not None:
            end = _since(node.ended_at, origin)
        else:
            end = _since(heard.of(node), origin)
        starts.append(start)
        ends.append(max(start, end))
    return Times(
        origin=origin,
        span_ns=max([1, _end_of_run(trace, origin), *ends]),
        starts=starts,
        ends=ends,
        step_ns=_clock_step(trace),
    )


def _origin(trace: ExecutionTrace) -> datetime | None:
    known = [moment for node in trace.nodes if (moment := node.started_at or node.ended_at) is not None]
    if trace.started_at is not None:
        known.append(trace.started_at)
    return min(known, default=trace.last_event_at)


def _since(moment: datetime | None, origin: datetime | None) -> int:
    if moment is None or origin is None:
        return 0
    return (moment - origin) // _MICROSECOND * 1000


def _end_of_run(trace: ExecutionTrace, origin: datetime | None) -> int:
    if trace.started_at is not None and trace.duration_ns is not None:
        return _since(trace.started_at, origin) + trace.duration_ns
    return _since(trace.last_event_at, origin)


def _clock_step(trace: ExecutionTrace) -> int:
    for node in trace.nodes:
        if node.started_at is not None and node.started_at.microsecond % 1000:
            return 1_000
    return 1_000_000
