"""Every field that a node's two lines can have, in one record."""

from __future__ import annotations

import msgspec

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
