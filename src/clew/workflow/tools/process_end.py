"""What becomes of the command when a tool ends its process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NoReturn


@contextlib.contextmanager
def hasty_ends_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Say so where a tool calls `os._exit` in this process, and never end with success: there is no result.

    A child that was forked ends as it wants to. Nothing is done about what compiled code calls.
    """
    leave, pid = os._exit, os.getpid()

    def told(status: int) -> NoReturn:
        if os.getpid() == pid:
            with contextlib.suppress(Exception):  # the process ends, whatever comes of telling
                tell(f"a tool ended the process with os._exit({status}), in the middle of the run")
            status = status or 1
        leave(status)

    os._exit = told
    try:
        yield
    finally:
        if os._exit is told:
            os._exit = leave
