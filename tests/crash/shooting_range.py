"""Forks children that record with four threads, and kills each at a random instant.

Run as a program: it prints one JSON line a child, with what that child had acknowledged when it died. An
acknowledgement is a counter in shared memory that a thread raises after each call that returned.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
import threading
import time
from typing import NamedTuple

import clew

THREADS = 4
LONGEST_S = 0.1
STEPS = ("work started", "step started", "tick", "step completed", "work completed")
"""What a thread does over and over; the parent knows by the count alone what was done."""
_RUN_ID_AT = 8 * THREADS
_HEAVY = "x" * 3000


class Shot(NamedTuple):
    """One child that was killed."""

    run_id: str
    """Empty where it was killed before its run began."""
    acknowledged: list[int]
    """Calls that returned, by thread."""
    status: int
    """How it died, as `os.waitpid` has it."""
    journal: str
    """The kind of segment that it wrote."""


def done(source: int, count: int) -> list[tuple[str, int, int]]:
    """Return the first `count` things that a thread does: what, which thread, which round."""
    return [(STEPS[n % len(STEPS)], source, n // len(STEPS)) for n in range(count)]


def record(board: mmap.mmap, source: int) -> None:
    """Record until killed."""
    acknowledged = 0
    counts = memoryview(board)[: 8 * THREADS].cast("q")

    def acknowledge() -> None:
        nonlocal acknowledged
        acknowledged += 1
        # Eight aligned bytes are one store: there is no instant at which half of them are there. (To pack into a
        # buffer is not: that first fills it with zeros.)
        counts[source] = acknowledged

    @clew.traced
    def step(source: int, number: int) -> str:
        acknowledge()
        clew.event("tick", source=source, number=number)
        acknowledge()
        return _HEAVY if number % 50 == 7 else "done"

    number = 0
    while True:
        with clew.span("work", source=source, number=number):
            acknowledge()
            step(source, number)
            acknowledge()
        acknowledge()
        number += 1


def child(board: mmap.mmap, *, journal: str) -> None:
    """Record with all threads until killed. Small segments, so that some are rolled in that time."""
    os.environ |= {"CLEW_JOURNAL": journal, "CLEW_SEGMENT_BYTES": str(64 * 1024), "CLEW_CAPTURE": "full"}
    with clew.run("target", kind="job") as run:
        board[_RUN_ID_AT : _RUN_ID_AT + 32] = str(run.run_id).encode()
        threads = [threading.Thread(target=record, args=(board, source)) for source in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def shoot(chance: random.Random) -> Shot:
    """Fork one child and kill it."""
    board = mmap.mmap(-1, mmap.PAGESIZE)
    journal = "written" if chance.random() < 0.3 else "mapped"
    pid = os.fork()
    if pid == 0:
        try:
            child(board, journal=journal)
        finally:
            os._exit(99)
    time.sleep(chance.random() * LONGEST_S)
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    run_id = board[_RUN_ID_AT : _RUN_ID_AT + 32].rstrip(b"\0").decode()
    return Shot(run_id, list(struct.unpack_from(f"{THREADS}q", board)), status, journal)


if __name__ == "__main__":
    rng = random.Random(int(sys.argv[2]))
    for _ in range(int(sys.argv[1])):
        sys.stdout.write(json.dumps(shoot(rng)) + "\n")
