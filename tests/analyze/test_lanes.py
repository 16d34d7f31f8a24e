"""The layout of a timeline, for any run."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from clew.analyze.lanes import Lanes, assign_lanes
from clew.analyze.tree import NO_PARENT
from tests.analyze.generated_runs import MS, US, RunLog, S, calibration, interrupted

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure


@st.composite
def runs(draw: st.DrawFn) -> RunLog:
    """A run of any shape: any nesting, any overlap, open, skipped and orphaned executions, late children."""
    log = RunLog()
    spans: list[str | None] = [None, "feedfeedfeedfeed"]
    for _ in range(draw(st.integers(0, 25))):
        parent = draw(st.sampled_from(spans))
        begin = draw(st.integers(0, 40)) * 250
        how = draw(st.sampled_from(["end", "end", "end", "fail", "open", "skip"]))
        if how == "skip":
            log.skip("s", begin, parent=parent)
            continue
        span = log.start(draw(st.sampled_from("abc")), begin, parent=parent)
        spans.append(span)
        if how != "open":
            error = ("E", "m") if how == "fail" else None
            log.end(span, begin + draw(st.integers(0, 20)) * 333, error=error)
    return log if draw(st.booleans()) else log.finish(20 * US)


def overlaps(lanes: Lanes) -> list[tuple[int, int]]:
    found = []
    for one in range(len(lanes.rows)):
        for other in range(one):
            same_row = lanes.rows[one] == lanes.rows[other]
            if same_row and max(lanes.starts[one], lanes.starts[other]) < min(
                lanes.ends[one], lanes.ends[other]
            ):
                found.append((other, one))
    return found


@ANY_SPEED
@given(runs())
def test_no_two_executions_share_a_row_and_a_moment(log: RunLog) -> None:
    assert overlaps(assign_lanes(log.trace())) == []


@ANY_SPEED
@given(runs())
def test_a_child_stands_below_its_parent_and_every_row_is_used(log: RunLog) -> None:
    lanes = assign_lanes(log.trace())
    for position, parent in enumerate(lanes.tree.parents):
        if parent != NO_PARENT:
            assert lanes.rows[position] > lanes.rows[parent]
    assert set(lanes.rows) == set(range(lanes.height))


@ANY_SPEED
@given(runs())
def test_everything_in_an_execution_lies_in_rows_that_nothing_else_uses_meanwhile(log: RunLog) -> None:
    """Between an execution and what lies in it there is never a stranger, but for the step of the clock."""
    lanes = assign_lanes(log.trace())
    for position in range(len(lanes.rows)):
        family = {position, *lanes.tree.ancestors(position)}
        for around in lanes.tree.ancestors(position):
            for stranger in range(len(lanes.rows)):
                between = lanes.rows[around] < lanes.rows[stranger] < lanes.rows[position]
                meanwhile = (
                    lanes.starts[stranger] + 2 * US < lanes.ends[position]
                    and lanes.starts[position] + 2 * US < lanes.ends[stranger]
                )
                if between and meanwhile and stranger not in family:
                    assert around in lanes.tree.ancestors(stranger)


@ANY_SPEED
@given(runs())
def test_times_are_those_of_the_log_within_the_step_of_its_clock(log: RunLog) -> None:
    trace = log.trace()
    lanes = assign_lanes(trace)
    for position, node in enumerate(trace.nodes):
        assert node.span_id is not None
        done = log.done[node.span_id]
        assert abs(lanes.starts[position] - done.begin_ns) <= 2 * US
        if done.end_ns is not None:
            assert abs(lanes.ends[position] - done.end_ns) <= 2 * US
        assert 0 <= lanes.starts[position] <= lanes.ends[position] <= lanes.span_ns


def test_a_loop_of_short_steps_needs_one_row_though_starts_are_cut_to_microseconds() -> None:
    log = RunLog()
    root = log.start("main", 0)
    now = 1300
    for number in range(200):
        log.span("step", now, now + 2900 + number, parent=root)
        now += 2900 + number
    log.end(root, now)
    assert assign_lanes(log.finish(now).trace()).height == 2


def test_four_workers_take_four_rows_under_the_step_that_waits_for_them() -> None:
    trace = calibration(batches=3, per_batch=8, workers=4).trace()
    lanes = assign_lanes(trace)
    rows: dict[str, set[int]] = {}
    for node, row in zip(trace.nodes, lanes.rows, strict=True):
        rows.setdefault(node.node_id, set()).add(row)
    assert rows == {
        "calibration.job": {0},
        "calibration.iteration": {1},
        "algorithm.ask": {2},
        "simulation.gather": {2},
        "algorithm.tell": {2},
        "simulation.execute": {3, 4, 5, 6},
    }


def test_an_open_execution_lasts_until_the_run_was_last_heard_of() -> None:
    trace = interrupted().trace()
    lanes = assign_lanes(trace)
    ends = {
        node.node_id: end for node, end in zip(trace.nodes, lanes.ends, strict=True) if node.ended_at is None
    }
    assert ends == {"main": 910 * MS, "load": 910 * MS, "load.part": 910 * MS}
    assert lanes.span_ns == 910 * MS


def test_a_child_whose_clock_is_ahead_moves_the_left_edge() -> None:
    log = RunLog()
    root = log.start("main", 5 * MS)
    log.span("early", -20 * MS, 1 * MS, parent=root)
    log.end(root, 1 * S)
    trace = log.finish(1 * S).trace()
    lanes = assign_lanes(trace)
    assert [trace.nodes[position].node_id for position in range(2)] == ["early", "main"]
    assert (lanes.starts, lanes.rows) == ([0, 25 * MS], [1, 0])
    assert lanes.span_ns == 1 * S + 20 * MS


def test_what_began_before_its_neighbour_by_less_than_the_clocks_step_stays_where_it_was() -> None:
    """A mark at 4.5 us, and beside it a box from 3.5 us on that belongs to a later block."""
    log = RunLog()
    first = log.start("first", 250)
    late = log.start("late", 9750)
    log.span("early child", 3500, 9827, parent=late)
    log.end(first, 2331)
    mark = log.skip("mark", 4500, parent=first)
    log.end(late, 12_081)
    trace = log.finish(20 * US).trace()
    lanes = assign_lanes(trace)
    [place] = [position for position, node in enumerate(trace.nodes) if node.span_id == mark]
    assert abs(lanes.starts[place] - 4500) <= 2 * US
    assert overlaps(lanes) == []


def test_ten_thousand_overlapping_siblings_take_ten_thousand_rows() -> None:
    log = RunLog()
    spans = [log.start("task", number * US) for number in range(10_000)]
    for span in spans:
        log.end(span, 1 * S)
    assert assign_lanes(log.trace()).height == 10_000
