"""Runs made up by Hypothesis, as the lines that their writers would have written.

Whatever a log may hold is in here: loops, retries, parallel branches, failures, skipped and orphaned nodes, spans
that end in another writer, nodes of other systems without span ids, events and fields that nobody knows, a newer
schema version, numbers that JSON lacks, states as snapshots and patches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from clew.model.state import StateWriter

RUN_ID = "0193514c5d2a7b3e8f10a2b3c4d5e6f7"
BEGIN = datetime(2026, 11, 21, 3, 59, 12, 123456, tzinfo=UTC)
WRITERS = ("a1b2c3d4e5f60718", "b1b2c3d4e5f60718", "c1b2c3d4e5f60718")
LONGEST_MS = 1e6

names = st.sampled_from(["ask", "tell", "simulate", 'a "quoted" name', "zwölf", "new\nline", "classify"])
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
numbers = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "no number", 10**400]),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
levels = st.sampled_from(["INFO", "INFO", "INFO", "ERROR", "WARNING", "DEBUG", "TRACE"])
durations = st.one_of(st.none(), st.floats(0, LONGEST_MS), st.integers(0, 10**6))


@dataclass
class Span:
    span_id: str | None
    node_id: str
    parent_id: str | None
    writer: str | None


@dataclass
class Stream:
    """The lines of one run, by writer; a writer that is None numbers nothing, as other systems do."""

    by_writer: dict[str | None, list[bytes]] = field(default_factory=dict)
    _at: datetime = BEGIN
    _spans: int = 0
    _seqs: dict[str, int] = field(default_factory=dict)
    _states: StateWriter = field(default_factory=StateWriter)

    @property
    def lines(self) -> list[bytes]:
        return [line for lines in self.by_writer.values() for line in lines]

    def emit(
        self, event: str, data: object, *, writer: str | None, level: str = "INFO", **envelope: Any
    ) -> None:
        self._at += timedelta(microseconds=1)
        fields: dict[str, Any] = {
            "timestamp": self._at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "run_id": RUN_ID,
            "event": event,
            "level": level,
        }
        if writer is not None:
            self._seqs[writer] = self._seqs.get(writer, 0) + 1
            fields |= {"writer": writer, "seq": self._seqs[writer]}
        fields |= {name: value for name, value in envelope.items() if value is not None}
        fields["data"] = data
        self.by_writer.setdefault(writer, []).append(msgspec.json.encode(fields))

    def rest(self, microseconds: int) -> None:
        self._at += timedelta(microseconds=microseconds)

    def next_span_id(self) -> str:
        self._spans += 1
        return f"5fa1b2c3{self._spans:08x}"

    def next_state(self, state: object) -> dict[str, Any]:
        delta: dict[str, Any] = msgspec.to_builtins(self._states.record(state))
        return delta


@st.composite
def streams(draw: st.DrawFn, *, foreign: bool = True, most_steps: int = 15) -> Stream:
    """Draw a run. `foreign`: whether lines without writer, number and span id are among it."""
    stream = Stream()
    writers = WRITERS[: draw(st.integers(1, 3))]
    if draw(st.booleans()):
        stream.emit("workflow_started", draw(starts_of_runs), writer=writers[0], **draw(unknown_envelopes))
    open_spans: list[Span] = []
    for _ in range(draw(st.integers(0, most_steps))):
        stream.rest(draw(st.sampled_from([0, 0, 1, 1000])))
        writer = draw(st.sampled_from(writers))
        kinds = ["start", "start", "end", "end", "inside", "inside", "run", "state"]
        step = draw(st.sampled_from([*kinds, "foreign"] if foreign else kinds))
        if step == "start":
            open_spans.append(_start(draw, stream, open_spans, writer=writer))
        elif step == "foreign":
            open_spans.append(_start(draw, stream, [], writer=None))
        elif step == "end" and open_spans:
            _end(draw, stream, open_spans.pop(draw(st.integers(0, len(open_spans) - 1))), writers)
        elif step == "state":
            place: dict[str, Any] = {"span_id": open_spans[-1].span_id} if open_spans else {}
            stream.emit("state_changed", stream.next_state(draw(values)), writer=writer, **place)
        else:
            _inside(draw, stream, open_spans if step == "inside" else [], writer=writer)
    _finish(draw, stream, writers)
    return stream


def _start(draw: st.DrawFn, stream: Stream, around: list[Span], *, writer: str | None) -> Span:
    parent: str | None = "0000000000000000"
    nested, orphaned = draw(st.booleans()), draw(st.integers(0, 5)) == 0
    if around and nested:
        parent = draw(st.sampled_from(around)).span_id
    elif orphaned:
        parent = "deadbeef00000000"  # an orphan: its parent is in nobody's log
    named = writer is not None
    span = Span(stream.next_span_id() if named else None, draw(names), parent if named else None, writer)
    data = draw(st.one_of(payloads_of_starts, payloads_of_starts, odd_payloads))
    place: dict[str, Any] = {"node_id": span.node_id, "span_id": span.span_id, "parent_id": span.parent_id}
    stream.emit("node_started", data, writer=writer, level=draw(levels), **place, **draw(unknown_envelopes))
    return span


def _end(draw: st.DrawFn, stream: Stream, span: Span, writers: tuple[str, ...]) -> None:
    writer = span.writer
    if writer is not None and draw(st.integers(0, 4)) == 0:
        writer = draw(st.sampled_from(writers))
    event = draw(st.sampled_from(["node_completed", "node_completed", "node_failed", "node_skipped"]))
    data: Any = draw(odd_payloads) if draw(st.integers(0, 4)) == 0 else draw(payloads_of_ends[event])
    place: dict[str, Any] = {"node_id": span.node_id, "span_id": span.span_id, "parent_id": span.parent_id}
    stream.emit(event, data, writer=writer, level=draw(levels), **place, **draw(unknown_envelopes))


def _inside(draw: st.DrawFn, stream: Stream, open_spans: list[Span], *, writer: str) -> None:
    event, data = draw(events_inside)
    place: dict[str, Any] = {}
    if open_spans:
        span = draw(st.sampled_from(open_spans))
        place = {"node_id": span.node_id, "span_id": span.span_id}
    stream.emit(event, data, writer=writer, **place, **draw(unknown_envelopes))


def _finish(draw: st.DrawFn, stream: Stream, writers: tuple[str, ...]) -> None:
    end = draw(
        st.sampled_from(["workflow_completed", "workflow_failed", "run_interrupted", "worker died", None])
    )
    if end == "worker died":
        stream.emit("run_interrupted", {"reason": "process died"}, writer=writers[-1])
    elif end is not None:
        stream.emit(end, draw(ends_of_runs), writer=writers[0], **draw(unknown_envelopes))
    if not stream.lines:
        stream.emit("workflow_started", {}, writer=writers[0])


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with any of these fields, and sometimes one that nobody knows."""
    return st.fixed_dictionaries({}, optional={**fields, "from_the_future": values})


unknown_envelopes: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.just({}),
    st.fixed_dictionaries({"shard": values}),
    st.just({"trace_flags": 1, "resource": {"pod": "x"}}),
)
odd_payloads: st.SearchStrategy[Any] = st.one_of(
    values,
    st.fixed_dictionaries(
        {},
        optional={
            "type": values,
            "attributes": values,
            "duration_ms": values,
            "metrics": values,
            "attempt": values,
            "inputs": values,
            "tools_called": values,
            "input_tokens": values,
        },
    ),
)
starts_of_runs = _some(
    name=names,
    type=texts,
    schema_version=st.sampled_from([1, 2, 99]),
    thread_id=texts,
    parent_run_id=texts,
    depth=st.integers(0, 5),
    inputs=values,
    params=st.dictionaries(texts, values, max_size=2),
    attributes=st.dictionaries(texts, values, max_size=2),
)
ends_of_runs = _some(
    name=names,
    duration_ms=st.floats(0, LONGEST_MS),
    exit_code=st.integers(0, 255),
    outputs=values,
    final_state=values,
    error=texts,
    error_type=texts,
    stack=texts,
    reason=texts,
    attributes=st.dictionaries(texts, values, max_size=2),
)
payloads_of_starts = _some(
    type=texts,
    attempt=st.integers(1, 3),
    iteration=st.integers(0, 9),
    attributes=st.dictionaries(texts, values, max_size=3),
    inputs=values,
    links=st.lists(texts, max_size=2),
)
_end_fields: dict[str, st.SearchStrategy[Any]] = {
    "type": texts,
    "duration_ms": durations,
    "input_tokens": st.integers(0, 10**6),
    "output_tokens": st.integers(0, 10**6),
    "cached_tokens": st.integers(0, 10),
    "reasoning_tokens": st.integers(0, 10),
    "cost_usd": st.floats(0, 10),
    "model": texts,
    "tools_called": st.lists(texts, max_size=2),
    "metrics": st.dictionaries(texts, numbers, max_size=3),
    "attributes": st.dictionaries(texts, values, max_size=3),
    "outputs": values,
}
payloads_of_ends = {
    "node_completed": _some(**_end_fields),
    "node_failed": _some(**_end_fields, error=texts, error_type=texts, stack=texts, retried=st.booleans()),
    "node_skipped": _some(reason=texts, condition=texts, values=st.dictionaries(texts, values, max_size=2)),
}
events_inside: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("metric_recorded"), _some(name=names, value=numbers)),
    st.tuples(
        st.just("token_usage"), _some(input_tokens=st.integers(0, 99), output_tokens=st.integers(0, 99))
    ),
    st.tuples(st.just("cost_incurred"), _some(cost_usd=st.floats(0, 1))),
    st.tuples(st.just("agent_tool_called"), _some(tool_name=texts, tool_input=values)),
    st.tuples(st.just("input_received"), _some(inputs=values)),
    st.tuples(st.just("output_produced"), _some(outputs=values)),
    st.tuples(st.just("score_recorded"), _some(name=names, value=numbers, feedback=texts)),
    st.tuples(st.just("events_lost"), _some(count=st.integers(0, 9), reason=texts)),
    st.tuples(st.just("redacted"), _some(count=st.integers(0, 9))),
    st.tuples(st.just("payload_truncated"), _some(field=texts)),
    st.tuples(st.sampled_from(["my own event", "quantum_leap", "node_teleported"]), values),
)
