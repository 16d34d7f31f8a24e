"""Chrome's trace event format, which Perfetto and chrome://tracing draw.

A writer is a process; its tracks are threads, on each of which events nest. An execution is a complete event (`X`), an
event inside one an instant (`i`), a metric a counter (`C`). `ts` and `dur` are microseconds from the run's start; what
the log says of a duration is in `args.duration_ms`, to the nanosecond. An execution whose end is not in the log lasts
until the run was last heard of and says `interrupted: true`. Payloads (inputs, outputs, state) are left out.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import msgspec

from clew.export.contract import Exporter
from clew.export.tracks import ALONE, Tracks, assign_tracks
from clew.model.events import Event, format_timestamp
from clew.model.inside import number
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.model.unfold import number_text

RUN_TID: Final = 0
"""Thread of the run itself, and of events that lie in no execution."""


def write(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write one document, event by event."""
    out.write(b'{"traceEvents":[')
    comma = b"\n"
    for event in _Drawing(trace).events():
        out.write(comma + msgspec.json.encode(event))
        comma = b",\n"
    about = {"run_id": trace.run_id, "name": trace.name, "status": trace.status}
    if trace.started_at is not None:
        about["started_at"] = format_timestamp(trace.started_at)
    out.write(b'\n],"displayTimeUnit":"ms","otherData":' + msgspec.json.encode(about) + b"}\n")


class _Drawing:
    """One trace on its way to being drawn."""

    def __init__(self, trace: ExecutionTrace) -> None:
        self._trace = trace
        self._tracks: Tracks = assign_tracks(trace)
        writers = dict.fromkeys([*(e.writer for e in trace.boundaries), *self._tracks.writers])
        writers |= dict.fromkeys(event.writer for event in trace.events)
        self._pids = {writer: pid for pid, writer in enumerate(writers, start=1)}
        counts: dict[str | None, int] = {}
        self._tids: list[int] = []
        for writer in self._tracks.writers:
            counts[writer] = counts.get(writer, RUN_TID) + 1
            self._tids.append(counts[writer])
        self._right_edges = array("d", bytes(8 * len(trace.nodes)))

    def events(self) -> Iterator[dict[str, Any]]:
        """Give names, the run, executions from left to right, what lies in them, and counters."""
        yield from self._names()
        yield from self._run()
        for position in self._tracks.order:
            yield self._execution(position)
        yield from self._instants()
        for position in self._tracks.order:
            yield from self._counters(position)

    def _names(self) -> Iterator[dict[str, Any]]:
        for writer, pid in self._pids.items():
            label = self._trace.name or "run"
            yield _name("process_name", pid, RUN_TID, name=label if writer is None else f"{label} {writer}")
            yield _name("process_sort_index", pid, RUN_TID, sort_index=pid)
            yield _name("thread_name", pid, RUN_TID, name="run")
        for writer, tid in zip(self._tracks.writers, self._tids, strict=True):
            yield _name("thread_name", self._pids[writer], tid, name=f"track {tid}")
            yield _name("thread_sort_index", self._pids[writer], tid, sort_index=tid)

    def _run(self) -> Iterator[dict[str, Any]]:
        trace = self._trace
        if trace.started_at is None:
            return
        begin = self._tracks.offset_ns(trace.started_at)
        duration_ns = trace.duration_ns
        if duration_ns is None:
            duration_ns = max(0, self._tracks.offset_ns(trace.ended_at or trace.last_event_at) - begin)
        args: dict[str, Any] = {
            "run_id": trace.run_id,
            "status": trace.status,
            "attributes": trace.attributes,
        }
        if trace.error is not None:
            args |= {"error": trace.error.message, "error_type": trace.error.error_type}
        if trace.status in ("running", "interrupted"):
            args["interrupted"] = True
        writer = trace.boundaries[0].writer if trace.boundaries else None
        yield {
            "ph": "X",
            "name": trace.name or "run",
            "cat": "run",
            "ts": begin // 1000,
            "dur": duration_ns / 1000,
            "pid": self._pids.get(writer, 1),
            "tid": RUN_TID,
            "args": args,
        }

    def _execution(self, position: int) -> dict[str, Any]:
        tracks = self._tracks
        node, begin = self._trace.nodes[position], tracks.begins[position]
        duration = (tracks.ends[position] - begin) / 1000
        ts = begin // 1000
        under = tracks.under[position]
        if under != ALONE:
            # What readers add up in floating point must not end a hair after what it lies in.
            while ts + duration > self._right_edges[under]:
                duration = max(0.0, min(self._right_edges[under] - ts, math.nextafter(duration, 0.0)))
                if duration == 0.0:
                    break
        self._right_edges[position] = ts + duration
        track = tracks.track[position]
        return {
            "ph": "X",
            "name": node.node_id,
            "cat": node.kind or "node",
            "ts": ts,
            "dur": duration,
            "pid": self._pids[tracks.writers[track]],
            "tid": self._tids[track],
            "args": _args(node),
        }

    def _instants(self) -> Iterator[dict[str, Any]]:
        place = {
            node.span_id: index for index, node in enumerate(self._trace.nodes) if node.span_id is not None
        }
        for event in self._trace.events:
            position = place.get(event.span_id) if event.span_id is not None else None
            if position is None:
                pid, tid, scope = self._pids[event.writer], RUN_TID, "p"
            else:
                track = self._tracks.track[position]
                pid, tid, scope = self._pids[self._tracks.writers[track]], self._tids[track], "t"
            at = {"ts": self._tracks.offset_ns(event.timestamp) // 1000, "pid": pid, "tid": tid}
            yield {"ph": "i", "name": event.event, "cat": "event", "s": scope, **at, "args": _payload(event)}
            if event.event == "metric_recorded":
                yield from _counter(event.values(), event.node_id, at)

    def _counters(self, position: int) -> Iterator[dict[str, Any]]:
        node = self._trace.nodes[position]
        recorded = {event.values().get("name") for event in node.events if event.event == "metric_recorded"}
        end = self._tracks.ends[position] // 1000
        at = {
            "ts": end,
            "pid": self._pids[self._tracks.writers[self._tracks.track[position]]],
            "tid": RUN_TID,
        }
        for name, value in node.metrics.items():
            if name not in recorded:
                yield from _counter({"name": name, "value": value}, node.node_id, at)


def _name(what: str, pid: int, tid: int, **args: object) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": args}


def _counter(metric: dict[str, Any], node_id: str | None, at: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a metric's value at a moment, if a curve can be drawn through it."""
    name, value = metric.get("name"), number(metric.get("value"))
    if isinstance(name, str) and value is not None and math.isfinite(value):
        title = name if node_id is None else f"{node_id} {name}"
        yield {"ph": "C", "name": title, "cat": "metric", **at, "args": {"value": value}}


def _payload(event: Event) -> dict[str, Any]:
    if event.event in ("input_received", "output_produced", "state_changed"):
        return {}
    return event.values()


def _args(node: NodeExecution) -> dict[str, Any]:
    args: dict[str, Any] = {"status": node.status, "span_id": node.span_id}
    args |= {"parent_id": node.parent_id, "attempt": node.attempt, "iteration": node.iteration}
    args |= {"model": node.model, "cost_usd": node.cost_usd}
    if node.duration_ns is not None:
        args["duration_ms"] = node.duration_ns / 1e6
    if node.self_time_ns is not None:
        args["self_time_ms"] = node.self_time_ns / 1e6
    if node.usage is not None:
        args |= msgspec.structs.asdict(node.usage)
    if node.error is not None:
        args |= {"error": node.error.message, "error_type": node.error.error_type}
    if node.skip is not None:
        args["skip"] = node.skip
    if node.attributes:
        args["attributes"] = node.attributes
    if node.metrics:
        args["metrics"] = {name: number_text(value) for name, value in node.metrics.items()}
    if node.tools_called:
        args["tools_called"] = node.tools_called
    if node.ended_at is None:
        args["interrupted"] = True
    return {name: value for name, value in args.items() if value is not None}


EXPORTER: Final = Exporter(
    name="chrome",
    description="Chrome's trace events, for ui.perfetto.dev and chrome://tracing",
    suffix=".trace.json",
    write=write,
)
