"""`traced` on coroutines and async generators, also where another task or the garbage collector ends them."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clew
from clew.model.trace import ExecutionTrace
from clew.testing import FakeClock, Recording, recording
from tests.record.test_traced_generators import Stop


def statuses(trace: ExecutionTrace) -> dict[str, str]:
    return {node.node_id: node.status for node in trace.nodes}


def test_a_coroutine_is_one_execution_from_its_first_statement_to_its_last(
    log: Recording, clock: FakeClock
) -> None:
    @clew.traced(kind="prompt")
    async def ask(question: str) -> str:
        clock.advance(ns=700)
        await asyncio.sleep(0)
        clock.advance(ns=7)
        return question.upper()

    async def main() -> str:
        waiting = ask("why")
        clock.advance(ns=10_000)  # it has not begun
        return await waiting

    with clew.run("r"):
        assert asyncio.run(main()) == "WHY"
    assert inspect.iscoroutinefunction(ask)
    (node,) = log.trace().nodes
    assert (node.node_id, node.kind, node.inputs, node.outputs) == (
        "ask",
        "prompt",
        {"question": "why"},
        "WHY",
    )
    assert node.duration_ns == 707


def test_tasks_that_run_at_once_each_have_their_own_children(log: Recording) -> None:
    @clew.traced
    async def leaf(name: str) -> None:
        await asyncio.sleep(0)

    @clew.traced
    async def branch(name: str) -> None:
        for _ in range(3):
            await leaf(name)
            assert clew.current_span().node_id == "branch"

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(branch(name))

    with clew.run("r"), clew.span("root"):
        asyncio.run(main())
    trace = log.trace()
    assert trace.nodes[0].node_id == "root"
    owner = {n.span_id: n.inputs["name"] for n in trace.nodes if n.node_id == "branch"}
    leaves = [n for n in trace.nodes if n.node_id == "leaf"]
    assert len(leaves) == 9
    for node in leaves:
        assert node.parent_id is not None
        assert owner[node.parent_id] == node.inputs["name"]
    assert {n.parent_id for n in trace.nodes if n.node_id == "branch"} == {trace.nodes[0].span_id}


def test_a_cancelled_coroutine_failed_with_the_cancellation(log: Recording) -> None:
    @clew.traced
    async def wait() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with clew.run("r"):
        asyncio.run(main())
    (node,) = log.trace().nodes
    assert node.status == "failed"
    assert node.error is not None
    assert node.error.error_type == "CancelledError"


def test_a_coroutine_that_is_never_awaited_never_began(log: Recording) -> None:
    @clew.traced
    async def idle() -> None:
        raise AssertionError

    with clew.run("r"):
        idle().close()
    assert log.trace().nodes == []


async def talkative(log: list[object]) -> AsyncGenerator[object, object]:
    """Like its twin without `async`: survives some of what is thrown at it, and ends in every possible way."""
    try:
        while True:
            try:
                await asyncio.sleep(0)
                got = yield len(log)
                log.append(got)
                if got == "return":
                    return
                if got == "raise":
                    raise KeyError("asked for")
                if got == "stop":
                    raise StopAsyncIteration("inside")
            except Stop:
                log.append("caught")
            except ValueError as error:
                log.append(repr(error))
                return
    finally:
        await asyncio.sleep(0)
        log.append("finally")


Operation = tuple[str, object]
operations = st.lists(
    st.one_of(
        st.just(("next", None)),
        st.tuples(st.just("send"), st.sampled_from([None, 1, "x", "return", "raise", "stop"])),
        st.tuples(st.just("throw"), st.sampled_from([Stop, ValueError, TypeError, GeneratorExit])),
        st.just(("close", None)),
    ),
    max_size=10,
)


async def drive(generator: AsyncGenerator[object, object], steps: list[Operation]) -> list[object]:
    seen: list[object] = []
    for step, argument in steps:
        try:
            if step == "next":
                seen.append(await anext(generator))
            elif step == "send":
                seen.append(await generator.asend(argument))
            elif step == "throw":
                assert isinstance(argument, type)
                seen.append(await generator.athrow(argument("thrown")))
            else:
                await generator.aclose()
                seen.append("closed")
        except BaseException as error:
            seen.append((type(error), str(error)))
    return seen


@given(operations)
def test_a_traced_async_generator_behaves_like_the_plain_one(steps: list[Operation]) -> None:
    plain_log: list[object] = []
    traced_log: list[object] = []

    async def main() -> None:
        plain, traced = talkative(plain_log), clew.traced(talkative)(traced_log)
        assert inspect.isasyncgenfunction(clew.traced(talkative))
        assert await drive(traced, steps) == await drive(plain, steps)
        assert traced_log == plain_log
        await traced.aclose()
        await plain.aclose()
        assert traced_log == plain_log

    with recording(capture="full") as journal, clew.run("r"):
        asyncio.run(main())
    begun = len(journal.events("node_started"))
    ended = [e for e in journal.events() if e.event in {"node_completed", "node_failed"}]
    assert begun == len(ended) <= 1


def test_the_spans_of_an_async_generator_and_of_its_consumer_do_not_mix(log: Recording) -> None:
    @clew.traced
    async def produce() -> AsyncIterator[int]:
        for i in range(2):
            with clew.span("holding"):
                await asyncio.sleep(0)
                yield i
                with clew.span("after"):
                    await asyncio.sleep(0)

    async def main() -> None:
        with clew.span("consumer"):
            async for _ in produce():
                with clew.span("using"):
                    await asyncio.sleep(0)

    with clew.run("r"):
        asyncio.run(main())
    trace = log.trace()
    once = ["holding", "using", "after"]
    assert [n.node_id for n in trace.nodes] == ["consumer", "produce", *once, *once]
    consumer, producer = trace.nodes[0].span_id, trace.nodes[1].span_id
    for held, using, after in (trace.nodes[2:5], trace.nodes[5:]):
        assert (held.parent_id, using.parent_id, after.parent_id) == (producer, consumer, held.span_id)


def test_an_async_generator_closed_from_another_task_ends_once_and_disturbs_neither_task(
    log: Recording,
) -> None:
    @clew.traced
    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            with clew.span("cleanup"):
                await asyncio.sleep(0)

    async def main() -> None:
        generator: Any = stream()

        async def closer() -> None:
            with clew.span("closer"):
                await generator.aclose()
                assert clew.current_span().node_id == "closer"

        with clew.span("opener"):
            assert await anext(generator) == 1
        with clew.span("meanwhile"):
            await asyncio.create_task(closer())
            assert clew.current_span().node_id == "meanwhile"

    with clew.run("r"):
        asyncio.run(main())
    trace = log.trace()
    spans = {n.node_id: n for n in trace.nodes}
    assert statuses(trace) == dict.fromkeys(
        ("opener", "stream", "meanwhile", "closer", "cleanup"), "completed"
    )
    assert spans["stream"].parent_id == spans["opener"].span_id
    assert spans["cleanup"].parent_id == spans["stream"].span_id
    assert spans["closer"].parent_id == spans["meanwhile"].span_id
    assert len(log.events("node_completed")) == 5


def test_an_async_generator_that_is_dropped_ends_when_the_loop_closes_it(log: Recording) -> None:
    @clew.traced
    async def stream() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            with clew.span("cleanup"):
                pass

    async def main() -> None:
        async for _ in stream():
            break
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert clew.current_span() is clew.NOOP_SPAN

    with clew.run("r"):
        asyncio.run(main())
    trace = log.trace()
    assert statuses(trace) == {"stream": "completed", "cleanup": "completed"}
    assert trace.nodes[1].parent_id == trace.nodes[0].span_id


def test_an_async_generator_still_open_when_the_loop_shuts_down_is_ended(log: Recording) -> None:
    @clew.traced
    async def stream() -> AsyncIterator[int]:
        yield 1
        yield 2

    kept: list[Any] = []

    async def main() -> None:
        kept.append(stream())
        await anext(kept[0])

    with clew.run("r"):
        asyncio.run(main())
    assert statuses(log.trace()) == {"stream": "completed"}


def test_a_task_cancelled_inside_an_async_generator_fails_it(log: Recording) -> None:
    @clew.traced
    async def stream() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    async def consume() -> None:
        async for _ in stream():
            pass

    async def main() -> None:
        task = asyncio.create_task(consume())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with clew.run("r"):
        asyncio.run(main())
    (node,) = log.trace().nodes
    assert node.error is not None
    assert (node.status, node.error.error_type) == ("failed", "CancelledError")


def test_an_exception_in_an_async_generator_reaches_the_consumer_and_the_record(log: Recording) -> None:
    @clew.traced
    async def stream() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken pipe line")

    async def main() -> list[int]:
        return [item async for item in stream()]

    with clew.run("r"), pytest.raises(ValueError, match="broken pipe line"):
        asyncio.run(main())
    (node,) = log.trace().nodes
    assert node.error is not None
    assert node.error.message == "broken pipe line"


def test_async_methods_are_traced(log: Recording) -> None:
    class Client:
        @clew.traced
        async def get(self, path: str) -> str:
            return path

        @clew.traced
        @classmethod
        async def pages(cls, count: int) -> AsyncIterator[int]:
            for page in range(count):
                yield page

    async def main() -> None:
        assert await Client().get("/") == "/"
        assert [page async for page in Client.pages(2)] == [0, 1]

    with clew.run("r"):
        asyncio.run(main())
    found = [(n.node_id.rpartition(".")[2], n.inputs) for n in log.trace().nodes]
    assert found == [("get", {"path": "/"}), ("pages", {"count": 2})]
