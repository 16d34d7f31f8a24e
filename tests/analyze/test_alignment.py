"""Two runs of a program are aligned as the program's own log says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clew
from clew.analyze.alignment import align
from tests.analyze.compared_runs import (
    Log,
    Recorded,
    aligned,
    calls,
    expected,
    fan_out,
    numbered,
    outcome,
    record,
    review,
)
from tests.analyze.generated_runs import RunLog, agent, calibration, interrupted, loop

ANSWERS = {number: f"answer {number}" for number in range(5)}
OTHER_ANSWERS = {number: f"other {number}" for number in range(5)}
FOUR = [("a", "one"), ("b", "two two"), ("c", "three"), ("d", "four")]

SAME_KEYS: dict[str, tuple[Callable[[Log], None], Callable[[Log], None]]] = {
    "a loop with further rounds": (review(FOUR), review([*FOUR, ("e", "five"), ("f", "six")])),
    "a loop without its first round": (review(FOUR), review(FOUR[1:])),
    "a loop without a round in the middle": (review(FOUR), review([FOUR[0], FOUR[2], FOUR[3]])),
    "a loop with other texts": (review(FOUR), review([(key, text.upper()) for key, text in FOUR])),
    "a loop with a round more and another text": (
        review(FOUR),
        review([FOUR[0], ("b", "changed"), FOUR[2], ("x", "between"), FOUR[3]]),
    ),
    "numbered rounds that all changed, one missing": (
        numbered([(0, "a"), (1, "b"), (2, "c"), (3, "d")]),
        numbered([(0, "w"), (1, "x"), (3, "z")]),
    ),
    "fewer retries": (calls([0, 2, 3]), calls([1, 0, 3])),
    "more retries of the last call": (calls([1, 1]), calls([1, 4])),
    "parallel branches in another order": (
        fan_out([0, 1, 2, 3], ANSWERS, tagged=True),
        fan_out([3, 1, 0, 2], ANSWERS, tagged=True),
    ),
    "parallel branches in another order with other answers": (
        fan_out([0, 1, 2, 3], ANSWERS, tagged=True),
        fan_out([2, 3, 1, 0], OTHER_ANSWERS, tagged=True),
    ),
    "parallel branches that only their answers tell apart": (
        fan_out([0, 1, 2, 3], ANSWERS, tagged=False),
        fan_out([3, 0, 2, 1], ANSWERS, tagged=False),
    ),
    "a parallel branch more, and one with another answer": (
        fan_out([0, 1, 2, 3], ANSWERS, tagged=True),
        fan_out([4, 2, 1, 0, 3], {**ANSWERS, 2: "other"}, tagged=True),
    ),
}


@pytest.mark.parametrize("name", SAME_KEYS)
@pytest.mark.parametrize("turned", [False, True])
def test_what_the_programs_call_the_same_is_paired(name: str, turned: bool) -> None:
    old, new = (record(program) for program in SAME_KEYS[name][:: -1 if turned else 1])
    assert outcome(old, new) == expected(old, new)


def flow(*, wrapped: bool = False, failing: bool = False, skipped: str = "", added: str = "") -> Recorded:
    def steps(log: Log) -> None:
        for name in ("load", "clean", *([added] if added else []), "fit", "report"):
            if name == skipped:
                continue
            with log.span(name, name):
                if name == "fit":
                    for part in range(2):
                        with log.span(f"part {part}", "part", part=part):
                            pass
                if name == "clean" and failing:
                    raise ValueError("bad row")

    def program(log: Log) -> None:
        with clew.run("flow"):
            if wrapped:
                with log.span("guard", "guard"):
                    steps(log)
            else:
                steps(log)

    def failing_program(log: Log) -> None:
        with pytest.raises(ValueError, match="bad row"):
            program(log)

    return record(failing_program if failing else program)


@pytest.mark.parametrize(
    "changed",
    [
        flow(wrapped=True),
        flow(skipped="clean"),
        flow(skipped="fit"),
        flow(added="validate"),
        flow(failing=True),
        flow(wrapped=True, skipped="load", added="validate"),
    ],
    ids=["wrapped", "missing", "missing with children", "added", "failing", "all at once"],
)
def test_a_workflow_that_was_changed_stays_aligned_where_it_was_not(changed: Recorded) -> None:
    plain = flow()
    assert outcome(plain, changed) == expected(plain, changed)
    assert outcome(changed, plain) == expected(changed, plain)


def test_runs_inside_are_aligned_by_their_names_and_their_contents_with_them() -> None:
    def nested(names: list[str]) -> Callable[[Log], None]:
        def program(log: Log) -> None:
            with clew.run("outer"):
                for name in names:
                    inside = clew.run("deep")
                    with clew.run(name), log.span(f"{name} work", "work"), inside, log.span(name, "deep"):
                        pass

        return program

    old, new = record(nested(["a", "b"])), record(nested(["b", "c", "a"]))
    assert outcome(old, new) == expected(old, new)
    found = aligned(old, new)
    assert [found.new.nodes[at].node_id for at in found.only_new] == ["c", "work", "deep", "deep"]


def test_runs_that_claim_to_have_started_each_other_are_kept() -> None:
    def program(log: Log) -> None:
        with clew.run("outer"), clew.run("a"), clew.run("b"), log.span("x", "x"):
            pass

    run = record(program)
    a, b = run.inner
    circle = [msgspec.structs.replace(a, parent_run_id=b.run_id), b]
    found = align(run.trace, run.trace, old_inner=circle, new_inner=run.inner)
    assert (len(found.pairs), found.only_old, found.only_new) == (4, [], [])


def test_a_run_whose_starting_span_is_known_stands_in_that_span() -> None:
    """Our own log does not name the span yet; another system's may."""

    def program(log: Log) -> None:
        with clew.run("outer"):
            for name in "ab":
                with log.span(name, name), clew.run("inner"):
                    pass

    run = record(program)
    inner = []
    for name, trace in zip("ab", run.inner, strict=True):
        start, end = trace.boundaries
        start = msgspec.structs.replace(start, parent_id=run.log.spans[name])
        inner.append(msgspec.structs.replace(trace, boundaries=[start, end]))
    found = align(run.trace, run.trace, old_inner=inner, new_inner=inner)
    around = {found.new.nodes[found.new.parents[at]].node_id for at in found.new.runs if at}
    assert around == {"a", "b"}
    assert len(found.pairs) == 5


def test_spans_that_changed_places_are_paired_one_way_round() -> None:
    def program(names: list[str]) -> Callable[[Log], None]:
        def nest(log: Log, names: list[str]) -> None:
            if names:
                with log.span(names[0], names[0]):
                    nest(log, names[1:])

        def run(log: Log) -> None:
            with clew.run("nested"):
                nest(log, names)

        return run

    old, new = record(program(["a", "b", "c", "d"])), record(program(["b", "a", "c", "d"]))
    found = outcome(old, new)
    assert {("c", "c"), ("d", "d")} < found.pairs
    assert len(found.pairs) == 3
    assert found.only_old == found.only_new
    turned = outcome(new, old)
    assert {(b, a) for a, b in turned.pairs} == found.pairs


# --- arbitrary programs ------------------------------------------------------------------------------

Step = tuple[str, int, bool, list[Any]]
"""Name, output, whether it fails, steps inside."""
STEPS: st.SearchStrategy[Step] = st.recursive(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.booleans(), st.just([])),
    lambda inside: st.tuples(
        st.sampled_from("abc"), st.integers(0, 2), st.just(False), st.lists(inside, max_size=4)
    ),
    max_leaves=12,
)
PROGRAMS = st.lists(STEPS, max_size=5)


def perform(steps: list[Step]) -> Recorded:
    def do(log: Log, step: Step, key: str) -> None:
        name, value, fails, inside = step
        with log.span(key, name) as span:
            for number, part in enumerate(inside):
                do(log, part, f"{key}.{number}")
            span.output(value)
            if fails:
                span.fail("broken")

    def program(log: Log) -> None:
        with clew.run("any"):
            for number, step in enumerate(steps):
                do(log, step, str(number))

    return record(program)


@given(PROGRAMS)
def test_a_run_is_aligned_with_itself_position_by_position(steps: list[Step]) -> None:
    run = perform(steps)
    found = aligned(run, run)
    assert found.pairs == [(at, at) for at in range(len(run.trace.nodes) + 1)]
    assert (found.only_old, found.only_new) == ([], [])


@given(PROGRAMS, PROGRAMS)
def test_each_execution_is_paired_once_or_listed_once_whichever_run_comes_first(
    one: list[Step], other: list[Step]
) -> None:
    old, new = perform(one), perform(other)
    found, turned = aligned(old, new), aligned(new, old)
    assert sorted((b, a) for a, b in turned.pairs) == sorted(found.pairs)
    assert (turned.only_new, turned.only_old) == (found.only_old, found.only_new)
    assert sorted([a for a, _ in found.pairs] + found.only_old) == list(range(len(old.trace.nodes) + 1))
    assert sorted([b for _, b in found.pairs] + found.only_new) == list(range(len(new.trace.nodes) + 1))
    assert all(found.old.nodes[a].node_id == found.new.nodes[b].node_id for a, b in found.pairs)


def without(steps: list[Step], number: int) -> list[Step]:
    """Leave out one step, in the order of starts, with all that is inside it."""
    kept: list[Step] = []
    for name, value, fails, inside in steps:
        size = count(inside) + 1
        if number != 0:
            kept.append((name, value, fails, without(inside, number - 1) if 0 < number < size else inside))
        number -= size
    return kept


def count(steps: list[Step]) -> int:
    return sum(1 + count(inside) for _, _, _, inside in steps)


@given(PROGRAMS.filter(bool), st.data())
def test_one_execution_left_out_is_reported_as_exactly_that_one(
    steps: list[Step], data: st.DataObject
) -> None:
    """Of several that did the very same any may be named: nobody can tell which of them is missing."""
    number = data.draw(st.integers(0, count(steps) - 1))
    old, new = perform(steps), perform(without(steps, number))
    found = aligned(old, new)
    assert found.only_new == []
    assert len(found.only_old) == len(old.trace.nodes) - len(new.trace.nodes)
    top = found.only_old[0]
    assert all(at == top or found.old.parents[at] in found.only_old for at in found.only_old)
    assert found.old_marks.whole[top] == found.old_marks.whole[1 + number]
    assert found.old.parents[top] == 0 or found.old.nodes[found.old.parents[top]].node_id == (
        found.old.nodes[found.old.parents[1 + number]].node_id
    )


# --- what is not a program of today ------------------------------------------------------------------


@pytest.mark.parametrize("log", [calibration(), agent(), interrupted()], ids=["loop", "agent", "killed"])
def test_runs_with_workers_retries_and_lost_parents_are_aligned_with_themselves(log: RunLog) -> None:
    trace = log.trace()
    found = align(trace, trace)
    assert found.pairs == [(at, at) for at in range(len(trace.nodes) + 1)]


def test_children_of_an_execution_whose_start_was_lost_are_found_at_the_top() -> None:
    whole, damaged = RunLog(), RunLog()
    for log in (whole, damaged):
        outer = log.start("outer", 1)
        log.span("inner", 2, 3, parent=outer)
        log.end(outer, 4)
        log.finish(5)
    damaged.lines = [line for line in damaged.lines if b'"outer"' not in line]
    found = align(whole.trace(), damaged.trace())
    assert [found.old.nodes[at].node_id for at in found.only_old] == ["outer"]
    assert found.only_new == []


def test_many_siblings_that_all_changed_are_aligned_in_seconds() -> None:
    """The bound leaves room for a machine that is busy; it would be minutes if each were weighed against each."""
    traces = []
    for word, size in (("old", 20_000), ("new", 19_000)):
        log = loop(0)
        for number in range(size):
            log.span("step", number, number + 1, outputs=f"{word} {number}")
        traces.append(log.trace())
    begin = time.process_time()
    found = align(*traces)
    assert time.process_time() - begin < 10
    assert (len(found.only_old), len(found.only_new)) == (1_000, 0)
