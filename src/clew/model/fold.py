"""The fold: events in any order become the fields of a trace, incrementally.

The order of arrival does not matter. Within a writer events are ordered by their number, across writers by
time and then by writer; whatever arrives twice (same writer, same number) counts once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.model.boundaries import NodeStarted
from clew.model.ends import NODE_ENDS, execution, run_fields
from clew.model.events import Event, decode_event, decode_payload
from clew.model.inside import Inside, number, order, total_cost
from clew.model.payloads import EventsLost, Redacted, ScoreRecorded
from clew.model.records import ErrorRecord, NodeExecution, Score
from clew.model.usage import total_usage

if TYPE_CHECKING:
    from collections.abc import Iterable

_RUN_EVENTS: Final = frozenset(
    {"workflow_started", "workflow_completed", "workflow_failed", "run_interrupted"},
)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


class Fold:
    """What is known of one run so far."""

    def __init__(self, run_id: str | None = None) -> None:
        """Begin with nothing; without a run id, the first event says which run it is."""
        self.run_id = run_id
        self.count = 0
        """Events that were taken in."""
        self._open: dict[str, tuple[Event, NodeStarted, dict[str, Any]]] = {}
        self._ended: dict[str, NodeExecution] = {}
        self._early_ends: dict[str, Event] = {}
        self._boundaries: dict[tuple[object, ...], Event] = {}
        self._inside = Inside()
        self._anonymous: dict[str, list[str]] = {}
        self._count = 0
        self._last: datetime = _EARLIEST
        self._writers: set[str] = set()

    def add(self, event: Event) -> None:
        """Take one event in; events of another run than the first's are left out."""
        if event.run_id != self.run_id:
            if self.run_id is not None:
                return
            self.run_id = event.run_id
        self.count += 1
        self._last = max(self._last, event.timestamp)
        if event.writer is not None:
            self._writers.add(event.writer)
        name = event.event
        if name == "node_started":
            self._start(event)
        elif name in NODE_ENDS or name == "node_skipped":
            self._end(event)
        elif name in _RUN_EVENTS:
            self._boundaries.setdefault((name, event.writer, event.seq, event.timestamp), event)
        else:
            self._inside.add(event)

    def add_lines(self, lines: Iterable[bytes]) -> None:
        """Take events in as they stand in the log; what is no event is left out."""
        for line in lines:
            event = decode_event(line)
            if event is not None:
                self.add(event)

    def _start(self, event: Event) -> None:
        span = event.span_id
        if span is None:
            # Other systems have no span ids: an end belongs to the latest open start of its node.
            self._count += 1
            span = f"{event.node_id}#{self._count}"
            self._anonymous.setdefault(event.node_id or "", []).append(span)
        elif span in self._open or span in self._ended:
            return
        payload, extra = decode_payload(NodeStarted, event.data)
        self._open[span] = (event, payload, extra)
        early = self._early_ends.pop(span, None)
        if early is not None:
            self._end(early)

    def _end(self, event: Event) -> None:
        span = event.span_id
        if span is None:
            waiting = self._anonymous.get(event.node_id or "")
            if waiting:
                span = waiting.pop()
            else:
                self._count += 1
                span = f"{event.node_id}#{self._count}"
        opened = self._open.pop(span, None)
        if opened is not None:
            self._ended[span] = execution(opened, event)
        elif span not in self._ended:
            # Its start may still come, from another writer; until then it stands for itself.
            self._early_ends.setdefault(span, event)

    def fields(self) -> dict[str, Any]:
        """Return the fields of an `ExecutionTrace`.

        Raises: ValueError where nothing was folded yet.
        O(n log n) in the number of executions.
        """
        if self.run_id is None:
            raise ValueError("there are no events to fold")
        boundaries = sorted(self._boundaries.values(), key=order)
        run = run_fields(boundaries)
        nodes = [
            *self._ended.values(),
            *(execution(opened, None) for opened in self._open.values()),
            *(execution(None, event) for event in self._early_ends.values()),
        ]
        nodes.sort(key=_node_order)
        events = self._inside.ordered()
        finish = _Finish(boundaries, self._inside)
        numbered, inversion_ns = finish.number(nodes)
        scores = [_score(event) for event in events if event.event == "score_recorded"]
        return {
            **run,
            "run_id": self.run_id,
            "last_event_at": self._last,
            "nodes": numbered,
            "events": events,
            "errors": _errors(numbered, run["error"]),
            "usage": total_usage([*(n.usage for n in numbered), self._inside.usage_of(None)]),
            "cost_usd": total_cost([*(n.cost_usd for n in numbered), self._inside.cost_of(None)]),
            "scores": scores,
            "lost": self._inside.total(EventsLost, "events_lost"),
            "redacted": self._inside.total(Redacted, "redacted"),
            "truncated": self._inside.count("payload_truncated"),
            "causal_inversion_ns": inversion_ns,
            "writers": sorted(self._writers),
            "boundaries": boundaries,
        }


class _Finish:
    """What can only be said of an execution once all events are in: place, self time, what lay in it."""

    def __init__(self, boundaries: list[Event], inside: Inside) -> None:
        self._inside = inside
        self._stopped = {e.writer for e in boundaries if e.event == "run_interrupted"}

    def number(self, nodes: list[NodeExecution]) -> tuple[list[NodeExecution], int]:
        covered, inversion_ns = _covered_by_children(nodes)
        numbered: list[NodeExecution] = []
        for index, node in enumerate(nodes):
            changes: dict[str, Any] = {"index": index}
            if node.duration_ns is not None:
                inner = covered.get(node.span_id, 0) if node.span_id is not None else 0
                changes["self_time_ns"] = max(0, node.duration_ns - inner)
            elif node.status == "running" and node.writer in self._stopped:
                changes["status"] = "interrupted"
            self._inside.complete(node, changes)
            numbered.append(msgspec.structs.replace(node, **changes))
        return numbered, inversion_ns


def _node_order(node: NodeExecution) -> tuple[datetime, str, int]:
    return node.started_at or node.ended_at or _EARLIEST, node.writer or "", node.seq or node.end_seq or 0


def _covered_by_children(nodes: list[NodeExecution]) -> tuple[dict[str, int], int]:
    """Return, for each span, the nanoseconds in which at least one child ran, and the largest inversion.

    nodes: in start order. One pass, O(n).
    """
    started: dict[str, int] = {}
    covered: dict[str, int] = {}
    reached: dict[str, int] = {}
    inversion_ns = 0
    waiting: list[tuple[str, int]] = []
    for node in nodes:
        if node.started_at is None:
            continue
        begin = round(node.started_at.timestamp() * 1e6) * 1000
        if node.span_id is not None:
            started[node.span_id] = begin
        parent = node.parent_id
        if parent is None:
            continue
        if parent not in started:
            waiting.append((parent, begin))
        if node.duration_ns is not None:
            end = begin + node.duration_ns
            covered[parent] = covered.get(parent, 0) + max(0, end - max(begin, reached.get(parent, 0)))
            reached[parent] = max(end, reached.get(parent, 0))
    for parent, begin in waiting:
        if parent in started:
            inversion_ns = max(inversion_ns, started[parent] - begin)
    return covered, inversion_ns


def _errors(nodes: list[NodeExecution], error: ErrorRecord | None) -> list[ErrorRecord]:
    errors = [node.error for node in nodes if node.error is not None]
    same = {(e.error_type, e.message) for e in errors}
    if error is not None and (error.error_type, error.message) not in same:
        errors.append(error)
    return errors


def _score(event: Event) -> Score:
    judged = decode_payload(ScoreRecorded, event.data)[0]
    return Score(
        name=judged.name,
        value=number(judged.value),
        feedback=judged.feedback,
        source=judged.source,
        span_id=event.span_id,
    )
