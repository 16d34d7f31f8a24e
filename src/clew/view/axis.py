"""The time axis: round numbers at even distances, all in one unit."""

from __future__ import annotations

from typing import Final, NamedTuple

_UNITS: Final = (
    # size in ns, name, from which span on it is used, steps that are round in it
    (1, "ns", 0, ()),
    (1_000, "µs", 2_000, ()),
    (1_000_000, "ms", 2_000_000, ()),
    (1_000_000_000, "s", 1_000_000_000, ()),
    (60_000_000_000, "min", 300_000_000_000, (1, 2, 5, 10, 15, 30, 60)),
    (3_600_000_000_000, "h", 10_800_000_000_000, (1, 2, 3, 6, 12, 24)),
    (86_400_000_000_000, "d", 259_200_000_000_000, (1, 2, 5)),
)


class Tick(NamedTuple):
    """One mark of the axis."""

    at_ns: int
    """Where, from the left edge."""
    label: str
    """What stands there."""


def ticks(span_ns: int, at_most: int, *, ascii_only: bool = False) -> list[Tick]:
    """Return the marks of an axis from 0 to `span_ns`, the first at 0; at most `at_most` of them, at least one."""
    unit_ns, unit, _, round_steps = next(u for u in reversed(_UNITS) if span_ns >= u[2])
    step_ns = _step(span_ns, max(1, at_most), unit_ns, round_steps)
    decimals = 0
    while step_ns * 10**decimals % unit_ns:
        decimals += 1
    if ascii_only and unit == "µs":
        unit = "us"
    return [
        Tick(at_ns, "0" if at_ns == 0 else f"{at_ns / unit_ns:.{decimals}f} {unit}")
        for at_ns in range(0, span_ns + 1, step_ns)
    ]


def _step(span_ns: int, at_most: int, unit_ns: int, round_steps: tuple[int, ...]) -> int:
    for step in round_steps:
        if span_ns // (step * unit_ns) + 1 <= at_most:
            return step * unit_ns
    power = unit_ns if round_steps else 1  # minutes, hours and days have no round fractions
    while True:
        for digit in (1, 2, 5):
            step_ns = digit * power
            if span_ns // step_ns + 1 <= at_most or step_ns > span_ns:
                return step_ns
        power *= 10
