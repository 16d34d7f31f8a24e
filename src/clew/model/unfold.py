"""The reverse of the fold: records become events that fold to the same records again."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.model.ends import usual_level
from clew.model.events import EMPTY, Event
from clew.model.inside import order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.model.records import NodeExecution

_EMPTY_BY_DEFAULT: Final = frozenset({"attributes", "links", "tools_called", "metrics", "values"})
"""Fields that a payload has empty unless it says otherwise; empty inputs, on the other hand, are not unknown ones."""


def unfold(
    run_id: str,
    nodes: Sequence[NodeExecution],
    *,
    boundaries: Sequence[Event],
    events: Sequence[Event],
) -> list[Event]:
    """Return the events of a trace in order of time, writer and number."""
    made: list[Event] = []
    # Without span ids an end belongs to the latest open start of its node, so among equal times an end comes
    # before the next start: that is the order in which each finds its own again.
    waiting: dict[str, list[Event]] = {}
    for node in nodes:
        start, end = _boundaries(run_id, node)
        open_ends = waiting.setdefault(node.node_id, []) if node.span_id is None else []
        while open_ends and order(open_ends[-1]) <= order(start or end or open_ends[-1]):
            made.append(open_ends.pop())
        made += [event for event in (start, None if start and node.span_id is None else end) if event]
        if start and end and node.span_id is None:
            open_ends.append(end)
    made += [event for open_ends in waiting.values() for event in reversed(open_ends)]
    return sorted([*boundaries, *made, *events], key=order)


def _boundaries(run_id: str, node: NodeExecution) -> tuple[Event | None, Event | None]:
    """Return the start and the end of an execution; None for one that is not in the log."""
    start = end = None
    if not node.start_lost:
        start = Event(
            timestamp=node.started_at or _never(),
            run_id=run_id,
            event="node_started",
            level=node.level or "INFO",
            node_id=node.node_id,
            span_id=node.span_id,
            parent_id=node.parent_id,
            writer=node.writer,
            seq=node.seq,
            data=_start_data(node),
            extra=node.envelope,
        )
    if node.ended_at is not None:
        name = {"failed": "node_failed", "skipped": "node_skipped"}.get(node.status, "node_completed")
        end = Event(
            timestamp=node.ended_at,
            run_id=run_id,
            event=name,
            level=node.end_level or usual_level(node.status),
            node_id=node.node_id,
            span_id=node.span_id,
            parent_id=node.parent_id,
            writer=node.end_writer or node.writer,
            seq=node.end_seq,
            data=_skip_data(node) if node.status == "skipped" else _end_data(node),
            extra=node.end_envelope,
        )
    return start, end


def _start_data(node: NodeExecution) -> msgspec.Raw:
    return _raw(
        {
            "type": node.kind,
            "attempt": node.attempt,
            "iteration": node.iteration,
            "attributes": node.attributes,
            "inputs": node.inputs,
            "links": node.links,
        },
        node.extra,
    )


def _skip_data(node: NodeExecution) -> msgspec.Raw:
    return _raw(node.skip or {}, node.end_extra)


def _end_data(node: NodeExecution) -> msgspec.Raw:
    data: dict[str, Any] = {
        "duration_ms": None if node.duration_ns is None else node.duration_ns / 1e6,
        "cost_usd": node.cost_usd,
        "model": node.model,
        "tools_called": node.tools_called,
        "metrics": {name: number_text(value) for name, value in node.metrics.items()},
        "outputs": node.outputs,
    }
    # What the start could not say: because it is lost, or because another kind of value stands there.
    if node.start_lost or "type" in node.extra:
        data["type"] = node.kind
    if node.start_lost or "attributes" in node.extra:
        data["attributes"] = node.attributes
    usage = {} if node.usage is None else msgspec.structs.asdict(node.usage)
    # Where the end has another kind of value in a token field, the tokens came from events inside the node.
    if all(usage[name] is None for name in usage.keys() & node.end_extra.keys()):
        data |= usage
    if node.error is not None:
        data |= {
            "error": node.error.message,
            "error_type": node.error.error_type,
            "stack": node.error.stack,
            "retried": node.error.retried,
        }
    return _raw(data, node.end_extra)


def number_text(value: float) -> float | str:
    """Return a number as JSON can carry it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _raw(fields: dict[str, Any], unknown: dict[str, Any]) -> msgspec.Raw:
    kept = {
        name: value
        for name, value in fields.items()
        if value is not None and (value or name not in _EMPTY_BY_DEFAULT)
    }
    # Whatever somebody else put there is written as it was, null and empty values too.
    kept |= unknown
    return msgspec.Raw(msgspec.json.encode(kept)) if kept else EMPTY


def _never() -> datetime:
    return datetime.min.replace(tzinfo=UTC)
