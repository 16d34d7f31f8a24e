"""What the fold makes of a run's events, in whatever order and form they come."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.model.events import Event, decode_event, encode_event
from clew.model.fold import Fold
from clew.model.trace import ExecutionTrace
from tests.model.event_streams import RUN_ID, Stream, streams
from tests.model.written_log import Log, folded

law = settings(deadline=None, max_examples=80)


def events_of(lines: list[bytes]) -> list[Event]:
    events = [decode_event(line) for line in lines]
    assert None not in events
    return [event for event in events if event is not None]


# --- laws that hold for every run ----------------------------------------------------------------------------


@law
@given(streams())
def test_a_trace_is_the_fold_of_its_own_events(stream: Stream) -> None:
    trace = ExecutionTrace.from_events(events_of(stream.lines))
    assert ExecutionTrace.from_events(trace.to_events()) == trace


@law
@given(streams())
def test_a_trace_is_the_same_after_its_events_were_written_and_read(stream: Stream) -> None:
    trace = ExecutionTrace.from_events(events_of(stream.lines))
    assert ExecutionTrace.from_events(events_of([encode_event(e) for e in trace.to_events()])) == trace


@law
@given(streams())
def test_a_trace_is_the_same_after_its_document_was_written_and_read(stream: Stream) -> None:
    trace = ExecutionTrace.from_events(events_of(stream.lines))
    assert ExecutionTrace.from_json(trace.to_json()) == trace


@law
@given(streams(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(stream: Stream, chance: random.Random) -> None:
    lines = stream.lines
    shuffled = lines.copy()
    chance.shuffle(shuffled)
    assert folded(shuffled) == folded(lines)


@law
@given(streams(), st.integers(1, 9))
def test_lines_fold_as_their_events_do(stream: Stream, bite: int) -> None:
    """The quick way and the careful way are two programs, and must not differ in anything."""
    assert folded(stream.lines, bite=bite) == ExecutionTrace.from_events(events_of(stream.lines))


@law
@given(streams(foreign=False))
def test_what_arrives_twice_counts_once(stream: Stream) -> None:
    assert folded(stream.lines * 2) == folded(stream.lines)


@law
@given(streams(), st.randoms(use_true_random=False))
def test_a_trace_that_was_handed_out_does_not_change_when_the_fold_goes_on(
    stream: Stream, chance: random.Random
) -> None:
    lines = stream.lines
    chance.shuffle(lines)
    cut = chance.randint(1, len(lines))
    fold = Fold(RUN_ID)
    fold.add_lines(lines[:cut])
    early = ExecutionTrace.from_fold(fold)
    as_it_was = early.to_json()
    fold.add_lines(lines[cut:])
    assert ExecutionTrace.from_fold(fold) == folded(lines)
    assert early.to_json() == as_it_was
    assert early == folded(lines[:cut])


def test_an_execution_moves_back_when_an_earlier_one_of_another_writer_arrives() -> None:
    log, slower = Log(), Log("b1b2c3d4e5f60718")
    log.span("second", 100, 900, span_id="0000000000000002")
    slower.span("first", 50, 60, span_id="0000000000000001")
    slower.span("inside", 200, 300, span_id="0000000000000003", parent_id="0000000000000002")
    fold = Fold(RUN_ID)
    fold.add_lines(log.lines)
    early = ExecutionTrace.from_fold(fold)
    fold.add_lines(slower.lines)
    later = ExecutionTrace.from_fold(fold)
    assert [(n.node_id, n.index, n.self_time_ns) for n in early.nodes] == [("second", 0, 800_000)]
    assert [(n.node_id, n.index, n.self_time_ns) for n in later.nodes] == [
        ("first", 0, 10_000),
        ("second", 1, 700_000),
        ("inside", 2, 100_000),
    ]


# --- single rules --------------------------------------------------------------------------------------------


def test_self_time_is_what_no_child_covers_even_where_children_overlap() -> None:
    log = Log()
    log.span("outer", 0, 1000, span_id="0000000000000001")
    log.span("left", 100, 400, span_id="0000000000000002", parent_id="0000000000000001")
    log.span("right", 300, 600, span_id="0000000000000003", parent_id="0000000000000001")
    log.span("late", 900, 1500, span_id="0000000000000004", parent_id="0000000000000001")
    self_times = {node.node_id: node.self_time_ns for node in log.trace.nodes}
    # 100-600 and 900-1000 are covered; what a child does after its parent's end is not the parent's time.
    assert self_times == {"outer": 400_000, "left": 300_000, "right": 300_000, "late": 600_000}
    shorter = Log()
    shorter.span("outer", 0, 1000, span_id="0000000000000001")
    shorter.span("left", 100, 400, span_id="0000000000000002", parent_id="0000000000000001")
    shorter.span("right", 300, 600, span_id="0000000000000003", parent_id="0000000000000001")
    assert shorter.trace.nodes[0].self_time_ns == 500_000


def test_a_child_that_starts_before_its_parent_is_stated_and_not_hidden() -> None:
    log = Log()
    log.span("child", 200, 300, span_id="0000000000000002", parent_id="0000000000000001")
    log.span("parent", 450, 900, span_id="0000000000000001")
    assert log.trace.causal_inversion_ns == 250_000


def test_without_span_ids_an_end_belongs_to_the_latest_open_start_of_its_node() -> None:
    log = Log(writer=None)
    for at_us, event, node, data in [
        (0, "node_started", "visit", {"attributes": {"round": 1}}),
        (10, "node_started", "visit", {"attributes": {"round": 2}}),
        (20, "node_completed", "visit", {"duration_ms": 0.01}),
        (30, "node_completed", "visit", {"duration_ms": 0.03}),
        (40, "node_failed", "never started", {"error": "boom"}),
        (50, "node_started", "never ended", {}),
    ]:
        log.line(event, at_us, data, node_id=node)
    assert [(n.node_id, n.attributes.get("round"), n.duration_ns, n.status) for n in log.trace.nodes] == [
        ("visit", 1, 30_000, "completed"),
        ("visit", 2, 10_000, "completed"),
        ("never started", None, None, "failed"),
        ("never ended", None, None, "running"),
    ]


def test_a_real_end_counts_more_than_what_was_said_of_the_run_when_its_process_was_gone() -> None:
    log = Log()
    log.line("workflow_started", 0, {"name": "x"})
    log.line("node_started", 5, node_id="leaked", span_id="0000000000000001")
    log.line("workflow_completed", 10, {"duration_ms": 0.01})
    log.line("run_interrupted", 10, {"reason": "process died"})
    # The reader that adds this has no number for it, so it sorts before what has the same time.
    log.lines[-1] = log.lines[-1].replace(b',"seq":4', b"")
    trace = log.trace
    assert (trace.status, trace.interrupted_by, trace.nodes[0].status) == ("completed", None, "interrupted")


def test_a_worker_that_dies_interrupts_its_nodes_and_not_the_run() -> None:
    log, worker = Log(), Log("b1b2c3d4e5f60718")
    log.line("workflow_started", 0, {"name": "x"})
    log.line("node_started", 5, node_id="mine", span_id="0000000000000001")
    worker.line("node_started", 6, node_id="theirs", span_id="0000000000000002")
    worker.line("run_interrupted", 7, {"reason": "process died"})
    trace = folded(log.lines + worker.lines)
    assert trace.status == "running"
    assert {node.node_id: node.status for node in trace.nodes} == {"mine": "running", "theirs": "interrupted"}


@pytest.mark.parametrize("took", [1e308, -5.0, 0])
def test_a_duration_beyond_every_number_is_taken_from_the_clocks(took: float) -> None:
    log = Log()
    log.line("node_started", 0, node_id="n", span_id="0000000000000001")
    log.line("node_completed", 50, {"duration_ms": took}, node_id="n", span_id="0000000000000001")
    log.line("node_completed", 60, {"duration_ms": took}, node_id="alone", span_id="0000000000000002")
    trace = log.trace
    assert trace.nodes[0].duration_ns == (50_000 if took > 1 else round(took * 1e6))
    assert ExecutionTrace.from_events(trace.to_events()) == trace


def test_a_second_start_or_end_of_one_span_is_kept_among_the_events() -> None:
    log = Log()
    for at_us, event in enumerate(("node_started", "node_started", "node_completed", "node_failed")):
        log.line(event, at_us, {"type": f"told {at_us}"}, node_id="n", span_id="0000000000000001")
    trace = log.trace
    assert [(node.kind, node.status) for node in trace.nodes] == [("told 0", "completed")]
    assert [event.values()["type"] for event in trace.events] == ["told 1", "told 3"]
    assert trace.nodes[0].events == trace.events
    assert ExecutionTrace.from_events(trace.to_events()) == trace


def test_events_of_another_run_are_left_out() -> None:
    log = Log()
    log.span("n", 0, 10, span_id="0000000000000001")
    log.line("note", 20)
    others = [line.replace(RUN_ID.encode(), b"f" * 32).replace(b"001", b"002") for line in log.lines]
    mixed = [line for pair in zip(log.lines, others, strict=True) for line in pair]
    assert folded(mixed) == log.trace
    assert ExecutionTrace.from_events(events_of(mixed)) == log.trace


def test_a_boundary_without_a_time_zone_is_utc_like_all_others() -> None:
    log = Log()
    log.span("n", 0, 10, span_id="0000000000000001")
    log.line("note", 5)
    # With a seventh digit the line is as long as one of ours, and could be taken for one.
    for no_zone in (b'","run_id"', b'0","run_id"'):
        assert folded([line.replace(b'Z","run_id"', no_zone) for line in log.lines]) == log.trace


def test_a_fold_without_a_run_id_takes_the_first_events() -> None:
    log = Log()
    log.span("n", 0, 10, span_id="0000000000000001")
    fold = Fold()
    fold.add_lines([b"", b"no event", b'{"clew":"segment"}', *log.lines])
    assert ExecutionTrace.from_fold(fold) == log.trace


def test_a_fold_of_nothing_has_no_trace() -> None:
    with pytest.raises(ValueError, match="no events"):
        ExecutionTrace.from_fold(Fold(RUN_ID))


def test_a_line_nested_deeper_than_the_stack_does_no_harm() -> None:
    """How deep a line may nest depends on how deep the caller already is."""
    log = Log()
    log.span("fine", 0, 10, span_id="0000000000000001")
    for span_id, depth in (("0000000000000002", 300), ("0000000000000003", 100_000)):
        inputs = '{"inputs":' + "[" * depth + "]" * depth + "}"
        log.line("node_started", 20, node_id="deep", span_id=span_id)
        log.lines[-1] = log.lines[-1].replace(b'"data":{}', b'"data":' + inputs.encode())

    def deeper(calls: int) -> ExecutionTrace:
        return deeper(calls - 1) if calls else log.trace

    assert deeper(0).nodes[0].node_id == "fine"
    assert deeper(600).nodes[0].node_id == "fine"


@pytest.mark.parametrize("level", ["INFO", "WARNING", "custom"])
def test_a_boundary_of_any_level_is_folded(level: str) -> None:
    log = Log()
    log.line("node_started", 0, node_id="n", span_id="0000000000000001", level=level)
    log.line("node_completed", 9, {"duration_ms": 1}, node_id="n", span_id="0000000000000001", level=level)
    assert log.trace.nodes[0].duration_ns == 1_000_000


def test_zero_and_empty_are_values_and_not_unknown() -> None:
    log = Log()
    log.line("node_started", 0, {"attempt": 0, "iteration": 0, "inputs": []}, node_id="n", span_id="01")
    end = {"duration_ms": 0, "input_tokens": 0, "cost_usd": 0.0, "model": "", "outputs": ""}
    log.line("node_completed", 9, end, node_id="n", span_id="01")
    (node,) = log.trace.nodes
    assert (node.attempt, node.iteration, node.inputs) == (0, 0, [])
    assert (node.duration_ns, node.self_time_ns) == (0, 0)
    assert (node.cost_usd, node.model, node.outputs) == (0.0, "", "")
    assert node.usage is not None
    assert (node.usage.input_tokens, node.usage.output_tokens) == (0, None)


def test_the_calls_of_an_agent_are_in_the_order_in_which_its_model_wanted_them() -> None:
    log = Log()
    place = {"node_id": "n", "span_id": "01"}
    log.line("node_started", 0, **place)
    for at, (turn, position) in enumerate([(1, 2), (1, 0), (1, 1), (2, 1), (2, 0)], start=1):
        call = {"tool_name": f"{turn}.{position}", "turn_number": turn, "position": position}
        log.line("agent_tool_called", at, call, **place)
    log.line("node_completed", 9, {"duration_ms": 1}, **place)
    assert log.trace.nodes[0].tools_called == ["1.0", "1.1", "1.2", "2.0", "2.1"]


def test_what_was_recorded_inside_a_node_fills_in_what_its_end_does_not_say() -> None:
    log = Log()
    for span_id, end in (
        ("01", {}),
        ("02", {"metrics": {"depth": 9}, "tools_called": ["own"], "cost_usd": 5.0}),
    ):
        place = {"node_id": "n", "span_id": span_id}
        log.line("node_started", 0, **place)
        log.line("metric_recorded", 1, {"name": "depth", "value": 1}, **place)
        log.line("metric_recorded", 2, {"name": "depth", "value": 2}, **place)
        log.line("token_usage", 3, {"input_tokens": 10, "model": "large"}, **place)
        log.line("token_usage", 4, {"input_tokens": 5, "output_tokens": 1}, **place)
        log.line("cost_incurred", 5, {"cost_usd": 0.5}, **place)
        log.line("cost_incurred", 6, {"cost_usd": None}, **place)
        log.line("agent_tool_called", 7, {"tool_name": "search"}, **place)
        log.line("input_received", 8, {"inputs": {"q": 1}}, **place)
        log.line("output_produced", 9, {"outputs": 2}, **place)
        log.line("node_completed", 10, {"duration_ms": 1, **end}, **place)
    first, second = log.trace.nodes
    assert (first.metrics, first.cost_usd, first.tools_called) == ({"depth": 2.0}, 0.5, ["search"])
    assert (first.inputs, first.outputs) == ({"q": 1}, 2)
    assert first.usage is not None
    assert (first.usage.input_tokens, first.usage.output_tokens) == (15, 1)
    assert (second.metrics, second.cost_usd, second.tools_called) == ({"depth": 9.0}, 5.0, ["own"])
    assert [event.event for event in first.events].count("metric_recorded") == 2


def test_a_node_knows_the_state_before_it_and_the_state_it_left() -> None:
    log = Log()
    log.line("state_changed", 0, {"index": 0, "snapshot": {}, "hash": "x"})
    log.span("reader", 10, 20, span_id="01")
    place = {"node_id": "writer", "span_id": "02"}
    log.line("node_started", 30, **place)
    log.line("state_changed", 31, {"index": 1, "patch": [], "hash": "x"}, **place)
    log.line("state_changed", 32, {"index": 2, "patch": [], "hash": "x"}, **place)
    log.line("node_completed", 40, {"duration_ms": 0.01}, **place)
    log.span("after", 50, 60, span_id="03")
    states = {n.node_id: (n.state_before_index, n.state_after_index) for n in log.trace.nodes}
    assert states == {"reader": (0, None), "writer": (0, 2), "after": (2, None)}
