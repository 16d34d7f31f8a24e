"""Nodes start as soon as what is before them is settled, never more than allowed, and a failure stops what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.errors import WorkflowError
from clew.workflow.schedule import OnError, Schedule


def run(
    edges: dict[str, list[str]],
    settle: Callable[[str], Awaitable[None]],
    *,
    concurrency: int = 16,
    on_error: OnError = "finish",
) -> None:
    asyncio.run(Schedule(edges, edges, concurrency=concurrency, on_error=on_error).run(settle))


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """A graph without circles: edges lead from a smaller number to a larger one."""
    size = draw(st.integers(0, 12))
    pairs = st.tuples(st.integers(0, 11), st.integers(0, 11))
    edges: dict[str, list[str]] = {str(node): [] for node in range(size)}
    for one, other in draw(st.lists(pairs, max_size=30)):
        if one < other < size:
            edges[str(one)].append(str(other))
    return edges


@given(graphs(), st.integers(1, 5))
def test_every_node_is_settled_once_and_after_all_that_lead_to_it(
    edges: dict[str, list[str]], concurrency: int
) -> None:
    log: list[str] = []
    running = most = 0

    async def settle(node: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        log.append(f"start {node}")
        for _ in range(int(node) % 3):
            await asyncio.sleep(0)
        log.append(f"end {node}")
        running -= 1

    run(edges, settle, concurrency=concurrency)
    assert sorted(log) == sorted(f"{what} {node}" for node in edges for what in ("start", "end"))
    assert most <= concurrency
    for node, targets in edges.items():
        for target in targets:
            assert log.index(f"end {node}") < log.index(f"start {target}")


def test_a_node_waits_for_its_own_inputs_and_for_no_level() -> None:
    """Of two chains one is slow at its first node: the other is at its end by then."""
    log: list[str] = []

    async def main() -> None:
        gate = asyncio.Event()

        async def settle(node: str) -> None:
            if node == "slow1":
                await gate.wait()
            log.append(node)
            if node == "fast3":
                gate.set()

        edges = {"slow1": ["slow2"], "slow2": [], "fast1": ["fast2"], "fast2": ["fast3"], "fast3": []}
        await Schedule(edges, edges, concurrency=4, on_error="finish").run(settle)

    asyncio.run(main())
    assert log == ["fast1", "fast2", "fast3", "slow1", "slow2"]


@pytest.mark.parametrize("on_error, sibling", [("finish", "done"), ("cancel", "cancelled")])
def test_after_a_failure_nothing_is_started_and_siblings_do_as_they_are_told(
    on_error: OnError, sibling: str
) -> None:
    log: dict[str, str] = {}

    async def settle(node: str) -> None:
        log[node] = "started"
        if node == "bad":
            await asyncio.sleep(0)
            raise ValueError("bad luck")
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            log[node] = "cancelled"
            raise
        log[node] = "done"

    edges = {"bad": ["after bad"], "sibling": ["after sibling"], "after bad": [], "after sibling": []}
    with pytest.raises(ValueError, match="bad luck"):
        run(edges, settle, on_error=on_error)
    assert log == {"bad": "started", "sibling": sibling}


def test_a_node_that_is_cancelled_from_within_is_a_failure_and_not_a_silent_end() -> None:
    async def settle(_node: str) -> None:
        raise asyncio.CancelledError

    with pytest.raises(WorkflowError, match="node a was cancelled from within"):
        run({"a": ["b"], "b": []}, settle)


def test_when_all_of_it_is_cancelled_every_node_has_ended_before_it_returns() -> None:
    log: list[str] = []

    async def main() -> None:
        async def settle(node: str) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                log.append(node)

        edges: dict[str, list[str]] = {"a": [], "b": []}
        task = asyncio.create_task(Schedule(edges, edges, concurrency=2, on_error="finish").run(settle))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(log) == ["a", "b"]

    asyncio.run(main())


def test_an_empty_graph_is_done_at_once() -> None:
    async def settle(_node: Any) -> None:
        raise AssertionError

    run({}, settle)
