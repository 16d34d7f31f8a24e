"""What a tool can cut: the descriptors of the event loop, by which alone other threads reach it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from fcntl import F_GETFD, fcntl
from typing import Any, NoReturn, TypeVar

from clew.journal.sentences import say
from clew.workflow.tools.children import end_groups
from clew.workflow.tools.process_end import prepare_hasty_end

T = TypeVar("T")

_ending = threading.Lock()

_leave = os._exit  # not what a command has put in its place, which tells of tools that call it


class Lifeline:
    """Knows whether other threads still reach an event loop; a look costs about 1.5 us.

    A tool that closes a range of descriptors (`os.closerange(3, 256)`, as daemons do) takes those of the loop, of the
    journal, of the result and of every connection. The loop would then wait for ever.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Args: loop: as it was made, with all that is its own."""
        self._loop = loop
        self._hears = _number(getattr(loop, "_ssock", None))
        self._wakes = _number(getattr(loop, "_csock", None))
        self._was = self._now()

    @property
    def is_cut(self) -> bool:
        """Whether an end of it is gone, or another file has its number, and not because the loop itself was closed."""
        if self._now() == self._was:
            return False
        return (
            getattr(self._loop, "_ssock", None) is not None
        )  # a loop forgets the one before it closes the other

    def _now(self) -> int | None:
        try:
            fcntl(
                self._hears, F_GETFD
            )  # cheaper, and enough: who takes one number again leaves the other free
            return os.fstat(self._wakes).st_ino
        except (OSError, ValueError):
            return None

    def check(self, tool: str | None = None) -> None:
        """End the process where it is cut. Nothing can be awaited then, written down, or closed as it should be.

        The run is one that was interrupted, as after `kill -9`; the programs of other tools are ended.
        """
        if self.is_cut:
            _end(tool)


def run_on_loop(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, and the end of the process where the loop is the first to find that it is cut."""
    with asyncio.Runner() as runner:
        lifeline = Lifeline(runner.get_loop())
        try:
            return runner.run(main)
        except OSError:
            lifeline.check()
            raise


def _end(tool: str | None) -> NoReturn:
    _ending.acquire()  # never given back: who finds it out as well says nothing, and waits for the end
    who = "a tool" if tool is None else f"tool {tool}"
    try:
        prepare_hasty_end()
        say(f"clew: while {who} ran, descriptors were closed that are no tool's own; the run cannot go on")
        end_groups()
    finally:
        _leave(1)


def _number(owner: object) -> int:
    """Return the descriptor of a part of the loop; -1 where a loop of another kind has no such part."""
    fileno = getattr(owner, "fileno", None)
    return -1 if fileno is None else int(fileno())
