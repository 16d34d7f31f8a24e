"""`traced` on generators: every way to drive one works as before, and all of it is one execution."""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clew
from clew.testing import FakeClock, Recording, recording


class Stop(Exception):  # noqa: N818 - it is thrown in, not raised as an error
    """What the tests throw into generators."""


def talkative(log: list[object]) -> Generator[object, object, str]:
    """Answers whatever it is sent, survives some of what is thrown at it, and ends in every possible way."""
    try:
        while True:
            try:
                got = yield len(log)
                log.append(got)
                if got == "return":
                    return "returned"
                if got == "raise":
                    raise KeyError("asked for")
                if got == "stop":
                    raise StopIteration("inside")  # noqa: PLR1708 - it must come out as it always does
                if got == "nested":
                    yield from iter((1, 2))
            except Stop:
                log.append("caught")
            except ValueError as error:
                log.append(repr(error))
                return "after a ValueError"
    finally:
        log.append("finally")


Operation = tuple[str, object]
operations = st.lists(
    st.one_of(
        st.just(("next", None)),
        st.tuples(st.just("send"), st.sampled_from([None, 1, "x", "return", "raise", "stop", "nested"])),
        st.tuples(
            st.just("throw"), st.sampled_from([Stop, ValueError, TypeError, GeneratorExit, KeyboardInterrupt])
        ),
        st.just(("close", None)),
    ),
    max_size=12,
)


def drive(generator: Generator[object, object, str], steps: list[Operation]) -> list[object]:
    """Do every step and note what comes of it."""
    seen: list[object] = []
    for step, argument in steps:
        try:
            if step == "next":
                seen.append(next(generator))
            elif step == "send":
                seen.append(generator.send(argument))
            elif step == "throw":
                assert isinstance(argument, type)
                seen.append(generator.throw(argument("thrown")))
            else:
                generator.close()
                seen.append("closed")
        except BaseException as error:
            seen.append((type(error), str(error), getattr(error, "value", None)))
    return seen


@given(operations)
def test_a_traced_generator_behaves_like_the_plain_one_however_it_is_driven(steps: list[Operation]) -> None:
    plain_log: list[object] = []
    traced_log: list[object] = []
    plain = talkative(plain_log)
    with recording(capture="full") as journal, clew.run("r"):
        traced = clew.traced(talkative)(traced_log)
        assert drive(traced, steps) == drive(plain, steps)
        assert traced_log == plain_log
        assert clew.current_span() is clew.NOOP_SPAN
        traced.close()
        plain.close()
        assert traced_log == plain_log
    started = any(step == "next" or (step == "send" and value is None) for step, value in steps)
    begun = len(journal.events("node_started"))
    ended = [e for e in journal.events() if e.event in {"node_completed", "node_failed"}]
    assert begun == len(ended)
    assert begun <= 1
    if not started:
        assert journal.lines() == [] or all(e.node_id is None for e in journal.events())


def test_the_return_value_is_the_output_and_the_time_runs_from_first_to_last(
    log: Recording, clock: FakeClock
) -> None:
    @clew.traced(kind="tool")
    def count(n: int) -> Generator[int, None, str]:
        for i in range(n):
            clock.advance(ns=10)
            yield i
        clock.advance(ns=5)
        return "done"

    with clew.run("r"):
        generator = count(2)
        clock.advance(ns=1000)  # nothing runs before the first value is asked for
        assert list(generator) == [0, 1]
    (node,) = log.trace().nodes
    assert (node.node_id, node.kind, node.inputs, node.outputs) == ("count", "tool", {"n": 2}, "done")
    assert node.duration_ns == 25
    assert node.status == "completed"


def test_a_consumers_spans_are_not_the_generators_children_and_its_own_are(log: Recording) -> None:
    @clew.traced
    def produce() -> Iterator[int]:
        for i in range(2):
            with clew.span("making"):
                clew.event("made", i=i)
            with clew.span("holding"):
                yield i
                with clew.span("after"):
                    pass

    with clew.run("r"), clew.span("consumer"):
        for _ in produce():
            with clew.span("using"):
                pass
            clew.event("used")
    trace = log.trace()
    once = ["making", "holding", "using", "after"]
    assert [n.node_id for n in trace.nodes] == ["consumer", "produce", *once, *once]
    consumer, generator = trace.nodes[0], trace.nodes[1]
    assert generator.parent_id == consumer.span_id
    holding: str | None = None
    for node in trace.nodes[2:]:
        holding = node.span_id if node.node_id == "holding" else holding
        above = {"using": consumer.span_id, "after": holding}.get(node.node_id, generator.span_id)
        assert node.parent_id == above
    assert [e.event for e in consumer.events] == ["used", "used"]


def test_an_exception_inside_ends_it_as_failed_and_reaches_the_consumer(log: Recording) -> None:
    @clew.traced
    def fail() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    with clew.run("r"):
        generator = fail()
        assert next(generator) == 1
        with pytest.raises(OSError, match="disk"):
            next(generator)
    (node,) = log.trace().nodes
    assert node.status == "failed"
    assert node.error is not None
    assert node.error.error_type == "OSError"


def test_a_generator_that_is_closed_early_completed(log: Recording) -> None:
    @clew.traced
    def endless() -> Iterator[int]:
        while True:
            yield 1

    with clew.run("r"):
        for _ in endless():
            break
        gc.collect()
    assert [n.status for n in log.trace().nodes] == ["completed"]


def test_a_generator_that_is_dropped_is_closed_and_its_cleanup_belongs_to_it(log: Recording) -> None:
    @clew.traced
    def tidy() -> Iterator[int]:
        try:
            yield 1
        finally:
            with clew.span("cleanup"):
                pass

    with clew.run("r"):
        generator = tidy()
        next(generator)
        with clew.span("elsewhere"):
            del generator
            gc.collect()
            assert clew.current_span().node_id == "elsewhere"
    nodes = {n.node_id: n for n in log.trace().nodes}
    assert nodes["cleanup"].parent_id == nodes["tidy"].span_id
    assert nodes["tidy"].status == nodes["elsewhere"].status == "completed"


def test_a_generator_goes_on_in_another_thread(log: Recording) -> None:
    @clew.traced
    def numbers() -> Iterator[int]:
        for i in range(4):
            with clew.span("step", i=i):
                yield i

    seen: list[int] = []
    with clew.run("r"):
        generator = numbers()
        seen.append(next(generator))
        thread = threading.Thread(target=lambda: seen.extend(generator))
        thread.start()
        thread.join()
        assert clew.current_span() is clew.NOOP_SPAN
    assert seen == [0, 1, 2, 3]
    trace = log.trace()
    assert [n.node_id for n in trace.nodes] == ["numbers", *["step"] * 4]
    assert {n.status for n in trace.nodes} == {"completed"}
    assert {n.parent_id for n in trace.nodes[1:]} == {trace.nodes[0].span_id}


def test_generators_that_take_turns_keep_their_own_children(log: Recording) -> None:
    @clew.traced
    def worker(name: str) -> Iterator[str]:
        for _ in range(3):
            with clew.span(f"{name} works"):
                pass
            yield name

    with clew.run("r"):
        assert ["".join(pair) for pair in zip(worker("a"), worker("b"), strict=True)] == ["ab", "ab", "ab"]
    trace = log.trace()
    owners = {n.span_id: n.inputs["name"] for n in trace.nodes if n.node_id == "worker"}
    for node in trace.nodes:
        if node.node_id != "worker":
            assert node.parent_id is not None
            assert owners[node.parent_id] == node.node_id[0]


def test_a_span_that_a_plain_generator_left_open_is_no_place_after_the_run(log: Recording) -> None:
    def leaky() -> Iterator[int]:
        with clew.span("left open"):
            yield 1

    with clew.run("r"):
        generator = leaky()
        next(generator)
    assert clew.current_span() is clew.NOOP_SPAN
    assert clew.span("later") is clew.NOOP_SPAN
    generator_end: Any = generator
    generator_end.close()
    assert clew.current_run() is None
