"""What Clew itself has to say on standard error: said now, or not at all. The program never waits for it.

A stream whose other end nobody reads takes no byte, for as long as that lasts, and a program that ends with a sentence
of ours would not end.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from typing import TextIO

from clew.journal.signals import Tolerate


class _Reader:
    """Who reads standard error, as far as our own sentences have found out."""

    gone = False
    """Whether a sentence was waited for in vain: the next ones are not waited for."""


def say(sentence: str, *, patience_s: float = 0.0) -> bool:
    """Write one line to standard error, or drop it where that cannot be done now. Never blocks, and never raises.

    Args: patience_s: how long to wait for room, unless an earlier sentence found none.
    Returns: whether it was written.
    """
    stream = sys.stderr
    if stream is None:
        return False
    with Tolerate(Exception):  # a closed stderr is no reason to disturb the program
        text = f"{sentence}\n"
        descriptor = _that_may_block(stream)
        if descriptor is None:
            stream.write(text)
            return True
        if not _has_room(descriptor, 0.0 if _Reader.gone else patience_s):
            _Reader.gone = _Reader.gone or patience_s > 0
            return False
        _Reader.gone = False
        if isinstance(stream, io.TextIOWrapper):
            # Past the stream: another thread may hold its lock, and wait with it for a reader.
            _write(descriptor, text.encode(stream.encoding, stream.errors or "backslashreplace"))
        else:
            stream.write(text)
        return True
    return False


def _that_may_block(stream: TextIO) -> int | None:
    """Return the descriptor of a pipe, a socket or a terminal; None for a file, and for what has none."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor


def _has_room(descriptor: int, patience_s: float) -> bool:
    import select  # a program that nothing is said of does not need it

    if not hasattr(select, "poll"):
        return bool(select.select([], [descriptor], [], patience_s)[1])
    waiter = select.poll()
    waiter.register(descriptor, select.POLLOUT)
    return any(found & select.POLLOUT for _, found in waiter.poll(patience_s * 1000))


def _write(descriptor: int, data: bytes) -> None:
    """Write what there is room for.

    Another thread may have taken the room since it was found, so a pipe is opened once more, for writes that do not
    wait: to say so of the descriptor itself would change it for every process that has it.
    """
    again = None
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with contextlib.suppress(OSError):
            again = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(descriptor if again is None else again, data)
    finally:
        if again is not None:
            os.close(again)
