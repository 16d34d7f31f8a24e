"""Programs that tools started, and that have to end with this process, also where a signal ends it.

Each leads a process group of its own, so nothing else would end it: neither a terminal nor the death of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from clew.workflow.tools.process_end import prepare_hasty_end

GRACE_S: Final = 2.0
"""Between asking a program to end and killing it."""
STARTING: Final = 0
"""In place of a group's id: there may be one in an instant."""
_POLL_S: Final = 0.02
_MOST_DELAYS: Final = 40
_DELAY_S: Final = 0.05
"""A signal waits so long for a program that is just being started, and not for ever."""
_LAST_GRACE_S: Final = 0.5
"""As `GRACE_S`, for somebody who asked twice: the programs were told to end by the first time."""
_FATAL: Final = (signal.SIGTERM, signal.SIGHUP)
_groups: Final[dict[object, Callable[[], int | None]]] = {}
_delays: Final[list[int]] = []


@contextlib.contextmanager
def ending_with_us(group: Callable[[], int | None]) -> Iterator[None]:
    """While this is entered, a program's group ends with this process.

    Args: group: returns its id, which is that of the program; None where there is none, `STARTING` where it comes.
    """
    key = object()
    _groups[key] = group
    try:
        yield
    finally:
        _groups.pop(key, None)


@contextlib.contextmanager
def signals_end_children() -> Iterator[Callable[[], None]]:
    """While this is entered, a signal that ends this process ends the programs first. Then it does what it always does.

    Nothing is recorded by that: the run is one that was interrupted, as after `kill -9`. Signals that somebody handles
    or ignores are left alone, and so are all of them outside of the main thread.

    Yields what is called on the event loop of an `asyncio.Runner`: from then on the first Ctrl-C is that loop's, which cancels
    its task, and the next one is a signal that ends this process. What is being closed then is waited for no longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    ours = [number for number in _FATAL if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _end)
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        yield _Interrupts.take if is_ours else lambda: None
    finally:
        for number in ours:
            if signal.getsignal(number) is _end:
                signal.signal(number, signal.SIG_DFL)
        if isinstance(signal.getsignal(signal.SIGINT), _Interrupts):
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _Interrupts:
    """Handles Ctrl-C: the first as it was handled before, every other as an end."""

    def __init__(self, first: Any) -> None:
        self._first = first
        self._has_come = False

    @classmethod
    def take(cls) -> None:
        first = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, cls(first))

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._has_come:
            _end(number, frame)
            return
        self._has_come = True
        self._first(number, frame)


def end_groups(grace_s: float = GRACE_S) -> None:
    """Ask all programs to end, and kill what has not done so after a while."""
    found = {pid for group in list(_groups.values()) if (pid := group())}
    for pid in found:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(map(_is_there, found)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for pid in found:
        _signal(pid, signal.SIGKILL)


def _end(number: int, _frame: FrameType | None) -> None:
    if any(group() == STARTING for group in list(_groups.values())) and _delayed(number):
        return
    logging.getLogger("asyncio").disabled = True  # it would tell of programs that are waited for in here
    is_impatient = number == signal.SIGINT
    if is_impatient:
        signal.signal(number, signal.SIG_IGN)  # one more would only begin this again
    end_groups(_LAST_GRACE_S if is_impatient else GRACE_S)
    prepare_hasty_end()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _delayed(number: int) -> bool:
    """Have the signal come again after the event loop had time to go on; say whether that is so."""
    _delays.append(number)
    if len(_delays) > _MOST_DELAYS:
        return False
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    loop.call_soon_threadsafe(loop.call_later, _DELAY_S, signal.raise_signal, number)
    return True


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _is_there(group: int) -> bool:
    with contextlib.suppress(ChildProcessError):  # who waits for it had it first
        os.waitpid(group, os.WNOHANG)
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _in_forked_child() -> None:
    """The programs are the parent's, and a signal is to end the child as if none of this were here."""
    _groups.clear()
    for number in _FATAL:
        if signal.getsignal(number) is _end:
            with contextlib.suppress(ValueError):  # it was forked in a thread
                signal.signal(number, signal.SIG_DFL)


os.register_at_fork(after_in_child=_in_forked_child)
