"""Errors that a signal handler of the program raised, to leave what it was doing: Ctrl-C, a time limit.

By chance that may be a call of Clew. Such an error is the program's and is always let through, whatever its kind: time
limits raise `TimeoutError`, which is an `OSError`, as a full disk is.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from types import CodeType, TracebackType


def let_through(error: BaseException) -> None:
    """Do nothing for a fault of ours or of the disk.

    Raises: the error itself, where a signal handler raised it, or where it is none that may be contained. A `SystemExit`
        may be, where an object raised it that was asked for its text.
    """
    if not isinstance(error, (Exception, SystemExit)) or _is_of_a_signal_handler(error):
        raise error


class Tolerate(contextlib.suppress):
    """`contextlib.suppress`, but an error of a signal handler is let through."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Say whether the error ends here."""
        return super().__exit__(kind, error, traceback) and not (
            error is not None and _is_of_a_signal_handler(error)
        )


def _is_of_a_signal_handler(error: BaseException) -> bool:
    traceback = error.__traceback__
    signal = sys.modules.get("signal")
    if traceback is None or traceback.tb_next is None or signal is None:
        return False  # raised right where it was caught
    if threading.current_thread() is not threading.main_thread():
        return False
    handlers = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    frames: TracebackType | None = traceback
    while frames is not None and handlers:
        if frames.tb_frame.f_code in handlers:
            return True
        frames = frames.tb_next
    return False


def _code_of(handler: object) -> CodeType | None:
    function = getattr(handler, "func", handler)  # functools.partial
    if not hasattr(function, "__code__"):
        function = type(function).__call__  # an object that can be called
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
