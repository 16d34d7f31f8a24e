"""A source, sinks and lines for the tests of the stream."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from clew.errors import SinkError

RUN_ID = "0199c2f1a3b4" + "5" * 20
WAIT_S = 20.0
"""How long a test waits for another thread before it calls that a failure; it normally takes milliseconds."""


def event_line(
    event: str = "node_completed",
    level: str = "INFO",
    *,
    run_id: str = RUN_ID,
    data: object = None,
    **envelope: object,
) -> bytes:
    """One event as Clew writes it."""
    fields: dict[str, Any] = {
        "timestamp": "2026-11-21T03:59:12.123456Z",
        "run_id": run_id,
        "event": event,
        "level": level,
        **envelope,
        "data": {} if data is None else data,
    }
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def numbered(count: int, *, start: int = 0) -> list[bytes]:
    """Events that are told apart by their `seq`."""
    return [event_line(seq=number) for number in range(start, start + count)]


class ListSource:
    """Gives the batches that it was fed, one a poll."""

    def __init__(self, *batches: list[bytes]) -> None:
        self.batches = deque(batches)
        self.polls = 0

    def feed(self, *batches: list[bytes]) -> None:
        self.batches.extend(batches)

    def poll(self) -> list[bytes]:
        self.polls += 1
        return self.batches.popleft() if self.batches else []


class ListSink:
    """Keeps what it is given, refuses as often as told, and lets a test wait for lines."""

    def __init__(self, *, refusals: Sequence[BaseException] = ()) -> None:
        self.lines: list[bytes] = []
        self.offered: list[Sequence[bytes]] = []
        self.refusals = deque(refusals)
        self.closed = False
        self._changed = threading.Condition()

    def write(self, lines: Sequence[bytes], /) -> None:
        with self._changed:
            self.offered.append(lines)
            self._changed.notify_all()
            if self.refusals:
                raise self.refusals.popleft()
            self.lines += lines

    def close(self, *, timeout_s: float) -> None:
        self.closed = True

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.lines) >= count, WAIT_S)

    def wait_for_offers(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.offered) >= count, WAIT_S)


class RefusingSink(ListSink):
    """Never takes anything."""

    def write(self, lines: Sequence[bytes], /) -> None:
        self.refusals.append(SinkError("no room"))
        super().write(lines)


class HangingSink(ListSink):
    """Does not come back from a write until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.release = threading.Event()

    def write(self, lines: Sequence[bytes], /) -> None:
        self.entered.set()
        assert self.release.wait(WAIT_S)
        super().write(lines)
