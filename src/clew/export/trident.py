"""Trident's files of one run: trace.json, checkpoint.json, outputs.json, metadata.json and its telemetry lines.

Field for field as Trident 0.12 writes them. What a run does not know is null, or what Trident itself has there for a
run that does not use it: no tokens, no turns, no branch states, a cost of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from clew.export.contract import Exporter
from clew.export.folder import whole_file
from clew.export.trident_lines import dumps, entrypoint, original_run_id, trident_time, write_telemetry
from clew.model.events import Event
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace

_VERSION: Final = "0.1"


def write_trace(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write trace.json, a node at a time."""
    head = {
        "run_id": original_run_id(trace),
        "start_time": time_of(trace.started_at),
        "end_time": time_of(trace.ended_at),
        "error": None if trace.error is None else trace.error.message,
    }
    out.write(dumps(head, indent=2).removesuffix(b"\n}") + b',\n  "nodes": [')
    comma = b""
    for node in trace.nodes:
        # A newline inside a string is escaped in JSON: every newline here is one of the indentation.
        out.write(comma + b"\n    " + dumps(_node(node), indent=2).replace(b"\n", b"\n    "))
        comma = b","
    out.write(b"\n  ]\n}" if trace.nodes else b"]\n}")


def write_checkpoint(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write checkpoint.json: of each node the latest execution that completed, and the nodes that did not end."""
    done = {node.node_id: node for node in trace.nodes if node.status == "completed"}
    pending = dict.fromkeys(
        n.node_id for n in trace.nodes if n.status in ("running", "interrupted", "failed")
    )
    checkpoint = {
        "run_id": original_run_id(trace),
        "project_name": trace.name,
        "started_at": time_of(trace.started_at),
        "updated_at": time_of(trace.ended_at or trace.last_event_at),
        "status": trace.status,
        "completed_nodes": {
            node_id: {
                "outputs": _object(node.outputs, "output"),
                "completed_at": time_of(node.ended_at),
                "session_id": node.end_extra.get("session_id"),
                "cost_usd": node.cost_usd,
                "num_turns": _turns(node),
            }
            for node_id, node in done.items()
        },
        "pending_nodes": [node_id for node_id in pending if node_id not in done],
        "total_cost_usd": trace.cost_usd or 0.0,
        "inputs": _object(trace.inputs, "input"),
        "entrypoint": entrypoint(trace),
        "branch_states": dict(_branch_states(trace.events)),
    }
    out.write(dumps(checkpoint, indent=2))


def write_outputs(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write outputs.json: by output node, or the outputs of the last node that completed."""
    out.write(dumps(_outputs(trace), indent=2))


def write_metadata(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write metadata.json."""
    metadata = {
        "run_id": original_run_id(trace),
        "project_name": trace.name,
        "project_root": trace.attributes.get("project_root"),
        "entrypoint": entrypoint(trace),
        "inputs": _object(trace.inputs, "input"),
        "started_at": time_of(trace.started_at),
        # Trident leaves this empty in every run, and its readers take the end from trace.json.
        "ended_at": None,
        "trident_version": trace.attributes.get("trident_version", _VERSION),
    }
    out.write(dumps(metadata, indent=2))


FILES: Final[dict[str, Callable[[ExecutionTrace, BinaryIO], None]]] = {
    "trace.json": write_trace,
    "checkpoint.json": write_checkpoint,
    "outputs.json": write_outputs,
    "metadata.json": write_metadata,
    "telemetry.jsonl": write_telemetry,
}


def write_directory(trace: ExecutionTrace, folder: Path) -> list[Path]:
    """Write all files of the run into a folder, as Trident has them in `.trident/runs/<id>`; return their paths."""
    for name, write in FILES.items():
        with whole_file(folder / name) as out:
            write(trace, out)
    return [folder / name for name in FILES]


def _node(node: NodeExecution) -> dict[str, Any]:
    usage = node.usage
    tokens = {} if usage is None else {"input": usage.input_tokens or 0, "output": usage.output_tokens or 0}
    is_skipped = node.status == "skipped"
    return {
        "id": node.node_id,
        # Of a node that is skipped Trident says when it looked at it, and its readers take that for a date.
        "start_time": time_of(node.started_at or (node.ended_at if is_skipped else None)),
        "end_time": time_of(node.ended_at),
        "input": _object(node.inputs, "input"),
        "output": _object(node.end_extra.get("outputs") if is_skipped else node.outputs, "output"),
        "model": node.end_extra.get("model") if is_skipped else node.model,
        "tokens": tokens,
        "skipped": is_skipped,
        "error": None if node.error is None else node.error.message,
        "error_type": None if node.error is None else node.error.error_type,
        "cost_usd": node.cost_usd,
        "session_id": node.end_extra.get("session_id"),
        "num_turns": _turns(node),
    }


def time_of(moment: datetime | None) -> str | None:
    """Return a date as Trident writes it; None where there is none."""
    return None if moment is None else trident_time(moment)


def _object(value: Any, name: str) -> dict[str, Any]:
    """Return a payload as Trident has it: an object, and anything else under a name."""
    if value is None:
        return {}
    return value if isinstance(value, dict) else {name: value}


def _turns(node: NodeExecution) -> int:
    turns = node.end_extra.get("num_turns")
    if isinstance(turns, int):
        return turns
    return sum(event.event == "agent_turn_completed" for event in node.events)


def _outputs(trace: ExecutionTrace) -> dict[str, Any]:
    if trace.outputs is not None:
        return _object(trace.outputs, "output")
    for event in trace.boundaries:
        if event.event == "workflow_failed" and isinstance(event.values().get("outputs"), dict):
            return dict(event.values()["outputs"])
    done = [node for node in trace.nodes if node.status == "completed"]
    reached = {node.node_id: _object(node.outputs, "output") for node in done if node.kind == "output"}
    if reached or not done:
        return reached
    return _object(done[-1].outputs, "output")


def _branch_states(events: list[Event]) -> Iterator[tuple[str, Any]]:
    for event in events:
        if event.event == "branch_iteration" and event.node_id is not None:
            yield event.node_id, event.values().get("iteration")


EXPORTER: Final = Exporter(
    name="trident",
    description="Trident's telemetry lines; into a folder also trace, checkpoint, outputs and metadata",
    suffix=".jsonl",
    write=write_telemetry,
    write_directory=write_directory,
    has_payloads=True,
)
