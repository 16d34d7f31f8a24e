"""Whole lines into a file descriptor that others write to as well."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from typing import Final

try:
    from fcntl import fcntl, ioctl
    from termios import FIONREAD
except ImportError:  # Windows
    HAS_FCNTL = False
else:
    HAS_FCNTL = True

PIPE_BUF: Final = getattr(select, "PIPE_BUF", 512)
"""A write of at most so many bytes into a pipe is never mixed with another's."""
_F_GETPIPE_SZ: Final = 1032
_SOCKET_CHUNK: Final = 16 * 1024
"""One buffer of the kernel's; a longer write may be mixed with another's between two of them."""
_GUESSED_PIPE_SIZE: Final = 16 * 1024
_PAGE: Final = 4096
_WAIT_MS: Final = 1000

GONE: Final = frozenset(
    {
        errno.EPIPE,  # the reader left
        errno.EBADF,  # closed by the program
        errno.EIO,  # the terminal hung up
        errno.ECONNRESET,
        errno.ENOTCONN,
        errno.ESHUTDOWN,
        errno.ENXIO,
    },
)
"""Errors after which nothing will ever arrive at the other end."""


class Descriptor:
    """Writes whole lines to a descriptor, with as few system calls as keep them whole.

    A program's own prints go to the same place. Where the kernel might mix them into the middle of a long write
    (a pipe that is nearly full, a socket), lines go in pieces that it keeps together. Elsewhere a batch is one
    call: while other threads are busy, each call costs a wait for the interpreter's lock.
    """

    def __init__(self, fd: int) -> None:
        """Args: fd: open for writing; it stays the caller's, who closes it.
        Raises: OSError: it is not open.
        """
        self.fd: Final = fd
        mode = os.fstat(fd).st_mode
        self._is_socket = stat.S_ISSOCK(mode)
        self._pipe_size = _pipe_size(fd) if stat.S_ISFIFO(mode) else 0

    def write(self, data: bytes, start: int) -> int:
        """Write some of `data` from `start`, at least one byte, waiting for room as long as it takes.

        Args: data: whole lines, each with its newline.
        Returns: where the next write starts.
        Raises: OSError: as os.write does, but never for a descriptor that is not ready.
        """
        with memoryview(data) as view:
            piece = view[start : self._end_of_piece(data, start)]
            while True:
                try:
                    return start + os.write(self.fd, piece)
                except (
                    BlockingIOError
                ):  # somebody made the descriptor non-blocking; that is not ours to change
                    self._wait()

    def _end_of_piece(self, data: bytes, start: int) -> int:
        """Return the end of the lines that go in one call."""
        if self._is_socket:
            room = _SOCKET_CHUNK
        elif self._pipe_size:
            room = max(PIPE_BUF, self._pipe_room())
        else:
            return len(data)
        if len(data) - start <= room:
            return len(data)
        return data.rfind(b"\n", start, start + room) + 1 or data.find(b"\n", start) + 1 or len(data)

    def _pipe_room(self) -> int:
        """Return how many bytes the pipe will have room for, all in one.

        Half of it is left to whoever else writes between this question and our write.
        """
        if not HAS_FCNTL:
            return 0
        try:
            # With mutate_flag=False the call keeps the interpreter's lock: getting it back can take 20 ms.
            reply = ioctl(self.fd, FIONREAD, bytearray(4), False)
        except OSError:
            return 0
        unread = int.from_bytes(reply, sys.byteorder)
        # A write of just over half a page leaves the rest of its page unused.
        return self._pipe_size // 2 - (2 * (unread + _PAGE) if unread else 0)

    def _wait(self) -> None:
        if hasattr(select, "poll"):
            waiter = select.poll()
            waiter.register(self.fd, select.POLLOUT)
            waiter.poll(_WAIT_MS)
        else:
            select.select([], [self.fd], [], _WAIT_MS / 1000)


def _pipe_size(fd: int) -> int:
    if not HAS_FCNTL:
        return PIPE_BUF
    try:
        return fcntl(fd, _F_GETPIPE_SZ)
    except OSError:
        return _GUESSED_PIPE_SIZE
