"""The last resort: lines are kept in memory, within a bound, and what does not fit is counted."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import Final

DEFAULT_RING_BYTES: Final = 16 * 1024 * 1024
_RUN_KEY: Final = b'"run_id":"'


class MemoryRing:
    """Lines in memory, the oldest given up first. Safe for threads and for signal handlers.

    A `Segment` that always has room and has no file.
    """

    def __init__(self, max_bytes: int = DEFAULT_RING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lock = threading.RLock()
        self._lost: dict[str, int] = defaultdict(int)
        self._closed = False

    def write(self, line: bytes) -> int:
        """Keep a line, at the cost of older ones.

        Raises: ValueError once the ring is closed, which the writer never does.
        """
        if self._closed:
            raise ValueError("the ring is closed")
        # A signal handler may come in at any call, on the thread that has the lock: between reading a count and
        # storing it there must be none.
        size = len(line)
        with self._lock:
            self._lines.append(line)
            self._bytes += size
            while self._bytes > self._max_bytes and self._lines:
                run_id = run_of(self._pop())
                self._lost[run_id] += 1
        return size

    def lines(self) -> list[bytes]:
        """Return the lines that are kept, oldest first."""
        with self._lock:
            return list(self._lines)

    def take(self) -> tuple[list[bytes], dict[str, int]]:
        """Empty the ring: return what it kept, and how many lines it gave up by run."""
        with self._lock:
            lines = []
            while self._lines:
                lines.append(self._pop())
            lost, self._lost = self._lost, defaultdict(int)
            return lines, dict(lost)

    def lost(self) -> dict[str, int]:
        """Return how many lines were given up by run, and keep the count."""
        with self._lock:
            return dict(self._lost)

    def grow(self, needed_bytes: int) -> int:
        """Return the bytes that are kept: room is made by giving up what is old."""
        del needed_bytes
        return self._bytes

    def use_spare(self) -> None:
        """Do nothing: there is always room."""

    def close(self, last_line: bytes = b"") -> int:
        """Keep a last line, take no more, and return the bytes that are kept."""
        if last_line and not self._closed:
            self.write(last_line)
        self._closed = True
        return self._bytes

    def abandon(self) -> None:
        """Forget everything: in a forked process it is the parent's."""
        self._closed = True
        self.take()

    def used(self) -> int | None:
        """Return None: nobody follows what is in memory."""
        return None

    def unlinked(self) -> bool:
        """Say no: there is no file to delete."""
        return False

    def content(self) -> bytes:
        """Return everything that is kept, and take no more."""
        self._closed = True
        return b"".join(self.lines())

    def sync(self) -> None:
        """Do nothing: nothing here outlives the process."""

    def _pop(self) -> bytes:
        oldest = self._lines.popleft()
        size = len(oldest)
        self._bytes -= size
        return oldest


def run_of(line: bytes) -> str:
    """Return the run id of a line that Clew wrote; empty where it has none."""
    start = line.find(_RUN_KEY, 0, 80)
    if start < 0:
        return ""
    start += len(_RUN_KEY)
    return line[start : line.find(b'"', start)].decode("ascii", errors="replace")
