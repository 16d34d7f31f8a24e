"""What becomes of the command when a tool, or a signal, ends its process in the middle of the run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Final, NoReturn

_before: Final[list[Callable[[], None]]] = []


@contextlib.contextmanager
def hasty_ends_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Say so where a tool calls `os._exit` in this process, and end with exit code 1, whatever the tool wanted: other codes
    say of a run what is not so.

    A child that was forked ends as it wants to. Nothing is done about what compiled code calls.
    """
    leave, pid = os._exit, os.getpid()

    def told(status: int) -> NoReturn:
        if os.getpid() == pid:
            with contextlib.suppress(Exception):  # the process ends, whatever comes of telling
                prepare_hasty_end()
                tell(f"a tool ended the process with os._exit({status}), in the middle of the run")
            status = 1
        leave(status)

    os._exit = told
    try:
        yield
    finally:
        if os._exit is told:
            os._exit = leave


@contextlib.contextmanager
def before_hasty_end(prepare: Callable[[], None]) -> Iterator[None]:
    """Have this called where the process ends at once, so that what is said last is seen. It may be in a signal handler."""
    _before.append(prepare)
    try:
        yield
    finally:
        _before.remove(prepare)


def prepare_hasty_end() -> None:
    """Call what has to happen before the last words."""
    for prepare in _before:
        with contextlib.suppress(Exception):
            prepare()
