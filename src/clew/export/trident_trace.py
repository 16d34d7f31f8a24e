"""The events that Trident's documents of one run tell of: trace.json, and what the files beside it add to it."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime
from typing import Any, Final

import msgspec

from clew.export.foreign import derived_id, moment, nanoseconds, raw
from clew.export.trident_lines import INSIDE
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
_OF_A_NODE_IN_A_CHECKPOINT: Final = ("session_id", "cost_usd", "num_turns")
_ENDS: Final = {
    "completed": "workflow_completed",
    "failed": "workflow_failed",
    "interrupted": "run_interrupted",
}


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What other files say of the run of a trace."""

    metadata: dict[str, Any] = {}
    """metadata.json; empty where there is none."""
    checkpoint: dict[str, Any] = {}
    """checkpoint.json; empty where there is none."""
    outputs: Any = None
    """outputs.json."""
    lines: list[Event] = []
    """Its telemetry, and the rounds of its branches."""
    start: dict[str, Any] = {}
    """More fields of `workflow_started`: which run this one lies in."""
    attributes: dict[str, Any] = {}
    """More attributes of the run."""


def traces(value: object) -> list[dict[str, Any]]:
    """Return the traces in a value: itself, or what `project run -o json --trace` prints around it."""
    if isinstance(value, list):
        return [trace for item in value for trace in traces(item)]
    if not isinstance(value, dict):
        return []
    inner = value.get("trace")
    if isinstance(inner, dict) and "nodes" in inner:
        around = {name: item for name, item in value.items() if name != "trace"}
        return traces({**around, "error": _message(value.get("error")), **inner})
    run_id, nodes = value.get("run_id"), value.get("nodes")
    if isinstance(nodes, dict):
        nodes = [{"id": name, **node} for name, node in nodes.items() if isinstance(node, dict)]
    if not isinstance(nodes, list) or not isinstance(run_id, str) or not run_id:
        return []
    trace = {**value, "nodes": nodes}
    return [] if beginning(trace) is None else [trace]


def beginning(trace: dict[str, Any]) -> datetime | None:
    """Return when a trace began, or its first node."""
    known = [moment(node.get("start_time")) for node in trace["nodes"] if isinstance(node, dict)]
    return moment(trace.get("start_time")) or min((at for at in known if at is not None), default=None)


def _message(error: object) -> object:
    return error.get("message", error) if isinstance(error, dict) else error


def of_checkpoint(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint says as a trace does. It has no starts and no inputs of nodes, and no errors."""
    done = checkpoint.get("completed_nodes")
    nodes = [
        {
            "id": name,
            "end_time": node.get("completed_at"),
            "output": node.get("outputs"),
            **_of_checkpoint(node),
        }
        for name, node in (done.items() if isinstance(done, dict) else ())
        if isinstance(node, dict)
    ]
    status = checkpoint.get("status")
    ended = isinstance(status, str) and status in _ENDS
    return {
        "run_id": checkpoint.get("run_id"),
        "start_time": checkpoint.get("started_at"),
        "end_time": checkpoint.get("updated_at") if ended else None,
        "error": None,
        "nodes": nodes,
    }


def _of_checkpoint(node: dict[str, Any]) -> dict[str, Any]:
    return {name: node[name] for name in _OF_A_NODE_IN_A_CHECKPOINT if node.get(name) is not None}


class TraceEvents:
    """The events that one trace.json tells of."""

    def __init__(self, trace: dict[str, Any], beside: Beside | None = None) -> None:
        """Take one of `traces`, and what other files say of its run."""
        self._trace = trace
        self._beside = beside or Beside()
        self._run_id: str = trace["run_id"]
        self._counts: dict[str, int] = {}
        start = beginning(trace)
        assert start is not None
        self.start: datetime = start
        """When the run began."""
        self.unusable_nodes = 0
        """Nodes that say neither their name nor anything else."""
        self._outputs = trace.get("outputs")
        if self._outputs is None:
            self._outputs = self._beside.outputs
        self._kinds = _kinds(self._beside.lines)
        self._skips = _skips(self._beside.lines)
        done = self._beside.checkpoint.get("completed_nodes")
        self._done: dict[str, Any] = done if isinstance(done, dict) else {}

    def events(self) -> list[Event]:
        """Return start and end of the run and of its nodes, in order of time."""
        nodes = self._trace["nodes"]
        made = [self._event("workflow_started", self.start, self._started())]
        for node in nodes:
            if isinstance(node, dict) and isinstance(node.get("id"), str | int):
                made += self._node(node)
            else:
                self.unusable_nodes += 1
        made += [event for event in self._beside.lines if event.event in INSIDE]
        _place(made)
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

    def _known(self, name: str) -> Any:
        """Return what the metadata say, or else the checkpoint."""
        value = self._beside.metadata.get(name)
        return self._beside.checkpoint.get(name) if value is None else value

    def _started(self) -> dict[str, Any]:
        known, beside = self._beside.metadata, self._beside
        rest = {name: value for name, value in self._trace.items() if name not in (*_TRACE_FIELDS, "outputs")}
        told = next((event.values() for event in beside.lines if event.event == "workflow_started"), {})
        attributes: dict[str, Any] = {
            name: known[name] for name in ("project_root", "trident_version") if name in known
        }
        attributes |= beside.attributes
        return {
            "name": self._known("project_name"),
            "entrypoint": self._known("entrypoint"),
            "dry_run": told.get("dry_run"),
            "inputs": self._known("inputs"),
            "attributes": attributes or None,
            **beside.start,
            **_beside(rest, WorkflowStarted.__struct_fields__),
        }

    def _ended(self, end: datetime) -> Event:
        error = self._trace.get("error")
        status = "failed" if error is not None else self._beside.checkpoint.get("status")
        name = _ENDS.get(status, "workflow_completed") if isinstance(status, str) else "workflow_completed"
        data = {
            "duration_ms": nanoseconds(end - self.start) / 1e6,
            "name": self._known("project_name"),
            "error": None if error is None else _sentence(error),
            # The outputs of a run that failed are those of its last good node, and no field of ours is for them.
            "outputs": self._outputs,
        }
        return self._event(name, end, data)

    def _node(self, node: dict[str, Any]) -> list[Event]:
        node_id = str(node["id"])
        count = self._counts[node_id] = self._counts.get(node_id, 0) + 1
        start, end = moment(node.get("start_time")), moment(node.get("end_time"))
        span = derived_id("trace span", self._run_id, self.start.isoformat(), node_id, str(count), digits=16)
        saved = self._done.get(node_id)
        # Of a node in a loop a checkpoint has one execution, and its end says which.
        if isinstance(saved, dict) and saved.get("completed_at") == node.get("end_time"):
            node = {**node, **{k: v for k, v in _of_checkpoint(saved).items() if node.get(k) is None}}
        kind = self._kinds.get(node_id)
        rest = {"type": kind, **_beside({k: v for k, v in node.items() if k not in _NODE_FIELDS}, _OURS)}
        events = []
        if start is not None or end is None:
            started = {"type": kind, "inputs": node.get("input"), **(rest if end is None else {})}
            events.append(self._event("node_started", start or self.start, started, node=(node_id, span)))
        if end is not None:
            name, data = _node_end(node)
            if start is not None and name != "node_skipped":
                data["duration_ms"] = nanoseconds(end - start) / 1e6
            if name == "node_skipped" and self._skips.get(node_id):
                data |= self._skips[node_id].popleft()
            if start is None:
                data["inputs"] = node.get("input")
            events.append(self._event(name, end, {**data, **rest}, node=(node_id, span)))
        return events


def _place(events: list[Event]) -> None:
    """Give what happened inside a node its execution, where one execution only was going on. O(n log n)."""
    going_on: dict[str, set[str]] = defaultdict(set)
    # At one instant a node begins, then something happens in it, and then it ends.
    rank = {"node_started": 0, "node_completed": 2, "node_failed": 2, "node_skipped": 2}
    for event in sorted(events, key=lambda event: (event.timestamp, rank.get(event.event, 1))):
        if event.node_id is None:
            continue
        spans = going_on[event.node_id]
        if event.event == "node_started" and event.span_id is not None:
            spans.add(event.span_id)
        elif event.event in rank:
            spans.discard(event.span_id or "")
        elif len(spans) == 1:
            (event.span_id,) = spans


def _kinds(lines: list[Event]) -> dict[str, Any]:
    """Return the kind of each node that telemetry tells of."""
    return {
        event.node_id: kind
        for event in lines
        if event.node_id is not None
        and event.event.startswith("node_")
        and (kind := event.values().get("type")) is not None
    }


def _skips(lines: list[Event]) -> dict[str, deque[dict[str, Any]]]:
    """Return why each node was skipped each time, in order."""
    found: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
    for event in lines:
        if event.event == "node_skipped" and event.node_id is not None:
            found[event.node_id].append({k: v for k, v in event.values().items() if k != "type"})
    return found


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
