"""Time as the log has it: one wall clock anchor, then the monotonic clock, so that time never runs back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clew.model.ports import Clock

_MS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
DIGITS: Final = tuple(f"{n:03d}" for n in range(1000))
MICROSECONDS: Final = tuple(f"{n:03d}Z" for n in range(1000))


class SystemClock:
    """The two clocks of this machine."""

    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class Stamper:
    """Makes the first part of a line, `{"timestamp":"...Z`, from a reading of the monotonic clock.

    The text up to the second is kept for as long as the second lasts: an event then costs two looks into tables.
    Spans do that look themselves.
    """

    __slots__ = ("__dict__", "second")

    def __init__(self, clock: Clock) -> None:
        wall_ns, now_ns = clock.wall_ns(), clock.monotonic_ns()
        self._offset_ns = wall_ns - now_ns
        self.second: tuple[int, str]
        """Where the current second began on the monotonic clock, and its text.

        One tuple, replaced whole, so that another thread never sees half of a change.
        """
        self.advance(now_ns)

    def __call__(self, monotonic_ns: int) -> str:
        """Return the beginning of a line written at that instant."""
        base, text = self.second
        past = monotonic_ns - base
        if not 0 <= past < SECOND_NS:
            base, text = self.advance(monotonic_ns)
            past = monotonic_ns - base
        return f"{text}{DIGITS[past // 1_000_000]}{MICROSECONDS[past // 1000 % 1000]}"

    def advance(self, monotonic_ns: int) -> tuple[int, str]:
        """Make another second the current one."""
        seconds, below = divmod(monotonic_ns + self._offset_ns, SECOND_NS)
        date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        self.second = current = (monotonic_ns - below, f'{{"timestamp":"{date}.')
        return current


def milliseconds(duration_ns: int) -> str:
    """Return nanoseconds as milliseconds with all six decimals, as JSON has numbers."""
    return f"{duration_ns // _MS}.{DIGITS[duration_ns // 1000 % 1000]}{DIGITS[duration_ns % 1000]}"
