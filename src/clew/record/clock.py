"""Time as the log has it: one wall clock anchor, then the monotonic clock, so that time never runs back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clew.model.ports import Clock

_MS: Final = 1_000_000
DIGITS: Final = tuple(f"{n:03d}" for n in range(1000))
MICROSECONDS: Final = tuple(f"{n:03d}Z" for n in range(1000))


class SystemClock:
    """The two clocks of this machine."""

    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class Stamper:
    """Makes the first part of a line, `{"timestamp":"...Z`, from a reading of the monotonic clock.

    The text up to the millisecond is kept for as long as the millisecond lasts: a burst of events then costs
    one look into a table each. Spans do that look themselves.
    """

    __slots__ = ("__dict__", "millisecond")

    def __init__(self, clock: Clock) -> None:
        wall_ns, now_ns = clock.wall_ns(), clock.monotonic_ns()
        self._offset_ns = wall_ns - now_ns
        self.millisecond: tuple[int, str]
        """Where the current millisecond began on the monotonic clock, and its text.

        One tuple, replaced whole, so that another thread never sees half of a change.
        """
        self._second = (-1, "")
        self.advance(now_ns)

    def __call__(self, monotonic_ns: int) -> str:
        """Return the beginning of a line written at that instant."""
        base, text = self.millisecond
        past = monotonic_ns - base
        if not 0 <= past < _MS:
            base, text = self.advance(monotonic_ns)
            past = monotonic_ns - base
        return text + MICROSECONDS[past // 1000]

    def advance(self, monotonic_ns: int) -> tuple[int, str]:
        """Make another millisecond the current one."""
        seconds, below = divmod(monotonic_ns + self._offset_ns, 1_000_000_000)
        second, until_second = self._second
        if second != seconds:  # a program that records now and then is in another millisecond every time
            date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
            until_second = f'{{"timestamp":"{date}.'
            self._second = seconds, until_second
        text = f"{until_second}{DIGITS[below // _MS]}"
        self.millisecond = current = (monotonic_ns - below % _MS, text)
        return current


def milliseconds(duration_ns: int) -> str:
    """Return nanoseconds as milliseconds with all six decimals, as JSON has numbers."""
    return f"{duration_ns // _MS}.{DIGITS[duration_ns // 1000 % 1000]}{DIGITS[duration_ns % 1000]}"
