"""Comparing two things on a machine that others use too: many short rounds in turn, and ratios within each round.

What slows the machine for longer than a round slows both, and drops out of the ratio; what hits one round is an
outlier, and drops out of the median.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from table import fraction


@dataclass(frozen=True)
class Comparison:
    """Nanoseconds per operation in each round, and their ratios."""

    ours_ns: Sequence[float]
    peer_ns: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        return [ours / peer for ours, peer in zip(self.ours_ns, self.peer_ns, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def fastest_ratio(self) -> float:
        return min(self.ours_ns) / min(self.peer_ns)

    def spread(self) -> str:
        """The middle half of the rounds' ratios, and the ratio of the fastest rounds."""
        low, _, high = statistics.quantiles(self.ratios, n=4)
        return f"{fraction(low)} to {fraction(high)}, fastest {fraction(self.fastest_ratio)}"


def compare(
    ours: Callable[[int], object],
    peer: Callable[[int], object],
    *,
    rounds: int,
    turn_ms: float = 4.0,
    between: Callable[[], object] = lambda: None,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Comparison:
    """Time two functions that each do a number of operations, in turn, the garbage collector on.

    Every turn lasts about equally long, however many operations that is: on a busy machine a longer turn would be
    interrupted more often, and the slower of the two would look worse than it is.

    between: called untimed after every turn, to put away what it left behind.
    """
    assert gc.isenabled()
    turns = (ours, peer)
    times: dict[Callable[[int], object], list[float]] = {ours: [], peer: []}
    operations = {turn: _operations(turn, turn_ms * 1e6, between) for turn in turns}
    for number in range(rounds):
        for turn in turns if number % 2 else turns[::-1]:
            begin = clock_ns()
            turn(operations[turn])
            times[turn].append((clock_ns() - begin) / operations[turn])
            between()
    return Comparison(times[ours], times[peer])


def _operations(turn: Callable[[int], object], wanted_ns: float, between: Callable[[], object]) -> int:
    """Return how many operations last that long, also having warmed up: caches, templates, the first window."""
    fastest_ns = float("inf")
    for _ in range(20):
        begin = time.perf_counter_ns()
        turn(200)
        fastest_ns = min(fastest_ns, (time.perf_counter_ns() - begin) / 200)
        between()
    return max(1, round(wanted_ns / fastest_ns))
