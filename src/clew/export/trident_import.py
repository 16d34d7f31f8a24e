"""Runs that Trident recorded: its telemetry lines, for programs and for people, and the documents of a run."""

from __future__ import annotations

from typing import Any, Final

from clew.export.adopt import adopt
from clew.export.contract import Imported, Importer, ImportFile, nothing_found
from clew.export.event_lines import event_of_line, events_of_value
from clew.export.foreign import loads, moment
from clew.export.jsonl import is_event
from clew.export.scan import Scan
from clew.export.source import read_source
from clew.export.trident_human import HumanLines, is_human
from clew.export.trident_trace import Beside, TraceEvents, of_checkpoint, traces
from clew.model.events import Event

CHECKPOINT_UNKNOWN: Final = (
    "a checkpoint has the nodes that completed, without their starts and inputs, and no errors"
)
METADATA_UNKNOWN: Final = (
    "metadata.json only says how the run began: its nodes, outputs and end are not known"
)
_HEAD_LINES: Final = 1000


def is_checkpoint(keys: frozenset[str]) -> bool:
    """Say whether an object with these keys may be a checkpoint.json."""
    return keys >= {"run_id", "started_at", "completed_nodes"}


def is_metadata(keys: frozenset[str]) -> bool:
    """Say whether an object with these keys may be a metadata.json."""
    return keys >= {"run_id", "started_at", "project_root"}


def _read(file: ImportFile) -> Imported:
    if any(is_human(line) for line in file.data[: _HEAD_LINES * 100].splitlines()[:_HEAD_LINES]):
        return _read_human(file)
    scan = Scan[Event | dict[str, Any]](file.data, line=event_of_line, value=_events_or_documents)
    events: list[Event] = []
    unusable_nodes = 0
    accounts: dict[str, None] = {}
    unknown: str | None = None
    for found in scan:
        if isinstance(found, Event):
            events.append(found)
            accounts[""] = None
            continue
        if "nodes" in found:
            made = TraceEvents(found, _neighbours(file, found["run_id"]))
            accounts["trace"] = None
        elif "completed_nodes" in found:
            made = TraceEvents(of_checkpoint(found), Beside(checkpoint=found, attributes=unfinished(found)))
            accounts["checkpoint"], unknown = None, CHECKPOINT_UNKNOWN
        else:
            made = TraceEvents(of_checkpoint(found), Beside(metadata=found))
            accounts["metadata"], unknown = None, METADATA_UNKNOWN
        events += made.events()
        unusable_nodes += made.unusable_nodes
    if not events:
        raise nothing_found(file, scan.fault, expected=IMPORTER.expected)
    account = "" if "" in accounts else "+".join(accounts)
    return Imported(
        format="trident",
        runs=adopt(events, source="trident", account=account),
        skipped=scan.skipped + unusable_nodes,
        unknown=unknown,
    )


def _read_human(file: ImportFile) -> Imported:
    lines = HumanLines(file.data)
    runs = adopt(lines, source="trident", account="human")
    if not runs:
        raise nothing_found(file, None, expected=IMPORTER.expected)
    return Imported(format="trident", runs=runs, skipped=lines.skipped)


def unfinished(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint has that no event is for: what was left to do, and a cost that no node accounts for."""
    done = checkpoint.get("completed_nodes")
    nodes = done.values() if isinstance(done, dict) else ()
    is_accounted = any(isinstance(node, dict) and node.get("cost_usd") is not None for node in nodes)
    names = ("pending_nodes", "branch_states", *(() if is_accounted else ("total_cost_usd",)))
    return {name: checkpoint[name] for name in names if checkpoint.get(name)}


def _events_or_documents(value: object) -> list[Event | dict[str, Any]] | None:
    events = events_of_value(value)
    if events is None:
        return None
    found: list[Event | dict[str, Any]] = [*events, *traces(value)]
    if not found and isinstance(value, dict) and is_document(value):
        return [value]
    return found


def is_document(value: dict[str, Any]) -> bool:
    """Say whether a decoded value is a checkpoint.json or a metadata.json that can be read."""
    keys = frozenset(value)
    run_id = value.get("run_id")
    if not isinstance(run_id, str) or not run_id or moment(value.get("started_at")) is None:
        return False
    return is_checkpoint(keys) or is_metadata(keys)


def _neighbours(file: ImportFile, run_id: str) -> Beside:
    metadata = _neighbour(file, "metadata.json", run_id=run_id)
    outputs = _neighbour(file, "outputs.json", run_id=None) if metadata else {}
    return Beside(metadata=metadata, outputs=outputs or None)


def _neighbour(file: ImportFile, name: str, *, run_id: str | None) -> dict[str, Any]:
    """Return what a file of the same run, in the same folder, says; nothing where there is none that can be read."""
    if file.path.name != "trace.json":
        return {}
    try:
        content = loads(read_source(file.path.with_name(name)))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or (run_id is not None and content.get("run_id") != run_id):
        return {}
    return content


def _recognises(keys: frozenset[str]) -> bool:
    return (
        is_event(keys)
        or keys >= {"run_id", "start_time", "nodes"}
        or keys >= {"trace", "success"}
        or is_checkpoint(keys)
        or is_metadata(keys)
    )


IMPORTER: Final = Importer(
    name="trident",
    description="Trident's telemetry lines of both kinds, its trace.json, checkpoint.json or metadata.json, or a run's folder",
    expected="a telemetry line with timestamp, run_id and event, or a trace.json with run_id, start_time and nodes",
    recognises=_recognises,
    read=_read,
)
