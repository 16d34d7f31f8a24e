"""What is missing from a writer's numbers. They have no gaps, so a gap proves a loss and its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clew.store.numbers import count, gaps, united

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from clew.store.rows import Numbers, Part, SegmentRow

IN_FLIGHT: Final = 64
"""Numbers that threads may have taken without having written their events when a process died."""


def missing_by_run(
    segments: Sequence[SegmentRow], parts: Iterable[Part], *, begun: Collection[str]
) -> dict[str, int]:
    """Return how many events of one writer are missing and undeclared, by the runs that they may belong to.

    A missing number cannot say whose it was: it counts for every run that the writer was at before and after
    it, so the counts of several runs may overlap.

    Args:
        segments: all segments of the writer that exist, at least one.
        parts: what they hold of each run; only looked at where something is missing.
        begun: runs whose `workflow_started` is in the log.
    """
    holes, before = holes_of(segments)
    undeclared = undeclared_of(segments)
    if not undeclared and not before:
        return {}
    missing: dict[str, int] = {}
    for run_id, (low, high) in _reaches(parts).items():
        near = min(undeclared, _touching(holes, low, high))
        if run_id not in begun:
            near += before
        if near:
            missing[run_id] = near
    return missing


def holes_of(segments: Sequence[SegmentRow]) -> tuple[Numbers, int]:
    """Return the numbers that are missing between a writer's first and last, and how many are before its first.

    Deleted segments took the numbers before the first with them.
    """
    numbers = united(interval for segment in segments for interval in segment.numbers)
    if not numbers:
        return [], 0
    last = max(segments, key=lambda segment: segment.number)
    end = numbers[-1][1]
    if last.sealed_by_writer and last.state.seal is not None:
        end = max(end, last.state.seal.last_seq)
    if any(segment.number == 1 for segment in segments):
        return gaps(numbers, 1, end), 0
    return gaps(numbers, numbers[0][0], end), numbers[0][0] - 1


def undeclared_of(segments: Sequence[SegmentRow]) -> int:
    """Return how many numbers are missing in the middle that the writer neither declared nor had in flight."""
    holes, _ = holes_of(segments)
    undeclared = max(0, count(holes) - sum(segment.declared for segment in segments))
    last = max(segments, key=lambda segment: segment.number)
    seal = last.state.seal if last.sealed_by_writer else None
    in_flight = IN_FLIGHT if seal is None else seal.in_flight
    if undeclared <= in_flight and not any(_damaged(s) for s in segments):
        return 0
    return undeclared


def _damaged(segment: SegmentRow) -> bool:
    return bool(segment.state.bad_lines or segment.state.nul_bytes)


def _reaches(parts: Iterable[Part]) -> dict[str, tuple[int, int]]:
    reaches: dict[str, tuple[int, int]] = {}
    for part in parts:
        if part.first_seq is not None and part.last_seq is not None:
            low, high = reaches.get(part.run_id, (part.first_seq, part.last_seq))
            reaches[part.run_id] = (min(low, part.first_seq), max(high, part.last_seq))
    return reaches


def _touching(holes: Numbers, low: int, high: int) -> int:
    """Return how many of the missing numbers lie inside a run's reach or right beside it.

    Threads write their numbers slightly out of order, so beside means within the same distance as in flight.
    """
    return count([hole for hole in holes if hole[1] >= low - IN_FLIGHT and hole[0] <= high + IN_FLIGHT])
