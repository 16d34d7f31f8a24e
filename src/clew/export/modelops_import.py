"""Jobs that ModelOps recorded: spans.jsonl, one finished span a line, inner ones first.

A span has times of a clock that counts from some boot of some machine, and no parent. So:

- the first span of a job gets the date that the caller gives, the others keep their distance from it, and the run's
  attributes say `clock: relative`; the original times stay with the spans;
- the parent of a span is the innermost span that holds it in time, where that leaves no other possibility; where it
  does, the span has none and the attribute `clew.nesting: ambiguous`;
- the run begins and ends with the span that holds all others. Where there is none, its end is not known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from clew.export.adopt import adopt
from clew.export.contract import Imported, ImportedRun, Importer, ImportFile, nothing_found
from clew.export.foreign import derived_id, finite, raw
from clew.export.nesting import AMBIGUOUS, containers
from clew.export.scan import Scan
from clew.model.boundaries import NodeStarted
from clew.model.events import Event

NESTING_TAG: Final = "clew.nesting"
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_SPAN_FIELDS: Final = frozenset(("name", "start_time", "end_time", "duration", "metrics", "tags"))
_MOST_SECONDS: Final = 1e11
"""Further from zero no date can be made of a time; no clock that counts from a boot gets there."""
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning)")


class _Span(msgspec.Struct):
    """One line."""

    name: str
    start: float
    end: float
    """Infinity where it is open."""
    fields: dict[str, Any]
    """The line as it was."""
    begins: bool = False
    """Whether it is the first of a document of its own."""


def _read(file: ImportFile) -> Imported:
    scan = Scan[_Span](file.data, line=_span_of_line, value=_spans)
    runs: list[ImportedRun] = []
    for job in _jobs(scan):
        runs += _Job(job, anchor=file.anchor or _EPOCH).runs()
    if not runs:
        raise nothing_found(file, scan.fault, expected=IMPORTER.expected)
    return Imported(format="modelops", runs=runs, skipped=scan.skipped)


def _span_of_line(line: memoryview) -> _Span | None:
    try:
        return _span(msgspec.json.decode(line))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _spans(value: object) -> list[_Span]:
    """Return the spans in a value: itself, a list, or what a collector gives as a whole."""
    if isinstance(value, dict) and isinstance(value.get("spans"), list):
        value = value["spans"]
    if isinstance(value, list):
        found = [span for item in value if (span := _span(item)) is not None]
        if found:
            found[0].begins = True
        return found
    span = _span(value)
    return [] if span is None else [span]


def _span(value: object) -> _Span | None:
    """Return the span that a decoded line is; of start, end and duration two are enough."""
    if not isinstance(value, dict):
        return None
    name = value.get("name")
    start, end, duration = (finite(value.get(field)) for field in ("start_time", "end_time", "duration"))
    if start is None and end is not None and duration is not None:
        start = end - duration
    if start is not None and end is None and duration is not None:
        end = start + duration
    if (
        not isinstance(name, str)
        or start is None
        or abs(start) > _MOST_SECONDS
        or abs(end or 0) > _MOST_SECONDS
    ):
        return None
    return _Span(name, start, math.inf if end is None else max(start, end), value)


def _jobs(spans: Iterator[_Span] | Scan[_Span]) -> Iterator[list[_Span]]:
    """Give the spans job by job, for a file may hold several.

    A job is over with a span that holds all before it, for spans are written as they end. What comes then is of
    another job where it ended before this one began (another clock), or where the span bore a job's name. A line that
    begins the job a second time begins it anew.
    """
    job: list[_Span] = []
    first, last, closed_by = math.inf, -math.inf, ""
    for span in spans:
        if job:
            is_before = bool(closed_by) and span.end < first
            is_after = closed_by == "job" and span.start >= last
            if span.begins or is_before or is_after or span.fields == job[0].fields:
                yield job
                job, first, last = [], math.inf, -math.inf
        job.append(span)
        first, last = min(first, span.start), max(last, span.end)
        holds_all = span.start <= first and span.end >= last
        closed_by = (
            "" if not holds_all else "job" if _job_id(span) is not None else "span" if len(job) > 1 else ""
        )
    if job:
        yield job


def _job_id(span: _Span) -> str | None:
    tags = span.fields.get("tags")
    job_id = tags.get("job_id") if isinstance(tags, dict) else None
    return job_id if isinstance(job_id, str) and job_id else None


class _Job:
    """One job on its way to being a run."""

    def __init__(self, spans: Sequence[_Span], *, anchor: datetime) -> None:
        self._spans = spans
        self._anchor = anchor
        self._zero = min(span.start for span in spans)
        self._job_id = next(
            (job_id for span in reversed(spans) if (job_id := _job_id(span)) is not None), None
        )
        # Not of the anchor, which changes when the file is copied.
        beginning = (spans[0].name, repr(spans[0].start), repr(spans[0].end))
        self._run_id = derived_id("modelops", self._job_id or "", *beginning, digits=32)
        self._parents = containers([(span.start, span.end) for span in spans], [span.name for span in spans])
        last = spans[self._holder_of_all()]
        self._root = last if all(last.start <= s.start and s.end <= last.end for s in spans) else None

    def _holder_of_all(self) -> int:
        longest = range(len(self._spans))
        return max(longest, key=lambda i: (self._spans[i].end - self._spans[i].start, i))

    def runs(self) -> list[ImportedRun]:
        """Return the run, in a list for the caller's convenience."""
        moments = [self._start_key(i) for i in range(len(self._spans))]
        moments += [self._end_key(i) for i, span in enumerate(self._spans) if span.end < math.inf]
        moments.sort()
        events = [self._run_start()]
        events += [self._node_end(i) if is_end else self._node_start(i) for *_, i, is_end in moments]
        events += self._run_end()
        return [
            msgspec.structs.replace(run, original_run_id=self._job_id)
            for run in adopt(events, source="modelops")
        ]

    def _start_key(self, i: int) -> tuple[float, int, float, int, int, bool]:
        """Sort key: at one moment ends come first, then longer spans before shorter ones, then those of no length."""
        span = self._spans[i]
        rank = 2 if span.start == span.end else 1
        return (span.start, rank, -span.end, -i, i, False)

    def _end_key(self, i: int) -> tuple[float, int, float, int, int, bool]:
        span = self._spans[i]
        if span.start == span.end:
            return (span.end, 2, -span.end, -i, i, True)
        return (span.end, 0, 0, i, i, True)

    def _at(self, seconds: float) -> datetime:
        return self._anchor + timedelta(seconds=seconds - self._zero)

    def _event(self, name: str, seconds: float, data: dict[str, Any], *, node: int | None = None) -> Event:
        event = Event(
            timestamp=self._at(seconds),
            run_id=self._run_id,
            event=name,
            level="ERROR" if name.endswith("_failed") else "INFO",
            data=raw({field: value for field, value in data.items() if value is not None}),
        )
        if node is not None:
            event.node_id = self._spans[node].name
            event.span_id = self._span_id(node)
            parent = self._parents[node]
            event.parent_id = self._span_id(parent) if parent >= 0 else None
        return event

    def _span_id(self, i: int) -> str:
        return derived_id("modelops span", self._run_id, str(i), digits=16)

    def _run_start(self) -> Event:
        attributes: dict[str, Any] = {"clock": "relative", "nesting": "derived from time"}
        if self._job_id is not None:
            attributes["original_run_id"] = self._job_id
        if self._root is None:
            attributes["start_recorded"] = False
        else:
            attributes["boundaries"] = "derived from the span that holds all others"
        data = {"name": self._job_id, "type": self._kind(), "attributes": attributes}
        return self._event("workflow_started", self._zero, data)

    def _kind(self) -> str | None:
        """Return the job's type as its outermost spans name it."""
        for span in self._spans:
            if span.name in ("job.simulation", "calibration.job"):
                return "simulation" if span.name == "job.simulation" else "calibration"
        return None

    def _run_end(self) -> list[Event]:
        root = self._root
        if root is None or root.end == math.inf:
            return []
        error = _error(root)
        data = {"name": self._job_id, "duration_ms": _duration_ms(root)}
        if error is None:
            return [self._event("workflow_completed", root.end, data)]
        return [self._event("workflow_failed", root.end, {**data, **error})]

    def _node_start(self, i: int) -> Event:
        span = self._spans[i]
        tags = span.fields.get("tags")
        attributes = dict(tags) if isinstance(tags, dict) else {}
        if _error(span) is not None and span.end < math.inf:
            attributes = {name: tag for name, tag in attributes.items() if name not in ("error", "error_msg")}
        if self._parents[i] == AMBIGUOUS:
            attributes[NESTING_TAG] = "ambiguous"
        unknown = {name: value for name, value in span.fields.items() if name not in _SPAN_FIELDS}
        clashing = {name: value for name, value in unknown.items() if name in NodeStarted.__struct_fields__}
        data = {
            **{name: value for name, value in unknown.items() if name not in clashing},
            "attributes": attributes or None,
            "start_time": span.fields.get("start_time"),
            "modelops": clashing or None,
            "tags": None if isinstance(tags, dict) else tags,
        }
        if span.end == math.inf:
            data["metrics"] = span.fields.get("metrics") or None
        return self._event("node_started", span.start, data, node=i)

    def _node_end(self, i: int) -> Event:
        span = self._spans[i]
        metrics = span.fields.get("metrics")
        numbers, others = _sorted_out(metrics) if isinstance(metrics, dict) else ({}, metrics)
        error = _error(span)
        data = {
            **(error or {}),
            "duration_ms": _duration_ms(span),
            "metrics": numbers or None,
            "other_metrics": others or None,
            "end_time": span.fields.get("end_time"),
            "duration": span.fields.get("duration"),
        }
        return self._event("node_completed" if error is None else "node_failed", span.end, data, node=i)


def _sorted_out(metrics: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metrics that are numbers, and the others, which a node's metrics cannot hold."""
    numbers = {
        name: value
        for name, value in metrics.items()
        if finite(value) is not None or value in ("NaN", "Infinity", "-Infinity")
    }
    return numbers, {name: value for name, value in metrics.items() if name not in numbers}


def _duration_ms(span: _Span) -> float:
    duration = finite(span.fields.get("duration"))
    if duration is None or not 0 <= duration <= _MOST_SECONDS:
        duration = span.end - span.start
    return duration * 1000


def _error(span: _Span) -> dict[str, Any] | None:
    """Return what a span failed with; a tag of a user's own that is called `error` is not taken for it."""
    tags = span.fields.get("tags")
    if not isinstance(tags, dict) or not isinstance(tags.get("error"), str):
        return None
    message = tags.get("error_msg")
    if not isinstance(message, str) and not _EXCEPTION.fullmatch(tags["error"]):
        return None
    return {"error": message if isinstance(message, str) else None, "error_type": tags["error"]}


def _recognises(keys: frozenset[str]) -> bool:
    is_span = keys >= {"name", "start_time"} and not keys.isdisjoint({"end_time", "duration"})
    is_other = not keys.isdisjoint(
        {"nodes", "context", "trace_id"}
    )  # Trident's traces, OpenTelemetry's spans
    return (is_span and not is_other) or keys >= {"spans", "total_spans"}


IMPORTER: Final = Importer(
    name="modelops",
    description="a ModelOps job's spans.jsonl",
    expected="a span with name, start_time and end_time in seconds, as in spans.jsonl",
    recognises=_recognises,
    read=_read,
)
