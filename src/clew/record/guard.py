"""Faults of ours stay ours: they are counted, told once, and never reach the program that is recorded."""

from __future__ import annotations

import contextlib
import os
import sys

from clew.journal.sentences import say
from clew.journal.signals import let_through


class Guard:
    """Counts what went wrong in Clew itself since the count was last written down."""

    def __init__(self) -> None:
        self.faults = 0
        """Faults in all."""
        self.unwritten: dict[str, int] = {}
        """Events that were lost by a fault and are not in the log yet, by run."""
        self._told = False

    def caught(self, error: BaseException, *, run_id: str = "", lost: int = 1) -> None:
        """Take note of a fault; `lost` events of the run are not in the log for it.

        Raises: the error itself, where it is no fault of ours: Ctrl-C, or a signal handler of the program raised it,
            to leave what it was doing (a time limit, say), and only by chance was that a call of Clew.
        """
        let_through(error)
        self.faults += 1
        if lost and run_id:
            self.unwritten[run_id] = self.unwritten.get(run_id, 0) + lost
        if self._told or sys.is_finalizing():
            return  # while Python takes itself apart, anything may fail, and nobody is to blame
        self._told = True
        with contextlib.suppress(Exception):
            say(f"clew: a fault in recording was contained: {type(error).__name__}: {error}")
            if os.environ.get("CLEW_DEBUG"):
                import traceback  # only whoever looks for a fault of ours needs it

                say("".join(traceback.format_exception(error)).rstrip())

    def take(self, run_id: str) -> int:
        """Return how many events of a run were lost since this was last asked."""
        return self.unwritten.pop(run_id, 0)
