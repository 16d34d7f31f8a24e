"""Blocking work in threads that can be left behind.

The threads of asyncio's own executor are joined when the process ends, so that one call that never returns would keep
the process alive. These are daemons, and are used again while they come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

_IDLE_S: Final = 10.0
"""How long a thread waits for more work before it ends."""


class Outcome(NamedTuple):
    """How a call ended. An error travels as a value: a future cannot hold every kind (StopIteration)."""

    value: Any = None
    error: BaseException | None = None

    def get(self) -> Any:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value


class Delivery:
    """Brings an outcome from another thread to whoever awaits it; nowhere, where nobody does any more."""

    def __init__(self) -> None:
        """Made on the event loop that waits."""
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Outcome] = self._loop.create_future()

    def hand_in(self, outcome: Outcome) -> None:
        """Called once, from any thread. Never raises."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: Outcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


async def in_daemon_thread(work: Callable[[], T], *, timeout_s: float | None = None) -> T:
    """Run `work` in a daemon thread, in a copy of the caller's context, and return what it returns.

    When the time is up, or the caller is cancelled, the thread is left to itself and its outcome is dropped.

    Raises: TimeoutError; what `work` raises.
    """
    delivery = Delivery()
    context = contextvars.copy_context()

    def job() -> Outcome:
        try:
            return Outcome(value=context.run(work))
        except BaseException as error:
            return Outcome(error=error)

    _worker().jobs.put((job, delivery))
    async with asyncio.timeout(timeout_s):
        outcome = await delivery.future
    result: T = outcome.get()
    return result


class _Worker:
    """One thread and the job that it is given."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[tuple[Callable[[], Outcome], Delivery]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="clew-tool", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                job, delivery = self.jobs.get(timeout=_IDLE_S)
            except queue.Empty:
                with _lock:
                    if self in _idle:
                        _idle.remove(self)
                        return
                continue  # somebody has just taken it: a job is on its way
            outcome = job()
            with _lock:
                _idle.append(self)
            delivery.hand_in(outcome)
            del job, delivery, outcome  # nothing stays alive while it waits


_idle: Final[list[_Worker]] = []
_lock = threading.Lock()


def _worker() -> _Worker:
    with _lock:
        if _idle:
            return _idle.pop()
    return _Worker()


def _forget_threads() -> None:
    """In a forked child only the thread that forked goes on."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


os.register_at_fork(after_in_child=_forget_threads)
