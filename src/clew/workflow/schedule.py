"""Starts each node as soon as everything before it is settled: no levels, and never more than so many at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from clew.errors import WorkflowError

OnError = Literal["finish", "cancel"]


class CancelledBy(NamedTuple):
    """Why a node was cancelled: another one failed. It goes down into nested workflows in the `CancelledError`."""

    node_id: str

    def __str__(self) -> str:
        return f"cancelled, because node {self.node_id} failed"


class Schedule:
    """Runs the nodes of one graph, each once. O(nodes + edges)."""

    def __init__(
        self,
        nodes: Iterable[str],
        edges: Mapping[str, Iterable[str]],
        *,
        concurrency: int,
        on_error: OnError,
    ) -> None:
        """Prepare a graph without circles.

        Args:
            nodes: in the order in which those that are ready at the same time are started.
            edges: from each node to those behind it, once for every edge.
            concurrency: nodes that run at the same time.
            on_error: after a node raised, no other is started; those that run end by themselves or are cancelled.
        """
        self._after = {node: list(edges[node]) for node in nodes}
        self._waits_for = dict.fromkeys(self._after, 0)
        for targets in self._after.values():
            for target in targets:
                self._waits_for[target] += 1
        self._ready = deque(node for node, count in self._waits_for.items() if not count)
        self._concurrency = concurrency
        self._on_error = on_error
        self._running: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self.cancelled_by: CancelledBy | None = None
        """Why the nodes that were running were cancelled; None where they were not, or by whoever ended all of it."""
        self.unsettled = len(self._after)
        """Nodes that have not ended yet."""
        self._ready_ns = dict.fromkeys(self._ready, time.monotonic_ns())

    def waited_ns(self, node: str) -> int:
        """Return how long a node that has just started had waited for a free place."""
        return time.monotonic_ns() - self._ready_ns.pop(node, time.monotonic_ns())

    async def run(self, settle: Callable[[str], Awaitable[None]]) -> None:
        """Settle every node: run it, or find that it is to be skipped.

        Raises: what the first node raised; asyncio.CancelledError, after all nodes have been cancelled.
        """
        done = asyncio.get_running_loop().create_future()

        def start_ready() -> None:
            while self._ready and len(self._running) < self._concurrency and self._failure is None:
                node = self._ready.popleft()
                task = asyncio.get_running_loop().create_task(self._one(node, settle), name=node)
                self._running.add(task)
                task.add_done_callback(ended)
            if not self._running and not done.done():
                done.set_result(None)

        def ended(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            error: BaseException | None
            if task.cancelled():
                error = WorkflowError(f"node {task.get_name()} was cancelled from within")
            else:
                error = task.exception()
            if error is not None and self._failure is None:
                self._failure = error
                if self._on_error == "cancel":
                    self._cancel(CancelledBy(task.get_name()))
            start_ready()

        start_ready()
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError as cancelled:
            self._failure = self._failure or cancelled
            reason = cancelled.args[0] if cancelled.args else None
            self._cancel(reason if isinstance(reason, CancelledBy) else None)
            await done
            raise
        if self._failure is not None:
            raise self._failure

    async def _one(self, node: str, settle: Callable[[str], Awaitable[None]]) -> None:
        await settle(node)
        self.unsettled -= 1
        waits_for, ready = self._waits_for, self._ready
        for target in self._after[node]:
            waits_for[target] -= 1
            if not waits_for[target]:
                self._ready_ns[target] = time.monotonic_ns()
                ready.append(target)

    def _cancel(self, reason: CancelledBy | None) -> None:
        self.cancelled_by = self.cancelled_by or reason
        for task in self._running:
            task.cancel(reason)
