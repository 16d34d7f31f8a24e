"""What the boundary events of a node or a run say, as fields of the records in a trace."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import force_setattr, replace

from clew.model.boundaries import (
    NodeEnd,
    NodeStarted,
    RunInterrupted,
    WorkflowCompleted,
    WorkflowEnd,
    WorkflowFailed,
    WorkflowStarted,
)
from clew.model.events import SCHEMA_VERSION, Event, decode_payload
from clew.model.ids import NO_SPAN
from clew.model.inside import number
from clew.model.node_lines import EndLine, FailedLine, SkippedLine, StartLine, Unknown
from clew.model.records import ErrorRecord, NodeExecution
from clew.model.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_PLACED: Final = -1
"""Index of an execution whose place in the run is not known yet."""


def usual_level(status: str) -> str:
    """Return the level that the end of an execution has unless it says otherwise."""
    return "ERROR" if status == "failed" else "INFO"


def begun(start: StartLine) -> NodeExecution:
    """Return the execution of which only the start is known."""
    given = start.data
    node = NodeExecution(
        index=NOT_PLACED,
        node_id=start.node_id or "",
        kind=given.type,
        span_id=start.span_id,
        started_at=start.timestamp,
        attributes=given.attributes,
        links=given.links,
        writer=start.writer,
        seq=start.seq,
    )
    _add_rare_of_start(node, start, given)
    return node


def ended(start: StartLine, end: EndLine) -> NodeExecution:
    """Join the start of an execution and its end."""
    if isinstance(end, SkippedLine):
        return _skipped(start, end)
    given, told = start.data, end.data
    took = told.duration_ms
    duration_ns = None if took is None else nanoseconds(took)
    # This is made once for each node, and a call with more than 15 keywords costs three times as much, for
    # Python then passes them in a dictionary. So what most nodes do not have is set afterwards.
    node = NodeExecution(
        index=NOT_PLACED,
        node_id=start.node_id or "",
        kind=given.type if given.type is not None else told.type,
        span_id=start.span_id,
        started_at=start.timestamp,
        ended_at=end.timestamp,
        duration_ns=_between(start, end) if duration_ns is None else duration_ns,
        status="completed",
        tools_called=told.tools_called,
        metrics=told.metrics,
        attributes={**given.attributes, **told.attributes} if told.attributes else given.attributes,
        links=given.links,
        writer=start.writer,
        seq=start.seq,
        end_seq=end.seq,
    )
    _add_rare_of_start(node, start, given)
    if told.metrics:
        _add_metrics(node, told.metrics)
    if told.outputs is not None:
        force_setattr(node, "outputs", told.outputs)
    if told.input_tokens is not None or told.output_tokens is not None:
        force_setattr(node, "usage", _usage_of(told))
    if told.cost_usd is not None:
        force_setattr(node, "cost_usd", told.cost_usd)
    if told.model is not None:
        force_setattr(node, "model", told.model)
    if end.writer != start.writer:
        force_setattr(node, "end_writer", end.writer)
    if isinstance(end, FailedLine):
        force_setattr(node, "status", "failed")
        force_setattr(node, "error", _error_of(node, end))
    if end.level != usual_level(node.status):
        force_setattr(node, "end_level", end.level)
    if end.unknown is not None:
        force_setattr(node, "end_extra", end.unknown.payload)
        force_setattr(node, "end_envelope", end.unknown.envelope)
    return node


def _add_rare_of_start(node: NodeExecution, start: StartLine, given: NodeStarted) -> None:
    """Complete a record that nobody has seen yet."""
    if start.parent_id != NO_SPAN:
        force_setattr(node, "parent_id", start.parent_id)
    if given.attempt is not None:
        force_setattr(node, "attempt", given.attempt)
    if given.iteration is not None:
        force_setattr(node, "iteration", given.iteration)
    if given.inputs is not None:
        force_setattr(node, "inputs", given.inputs)
    if start.level != "INFO":
        force_setattr(node, "level", start.level)
    if start.unknown is not None:
        force_setattr(node, "extra", start.unknown.payload)
        force_setattr(node, "envelope", start.unknown.envelope)


def lone_end(end: EndLine) -> NodeExecution:
    """Return the execution of which only the end is known. When it began follows from how long it took."""
    taken = None if isinstance(end, SkippedLine) else end.data.duration_ms
    start = StartLine(
        timestamp=end.timestamp,
        run_id=end.run_id,
        node_id=end.node_id,
        span_id=end.span_id,
        parent_id=end.parent_id,
        writer=end.writer,
    )
    began = None if taken is None else _earlier(end.timestamp, nanoseconds(taken))
    return replace(
        ended(start, end),
        started_at=began,
        duration_ns=None if taken is None else nanoseconds(taken),
        start_lost=True,
    )


def _skipped(start: StartLine, end: SkippedLine) -> NodeExecution:
    unknown = end.unknown or Unknown({}, None)
    return replace(
        begun(start),
        ended_at=end.timestamp,
        status="skipped",
        skip=msgspec.to_builtins(end.data),
        end_writer=end.writer if end.writer != start.writer else None,
        end_seq=end.seq,
        end_level=None if end.level == usual_level("skipped") else end.level,
        end_extra=unknown.payload,
        end_envelope=unknown.envelope,
    )


def nanoseconds(milliseconds: float) -> int | None:
    """Return a duration of the log in nanoseconds; None where it is beyond every number."""
    try:
        return round(milliseconds * 1e6)
    except (OverflowError, ValueError):
        return None


def _between(start: StartLine, end: EndLine) -> int:
    # Other systems' failures have no duration: the two wall clocks are what there is.
    return max(0, (end.timestamp - start.timestamp) // timedelta(microseconds=1) * 1000)


def _earlier(moment: datetime, duration_ns: int | None) -> datetime | None:
    try:
        return None if duration_ns is None else moment - timedelta(microseconds=duration_ns // 1000)
    except OverflowError:
        return None


def _add_metrics(node: NodeExecution, metrics: dict[str, Any]) -> None:
    """Complete a record that nobody has seen yet; a metric that is no number is an attribute."""
    measured = {name: number(value) for name, value in metrics.items()}
    if None in measured.values():
        others = {name: metrics[name] for name, value in measured.items() if value is None}
        attributes = dict(node.attributes)
        for name, value in others.items():
            attributes[name if name not in attributes else f"metrics.{name}"] = value
        force_setattr(node, "attributes", attributes)
    force_setattr(node, "metrics", {name: value for name, value in measured.items() if value is not None})


def _usage_of(told: NodeEnd) -> Usage:
    return Usage(
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        cached_tokens=told.cached_tokens,
        reasoning_tokens=told.reasoning_tokens,
    )


def _error_of(node: NodeExecution, end: FailedLine) -> ErrorRecord:
    return ErrorRecord(
        error_type=end.data.error_type,
        message=end.data.error,
        stack=end.data.stack,
        retried=end.data.retried,
        node_id=node.node_id,
        span_id=node.span_id,
        at=end.timestamp,
    )


def run_fields(boundaries: list[Event]) -> dict[str, Any]:
    """Return what the run's own start and end say; the first start and the first end count."""
    fields: dict[str, Any] = {"error": None, "schema_version": SCHEMA_VERSION}
    start = next((e for e in boundaries if e.event == "workflow_started"), None)
    if start is not None:
        payload, _ = decode_payload(WorkflowStarted, start.data)
        fields |= {
            "name": payload.name,
            "kind": payload.type,
            "thread_id": payload.thread_id,
            "parent_run_id": payload.parent_run_id,
            "root_run_id": payload.root_run_id,
            "depth": payload.depth or 0,
            "started_at": start.timestamp,
            "attributes": payload.attributes,
            "inputs": payload.inputs,
            "params": payload.params,
            "params_hash": payload.params_hash,
            "schema_version": payload.schema_version or SCHEMA_VERSION,
        }
    ends = [event for event in boundaries if event.event in _RUN_ENDS]
    # What the run itself said of its end comes before what was said of it when its process was gone.
    ends.sort(key=lambda event: event.event == "run_interrupted")
    for event in ends:
        if event.event == "run_interrupted" and start is not None and event.writer != start.writer:
            continue  # a worker died, the run did not
        _RUN_ENDS[event.event](fields, event)
        break
    return fields


def _run_end(fields: dict[str, Any], event: Event, payload: WorkflowEnd) -> None:
    fields["exit_code"] = payload.exit_code
    if fields.get("name") is None:
        fields["name"] = payload.name
    if payload.attributes:
        fields["attributes"] = {**fields.get("attributes", {}), **payload.attributes}
    if payload.duration_ms is not None:
        fields["duration_ns"] = nanoseconds(payload.duration_ms)
        fields["ended_at"] = event.timestamp


def _run_completed(fields: dict[str, Any], event: Event) -> None:
    payload, _ = decode_payload(WorkflowCompleted, event.data)
    _run_end(fields, event, payload)
    fields |= {"status": "completed", "outputs": payload.outputs, "final_state": payload.final_state}


def _run_failed(fields: dict[str, Any], event: Event) -> None:
    payload, _ = decode_payload(WorkflowFailed, event.data)
    _run_end(fields, event, payload)
    fields["status"] = "failed"
    fields["error"] = ErrorRecord(
        error_type=payload.error_type,
        message=payload.error,
        stack=payload.stack,
        at=event.timestamp,
    )


def _run_interrupted(fields: dict[str, Any], event: Event) -> None:
    payload, _ = decode_payload(RunInterrupted, event.data)
    _run_end(fields, event, payload)
    fields |= {"status": "interrupted", "interrupted_by": payload.reason}


_RUN_ENDS: Final[dict[str, Callable[[dict[str, Any], Event], None]]] = {
    "workflow_completed": _run_completed,
    "workflow_failed": _run_failed,
    "run_interrupted": _run_interrupted,
}
