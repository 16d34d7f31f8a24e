"""What is drawn by Perfetto and speedscope nests, and says of each execution what the trace says."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.export import chrome, speedscope
from clew.export.formats import read
from clew.model.trace import ExecutionTrace
from tests.export.made_traces import Recording, random_trace
from tests.export.sample_files import SPANS, TELEMETRY, sample

Drawn = dict[str, Any]


def drawn(trace: ExecutionTrace) -> list[Drawn]:
    out = io.BytesIO()
    chrome.write(trace, out)
    document = json.loads(out.getvalue())
    assert list(document) == ["traceEvents", "displayTimeUnit", "otherData"]
    assert document["displayTimeUnit"] == "ms"
    events: list[Drawn] = document["traceEvents"]
    return events


def check_nesting(events: list[Drawn]) -> None:
    """On each thread any two complete events are apart, or one holds the other; in exact and in float arithmetic."""
    threads: dict[tuple[int, int], list[tuple[int, float, Fraction]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            assert isinstance(event["ts"], int)
            exact = event["ts"] + Fraction(str(event["dur"]))
            threads[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"], exact))
    for members in threads.values():
        stack: list[tuple[int, float, Fraction]] = []
        for begin, end, exact in members:  # they are written from left to right, outer ones first
            while stack and stack[-1][2] <= begin:
                stack.pop()
            if stack:
                assert begin >= stack[-1][0]
                assert end <= stack[-1][1]
                assert round(exact, 3) <= round(stack[-1][2], 3)
            stack.append((begin, end, exact))


def check_profiles(document: Drawn) -> list[tuple[str, int, int]]:
    """Every `C` closes the frame that was opened last, and time never goes back; returns all (frame, from, to)."""
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    assert len(set(frames)) == len(frames)
    found = []
    for profile in document["profiles"]:
        assert (profile["type"], profile["unit"]) == ("evented", "nanoseconds")
        now, stack = profile["startValue"], []
        for event in profile["events"]:
            assert now <= event["at"] <= profile["endValue"]
            now = event["at"]
            if event["type"] == "O":
                stack.append(event)
                continue
            opened = stack.pop()
            assert event["type"] == "C"
            assert event["frame"] == opened["frame"]
            found.append((frames[event["frame"]], opened["at"], event["at"]))
        assert stack == []
        assert profile["startValue"] == profile["events"][0]["at"]
    return found


def flame(trace: ExecutionTrace) -> Drawn:
    out = io.BytesIO()
    speedscope.write(trace, out)
    document: Drawn = json.loads(out.getvalue())
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    return document


@given(
    seed=st.integers(0, 10**9),
    steps=st.integers(0, 120),
    step_ns=st.sampled_from([1, 400, 1500, 9000, 10**7]),
)
@settings(deadline=None, max_examples=150)
def test_whatever_ran_at_once_every_track_nests(seed: int, steps: int, step_ns: int) -> None:
    trace = random_trace(seed, steps=steps, step_ns=step_ns)
    events = drawn(trace)
    check_nesting(events)
    complete = [event for event in events if event["ph"] == "X" and event["cat"] != "run"]
    assert sorted(event["args"]["span_id"] for event in complete) == sorted(
        str(n.span_id) for n in trace.nodes
    )
    profiled = check_profiles(flame(trace))
    assert len(profiled) == len(trace.nodes)
    widths = sorted(
        (event["ts"] * 1000, round(event["ts"] * 1000 + event["dur"] * 1000)) for event in complete
    )
    assert sorted((begin, end) for _, begin, end in profiled) == widths


@pytest.mark.parametrize("seed", range(12))
def test_a_bar_is_as_long_as_its_execution_but_for_the_log_s_step(seed: int) -> None:
    trace = random_trace(seed, step_ns=9000)
    nodes = {node.span_id: node for node in trace.nodes}
    assert trace.started_at is not None
    for event in drawn(trace):
        if event["ph"] != "X" or event["cat"] == "run":
            continue
        node, args = nodes[event["args"]["span_id"]], event["args"]
        assert node.started_at is not None
        assert (event["name"], event["cat"], args["status"]) == (
            node.node_id,
            node.kind or "node",
            node.status,
        )
        assert event["ts"] == (node.started_at - trace.started_at) / timedelta(microseconds=1)
        if node.duration_ns is not None:
            assert args["duration_ms"] == node.duration_ns / 1e6
            assert node.duration_ns / 1000 - 1 <= event["dur"] <= node.duration_ns / 1000
        assert args.get("attributes", {}) == node.attributes
        assert args.get("metrics", {}) == node.metrics
        assert args.get("error") == (None if node.error is None else node.error.message)
        assert args.get("interrupted", False) == (node.ended_at is None)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_drawn_inside_an_execution_was_started_in_it(seed: int) -> None:
    trace = random_trace(seed, step_ns=9000)
    parents = {node.span_id: node.parent_id for node in trace.nodes}
    stacks: dict[tuple[int, int], list[Drawn]] = defaultdict(list)
    for event in drawn(trace):
        if event["ph"] != "X" or event["cat"] == "run":
            continue
        stack = stacks[event["pid"], event["tid"]]
        span = event["args"]["span_id"]
        ancestors, above = set(), parents[span]
        while above is not None and above not in ancestors:
            ancestors.add(above)
            above = parents.get(above)
        while stack and stack[-1]["args"]["span_id"] not in ancestors:
            assert stack.pop()["ts"] <= event["ts"]
        stack.append(event)
        held = [e for e in stack[:-1] if e["ts"] + e["dur"] > event["ts"]]
        assert {e["args"]["span_id"] for e in held} <= ancestors


def test_work_one_after_another_shares_a_track_and_work_at_once_does_not() -> None:
    made = Recording()
    made.start("p", node="p")
    for count in range(50):
        made.start(f"a{count}", node="step", parent="p")
        made.now_ns += 1_700  # ends that a date cannot tell from the next start
        made.end(f"a{count}")
        made.now_ns += 100
    made.start("x", node="left", parent="p")
    made.start("y", node="right", parent="p")
    made.now_ns += 5_000
    made.end("x")
    made.end("y")
    made.end("p")
    tids = {event["args"]["span_id"]: event["tid"] for event in drawn(made.trace()) if event["ph"] == "X"}
    assert {tid for span, tid in tids.items() if span != "y"} == {1}
    assert tids["y"] == 2


def test_dates_in_milliseconds_do_not_spread_a_sequence_over_tracks() -> None:
    made = Recording()
    made.events.clear()
    spans = []
    for count in range(20):
        made.now_ns = count * 3_000_000
        made.start(f"a{count}", node="step")
        made.end(f"a{count}", duration_ms=3.6)
        spans.append(f"a{count}")
    trace = made.trace()
    shifted = trace.to_events()
    for event in shifted:
        event.timestamp = event.timestamp.replace(microsecond=event.timestamp.microsecond // 1000 * 1000)
    events = drawn(ExecutionTrace.from_events(shifted))
    check_nesting(events)
    assert {event["tid"] for event in events if event["ph"] == "X"} == {1}


def test_each_writer_is_a_process_with_a_name() -> None:
    trace = random_trace(5)
    events = drawn(trace)
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert sorted(names.values()) == ["made w1", "made w2"]
    used = {(event["pid"], event["tid"]) for event in events if event["ph"] == "X"}
    threads = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    assert used <= threads


def test_an_execution_without_an_end_lasts_until_the_run_was_last_heard_of() -> None:
    made = Recording()
    made.write("workflow_started", data={"name": "cut"})
    made.start("open", node="open")
    made.now_ns = 7_000_000
    made.write("note")
    (bar,) = [event for event in drawn(made.trace()) if event["ph"] == "X" and event["cat"] != "run"]
    assert (bar["ts"], bar["dur"], bar["args"]["interrupted"]) == (0, 7000.0, True)
    document = flame(made.trace())
    assert check_profiles(document) == [("open (no end)", 0, 7_000_000)]


def test_events_are_instants_where_they_happened_and_metrics_are_counters() -> None:
    made = Recording()
    made.write("workflow_started", data={"name": "x"})
    made.start("s", node="fit")
    made.now_ns = 2_000_000
    made.inside("s", "metric_recorded", name="loss", value=0.5)
    made.inside("s", "metric_recorded", name="loss", value="NaN")
    made.now_ns = 3_000_000
    made.write("decision_made", data={"chosen": "large"})
    made.inside("s", "output_produced", outputs={"secret": "x" * 1000})
    made.end("s", metrics={"r0": 3.7, "broken": "NaN"})
    events = drawn(made.trace())
    instants = [(e["name"], e["ts"], e["s"], e["args"]) for e in events if e["ph"] == "i"]
    assert ("metric_recorded", 2000, "t", {"name": "loss", "value": 0.5}) in instants
    assert ("decision_made", 3000, "p", {"chosen": "large"}) in instants
    assert ("output_produced", 3000, "t", {}) in instants
    counters = [(e["name"], e["ts"], e["args"]) for e in events if e["ph"] == "C"]
    assert counters == [("fit loss", 2000, {"value": 0.5}), ("fit r0", 3000, {"value": 3.7})]
    (bar,) = [event for event in events if event.get("cat") == "node"]
    assert bar["args"]["metrics"] == {"r0": 3.7, "broken": "NaN", "loss": "NaN"}


def test_the_run_is_a_bar_of_its_own() -> None:
    made = Recording()
    made.write("workflow_started", data={"name": "x", "attributes": {"job": "a1"}})
    made.now_ns = 4_000_000
    made.write("workflow_failed", data={"duration_ms": 4.0, "error": "no", "error_type": "E"})
    (bar,) = [event for event in drawn(made.trace()) if event["ph"] == "X"]
    assert (bar["name"], bar["tid"], bar["ts"], bar["dur"]) == ("x", chrome.RUN_TID, 0, 4000.0)
    assert (bar["args"]["status"], bar["args"]["error"], bar["args"]["attributes"]) == (
        "failed",
        "no",
        {"job": "a1"},
    )


@pytest.mark.parametrize("name", [*TELEMETRY, SPANS])
def test_imported_runs_are_drawn_whole(name: str) -> None:
    for run in read(sample(name)).runs:
        trace = ExecutionTrace.from_events(run.events)
        events = drawn(trace)
        check_nesting(events)
        assert sum(event["ph"] == "X" for event in events) == len(trace.nodes) + 1
        assert len(check_profiles(flame(trace))) == len(trace.nodes)


def test_an_empty_trace_gives_empty_drawings() -> None:
    assert drawn(ExecutionTrace(run_id="x")) == []
    assert flame(ExecutionTrace(run_id="x"))["profiles"] == []
