"""The place in a run follows work into threads, pools and tasks of this process, and into nothing else."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import clew
from clew.testing import Recording
from tests.record.programs import parents
from tests.record.reading import check_lines, home, run_program, traces_in


def leaf(name: str = "leaf") -> str | None:
    """Open a span; tell where."""
    with clew.span(name) as span:
        return span.span_id


def in_thread(function: Callable[..., object], *args: Any) -> None:
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


def test_a_thread_works_in_the_place_where_it_was_started(log: Recording) -> None:
    with clew.run("r"):
        with clew.span("a"):
            thread = threading.Thread(target=leaf, args=("in a",))
            thread.start()
        thread.join()
        with clew.span("b"):
            in_thread(leaf, "in b")
        in_thread(leaf, "in none")
        assert clew.current_span() is clew.NOOP_SPAN
    assert parents(log.trace()) == {"a": None, "in a": "a", "b": None, "in b": "b", "in none": None}
    assert not any("orphan" in node.attributes for node in log.trace().nodes)


def test_threads_of_every_kind_carry_the_place(log: Recording) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            leaf("subclass")

    def timer() -> None:
        leaf("timer")

    with clew.run("r"), clew.span("a"):
        worker = Worker()
        worker.start()
        worker.join()
        delayed = threading.Timer(0, timer)
        delayed.start()
        delayed.join()
        in_thread(in_thread, leaf, "thread of a thread")
    assert parents(log.trace()) == {
        "a": None,
        "subclass": "a",
        "timer": "a",
        "thread of a thread": "a",
    }


def test_a_thread_that_fails_fails_as_it_would_have(log: Recording) -> None:
    seen: list[type[BaseException] | None] = []
    before = threading.excepthook
    threading.excepthook = lambda args: seen.append(args.exc_type)
    try:
        with clew.run("r"):
            in_thread(lambda: 1 / 0)
    finally:
        threading.excepthook = before
    assert seen == [ZeroDivisionError]


def test_each_task_of_a_pool_works_where_it_was_submitted_whoever_made_the_pool(log: Recording) -> None:
    with ThreadPoolExecutor(1) as outside:
        outside.submit(leaf, "before").result()
        with clew.run("r"):
            with clew.span("a"):
                first = outside.submit(leaf, "from a")
                with ThreadPoolExecutor(1) as inside:
                    assert len(list(inside.map(leaf, ["map 1", "map 2"]))) == 2
            with clew.span("b"):
                second = outside.submit(leaf, "from b")
            first.result()
            second.result()
        assert outside.submit(leaf, "after").result() is None
    assert parents(log.trace()) == {
        "a": None,
        "from a": "a",
        "map 1": "a",
        "map 2": "a",
        "b": None,
        "from b": "b",
    }


def test_a_task_that_is_submitted_from_outside_does_not_inherit_the_place_of_the_worker(
    log: Recording,
) -> None:
    """The worker thread is started by a task of the run; a task from a thread without a run comes later."""
    gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        submitted: list[Any] = []

        def from_outside() -> None:
            gate.wait()
            submitted.append(pool.submit(clew.traceparent))

        outsider = threading.Thread(target=from_outside)
        outsider.start()
        with clew.run("r"), clew.span("a"):
            assert pool.submit(clew.traceparent).result() == clew.traceparent()
            gate.set()
            outsider.join()
            assert submitted[0].result() is None


def test_what_a_pool_task_leaves_open_does_not_reach_the_next_task(log: Recording) -> None:
    def leave_open() -> None:
        clew.span("left open").__enter__()

    with clew.run("r"), clew.span("a"), ThreadPoolExecutor(1) as pool:
        pool.submit(leave_open).result()
        pool.submit(leaf, "next").result()
        assert parents(log.trace())["next"] == "a"


def test_asyncio_tasks_threads_and_executors_carry_the_place(log: Recording) -> None:
    async def task(name: str) -> None:
        leaf(f"{name}: task")
        await asyncio.to_thread(leaf, f"{name}: to_thread")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, leaf, f"{name}: run_in_executor")
        with ThreadPoolExecutor(1) as pool:
            await loop.run_in_executor(pool, leaf, f"{name}: own executor")
        done = asyncio.Event()

        def soon() -> None:
            leaf(f"{name}: call_soon")
            done.set()

        loop.call_soon(soon)
        await done.wait()

    async def main() -> None:
        with clew.span("a"):
            first = asyncio.create_task(task("a"))
        with clew.span("b"):
            second = asyncio.create_task(task("b"))
        await asyncio.gather(first, second)

    with clew.run("r"):
        asyncio.run(main())
    found = parents(log.trace())
    kinds = ("task", "to_thread", "run_in_executor", "own executor", "call_soon")
    assert found == {"a": None, "b": None} | {f"{n}: {kind}": n for n in "ab" for kind in kinds}


def test_a_context_that_the_program_copied_carries_the_place(log: Recording) -> None:
    with clew.run("r"):
        with clew.span("a"):
            context = contextvars.copy_context()
        context.run(leaf, "copied")
    assert parents(log.trace()) == {"a": None, "copied": "a"}


def test_work_whose_parent_is_unknown_is_kept_as_an_orphan_of_the_run(log: Recording) -> None:
    """A thread from before the run knows of none."""
    begin, done = threading.Event(), threading.Event()

    @clew.traced(name="decorated")
    def decorated() -> None:
        pass

    def stranger() -> None:
        begin.wait()
        with clew.span("orphan"), clew.span("its child"):
            clew.event("seen", a=1)
        decorated()
        clew.event("alone")
        clew.add_metric("m", 1)
        done.set()

    thread = threading.Thread(target=stranger)
    thread.start()
    with clew.run("r"), clew.span("a"):
        begin.set()
        done.wait()
    thread.join()
    trace = log.trace()
    nodes = {node.node_id: node for node in trace.nodes}
    assert parents(trace) == {"a": None, "orphan": None, "its child": "orphan", "decorated": None}
    assert {name for name, node in nodes.items() if node.attributes.get("orphan")} == {"orphan", "decorated"}
    assert [event.event for event in trace.events if event.span_id is None] == ["alone", "metric_recorded"]
    assert [event.event for event in nodes["its child"].events] == ["seen"]


def test_runs_of_two_threads_at_once_have_nothing_to_do_with_each_other(log: Recording) -> None:
    """Two requests of a server: neither is part of the other, whichever began first."""
    barrier = threading.Barrier(2, timeout=20)
    ids: dict[str, str] = {}

    def request(name: str) -> None:
        barrier.wait()
        with clew.run(name) as run:
            assert run.run_id is not None
            ids[name] = run.run_id
            barrier.wait()
            for i in range(50):
                with clew.span(f"{name} works", i=i):
                    clew.event(f"{name} says")
            barrier.wait()
            current = clew.current_run()
            assert current is not None
            assert current.run_id == run.run_id

    threads = [threading.Thread(target=request, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_lines(log.lines())
    for name, run_id in ids.items():
        trace = log.trace(run_id)
        assert (trace.name, trace.parent_run_id, trace.root_run_id, trace.depth) == (name, None, None, 0)
        assert [n.node_id for n in trace.nodes] == [f"{name} works"] * 50
        assert {e.event for e in trace.events} == {f"{name} says"}
        assert not any(n.attributes.get("orphan") for n in trace.nodes)


def test_two_tasks_of_one_loop_that_each_open_a_run_are_two_runs(log: Recording) -> None:
    async def request(name: str, barrier: asyncio.Barrier) -> None:
        with clew.run(name):
            await barrier.wait()
            leaf(f"{name} works")
            await barrier.wait()

    async def main() -> None:
        barrier = asyncio.Barrier(2)
        await asyncio.gather(request("a", barrier), request("b", barrier))

    asyncio.run(main())
    traces = [log.trace(run_id) for run_id in log.run_ids()]
    assert [(t.name, t.parent_run_id, t.depth) for t in traces] == [("a", None, 0), ("b", None, 0)]
    assert [[n.node_id for n in t.nodes] for t in traces] == [["a works"], ["b works"]]


def test_a_nested_run_names_its_parent_its_root_and_its_depth(log: Recording) -> None:
    with clew.run("outer") as outer:
        with clew.span("a"), clew.run("middle") as middle, clew.span("b"):
            with clew.run("inner") as inner:
                leaf()
            leaf("after inner")
        leaf("after middle")
        assert clew.current_run() is outer
    by_name = {t.name: t for t in map(log.trace, log.run_ids())}
    ids = [run.run_id for run in (outer, middle, inner)]
    assert len(set(ids)) == 3
    assert [(t.run_id, t.parent_run_id, t.root_run_id, t.depth) for t in by_name.values()] == [
        (ids[0], None, None, 0),
        (ids[1], ids[0], ids[0], 1),
        (ids[2], ids[1], ids[0], 2),
    ]
    assert parents(by_name["outer"]) == {"a": None, "after middle": None}
    assert parents(by_name["middle"]) == {"b": None, "after inner": "b"}
    assert parents(by_name["inner"]) == {"leaf": None}


def test_a_thread_that_outlives_its_run_still_adds_to_it(log: Recording) -> None:
    go_on = threading.Event()

    def late() -> None:
        go_on.wait()
        leaf("late")

    with clew.run("r"):
        thread = threading.Thread(target=late)
        thread.start()
    go_on.set()
    thread.join()
    trace = log.trace()
    assert trace.status == "completed"
    assert [n.node_id for n in trace.nodes] == ["late"]


@pytest.mark.parametrize("how", ["before", "during"])
def test_a_pool_that_is_imported_before_or_during_the_run_carries_the_place(how: str) -> None:
    """In a process of its own: nothing there has imported the pools."""
    importing = "from concurrent.futures import ThreadPoolExecutor"
    run_program(
        f"""
        import sys, clew
        assert "concurrent.futures.thread" not in sys.modules
        {importing if how == "before" else ""}
        with clew.run("r"), clew.span("a"):
            {importing if how == "during" else "pass"}
            def leaf():
                with clew.span("leaf"):
                    pass
            with ThreadPoolExecutor() as pool:
                pool.submit(leaf).result()
        assert ThreadPoolExecutor.__dict__["submit"].__module__ == "concurrent.futures.thread"
        assert not [f for f in sys.meta_path if type(f).__module__.startswith("clew")]
        loader = sys.modules["concurrent.futures.thread"].__spec__.loader
        assert "exec_module" not in vars(loader)
        """,
    )
    (trace,) = traces_in(home()).values()
    assert parents(trace) == {"a": None, "leaf": "a"}
