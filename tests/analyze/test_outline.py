"""The indented list of a run."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from clew.analyze.outline import Outline, outline
from clew.analyze.times import measure_times
from clew.analyze.tree import build_tree
from tests.analyze.generated_runs import MS, RunLog, agent, calibration, loop
from tests.analyze.test_lanes import runs

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure


def outline_of(log: RunLog, most_lines: int = 100) -> Outline:
    trace = log.trace()
    return outline(trace, build_tree(trace.nodes), times=measure_times(trace), most_lines=most_lines)


def shape(found: Outline) -> list[tuple[int, str, int]]:
    return [(line.depth, line.node_id, line.count) for line in found.lines]


def test_a_loop_is_one_line_a_node_with_all_that_lies_in_it() -> None:
    assert shape(outline_of(calibration(batches=5, per_batch=8))) == [
        (0, "calibration.job", 1),
        (1, "calibration.iteration", 5),
        (2, "algorithm.ask", 5),
        (2, "simulation.gather", 5),
        (3, "simulation.execute", 40),
        (2, "algorithm.tell", 5),
    ]


def test_up_to_three_executions_of_a_node_have_a_line_each() -> None:
    log = RunLog()
    for number in range(3):
        log.span("few", number * MS, (number + 1) * MS)
    for number in range(3, 7):
        log.span("many", number * MS, (number + 1) * MS)
    assert shape(outline_of(log)) == [(0, "few", 1), (0, "few", 1), (0, "few", 1), (0, "many", 4)]


@ANY_SPEED
@given(runs(), st.integers(1, 30))
def test_every_execution_is_in_one_line_or_counted_as_left_out(log: RunLog, most_lines: int) -> None:
    found = outline_of(log, most_lines)
    assert len(found.lines) <= most_lines
    shown = [position for line in found.lines for position in line.positions]
    assert len(shown) == len(set(shown))
    assert len(shown) + found.left_out == len(log.done)
    assert sum(sum(line.statuses.values()) for line in found.lines) == len(shown)


@ANY_SPEED
@given(runs(), st.integers(1, 30))
def test_a_line_stands_under_the_line_of_its_parents(log: RunLog, most_lines: int) -> None:
    tree = build_tree(log.trace().nodes)
    around: list[set[int]] = []
    for line in outline_of(log, most_lines).lines:
        del around[line.depth :]
        parents = {tree.parents[position] for position in line.positions}
        assert parents <= (around[-1] if around else {-1})
        around.append(set(line.positions))


def test_where_lines_are_short_repetitions_are_put_together_first() -> None:
    log = RunLog()
    for number in range(3):
        log.span("few", number * MS, (number + 1) * MS)
    assert shape(outline_of(log, 2)) == [(0, "few", 3)]


def test_where_lines_still_do_not_suffice_what_failed_is_kept_with_what_lies_around_it() -> None:
    log = RunLog()
    root = log.start("root", 0)
    for number in range(30):
        log.span(f"slow{number}", number * 10 * MS, number * 10 * MS + 9 * MS, parent=root)
    outer = log.start("outer", 400 * MS, parent=root)
    log.span("broken", 401 * MS, 402 * MS, parent=outer, error=("E", "m"))
    log.end(outer, 403 * MS)
    log.end(root, 500 * MS)
    found = outline_of(log, 5)
    names = [line.node_id for line in found.lines]
    assert {"root", "outer", "broken"} <= set(names)
    assert found.left_out == 28


def test_totals_and_states_of_a_line_are_those_of_its_executions() -> None:
    log = agent()
    lines = {(line.node_id, line.positions[0]): line for line in outline_of(log).lines}
    trace = log.trace()
    for (node_id, first), line in lines.items():
        assert trace.nodes[first].node_id == node_id
        assert line.total_ns == trace.nodes[first].duration_ns
        assert line.failed == (trace.nodes[first].status == "failed")
    loops = outline_of(loop(50)).lines
    assert (loops[1].total_ns, loops[1].is_leaf, loops[0].is_leaf) == (50 * 8_000, True, False)


def test_a_chain_of_thousands_is_cut_and_never_too_deep() -> None:
    log = RunLog()
    parent = None
    for number in range(3000):
        parent = log.start("deeper", number, parent=parent)
    found = outline_of(log, 20)
    assert (len(found.lines), found.left_out) == (20, 2980)
