"""A trace is the same trace after its events, and after its document, whatever its nodes carried."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from clew.model.events import Event, encode_event
from clew.model.trace import ExecutionTrace

BEGIN = datetime(2026, 11, 21, tzinfo=UTC)


def trace_of(*payloads: tuple[str, object]) -> ExecutionTrace:
    events = []
    for seq, (name, data) in enumerate(payloads, start=1):
        raw = msgspec.Raw(msgspec.json.encode(data))
        at = BEGIN + timedelta(milliseconds=seq)
        names = {"node_id": "n", "span_id": "00000000000000aa", "writer": "w"}
        events.append(Event(timestamp=at, run_id="r", event=name, seq=seq, data=raw, **names))  # type: ignore[arg-type]  # the names are texts
    return ExecutionTrace.from_events(events)


@pytest.mark.parametrize("value", [{}, [], "", 0, False, None, {"a": None}])
def test_an_empty_payload_is_not_an_unknown_one(value: object) -> None:
    start = ("node_started", {"inputs": value, "theirs": value})
    trace = trace_of(start, ("node_completed", {"outputs": value, "theirs": value, "duration_ms": 1.0}))
    (node,) = trace.nodes
    assert (node.inputs, node.outputs, node.extra["theirs"], node.end_extra["theirs"]) == (value,) * 4
    assert ExecutionTrace.from_events(trace.to_events()) == trace
    assert ExecutionTrace.from_json(trace.to_json()) == trace


def test_numbers_that_json_does_not_have_survive_the_document() -> None:
    metrics = {"nan": "NaN", "high": "Infinity", "low": "-Infinity", "fine": 0.5}
    trace = trace_of(
        ("node_started", {}),
        ("score_recorded", {"name": "s", "value": "NaN"}),
        ("score_recorded", {"name": "t", "value": 1.5}),
        ("node_completed", {"metrics": metrics, "duration_ms": 1.0}),
    )
    for document in (trace.to_json(), trace.to_json(indent=2)):
        again = ExecutionTrace.from_json(document)
        assert again == trace
        assert math.isnan(again.nodes[0].metrics["nan"])
        assert again.nodes[0].metrics["low"] == -math.inf
        assert [score.value for score in again.scores][1] == 1.5


def test_the_events_of_an_indented_document_are_lines_again() -> None:
    trace = trace_of(
        ("workflow_started", {"name": "x", "inputs": {"a": [1]}}), ("note", {"text": "two\nlines", "b": {}})
    )
    again = ExecutionTrace.from_json(trace.to_json(indent=2))
    assert [encode_event(event) for event in again.to_events()] == [
        encode_event(e) for e in trace.to_events()
    ]
