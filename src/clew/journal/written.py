"""A segment that is appended to by `os.write`: for file systems that cannot map safely."""

from __future__ import annotations

import errno
import os
import threading
from typing import Final

_LOOK_EVERY: Final = 256
"""Lines after which to look whether the file was deleted; a mapped segment looks when its window moves."""


class WrittenSegment:
    """One segment file, open for appending. Every line is one system call."""

    def __init__(self, fd: int, *, size: int = 0) -> None:
        """Take over the open file; `size` bytes of it are already used."""
        self._fd = fd
        self._closed = False
        self._size = size
        self._until_look = _LOOK_EVERY
        # `os.write` lets other threads run, and a signal handler may record in the middle of it.
        self._lock = threading.RLock()

    def write(self, line: bytes) -> int:
        """Append a line.

        Raises: OSError where it could not be written whole (what was written of it is taken back), ValueError
        once the segment is closed, and where somebody deleted its file.
        """
        with self._lock:
            if self._closed:
                raise ValueError("the segment is closed")
            self._until_look -= 1
            if self._until_look < 0:
                self._until_look = _LOOK_EVERY
                if self.unlinked():
                    raise ValueError("somebody deleted the file")
            start, size = self._size, len(line)
            # Taken before the call: the line of a signal handler that comes in during it must lie behind.
            self._size = start + size
            written = 0
            try:
                written = os.pwrite(self._fd, line, start)
                while (
                    0 < written < size
                ):  # the next call says why: the disk is full, or the file is too large
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
        """Return the bytes used so far; the file grows by being written to."""
        del needed_bytes
        return self._size

    def use_spare(self) -> None:
        """Do nothing: a last word may still fit into the file's last block."""

    def close(self, last_line: bytes = b"") -> int:
        """Stop taking lines, put the last one behind them, and return the bytes used."""
        with self._lock:
            if self._fd >= 0:
                try:
                    if last_line and not self._closed:
                        self.write(last_line)
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
