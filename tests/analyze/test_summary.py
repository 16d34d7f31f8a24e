"""A summary says what the test's own log says."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from clew.analyze.summary import NodeSummary, RunSummary, summarize
from clew.analyze.times import as_of, measure_times
from tests.analyze.generated_runs import BEGIN, MS, RUN_ID, Done, RunLog, agent, calibration, interrupted


def covered_ns(intervals: list[tuple[int, int]]) -> int:
    """Return how many nanoseconds lie in at least one interval: counted between sorted edges."""
    edges = sorted({edge for interval in intervals for edge in interval})
    return sum(
        right - left
        for left, right in itertools.pairwise(edges)
        if any(begin <= left and right <= end for begin, end in intervals)
    )


def by_node(log: RunLog) -> dict[str, list[Done]]:
    nodes: dict[str, list[Done]] = {}
    for done in log.done.values():
        nodes.setdefault(done.node_id, []).append(done)
    return nodes


def self_ns(log: RunLog, done: Done) -> int:
    assert done.end_ns is not None
    children = [(d.begin_ns, d.end_ns) for d in log.done.values() if d.parent_id == done.span_id and d.end_ns]
    return done.end_ns - done.begin_ns - covered_ns(children)


@pytest.mark.parametrize(
    "log", [calibration(), agent(), agent(failing=False)], ids=["loop", "failing", "agent"]
)
def test_the_numbers_of_every_node_are_those_of_the_log(log: RunLog) -> None:
    summary = summarize(log.trace())
    expected = by_node(log)
    assert {node.node_id for node in summary.nodes} == set(expected)
    for node in summary.nodes:
        dones = expected[node.node_id]
        durations = [d.end_ns - d.begin_ns for d in dones if d.end_ns is not None]
        statuses = Counter(d.status for d in dones)
        assert node.count == len(dones)
        assert (node.completed, node.failed, node.skipped) == (
            statuses["completed"],
            statuses["failed"],
            statuses["skipped"],
        )
        assert (node.timed, node.total_ns) == (len(durations), sum(durations))
        assert node.self_ns == sum(self_ns(log, d) for d in dones if d.end_ns is not None)
        if len(durations) > 1:
            cuts = statistics.quantiles(durations, n=100, method="inclusive")
            found = (node.p50_ns, node.p95_ns, node.p99_ns)
            assert found == pytest.approx((cuts[49], cuts[94], cuts[98]), abs=0.5001)
            assert node.mean_ns == pytest.approx(statistics.fmean(durations), abs=0.5001)
        if durations:
            assert (node.min_ns, node.max_ns) == (min(durations), max(durations))


def test_metrics_are_aggregated_by_node_and_name() -> None:
    log = calibration()
    [node] = [n for n in summarize(log.trace()).nodes if n.node_id == "simulation.execute"]
    losses = [done.metrics["loss"] for done in by_node(log)["simulation.execute"]]
    found = node.metrics["loss"]
    assert (found.sum, found.min, found.max) == (math.fsum(losses), min(losses), max(losses))
    assert (found.mean, found.count) == (math.fsum(losses) / len(losses), 40)


def test_nodes_stand_by_self_time_longest_first() -> None:
    nodes = summarize(calibration().trace()).nodes
    assert [n.self_ns for n in nodes] == sorted((n.self_ns for n in nodes), reverse=True)
    assert nodes[0].node_id == "simulation.execute"


def test_the_facts_of_the_run_are_those_that_were_recorded() -> None:
    log = RunLog("nightly", kind="script")
    span = log.span("step", 1 * MS, 2 * MS, model="m", input_tokens=10, output_tokens=5, cached_tokens=4)
    log.note("events_lost", 2 * MS, count=3, reason="disk full")
    log.note("redacted", 2 * MS, count=2)
    log.note("payload_truncated", 2 * MS, path="inputs", size_bytes=10)
    log.note("score_recorded", 2 * MS, span=span, name="exact", value=0.5)
    log.note("my_event", 2 * MS)
    summary = summarize(log.finish(3 * MS, exit_code=0).trace())
    assert (summary.run_id, summary.name, summary.kind, summary.status) == (
        RUN_ID,
        "nightly",
        "script",
        "completed",
    )
    assert (summary.started_at, summary.ended_at) == (BEGIN, BEGIN + timedelta(milliseconds=3))
    assert (summary.duration_ns, summary.exit_code, summary.writers) == (3 * MS, 0, ["w1"])
    assert (summary.lost, summary.redacted, summary.truncated) == (3, 2, 1)
    assert summary.scores["exact"].mean == 0.5
    assert summary.events["my_event"] == 1
    assert summary.usage is not None
    assert summary.usage.total_tokens == 15
    assert summary.nodes[0].cached_tokens == 4
    assert summary.cost_usd is None
    assert summary.nodes[0].cost_usd is None


def test_tokens_and_prices_of_a_node_are_sums_of_what_is_known() -> None:
    log = RunLog()
    log.span("ask", 1 * MS, 2 * MS, input_tokens=10, output_tokens=1, cost_usd=0.5)
    log.span("ask", 2 * MS, 3 * MS, input_tokens=20, output_tokens=2, reasoning_tokens=1)
    log.span("ask", 3 * MS, 4 * MS, cost_usd=0.25)
    [node] = summarize(log.finish(5 * MS).trace()).nodes
    assert (node.input_tokens, node.output_tokens, node.cached_tokens, node.reasoning_tokens) == (
        30,
        3,
        None,
        1,
    )
    assert node.cost_usd == 0.75


def test_open_executions_are_listed_with_their_inputs_and_how_long_they_were_open() -> None:
    summary = summarize(interrupted().trace())
    assert [(e.node_id, e.status) for e in summary.open] == [
        ("main", "interrupted"),
        ("load", "interrupted"),
        ("load.part", "running"),
    ]
    part = summary.open[2]
    assert (part.inputs, part.attributes, part.path) == ([1, 2, 3], {"part": 1}, ["main", "load"])
    assert (part.open_ns, part.duration_ns) == (500 * MS, None)
    assert (summary.status, summary.interrupted_by, summary.duration_ns) == (
        "interrupted",
        "process died",
        None,
    )
    assert summary.orphans == 1
    loads = {n.node_id: n for n in summary.nodes}
    assert (loads["main"].interrupted, loads["main"].mean_ns, loads["main"].p99_ns) == (1, None, None)
    assert (loads["load.part"].running, loads["load.part"].timed) == (1, 1)


def test_a_dead_worker_is_last_heard_of_at_its_own_last_event_and_a_living_one_is_open_until_now() -> None:
    """The run goes on for 400 ms after the one worker died; nobody has heard of the other one for a second."""
    log = RunLog()
    log.start("dead", 100 * MS, writer="w2")
    log.start("stuck", 100 * MS, writer="w3")
    log.interrupt(500 * MS, writer="w2")
    log.span("more", 600 * MS, 900 * MS)
    trace = log.trace()
    assert trace.last_event_at is not None
    listed = {
        e.node_id: e.open_ns for e in summarize(trace, now=trace.last_event_at + timedelta(seconds=1)).open
    }
    assert listed == {"dead": 400 * MS, "stuck": 1800 * MS}
    now = as_of(trace, trace.last_event_at + timedelta(seconds=1))
    times = measure_times(now)
    ends = dict(zip([node.node_id for node in now.nodes], times.ends, strict=True))
    assert (ends["dead"], ends["stuck"], times.span_ns) == (500 * MS, 1900 * MS, 1900 * MS)


def test_the_slowest_executions_come_with_their_tags_and_the_rest_is_counted() -> None:
    log = calibration()
    summary = summarize(log.trace(), most=3)
    durations = sorted((d.end_ns - d.begin_ns for d in log.done.values() if d.end_ns), reverse=True)
    assert [e.duration_ns for e in summary.slowest] == durations[:3]
    assert summary.slowest[0].attributes == {"algorithm": "TPE", "seed": 1978}


def test_failures_and_open_executions_beyond_the_limit_are_counted() -> None:
    log = RunLog()
    for number in range(15):
        log.span("step", number * MS, number * MS + 1, error=("ValueError", f"bad {number}"))
        log.start("open", number * MS)
    summary = summarize(log.trace(), most=4)
    assert (len(summary.failures), summary.failures_left_out) == (4, 11)
    assert (len(summary.open), summary.open_left_out) == (4, 11)


def test_a_summary_goes_through_json_and_keeps_every_field() -> None:
    summary = summarize(agent().trace())
    document = msgspec.json.encode(summary)
    assert msgspec.json.decode(document, type=RunSummary) == summary
    assert set(msgspec.json.decode(document)["nodes"][0]) == set(NodeSummary.__struct_fields__)


def test_a_run_of_which_only_one_event_is_known_has_a_summary() -> None:
    summary = summarize(RunLog(None).trace())
    assert (summary.executions, summary.nodes, summary.slowest, summary.open) == (0, [], [], [])
