"""Faults of ours stay ours: they are counted, told once, and never reach the program that is recorded."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from types import CodeType


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

        Raises: the error itself, where it is no fault of ours: a signal handler of the program raised it, to leave
            what it was doing (a time limit, say), and only by chance was that a call of Clew.
        """
        if _is_of_a_signal_handler(error):
            raise error
        self.faults += 1
        if lost and run_id:
            self.unwritten[run_id] = self.unwritten.get(run_id, 0) + lost
        if self._told or sys.is_finalizing():
            return  # while Python takes itself apart, anything may fail, and nobody is to blame
        self._told = True
        with contextlib.suppress(Exception):
            sys.stderr.write(f"clew: a fault in recording was contained: {type(error).__name__}: {error}\n")
            if os.environ.get("CLEW_DEBUG"):
                import traceback  # only whoever looks for a fault of ours needs it

                traceback.print_exception(error, file=sys.stderr)

    def take(self, run_id: str) -> int:
        """Return how many events of a run were lost since this was last asked."""
        return self.unwritten.pop(run_id, 0)


def _is_of_a_signal_handler(error: BaseException) -> bool:
    signal = sys.modules.get("signal")
    if signal is None or threading.current_thread() is not threading.main_thread():
        return False
    handlers = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    traceback = error.__traceback__
    while traceback is not None and handlers:
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def _code_of(handler: object) -> CodeType | None:
    function = getattr(handler, "func", handler)  # functools.partial
    if not hasattr(function, "__code__"):
        function = type(function).__call__  # an object that can be called
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
