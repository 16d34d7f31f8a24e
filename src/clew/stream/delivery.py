"""From one source to one sink: a round at a time, nothing lost, every failure counted. No thread in here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from clew.errors import SinkError
from clew.model.ports import GlancingSource, Sink, Source
from clew.stream.filters import EventFilter
from clew.stream.report import Report, tell

LONGEST_PAUSE: Final = 2
"""Intervals that a pump sleeps at most, where it finds few lines or none: an event must be seen within 100 ms of the
longest silence, and waking beside a busy program costs as much as a hundred lines."""
FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 5.0
FEW_LINES: Final = 64
"""Lines in one interval that are no reason to look more often."""
LARGE_BATCH: Final = 4096
"""Lines in one poll that mean that the reader is behind, and should not wait before it reads on."""


@runtime_checkable
class EndingSink(Sink, Protocol):
    """A sink that can be over before its source is: the reader of stdout left."""

    finished: str | None
    """Why nothing more will be written; None as long as something may."""
    dropped: int
    """Lines that it was given after that."""


class Round(NamedTuple):
    """What one round did."""

    taken: int
    """Lines that the source gave."""
    written: int
    """Lines that the sink took."""
    failed: bool
    """Whether the lines in hand must be offered again."""


class Delivery:
    """Polls a source, filters, and writes to a sink; keeps what the sink refuses. Used from one thread.

    Nothing is read on while a batch is in hand, so that memory stays bounded however long a sink fails: the
    journal is the buffer.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        event_filter: EventFilter,
        name: str,
        report: Report | None = None,
    ) -> None:
        """Args: name: what the sink is called in reports, as `telemetry to stdout`.
        report: told once when the sink fails, and once when it is finished.
        """
        self.name: Final = name
        self.failed = 0
        """Attempts that failed, whatever was raised."""
        self._source = source
        self._glance = source.glance if isinstance(source, GlancingSource) else source.poll
        self._sink = sink
        self._ending = sink if isinstance(sink, EndingSink) else None
        self._filter = event_filter
        self._report = report
        self._reported: set[str] = set()
        self._in_hand: Sequence[bytes] = ()
        self._taken_by_sink = 0
        self._left_in_source = 0

    @property
    def delivered(self) -> int:
        """Lines that the sink took and did not drop."""
        return self._taken_by_sink - self._dropped

    @property
    def undelivered(self) -> int:
        """Lines known to have passed the filter and not to have reached the sink's other end."""
        return self._dropped + len(self._in_hand) + self._left_in_source

    def advance(self, *, glance: bool = False) -> Round:
        """Offer the lines in hand again, or else the next lines of the source. Never raises.

        glance: what is costly to find may wait.
        """
        taken = 0
        try:
            if not self._in_hand:
                self._in_hand = self._glance() if glance else self._source.poll()
                taken = len(self._in_hand)
                self._in_hand = self._filter.select(self._in_hand)
            if self._in_hand:
                self._sink.write(self._in_hand)
        except BaseException as error:
            self.failed += 1
            accepted = error.taken if isinstance(error, SinkError) else 0
            self._in_hand = self._in_hand[accepted:]
            self._taken_by_sink += accepted
            reason = str(error) or type(error).__name__
            self._tell("failing", f"{reason}; trying again, and the journal keeps every event")
            return Round(taken, accepted, failed=True)
        written, self._in_hand = len(self._in_hand), ()
        self._taken_by_sink += written
        if self._ending is not None and self._ending.finished is not None and self._ending.dropped:
            self._tell("finished", f"{self._ending.finished}; the journal keeps every event")
        return Round(taken, written, failed=False)

    def count_rest(self, deadline_s: float) -> bool:
        """Read the source to its end to count what will not be delivered; False if the time was too short.

        Args: deadline_s: on time.monotonic().
        """
        try:
            while time.monotonic() < deadline_s:
                lines = self._source.poll()
                if not lines:
                    return True
                self._left_in_source += len(self._filter.select(lines))
        except BaseException:
            self.failed += 1
        return False

    def close_sink(self, timeout_s: float) -> None:
        """Close the sink. Never raises."""
        try:
            self._sink.close(timeout_s=timeout_s)
        except BaseException:
            self.failed += 1

    @property
    def _dropped(self) -> int:
        return 0 if self._ending is None else self._ending.dropped

    def _tell(self, kind: str, sentence: str) -> None:
        if kind not in self._reported:
            self._reported.add(kind)
            tell(self._report, f"{self.name}: {sentence}")


class Pace:
    """How long to wait after a round."""

    def __init__(self, poll_s: float) -> None:
        """Args: poll_s: from the beginning of one poll to the beginning of the next."""
        self._poll_s = poll_s
        self._idle_s = poll_s
        self._retry_s = FIRST_RETRY_S

    def after(self, done: Round, *, elapsed_s: float) -> float:
        """Return how many seconds to wait.

        Args: elapsed_s: how long the round took. Under load that is mostly waiting for the interpreter's lock,
            so it counts towards the interval; after an empty round there is always a wait.
        """
        if done.failed:
            pause_s, self._retry_s = self._retry_s, min(2 * self._retry_s, LAST_RETRY_S)
            return pause_s
        self._retry_s = FIRST_RETRY_S
        # Where little happens, looking less often is what keeps the stream from being noticed.
        many = done.taken * self._poll_s > FEW_LINES * self._idle_s
        self._idle_s = self._poll_s if many else min(1.5 * self._idle_s, LONGEST_PAUSE * self._poll_s)
        if done.taken >= LARGE_BATCH:
            return 0.0
        return max(self._idle_s - elapsed_s, 0.0 if done.taken else self._poll_s / 4)
