"""The last resort: lines are kept in memory, within a bound, and what does not fit is counted."""

from __future__ import annotations

import threading
from collections import deque
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
        self._lost: dict[str, int] = {}

    def write(self, line: bytes) -> int:
        """Keep a line, at the cost of older ones. Never raises."""
        with self._lock:
            self._lines.append(line)
            self._bytes += len(line)
            while self._bytes > self._max_bytes:
                oldest = self._lines.popleft()
                self._bytes -= len(oldest)
                run_id = run_of(oldest)
                self._lost[run_id] = self._lost.get(run_id, 0) + 1
        return len(line)

    def lines(self) -> list[bytes]:
        """Return the lines that are kept, oldest first."""
        with self._lock:
            return list(self._lines)

    def take(self) -> tuple[list[bytes], dict[str, int]]:
        """Empty the ring: return what it kept, and how many lines it gave up by run."""
        with self._lock:
            lines, lost = list(self._lines), self._lost
            self._lines.clear()
            self._bytes = 0
            self._lost = {}
            return lines, lost


def run_of(line: bytes) -> str:
    """Return the run id of a line that Clew wrote; empty where it has none."""
    start = line.find(_RUN_KEY, 0, 80)
    if start < 0:
        return ""
    start += len(_RUN_KEY)
    return line[start : line.find(b'"', start)].decode("ascii", errors="replace")
