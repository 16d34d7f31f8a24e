"""An event loop of their own for asynchronous tools.

A tool that blocks, or ignores that it is cancelled, then stops neither the workflow nor the end of the process. All
tools of a folder share one loop, so that what they keep between calls (a client, a lock) stays usable.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from clew.workflow.tools.daemon_threads import Delivery, Outcome, in_daemon_thread

_CLOSE_S: Final = 1.0
"""How long the end of a loop waits for calls that are being cancelled."""


class ToolLoop:
    """Runs coroutines in a daemon thread that is started when there is one."""

    def __init__(self) -> None:
        self._lane: _Lane | None = None

    async def run(self, work: Callable[[], Coroutine[Any, Any, Any]], *, timeout_s: float | None) -> Any:
        """Await `work()` over there, in a copy of the caller's context.

        When the time is up, or the caller is cancelled, it is cancelled and not waited for.

        Raises: TimeoutError; what `work` raises.
        """
        lane = self._lane
        if lane is not None and lane.unheard:
            lane.retire()  # it hangs in a call
            lane = None
        if lane is None:
            lane = self._lane = _Lane()
        call = _Call(work, lane)
        lane.loop.call_soon_threadsafe(call.begin, contextvars.copy_context())
        try:
            async with asyncio.timeout(timeout_s):
                outcome = await call.delivery.future
        except (TimeoutError, asyncio.CancelledError):
            lane.cancel(call)
            raise
        return outcome.get()

    async def close(self) -> None:
        """Cancel what is still running and end the thread, unless it hangs."""
        lane, self._lane = self._lane, None
        if lane is not None and lane.unheard:
            lane.retire()
        elif lane is not None:
            with contextlib.suppress(TimeoutError):
                await in_daemon_thread(lane.stop, timeout_s=2 * _CLOSE_S)


class _Call:
    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]], lane: _Lane) -> None:
        self._work = work
        self._lane = lane
        self.delivery = Delivery()
        self.task: asyncio.Task[Any] | None = None

    def begin(self, context: contextvars.Context) -> None:
        self.task = self._lane.loop.create_task(_run(self._work), context=context)
        self.task.add_done_callback(self._end)
        self._lane.calls.add(self)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._lane.calls.discard(self)
        self._lane.rest()
        if task.cancelled():
            outcome = Outcome(error=asyncio.CancelledError("the tool cancelled itself"))
        else:
            error = task.exception()
            outcome = Outcome(error=error) if error is not None else Outcome(value=task.result())
        self.delivery.hand_in(outcome)


async def _run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return await work()


class _Lane:
    """One thread with one loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.unheard = 0
        """Cancellations that the loop was told of and has not come to."""
        self.calls: set[_Call] = set()
        self._is_retired = False
        self.is_quiet = threading.Event()
        """Nothing is waited for any more."""
        threading.Thread(target=self._serve, name="clew-async-tools", daemon=True).start()

    def cancel(self, call: _Call) -> None:
        self.unheard += 1

        def hear() -> None:
            self.unheard -= 1
            if call.task is not None:
                call.task.cancel()

        with contextlib.suppress(RuntimeError):  # closed
            self.loop.call_soon_threadsafe(hear)

    def retire(self) -> None:
        """Take no more calls, and end with the last one."""
        self._is_retired = True
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.rest)

    def rest(self) -> None:
        """End the loop where it is not needed any more."""
        if self._is_retired and not self.calls:
            self.loop.stop()

    def stop(self) -> None:
        """Called in a thread that may wait: until all calls have ended, or were told to and took no notice."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.loop.stop)
        self.is_quiet.wait(2 * _CLOSE_S)

    def _serve(self) -> None:
        while True:
            try:
                self.loop.run_forever()
                break
            except BaseException:  # noqa: S112 - a task that a tool started called sys.exit: only that one ends
                continue
        try:
            left = self.loop.run_until_complete(_cancel_all())
            self.is_quiet.set()
            if left:
                # They took no notice of being cancelled. Thrown away with their loop, they would be told once more by
                # the end of the interpreter, and might spin for ever: they keep it, in this daemon thread.
                self.loop.run_until_complete(asyncio.wait(left))
        finally:
            self.is_quiet.set()
            self.loop.close()


async def _cancel_all() -> set[asyncio.Task[Any]]:
    """Cancel what there is and return what goes on all the same."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    left: set[asyncio.Task[Any]] = set()
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=_CLOSE_S)
    if not left:  # else one of theirs may wait for them
        await asyncio.get_running_loop().shutdown_asyncgens()
    return left


class Stepped:
    """Awaits a coroutine step by step, and looks after each whether it left the process as it was.

    A step may come back in a forked child. That has a copy of the loop that shares its descriptors with the parent's:
    it must not turn it even once.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, after: Callable[[int], None]) -> None:
        """Args: after: told the process that it began in; ends this process where it cannot go on."""
        self._coroutine = coroutine
        self._after = after

    def __await__(self) -> Generator[Any, Any, Any]:
        pid = os.getpid()
        steps = self._coroutine.__await__()
        try:
            waits_for = next(steps)
            while True:
                self._after(pid)
                try:
                    sent = yield waits_for
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:
                    waits_for = steps.throw(error)
                else:
                    waits_for = steps.send(sent)
        except StopIteration as stop:
            return stop.value
        finally:
            self._after(pid)


def end_forked_child(pid: int, *, code: int = 0) -> None:
    """End this process at once where it is not the process `pid` but its forked child."""
    if os.getpid() != pid:
        os._exit(code)
