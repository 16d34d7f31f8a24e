"""The last resort: lines are kept in memory, within a bound, and what does not fit is counted."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import Final

DEFAULT_RING_BYTES: Final = 16 * 1024 * 1024
_RUN_KEY: Final = b'"run_id":"'


class MemoryRing:
    """Lines in memory, the oldest given up first. Safe for threads and for signal handlers."""

    def __init__(self, max_bytes: int = DEFAULT_RING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lock = threading.RLock()
        self._lost: dict[str, int] = defaultdict(int)

    def write(self, line: bytes) -> int:
        """Keep a line, at the cost of older ones. Never raises."""
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
