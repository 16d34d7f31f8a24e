"""ModelOps' files of one job: spans.jsonl, one span a line, and summary.json, totals by name.

Times are in seconds. A run that came from ModelOps gets its own times back; any other counts from its start, since
the clock of the original counts from no date either. Attributes become tags, which are texts; what a span failed with
becomes the tags `error` and `error_msg`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from clew.export.contract import Exporter
from clew.export.folder import whole_file
from clew.export.foreign import finite, nanoseconds
from clew.export.modelops_import import NESTING_TAG
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace

_MOST_MESSAGE = 200


def write_spans(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write spans.jsonl: inner spans before outer ones, open ones last."""
    out.writelines(json.dumps(span, allow_nan=False).encode() + b"\n" for span in _spans(trace))


def write_summary(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write summary.json: count, total, mean, longest and shortest by name, and the same of metrics."""
    names: dict[str, _Totals] = {}
    durations: list[float] = []
    for span in _spans(trace):
        names.setdefault(span["name"], _Totals()).add(span)
        durations.append(span["duration"] or 0)
    summary = {
        "job_type": _job_type(trace),
        "total_spans": len(durations),
        "total_duration": sum(durations),
        "by_name": {name: totals.summary() for name, totals in names.items()},
    }
    out.write(json.dumps(summary, indent=2, allow_nan=False).encode())


def write_directory(trace: ExecutionTrace, folder: Path) -> list[Path]:
    """Write summary.json and spans.jsonl into a folder and return their paths."""
    paths = []
    for name, write in (("summary.json", write_summary), ("spans.jsonl", write_spans)):
        with whole_file(folder / name) as out:
            write(trace, out)
        paths.append(folder / name)
    return paths


class _Totals:
    """What is summed up of one name."""

    def __init__(self) -> None:
        self._count = 0
        self._durations: list[float] = []
        self._metrics: dict[str, list[float]] = {}

    def add(self, span: dict[str, Any]) -> None:
        self._count += 1
        if span["duration"] is not None:
            self._durations.append(span["duration"])
        for name, value in span["metrics"].items():
            number = finite(value)
            if number is not None:
                self._metrics.setdefault(name, []).append(number)

    def summary(self) -> dict[str, Any]:
        durations = self._durations
        made: dict[str, Any] = {
            "count": self._count,
            "total_duration": sum(durations),
            "mean_duration": sum(durations) / len(durations) if durations else None,
            "max_duration": max(durations, default=None),
            "min_duration": min(durations, default=None),
        }
        if self._metrics:
            made["metrics"] = {name: _summed(values) for name, values in self._metrics.items()}
        return made


def _summed(values: list[float]) -> dict[str, Any]:
    total = sum(values)
    mean = total / len(values)
    return {"mean": finite(mean), "sum": finite(total), "count": len(values)}


def _job_type(trace: ExecutionTrace) -> str | None:
    """Return simulation or calibration where the spans have the names that such jobs have, else the run's kind."""
    for node in trace.nodes:
        if node.node_id == "job.simulation":
            return "simulation"
        if node.node_id.startswith("calibration."):
            return "calibration"
    return trace.kind


def _spans(trace: ExecutionTrace) -> Iterator[dict[str, Any]]:
    zero = trace.started_at or min(
        (at for node in trace.nodes if (at := _begin(node)) is not None), default=None
    )
    order = sorted(range(len(trace.nodes)), key=lambda index: _completion(trace.nodes[index], index))
    for index in order:
        yield _span(trace.nodes[index], zero)


def _begin(node: NodeExecution) -> datetime | None:
    return node.started_at or node.ended_at


def _completion(node: NodeExecution, index: int) -> tuple[bool, float, str, int, int]:
    """Sort key: open spans last; of one writer the order in which it wrote the ends."""
    ended = node.ended_at
    moment = ended.timestamp() if ended is not None else 0.0
    return ended is None, moment, node.end_writer or node.writer or "", node.end_seq or 0, index


def _span(node: NodeExecution, zero: datetime | None) -> dict[str, Any]:
    start = finite(node.extra.get("start_time"))
    begin = _begin(node)
    if start is None and begin is not None and zero is not None:
        start = nanoseconds(begin - zero) / 1e9
    duration = None if node.duration_ns is None else node.duration_ns / 1e9
    if duration is None and node.started_at is not None and node.ended_at is not None:
        duration = nanoseconds(node.ended_at - node.started_at) / 1e9
    duration = _known(node.end_extra.get("duration"), duration)
    end = None if duration is None or start is None else start + duration
    return {
        "name": node.node_id,
        "start_time": start,
        "end_time": _known(node.end_extra.get("end_time"), end),
        "duration": duration,
        "metrics": _metrics(node),
        "tags": _tags(node),
    }


def _known(original: object, own: float | None) -> float | None:
    """Return the original's number where there is one: written again, it is the same to the last digit."""
    number = finite(original)
    return own if number is None else number


def _metrics(node: NodeExecution) -> dict[str, Any]:
    """Return the metrics; NaN and the infinities are null, which tables read as a missing number."""
    metrics: dict[str, Any] = {
        name: value if math.isfinite(value) else None for name, value in node.metrics.items()
    }
    for others in (node.end_extra.get("other_metrics"), node.extra.get("metrics")):
        if isinstance(others, dict):
            metrics |= others
    return metrics


def _tags(node: NodeExecution) -> dict[str, str]:
    tags = {name: _text(value) for name, value in node.attributes.items() if name != NESTING_TAG}
    if node.iteration is not None:
        tags.setdefault("iteration", str(node.iteration))
    if node.status == "skipped":
        tags.setdefault("skipped", _text((node.skip or {}).get("reason") or "true"))
    if node.error is not None:
        tags["error"] = node.error.error_type or "Error"
        if node.error.message is not None:
            tags["error_msg"] = node.error.message[:_MOST_MESSAGE]
    return tags


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


EXPORTER: Final = Exporter(
    name="modelops",
    description="ModelOps' spans.jsonl, one execution a line; into a folder also summary.json",
    suffix=".jsonl",
    write=write_spans,
    write_directory=write_directory,
    has_payloads=True,
)
