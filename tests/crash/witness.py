"""A log that the recorded programs write themselves: one system call for each call of Clew that returned."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import clew

Step = tuple[str, int, int]
"""What was done, by which source of work, in which round."""


class Witness:
    """Writes what was done. Safe for threads, forks and signals, because an append is one system call."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, what: str, source: int, number: int) -> None:
        os.write(self._fd, f"{what},{source},{number}\n".encode())


def read_witness(path: Path) -> list[Step]:
    """Return what was done, in the order in which it was."""
    steps = []
    for line in path.read_text().splitlines():
        what, source, number = line.split(",")
        steps.append((what, int(source), int(number)))
    assert max(Counter(steps).values(), default=1) == 1, "the program itself did something twice"
    return steps


def work(witness: Witness, source: int, number: int) -> int:
    """One round: a span with an event in it, each noted when its call has returned."""
    with clew.span("work", source=source, number=number):
        witness.note("work started", source, number)
        clew.event("tick", source=source, number=number)
        witness.note("tick", source, number)
    witness.note("work completed", source, number)
    return source


def rounds(path: str, source: int, count: int) -> int:
    """Several rounds; for work that is sent to another process."""
    witness = Witness(path)
    for number in range(count):
        work(witness, source, number)
    return source
