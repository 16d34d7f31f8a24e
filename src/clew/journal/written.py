"""A segment that is appended to by `os.write`: for file systems that cannot map safely."""

from __future__ import annotations

import errno
import os
import threading
from typing import Final

from clew.journal.marks import PAGE_BYTES, as_end
from clew.journal.signals import Tolerate

ROOM_BYTES: Final = 64 * 1024
"""After so much a writer must ask for room, as a mapped segment's must when its window is full: it then sees that
the file was deleted, or is large enough."""


class WrittenSegment:
    """One segment file, open for appending. Every line is one system call."""

    def __init__(self, fd: int, *, size: int = 0) -> None:
        """Take over the open file; `size` bytes of it are already used."""
        self._fd = fd
        self._closed = False
        self._size = size
        self._room = size
        # `os.write` lets other threads run, and a signal handler may record in the middle of it.
        self._lock = threading.RLock()
        self.grow(0)

    def write(self, line: bytes) -> int:
        """Append a line.

        Raises: OSError where it could not be written whole (what was written of it is taken back), ValueError
        where there is no room, and once the segment is closed.
        """
        # A signal handler in the middle of a write of its own thread must not wait for room: whoever makes it may
        # be waiting for that write to end.
        is_inside: bool = self._lock._is_owned()  # type: ignore[attr-defined]
        with self._lock:
            if self._closed:
                raise ValueError("the segment is closed")
            start, size = self._size, len(line)
            if start + size > self._room and not is_inside:
                raise ValueError("no room")
            # Taken before the call: the line of a signal handler that comes in during it must lie behind.
            self._size = start + size
            written = 0
            try:
                written = os.pwrite(self._fd, line, start)
                while 0 < written < size:  # the next call says why: a full disk, or too large a file
                    written += os.pwrite(self._fd, line[written:], start + written)
            finally:
                if written != size and self._size == start + size:
                    self._size = start
                    if written:
                        os.ftruncate(self._fd, start)
            if written != size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return written

    def grow(self, needed_bytes: int) -> int:
        """Make room for a line of that length, and return the bytes used so far."""
        used = self._size
        wanted = used + max(needed_bytes, ROOM_BYTES)
        room = wanted + -wanted % PAGE_BYTES
        with Tolerate(OSError):  # it only looks sealed then, to who begins to follow it
            os.ftruncate(self._fd, room)
        self._room = room  # last: the call lets other threads run, who would use it up
        return used

    def use_spare(self) -> None:
        """Do nothing: a last word may still fit into the file's last block."""

    def close(self, last_line: bytes = b"") -> int:
        """Stop taking lines, put the last one behind them, and return the bytes used."""
        with self._lock:
            if self._fd >= 0:
                try:
                    if last_line and not self._closed:
                        last_line = as_end(last_line, self._size)
                        self._room = self._size + len(last_line)
                        self.write(last_line)
                    os.ftruncate(self._fd, self._size)
                finally:
                    self._closed = True
                    fd, self._fd = self._fd, -1
                    os.close(fd)
            return self._size

    def abandon(self) -> None:
        """Let go of the file without touching it: it belongs to the parent of this forked process."""
        self._closed = True
        fd, self._fd = self._fd, -1
        os.close(fd)

    def used(self) -> int | None:
        """Return None: the size is known before the line can be read."""
        return None

    def unlinked(self) -> bool:
        """Say whether somebody deleted the file."""
        return os.fstat(self._fd).st_nlink == 0

    def content(self) -> bytes:
        """Return everything that was appended, and make the segment take no more."""
        with self._lock:
            self._closed = True
            return os.pread(self._fd, self._size, 0)

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        os.fsync(self._fd)
