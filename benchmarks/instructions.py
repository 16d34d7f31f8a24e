"""Counting instructions instead of time, for machines that others use: `valgrind --tool=callgrind`.

A program does N operations, then another one 2 N: the difference is N operations without what a start costs.
Counts of all threads are added; a system call counts as the few instructions that lead to it, so what the kernel
does for `os.write` or a page fault is not in these numbers.
"""

from __future__ import annotations

import argparse
import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

from table import Row, fraction

CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")


def add_instruction_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind")
    parser.add_argument(
        "--operations", type=int, default=2000, metavar="N", help="for --instructions: N and 2 N"
    )
    parser.add_argument("--work", help=argparse.SUPPRESS)


def work_alone(arguments: argparse.Namespace, works: Mapping[str, Callable[[int], object]]) -> None:
    """Be the program that is counted: warm up, then do one kind of work."""
    work = works[arguments.work]
    work(500)
    work(arguments.operations)


@functools.cache
def instructions_of(script: str, work: str, *, operations: int) -> float:
    """Return instructions per operation of one kind of work of a benchmark."""
    if shutil.which("valgrind") is None:
        sys.exit("--instructions needs valgrind, which is not installed")
    counts = []
    for times in (1, 2):
        done = subprocess.run(
            [*CALLGRIND, sys.executable, script, "--work", work, "--operations", str(operations * times)],
            check=False,
            capture_output=True,
            text=True,
        )
        found = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode or found is None:
            sys.exit(f"valgrind failed:\n{done.stderr[-2000:]}")
        counts.append(int(found[1]))
    return (counts[1] - counts[0]) / operations


def instruction_row(script: str, what: str, peer: str, work: str, *, bar: float, operations: int) -> Row:
    ours = instructions_of(script, "ours", operations=operations)
    theirs = instructions_of(script, work, operations=operations)
    return Row(
        what=f"{what} (instructions)",
        ours=f"{ours:,.0f}",
        peer=f"{theirs:,.0f}",
        ratio=fraction(ours / theirs),
        bar=f"<= 1/{1 / bar:.0f}" if bar < 0.5 else f"<= {bar:.2f}",
        kept=ours / theirs <= bar,
        note=f"Instructions, peer: {peer}. Work done by the kernel is not counted.",
    )
