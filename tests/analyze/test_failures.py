"""What failed is told by its cause, once."""

from __future__ import annotations

from clew.analyze.failures import Failure, find_failures
from clew.analyze.tree import build_tree
from tests.analyze.generated_runs import MS, RunLog, agent

BAD = ("ValueError", "no such order")


def failures_of(log: RunLog) -> list[Failure]:
    trace = log.trace()
    return find_failures(trace, build_tree(trace.nodes))


def test_an_error_that_is_raised_through_three_levels_is_one_failure_at_the_innermost() -> None:
    log = RunLog()
    outer = log.start("outer", 0)
    middle = log.start("middle", 1 * MS, parent=outer)
    log.span("inner", 2 * MS, 3 * MS, parent=middle, error=BAD)
    log.end(middle, 4 * MS, error=BAD)
    log.end(outer, 5 * MS, error=BAD)
    [failure] = failures_of(log.finish(6 * MS, error=BAD))
    assert (failure.node_id, failure.error_type, failure.message) == ("inner", *BAD)
    assert failure.path == ["outer", "middle"]
    assert failure.passed_on_by == ["middle", "outer"]
    assert (failure.depth, failure.count, failure.ended_run) == (2, 1, True)
    assert failure.stack == "Traceback:\n  in inner"


def test_an_error_of_another_kind_around_it_is_a_failure_of_its_own_after_it() -> None:
    found = failures_of(agent())
    assert [(f.node_id, f.error_type, f.ended_run) for f in found] == [
        ("render", "ValueError", True),
        ("agent", "AgentError", True),
        ("http.get", "TimeoutError", False),
    ]
    assert found[0].passed_on_by == ["answer"]


def test_an_attempt_that_was_retried_did_not_end_the_run() -> None:
    log = RunLog()
    log.span("get", 1 * MS, 2 * MS, error=BAD, retried=True)
    log.span("get", 3 * MS, 4 * MS, error=BAD)
    found = failures_of(log.finish(5 * MS, error=BAD))
    assert [(f.ended_run, f.count, f.retried) for f in found] == [(True, 1, 0), (False, 1, 1)]


def test_the_same_failure_in_a_loop_is_one_entry_with_a_count() -> None:
    log = RunLog()
    root = log.start("main", 0)
    for number in range(20):
        error = BAD if number % 4 == 0 else None
        log.span("step", number * MS + 1, (number + 1) * MS, parent=root, error=error)
    log.end(root, 21 * MS)
    [failure] = failures_of(log.finish(22 * MS))
    assert (failure.count, failure.index, failure.ended_run) == (5, 1, False)


def test_a_failure_under_something_that_still_runs_is_undecided() -> None:
    log = RunLog()
    root = log.start("main", 0)
    log.span("step", 1 * MS, 2 * MS, parent=root, error=BAD)
    [failure] = failures_of(log)
    assert failure.ended_run is None


def test_two_siblings_with_the_same_error_in_different_nodes_are_two_failures() -> None:
    log = RunLog()
    log.span("one", 1 * MS, 2 * MS, error=BAD)
    log.span("two", 3 * MS, 4 * MS, error=BAD)
    assert [f.node_id for f in failures_of(log.finish(5 * MS))] == ["one", "two"]


def test_an_error_of_the_run_that_no_node_failed_with_is_the_runs_own() -> None:
    log = RunLog()
    log.span("step", 1 * MS, 2 * MS)
    [failure] = failures_of(log.finish(5 * MS, error=("KeyError", "'x'")))
    assert (failure.node_id, failure.error_type, failure.depth, failure.ended_run) == (
        None,
        "KeyError",
        -1,
        True,
    )


def test_a_run_without_an_error_has_no_failure() -> None:
    assert failures_of(agent(failing=False))[0].ended_run is False
    log = RunLog()
    log.span("step", 1 * MS, 2 * MS)
    assert failures_of(log.finish(3 * MS)) == []


def test_an_error_that_got_a_note_on_its_way_is_still_one_failure() -> None:
    log = RunLog()
    outer = log.start("outer", 0)
    log.span("inner", 2 * MS, 3 * MS, parent=outer, error=BAD)
    noted = (BAD[0], f"{BAD[1]}\nin row 7")
    log.end(outer, 5 * MS, error=noted)
    [failure] = failures_of(log.finish(6 * MS, error=noted))
    assert (failure.node_id, failure.passed_on_by) == ("inner", ["outer"])
