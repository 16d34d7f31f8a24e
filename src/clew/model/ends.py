"""What the boundary events of a node or a run say, as fields of the records in a trace."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.model.boundaries import (
    NodeCompleted,
    NodeEnd,
    NodeFailed,
    NodeSkipped,
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
from clew.model.records import ErrorRecord, NodeExecution
from clew.model.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

NODE_ENDS: Final[dict[str, type[NodeEnd]]] = {"node_completed": NodeCompleted, "node_failed": NodeFailed}


def execution(opened: tuple[Event, NodeStarted, dict[str, Any]] | None, end: Event | None) -> NodeExecution:
    """Join a start and an end; either may be missing."""
    fields: dict[str, Any] = {"index": -1}
    if opened is not None:
        event, start, extra = opened
        fields |= {
            "node_id": event.node_id or "",
            "span_id": event.span_id,
            "parent_id": event.parent_id if event.parent_id != NO_SPAN else None,
            "started_at": event.timestamp,
            "writer": event.writer,
            "seq": event.seq,
            "kind": start.type,
            "attempt": start.attempt,
            "iteration": start.iteration,
            "attributes": start.attributes,
            "inputs": start.inputs,
            "links": start.links,
            "extra": extra,
        }
    if end is not None:
        _add_end(fields, end)
    return NodeExecution(**fields)


def _add_end(fields: dict[str, Any], end: Event) -> None:
    fields["ended_at"] = end.timestamp
    fields["end_seq"] = end.seq
    if "node_id" not in fields:
        fields |= {
            "node_id": end.node_id or "",
            "span_id": end.span_id,
            "parent_id": end.parent_id if end.parent_id != NO_SPAN else None,
            "writer": end.writer,
            "start_lost": True,
        }
    elif end.writer != fields["writer"]:
        fields["end_writer"] = end.writer
    if end.event == "node_skipped":
        skip, extra = decode_payload(NodeSkipped, end.data)
        fields |= {"status": "skipped", "skip": msgspec.to_builtins(skip), "end_extra": extra}
        return
    payload, extra = decode_payload(NODE_ENDS[end.event], end.data)
    fields["end_extra"] = extra
    if payload.type is not None and fields.get("kind") is None:
        fields["kind"] = payload.type
    if payload.attributes:
        fields["attributes"] = {**fields.get("attributes", {}), **payload.attributes}
    if payload.metrics:
        fields["metrics"] = {
            k: v for k, v in ((k, number(v)) for k, v in payload.metrics.items()) if v is not None
        }
    if payload.duration_ms is not None:
        fields["duration_ns"] = round(payload.duration_ms * 1e6)
        if fields.get("started_at") is None:
            fields["started_at"] = end.timestamp - timedelta(milliseconds=payload.duration_ms)
    elif not fields.get("start_lost"):
        # Other systems' failures have no duration: the two wall clocks are what there is.
        fields["duration_ns"] = max(
            0, (end.timestamp - fields["started_at"]) // timedelta(microseconds=1) * 1000
        )
    fields["outputs"] = payload.outputs
    fields["model"] = payload.model
    fields["cost_usd"] = payload.cost_usd
    fields["tools_called"] = payload.tools_called
    if payload.input_tokens is not None or payload.output_tokens is not None:
        fields["usage"] = Usage(
            input_tokens=payload.input_tokens,
            output_tokens=payload.output_tokens,
            cached_tokens=payload.cached_tokens,
            reasoning_tokens=payload.reasoning_tokens,
        )
    fields["status"] = "completed"
    if isinstance(payload, NodeFailed):
        fields["status"] = "failed"
        fields["error"] = ErrorRecord(
            error_type=payload.error_type,
            message=payload.error,
            stack=payload.stack,
            retried=payload.retried,
            node_id=fields["node_id"],
            span_id=fields["span_id"],
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
    for event in boundaries:
        reader = _RUN_ENDS.get(event.event)
        if reader is None or "status" in fields:
            continue
        if event.event == "run_interrupted" and start is not None and event.writer != start.writer:
            continue  # a worker died, the run did not
        reader(fields, event)
    return fields


def _run_end(fields: dict[str, Any], event: Event, payload: WorkflowEnd) -> None:
    fields["exit_code"] = payload.exit_code
    if fields.get("name") is None:
        fields["name"] = payload.name
    if payload.attributes:
        fields["attributes"] = {**fields.get("attributes", {}), **payload.attributes}
    if payload.duration_ms is not None:
        fields["duration_ns"] = round(payload.duration_ms * 1e6)
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
