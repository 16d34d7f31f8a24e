"""Every field that a node's two lines can have, in one record."""

from __future__ import annotations

import msgspec

from clew.model.trace import ExecutionTrace
from tests.model.written_log import Log

START: dict[str, object] = {
    "type": "prompt",
    "attempt": 2,
    "iteration": 3,
    "attributes": {"k": 1},
    "inputs": {"q": "x"},
    "links": ["00000000000000aa"],
    "temperature": 0.5,
}
END: dict[str, object] = {
    "duration_ms": 1.5,
    "input_tokens": 10,
    "output_tokens": 5,
    "cached_tokens": 4,
    "reasoning_tokens": 3,
    "cost_usd": 0.25,
    "model": "large",
    "tools_called": ["search"],
    "metrics": {"depth": 4, "loss": "NaN"},
    "attributes": {"k": 2, "later": True},
    "outputs": ["y"],
    "error": "no",
    "error_type": "ValueError",
    "stack": "here",
    "retried": True,
    "finish_reason": "stop",
}


def test_every_field_of_a_line_reaches_the_record_or_is_kept_beside_it() -> None:
    log = Log()
    place = {"node_id": "n", "span_id": "0000000000000001", "parent_id": "0000000000000009"}
    log.line("node_started", 0, START, **place, shard=7)
    log.line("node_failed", 2000, END, **place, level="ERROR", host="there")
    (node,) = log.trace.nodes
    found = msgspec.to_builtins(node)
    assert str(found["metrics"].pop("loss")) == "nan"
    error = {"error_type": "ValueError", "message": "no", "stack": "here", "retried": True}
    assert found == {
        "index": 0,
        "node_id": "n",
        "kind": "prompt",
        "span_id": "0000000000000001",
        "parent_id": "0000000000000009",
        "attempt": 2,
        "iteration": 3,
        "started_at": "2026-11-21T08:00:00Z",
        "ended_at": "2026-11-21T08:00:00.002000Z",
        "duration_ns": 1_500_000,
        "self_time_ns": 1_500_000,
        "status": "failed",
        "error": {
            **error,
            "node_id": "n",
            "span_id": "0000000000000001",
            "at": "2026-11-21T08:00:00.002000Z",
        },
        "inputs": {"q": "x"},
        "outputs": ["y"],
        "usage": {"input_tokens": 10, "output_tokens": 5, "cached_tokens": 4, "reasoning_tokens": 3},
        "cost_usd": 0.25,
        "model": "large",
        "tools_called": ["search"],
        "metrics": {"depth": 4.0},
        "attributes": {"k": 2, "later": True},
        "links": ["00000000000000aa"],
        "writer": "a1b2c3d4e5f60718",
        "seq": 1,
        "end_seq": 2,
        "extra": {"temperature": 0.5},
        "end_extra": {"finish_reason": "stop"},
        "envelope": {"shard": 7},
        "end_envelope": {"host": "there"},
    }


def test_the_levels_of_a_nodes_lines_are_those_of_its_events() -> None:
    """Also a level that nobody knows, and those of failed and of skipped nodes, at both ends."""
    log = Log()
    ends = ("node_completed", "node_failed", "node_skipped")
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "TRACE")
    for count, (end, level) in enumerate((end, level) for end in ends for level in levels):
        place = {"node_id": "n", "span_id": f"{count + 1:016x}"}
        log.line("node_started", 10 * count, level=levels[count % 5 - 1], **place)
        log.line(end, 10 * count + 5, level=level, **place)
    log.line("node_completed", 999, node_id="lone", span_id="00000000000000ff", level="WARNING")
    written = [(line["event"], line["level"]) for line in map(msgspec.json.decode, log.lines)]
    events = log.trace.to_events()
    assert [(event.event, event.level) for event in events] == written
    assert ExecutionTrace.from_events(events) == log.trace
    assert ExecutionTrace.from_json(log.trace.to_json()) == log.trace


def test_a_metric_that_is_no_number_is_an_attribute() -> None:
    log = Log()
    place = {"node_id": "n", "span_id": "0000000000000001"}
    metrics = {"loss": 0.5, "verdict": "good", "missing": None, "k": "in words"}
    log.line("node_started", 0, {"attributes": {"k": 1}}, **place)
    log.line("node_completed", 5, {"duration_ms": 1, "metrics": metrics}, **place)
    (node,) = log.trace.nodes
    assert node.metrics == {"loss": 0.5}
    assert node.attributes == {"k": 1, "verdict": "good", "missing": None, "metrics.k": "in words"}
    assert ExecutionTrace.from_events(log.trace.to_events()) == log.trace
