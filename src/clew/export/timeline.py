"""The events of a trace one at a time: what `ExecutionTrace.to_events` gives, without holding all of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from clew.model.events import Event
from clew.model.inside import order
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.model.unfold import unfold

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


def timeline(trace: ExecutionTrace) -> Iterator[tuple[Event, NodeExecution | None]]:
    """Give each event in order of time, writer and number, with the execution that it bounds, if it bounds one.

    Holds a sort key an event, and the ends of the executions that are open. O(n log n).
    """
    boundaries, nodes, events = trace.boundaries, trace.nodes, trace.events
    first_node = len(boundaries)
    first_event = first_node + 2 * len(nodes)
    keys = [(*order(event), place) for place, event in enumerate(boundaries)]
    for index, node in enumerate(nodes):
        if not node.start_lost:
            moment = node.started_at or _EARLIEST
            keys.append((moment, node.writer or "", node.seq or 0, first_node + 2 * index))
        if node.ended_at is not None:
            writer = node.end_writer or node.writer or ""
            keys.append((node.ended_at, writer, node.end_seq or 0, first_node + 2 * index + 1))
    keys.extend((*order(event), first_event + place) for place, event in enumerate(events))
    keys.sort()
    ends: dict[int, Event] = {}
    for *_, place in keys:
        if place < first_node:
            yield boundaries[place], None
        elif place >= first_event:
            yield events[place - first_event], None
        else:
            index, is_end = divmod(place - first_node, 2)
            node = nodes[index]
            yield _boundary(trace.run_id, node, index, is_end=bool(is_end), ends=ends), node


def _boundary(run_id: str, node: NodeExecution, index: int, *, is_end: bool, ends: dict[int, Event]) -> Event:
    known = ends.pop(index, None) if is_end else None
    if known is not None:
        return known
    made = unfold(run_id, [node], boundaries=(), events=())
    # An end may lie before its start where two clocks disagree, and `unfold` sorts.
    starts = [event for event in made if event.event == "node_started"]
    rest = [event for event in made if event.event != "node_started"]
    if is_end:
        return rest[0]
    if rest:
        ends[index] = rest[0]
    return starts[0]
