"""The recording process does not grow with what it records."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.crash import programs

EVENTS = 300_000
MOST_GROWTH_KIB = 32 * 1024
PROGRAM = """
import sys, clew
from pathlib import Path

def rss_kib():
    # What the process holds for itself: pages of the journal's file belong to the cache of the system.
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0])

def record(count):
    for number in range(count):
        with clew.span(f"work {number % 10_000}", number=number, text="x" * 50) as span:
            clew.event(f"tick {number % 10_000}", **{f"field{number % 10_000}": number})
            span.metrics["m"] = number

with clew.run("memory"):
    record(10_000)
    before = rss_kib()
    record(int(sys.argv[1]) // 3)
    print(rss_kib() - before)
"""


@pytest.mark.parametrize("journal", ["mapped", "written", "memory"])
def test_recording_300_000_events_leaves_the_memory_flat(tmp_path: Path, journal: str) -> None:
    """Names and fields that never repeat included. In memory alone, the ring is filled once and then stays."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ended = programs.run(programs.python(program, str(EVENTS)), environ={"CLEW_JOURNAL": journal})
    assert (ended.code, ended.err) == (0, b"")
    assert int(ended.out) < MOST_GROWTH_KIB
    if journal != "memory":
        (row,) = Store(Path(os.environ["CLEW_HOME"])).runs()
        assert row.events == EVENTS + 30_000 + 2
        assert row.lost == 0
