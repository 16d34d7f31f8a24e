"""However many executions a run has, its picture is bounded, and nothing in it goes unseen."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.analyze.boxes import Timeline, lay_out
from tests.analyze.generated_runs import MS, US, RunLog, S, agent, calibration, interrupted, loop
from tests.analyze.test_lanes import runs

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure


def assert_sound(timeline: Timeline, log: RunLog) -> None:
    assert sum(box.count for box in timeline.boxes) == len(log.done) == timeline.executions
    for one, other in itertools.pairwise(timeline.boxes):
        assert (one.row, one.start_ns) <= (other.row, other.start_ns)
        assert one.row < other.row or one.end_ns <= other.start_ns
    for box in timeline.boxes:
        assert 0 <= box.start_ns <= box.end_ns <= timeline.span_ns
        assert box.row < timeline.rows
        assert 0 <= box.busy_ratio <= 1


@ANY_SPEED
@given(runs(), st.integers(1, 60), st.integers(1, 6), st.integers(3, 40))
def test_boxes_are_in_order_never_overlap_stand_for_all_and_keep_their_bound(
    log: RunLog, columns: int, most_rows: int, most_boxes: int
) -> None:
    timeline = lay_out(log.trace(), columns=columns, most_rows=most_rows, most_boxes=most_boxes)
    assert_sound(timeline, log)
    assert len(timeline.boxes) <= most_boxes
    assert timeline.rows <= most_rows


@ANY_SPEED
@given(runs(), st.integers(1, 60))
def test_what_failed_was_skipped_or_is_open_is_counted_in_some_box(log: RunLog, columns: int) -> None:
    timeline = lay_out(log.trace(), columns=columns)
    statuses = [done.status for done in log.done.values()]
    assert sum(box.failed for box in timeline.boxes) == statuses.count("failed")
    assert sum(box.skipped for box in timeline.boxes) == statuses.count("skipped")
    assert sum(box.open for box in timeline.boxes) == statuses.count("running")
    assert all((box.status == "failed") == (box.failed > 0) for box in timeline.boxes)


def test_what_is_wide_enough_has_a_box_of_its_own() -> None:
    log = agent()
    timeline = lay_out(log.trace(), columns=2000)
    assert timeline.aggregated == 0
    assert len(timeline.boxes) == len(log.done)
    [failed] = [box for box in timeline.boxes if box.node_id == "render"]
    assert (failed.start_ns, failed.end_ns, failed.status, failed.count) == (
        1900 * MS,
        1950 * MS,
        "failed",
        1,
    )


def test_an_even_loop_becomes_one_block_that_says_how_busy_it_was() -> None:
    timeline = lay_out(loop(5000).trace(), columns=200)
    [block] = [box for box in timeline.boxes if box.node_id == "step"]
    assert (block.count, block.nodes, block.failed) == (5000, 1, 0)
    assert block.busy_ratio == pytest.approx(0.8, abs=0.01)
    assert timeline.aggregated == 5000


def test_one_failure_among_thousands_keeps_its_place() -> None:
    log = RunLog()
    for number in range(5000):
        error = ("E", "m") if number == 3210 else None
        log.span("step", number * US, number * US + 800, error=error)
    timeline = lay_out(log.finish(5000 * US).trace(), columns=100)
    [failed] = [box for box in timeline.boxes if box.failed]
    assert failed.start_ns <= 3210 * US < failed.end_ns
    assert failed.end_ns - failed.start_ns <= 50 * US


def test_rows_beyond_the_most_are_folded_into_the_last_and_said() -> None:
    log = RunLog()
    for number in range(500):
        log.span("task", number * US, 1 * S + number * US)
    timeline = lay_out(log.finish(2 * S).trace(), most_rows=10)
    assert_sound(timeline, log)
    assert (timeline.rows, timeline.rows_folded) == (10, 490)
    assert timeline.boxes[-1].count == 491


def test_blocks_mark_orphans_and_what_was_open() -> None:
    timeline = lay_out(interrupted().trace())
    assert [box.node_id for box in timeline.boxes if box.orphans] == ["heartbeat"]
    assert {box.node_id: box.status for box in timeline.boxes if box.open} == {
        "main": "interrupted",
        "load": "interrupted",
        "load.part": "running",
    }


def test_a_run_of_thousands_of_executions_keeps_every_bound() -> None:
    log = calibration(batches=60, per_batch=110, workers=8)
    timeline = lay_out(log.trace(), columns=1200, most_boxes=300)
    assert_sound(timeline, log)
    assert len(timeline.boxes) <= 300


def test_a_run_without_executions_has_no_boxes() -> None:
    timeline = lay_out(RunLog().trace())
    assert (timeline.boxes, timeline.rows, timeline.span_ns) == ([], 0, 1)
