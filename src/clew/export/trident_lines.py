"""Trident's telemetry lines: the events that Trident knows, with the fields that it gives them.

Left out is what Trident has no word for: events that only Clew or the user defines, span ids, writers. Its durations
are whole milliseconds, and it gives tokens to every node, none where there are none.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

import msgspec

from clew.export.timeline import timeline
from clew.model.boundaries import Payload
from clew.model.events import Event
from clew.model.payloads import PAYLOADS
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace

INSIDE: Final = frozenset(
    {
        "input_received",
        "output_produced",
        "condition_evaluated",
        "token_usage",
        "cost_incurred",
        "timing_metric",
        "checkpoint_saved",
        "signal_emitted",
        "branch_iteration",
        "agent_turn_started",
        "agent_turn_completed",
        "agent_tool_called",
    }
)


def write_telemetry(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write one line an event, in order of time."""
    run_id = original_run_id(trace)
    for event, node in timeline(trace):
        data = _node_data(event, node) if node is not None else _data(event, trace)
        if data is None:
            continue
        line = {
            "timestamp": trident_time(event.timestamp),
            "run_id": run_id,
            "event": event.event,
            "level": event.level,
            "data": data,
        }
        if event.node_id is not None:
            line["node_id"] = event.node_id
        out.write(dumps(line) + b"\n")


def dumps(value: object, *, indent: int | None = None) -> bytes:
    """Encode as Trident does, with Python's spacing and escapes, but never a number that JSON does not have."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False).encode()
    except ValueError:
        return json.dumps(msgspec.json.decode(msgspec.json.encode(value)), indent=indent).encode()


def trident_time(moment: datetime) -> str:
    """Return a date as Trident writes it."""
    return moment.astimezone(UTC).isoformat()


def original_run_id(trace: ExecutionTrace) -> str:
    """Return the id that Trident itself gave the run, where it comes from there."""
    original = trace.attributes.get("original_run_id")
    return original if isinstance(original, str) else trace.run_id


def entrypoint(trace: ExecutionTrace) -> str | None:
    """Return where a run was entered: as it was told, or else by its input node, as Trident has it then."""
    for event in trace.boundaries:
        if event.event == "workflow_started":
            told = event.values().get("entrypoint")
            if isinstance(told, str):
                return told
    return next((node.node_id for node in trace.nodes if node.kind == "input"), None)


def _node_data(event: Event, node: NodeExecution) -> dict[str, Any] | None:
    kind = {"type": node.kind}
    if event.event == "node_started":
        return {**kind, **_carried(node.extra)}
    if event.event == "node_skipped":
        skip = node.skip or {}
        return {"reason": skip.get("reason"), **skip, **_carried(node.end_extra)}
    if event.event == "node_failed":
        error = node.error
        return {
            **kind,
            "error": None if error is None else error.message,
            "error_type": None if error is None else error.error_type,
            **node.end_extra,
        }
    usage = node.usage
    return {
        **kind,
        "duration_ms": (node.duration_ns or 0) // 1_000_000,
        "input_tokens": (None if usage is None else usage.input_tokens) or 0,
        "output_tokens": (None if usage is None else usage.output_tokens) or 0,
        **node.end_extra,
    }


def _carried(extra: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that came with a node from elsewhere; the hash of its definition is for our own resume."""
    return {name: value for name, value in extra.items() if name != "definition"}


def _data(event: Event, trace: ExecutionTrace) -> dict[str, Any] | None:
    """Return the payload of an event that is not a node's boundary; None for one to leave out."""
    data = event.values()
    match event.event:
        case "workflow_started":
            attributes = data.get("attributes")
            if isinstance(attributes, dict) and attributes.get("start_recorded") is False:
                return None
            known = {"name": data.get("name"), "entrypoint": entrypoint(trace)}
            known["dry_run"] = data.get("dry_run") is True
        case "workflow_completed":
            known = {"name": data.get("name"), "duration_ms": _whole(data.get("duration_ms"))}
        case "workflow_failed":
            known = {
                "name": data.get("name"),
                "error": data.get("error"),
                "duration_ms": _whole(data.get("duration_ms")),
            }
        case name if name in INSIDE:
            return data
        case _:
            return None
    return {**known, **_beside(data, PAYLOADS[event.event])}


def _whole(duration_ms: object) -> int | None:
    return int(duration_ms) if isinstance(duration_ms, int | float) else None


def _beside(data: dict[str, Any], kind: type[Payload]) -> dict[str, Any]:
    """Return the fields that Clew does not know and therefore only carries."""
    return {name: value for name, value in data.items() if name not in kind.__struct_fields__}
