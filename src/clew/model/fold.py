"""The fold: events in any order become the fields of a trace, incrementally.

The order of arrival does not matter. Within a writer events are ordered by their number, across writers by
time and then by writer; whatever arrives twice (same writer, same number) counts once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import force_setattr, replace

from clew.model.ends import NOT_PLACED, begun, ended, lone_end, run_fields
from clew.model.events import Event, decode_event, decode_payload
from clew.model.inside import Inside, number, order, total_cost
from clew.model.node_lines import (
    DECODERS,
    LOOK_BYTES,
    NODE_EVENTS,
    AnyLine,
    EndLine,
    NodeLine,
    StartLine,
    node_line,
)
from clew.model.payloads import ScoreRecorded
from clew.model.records import ErrorRecord, NodeExecution, Score
from clew.model.usage import total_usage

if TYPE_CHECKING:
    from collections.abc import Iterable

_RUN_EVENTS: Final = frozenset(
    {"workflow_started", "workflow_completed", "workflow_failed", "run_interrupted"},
)
_BOUNDARIES: Final = NODE_EVENTS | _RUN_EVENTS
_BEFORE_THE_RUN: Final = len('{"timestamp":"2026-11-21T03:59:12.123456Z","run_id":"')
_BEFORE_THE_NAME: Final = len('","event":"')
_MICROSECOND: Final = timedelta(microseconds=1)
_NEVER_NS: Final = 2**100
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


class Fold:
    """What is known of one run so far."""

    def __init__(self, run_id: str | None = None) -> None:
        """Begin with nothing; without a run id, the first event says which run it is."""
        self.run_id = run_id
        self.count = 0
        """Events that were taken in, repeated ones included."""
        self._open: dict[str, StartLine] = {}
        self._ended: dict[str, NodeExecution] = {}
        self._early_ends: dict[str, EndLine] = {}
        self._nameless: list[AnyLine] = []
        self._boundaries: dict[tuple[object, ...], Event] = {}
        self._inside = Inside()
        self._texts: dict[Any, Any] = {}
        self._last: datetime = _EARLIEST
        self._writers: set[str | None] = set()

    def add(self, event: Event) -> None:
        """Take one event in; events of another run than the first's are left out."""
        if event.run_id != self.run_id:
            if self.run_id is not None:
                return
            self.run_id = event.run_id
        name = event.event
        if name in NODE_EVENTS and self._add_node(node_line(event)):
            return
        self._note(event)
        if name in _RUN_EVENTS:
            self._boundaries.setdefault((name, event.writer, event.seq, event.timestamp), event)
        else:
            self._inside.add(event)

    def add_lines(self, lines: Iterable[bytes]) -> None:
        """Take events in as they stand in the log, without newlines; what is no event is left out.

        Faster than decoding them first: Clew writes the envelope in a fixed order.
        """
        find, inside = DECODERS.get, self._inside
        run_id, place = self.run_id, self._place_of_name()
        for line in lines:
            decode = find(line[place : place + LOOK_BYTES])
            if decode is not None:
                try:
                    found = decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    pass  # unusual, or no event at all
                else:
                    if found.run_id != run_id or self._add_node(found):
                        continue
            event = decode_event(line)
            if event is None or run_id not in {event.run_id, None}:
                continue
            if event.event in _BOUNDARIES:
                self.add(event)
            else:
                self._note(event)
                inside.add(self._slim(event))
            if run_id is None:
                run_id, place = self.run_id, self._place_of_name()

    def _slim(self, event: Event) -> Event:
        """Make an event of ours share its texts with others, and let go of its line: half the memory of a run."""
        share = self._texts.setdefault
        event.data = event.data.copy()
        event.run_id = self.run_id = self.run_id or event.run_id
        event.event = share(event.event, event.event)
        event.level = share(event.level, event.level)
        event.node_id = share(event.node_id, event.node_id)
        event.writer = share(event.writer, event.writer)
        return event

    def _place_of_name(self) -> int:
        """Return where the event's name stands in a line of this run; 0 while the run is not known."""
        return 0 if self.run_id is None else _BEFORE_THE_RUN + len(self.run_id) + _BEFORE_THE_NAME

    def _note(self, event: Event | NodeLine) -> None:
        self.count += 1
        if event.timestamp > self._last:  # noqa: PLR1730  a call of max would cost as much as all of this
            self._last = event.timestamp
        self._writers.add(event.writer)

    def _add_node(self, line: AnyLine) -> bool:
        """Take in where a node begins or ends; False for a second, different start or end of the same span.

        Such a one is kept among the events.
        """
        span = line.span_id
        if span is None:
            self._nameless.append(line)
        elif isinstance(line, StartLine):
            if span in self._open or span in self._ended:
                known = self._open.get(span) or self._ended[span]
                return (known.writer, known.seq) == (line.writer, line.seq)
            early = self._early_ends.pop(span, None)
            if early is None:
                self._open[span] = line
            else:
                self._ended[span] = ended(line, early)
        else:
            start = self._open.pop(span, None)
            if start is not None:
                self._ended[span] = ended(start, line)
            elif span in self._ended:
                node = self._ended[span]
                return (node.end_writer or node.writer, node.end_seq) == (line.writer, line.seq)
            else:
                # Its start may still come, from another writer; until then it stands for itself.
                early = self._early_ends.setdefault(span, line)
                if (early.writer, early.seq) != (line.writer, line.seq):
                    return False
        self._note(line)
        return True

    def fields(self) -> dict[str, Any]:
        """Return the fields of an `ExecutionTrace`. What was returned before stays as it is.

        Raises: ValueError where nothing was folded yet.
        O(n log n) in the number of executions.
        """
        if not self.count:
            raise ValueError("there are no events to fold")
        boundaries = sorted(self._boundaries.values(), key=order)
        run = run_fields(boundaries)
        nodes = [
            *self._ended.values(),
            *map(begun, self._open.values()),
            *map(lone_end, self._early_ends.values()),
            *paired(self._nameless),
        ]
        nodes.sort(key=_node_order)
        events = self._inside.ordered()
        stopped = {e.writer for e in boundaries if e.event == "run_interrupted"}
        numbered, inversion_ns = _placed(nodes, self._inside, stopped)
        return {
            **run,
            "run_id": self.run_id,
            "last_event_at": self._last,
            "nodes": numbered,
            "events": events,
            "errors": _errors(numbered, run["error"]),
            "usage": total_usage([*(n.usage for n in numbered), self._inside.usage_of(None)]),
            "cost_usd": total_cost([*(n.cost_usd for n in numbered), self._inside.cost_of(None)]),
            "scores": [_score(event) for event in self._inside.scores],
            "lost": self._inside.lost,
            "redacted": self._inside.redacted,
            "truncated": self._inside.truncated,
            "causal_inversion_ns": inversion_ns,
            "writers": sorted(writer for writer in self._writers if writer is not None),
            "boundaries": boundaries,
        }


def paired(lines: Iterable[AnyLine]) -> list[NodeExecution]:
    """Return the executions of nodes without span ids, as other systems write them.

    An end belongs to the latest open start of its node.
    """
    found: list[StartLine | NodeExecution] = []
    waiting: dict[str, list[int]] = {}
    for line in sorted(lines, key=order):
        open_starts = waiting.setdefault(line.node_id or "", [])
        if isinstance(line, StartLine):
            open_starts.append(len(found))
            found.append(line)
        elif open_starts:
            place = open_starts.pop()
            start = found[place]
            assert isinstance(start, StartLine)
            found[place] = ended(start, line)
        else:
            found.append(lone_end(line))
    return [begun(one) if isinstance(one, StartLine) else one for one in found]


def _placed(
    nodes: list[NodeExecution], inside: Inside, stopped: set[str | None]
) -> tuple[list[NodeExecution], int]:
    """Add what can only be said of an execution once all events are in: place, self time, what lay in it."""
    covered, inversion_ns = _covered_by_children(nodes)
    placed: list[NodeExecution] = []
    for index, node in enumerate(nodes):
        duration_ns = node.duration_ns
        self_time_ns = duration_ns
        if duration_ns is not None and covered and node.span_id in covered:
            self_time_ns = max(0, duration_ns - covered[node.span_id])
        changes = inside.additions(node)
        if duration_ns is None and node.status == "running" and node.writer in stopped:
            changes = {**(changes or {}), "status": "interrupted"}
        if changes is not None:
            placed.append(replace(node, index=index, self_time_ns=self_time_ns, **changes))
        elif node.index == NOT_PLACED:
            # Nobody has seen this record yet, so it may be completed instead of copied.
            force_setattr(node, "index", index)
            force_setattr(node, "self_time_ns", self_time_ns)
            placed.append(node)
        elif node.index == index and node.self_time_ns == self_time_ns:
            placed.append(node)
        else:
            placed.append(replace(node, index=index, self_time_ns=self_time_ns))
    return placed, inversion_ns


def _node_order(node: NodeExecution) -> tuple[datetime, str, int]:
    return node.started_at or node.ended_at or _EARLIEST, node.writer or "", node.seq or node.end_seq or 0


def _covered_by_children(nodes: list[NodeExecution]) -> tuple[dict[str, int], int]:
    """Return, for each span, the nanoseconds in which at least one child ran, and the largest inversion.

    What a child did after its parent's end is not time of the parent's. nodes: in start order. One pass, O(n).
    """
    parents = {node.parent_id for node in nodes}
    parents.discard(None)
    covered: dict[str, int] = {}
    if not parents:
        return covered, 0
    ran: dict[str | None, tuple[int, int]] = {}
    reached: dict[str, int] = {}
    early: list[tuple[str, int]] = []
    for node in nodes:
        at = node.started_at
        if at is None:
            continue
        parent, span, took = node.parent_id, node.span_id, node.duration_ns
        begin = (at - _EARLIEST) // _MICROSECOND * 1000
        if span in parents:
            ran[span] = (begin, _NEVER_NS if took is None else begin + took)
        if parent is None:
            continue
        if parent not in ran:
            early.append((parent, begin))
        if took is not None:
            end = min(begin + took, ran[parent][1]) if parent in ran else begin + took
            seen = reached.get(parent, 0)
            if end > max(begin, seen):
                covered[parent] = covered.get(parent, 0) + end - max(begin, seen)
                reached[parent] = end
    inversions = [ran[parent][0] - begin for parent, begin in early if parent in ran]
    return covered, max([0, *inversions])


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
