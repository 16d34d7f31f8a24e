"""Runs that Trident recorded: its telemetry lines, and the trace.json that it leaves behind."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from clew.export.adopt import adopt
from clew.export.contract import Imported, Importer, ImportFile, nothing_found
from clew.export.event_lines import event_of_line, events_of_value
from clew.export.foreign import derived_id, loads, moment, nanoseconds, raw
from clew.export.jsonl import is_event
from clew.export.scan import Scan
from clew.model.boundaries import NodeFailed, NodeSkipped, NodeStarted, WorkflowStarted
from clew.model.events import Event

_TRACE_FIELDS: Final = ("run_id", "start_time", "end_time", "error", "nodes")
_NODE_FIELDS: Final = (
    *("id", "start_time", "end_time", "input", "output", "model", "tokens", "skipped", "error", "error_type"),
    "cost_usd",
)
_OURS: Final = (
    *NodeStarted.__struct_fields__,
    *NodeFailed.__struct_fields__,
    *NodeSkipped.__struct_fields__,
)


def _read(file: ImportFile) -> Imported:
    scan = Scan[Event | dict[str, Any]](file.data, line=event_of_line, value=_events_or_traces)
    events: list[Event] = []
    unusable_nodes = 0
    for found in scan:
        if isinstance(found, Event):
            events.append(found)
        else:
            trace = _TraceEvents(found, file)
            events += trace.events()
            unusable_nodes += trace.unusable_nodes
    if not events:
        raise nothing_found(file, scan.fault, expected=IMPORTER.expected)
    return Imported(
        format="trident", runs=adopt(events, source="trident"), skipped=scan.skipped + unusable_nodes
    )


def _events_or_traces(value: object) -> list[Event | dict[str, Any]] | None:
    events = events_of_value(value)
    return None if events is None else [*events, *_traces(value)]


def _traces(value: object) -> list[dict[str, Any]]:
    """Return the traces in a value: itself, or what `project run -o json --trace` prints around it."""
    if isinstance(value, list):
        return [trace for item in value for trace in _traces(item)]
    if not isinstance(value, dict):
        return []
    inner = value.get("trace")
    if isinstance(inner, dict) and "nodes" in inner:
        around = {name: item for name, item in value.items() if name != "trace"}
        return _traces({**around, "error": _message(value.get("error")), **inner})
    run_id, nodes = value.get("run_id"), value.get("nodes")
    if isinstance(nodes, dict):
        nodes = [{"id": name, **node} for name, node in nodes.items() if isinstance(node, dict)]
    if not isinstance(nodes, list) or not isinstance(run_id, str) or not run_id:
        return []
    trace = {**value, "nodes": nodes}
    return [] if _beginning(trace) is None else [trace]


def _beginning(trace: dict[str, Any]) -> datetime | None:
    """Return when a trace began, or its first node."""
    known = [moment(node.get("start_time")) for node in trace["nodes"] if isinstance(node, dict)]
    return moment(trace.get("start_time")) or min((at for at in known if at is not None), default=None)


def _message(error: object) -> object:
    return error.get("message", error) if isinstance(error, dict) else error


class _TraceEvents:
    """The events that one trace.json tells of."""

    def __init__(self, trace: dict[str, Any], file: ImportFile) -> None:
        self._trace = trace
        self._run_id: str = trace["run_id"]
        self._counts: dict[str, int] = {}
        start = _beginning(trace)
        assert start is not None
        self._start: datetime = start
        self.unusable_nodes = 0
        """Nodes that say neither their name nor anything else."""
        self._metadata = _neighbour(file, "metadata.json", run_id=self._run_id)
        self._outputs = trace.get("outputs")
        if self._outputs is None and self._metadata:
            self._outputs = _neighbour(file, "outputs.json", run_id=None) or None

    def events(self) -> list[Event]:
        """Return start and end of the run and of its nodes, in order of time."""
        made = [self._event("workflow_started", self._start, self._started())]
        for node in self._trace["nodes"]:
            if isinstance(node, dict) and isinstance(node.get("id"), str | int):
                made += self._node(node)
            else:
                self.unusable_nodes += 1
        made.sort(key=lambda event: event.timestamp)
        end = moment(self._trace.get("end_time"))
        if end is not None:
            made.append(self._ended(end))
        return made

    def _event(
        self, name: str, at: datetime, data: dict[str, Any], *, node: tuple[str, str] | None = None
    ) -> Event:
        """Make an event, of a node where `node` is its name and its span."""
        node_id, span_id = node or (None, None)
        kept = {field: value for field, value in data.items() if value is not None}
        level = "ERROR" if name.endswith("_failed") else "INFO"
        return Event(
            timestamp=at,
            run_id=self._run_id,
            event=name,
            level=level,
            node_id=node_id,
            span_id=span_id,
            data=raw(kept),
        )

    def _started(self) -> dict[str, Any]:
        known = self._metadata
        rest = {name: value for name, value in self._trace.items() if name not in (*_TRACE_FIELDS, "outputs")}
        attributes = {name: known[name] for name in ("project_root", "trident_version") if name in known}
        return {
            "name": known.get("project_name"),
            "entrypoint": known.get("entrypoint"),
            "inputs": known.get("inputs"),
            "attributes": attributes or None,
            **_beside(rest, WorkflowStarted.__struct_fields__),
        }

    def _ended(self, end: datetime) -> Event:
        error = self._trace.get("error")
        data = {
            "duration_ms": nanoseconds(end - self._start) / 1e6,
            "name": self._metadata.get("project_name"),
        }
        if error is None:
            return self._event("workflow_completed", end, {**data, "outputs": self._outputs})
        # The outputs of a run that failed are those of its last good node, and no field of ours is for them.
        return self._event(
            "workflow_failed", end, {**data, "error": _sentence(error), "outputs": self._outputs}
        )

    def _node(self, node: dict[str, Any]) -> list[Event]:
        node_id = str(node["id"])
        count = self._counts[node_id] = self._counts.get(node_id, 0) + 1
        start, end = moment(node.get("start_time")), moment(node.get("end_time"))
        span = derived_id("trace span", self._run_id, self._start.isoformat(), node_id, str(count), digits=16)
        rest = _beside({k: v for k, v in node.items() if k not in _NODE_FIELDS}, _OURS)
        events = []
        if start is not None or end is None:
            started = {"inputs": node.get("input"), **(rest if end is None else {})}
            events.append(self._event("node_started", start or self._start, started, node=(node_id, span)))
        if end is not None:
            name, data = _node_end(node)
            if start is not None and name != "node_skipped":
                data["duration_ms"] = nanoseconds(end - start) / 1e6
            if start is None:
                data["inputs"] = node.get("input")
            events.append(self._event(name, end, {**data, **rest}, node=(node_id, span)))
        return events


def _node_end(node: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name and the payload of the event that ends a node."""
    output, tokens = node.get("output"), node.get("tokens")
    data: dict[str, Any] = {"outputs": output, "model": node.get("model"), "cost_usd": node.get("cost_usd")}
    if isinstance(tokens, dict):
        known = {"input": "input_tokens", "output": "output_tokens"}
        data |= {ours: tokens[theirs] for theirs, ours in known.items() if theirs in tokens}
        other = {name: value for name, value in tokens.items() if name not in known}
        data |= {"tokens": other or None}
    else:
        data["tokens"] = tokens
    if node.get("error") is not None:
        return "node_failed", {
            **data,
            "error": _sentence(node["error"]),
            "error_type": node.get("error_type"),
        }
    return ("node_skipped" if node.get("skipped") is True else "node_completed"), data


def _sentence(error: object) -> str:
    return error if isinstance(error, str) else msgspec.json.encode(error).decode()


def _beside(fields: dict[str, Any], taken: tuple[str, ...]) -> dict[str, Any]:
    """Return fields that Clew does not know, those whose names mean something else here in an object of their own."""
    clashing = {name: value for name, value in fields.items() if name in taken}
    free = {name: value for name, value in fields.items() if name not in taken}
    return {**free, "trident": clashing} if clashing else free


def _neighbour(file: ImportFile, name: str, *, run_id: str | None) -> dict[str, Any]:
    """Return what a file of the same run, in the same folder, says; nothing where there is none that can be read."""
    if file.path.name != "trace.json":
        return {}
    try:
        content = loads(file.path.with_name(name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or (run_id is not None and content.get("run_id") != run_id):
        return {}
    return content


def _recognises(keys: frozenset[str]) -> bool:
    return is_event(keys) or keys >= {"run_id", "start_time", "nodes"} or keys >= {"trace", "success"}


IMPORTER: Final = Importer(
    name="trident",
    description="Trident's telemetry lines, or its trace.json",
    expected="a telemetry line with timestamp, run_id and event, or a trace.json with run_id, start_time and nodes",
    recognises=_recognises,
    read=_read,
)
