"""Journals to read back, recorded as programs record them."""

from __future__ import annotations

from pathlib import Path

from places import environment, run_python

ONE_RUN = """
import sys
import clew

events = int(sys.argv[1])
rounds = events // 100  # 49 steps in a round, each with a start and an end
with clew.run("one-long-run"):
    for number in range(rounds):
        with clew.span("round", number=number):
            for step in range(49):
                with clew.span(f"step-{step % 7}", k=step, index="wiki") as span:
                    if step == 0:
                        span.metrics["loss"] = number / rounds
"""

MANY_RUNS = """
import sys
import clew
from clew.session import session

runs = int(sys.argv[1])
recorder = session.recorder()
for number in range(runs):
    with clew.run(f"job-{number % 50}", number=number):
        for step in range(3):
            with clew.span("step", k=step):
                pass
    if number % 2:  # half of the runs share segments, and half are of a process of their own
        recorder.writer.close()
        recorder.renew_writer()
"""


def record_one_run(home: Path, events: int) -> None:
    """Record one run of about that many events."""
    run_python("-c", ONE_RUN, str(events), env=environment(home))


def record_many_runs(home: Path, runs: int) -> None:
    """Record many small runs, in half as many segments."""
    run_python("-c", MANY_RUNS, str(runs), env=environment(home))
