"""What others implement: where events come from, where they go, and what time and ids are taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence


class Clock(Protocol):
    """Two clocks: dates come from the wall, durations from the monotonic one."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never run backwards in this process."""
        ...


class Ids(Protocol):
    """Where identifiers come from."""

    def run_id(self) -> str:
        """Return a new run id: 32 hex digits."""
        ...

    def writer_id(self) -> str:
        """Return a new writer id: 16 hex digits."""
        ...

    def span_prefix(self) -> str:
        """Return 8 hex digits that begin the span ids of one writer."""
        ...


class Source(Protocol):
    """Where a tailer reads: the journal as it grows."""

    def poll(self) -> list[bytes]:
        """Return the lines that are new since the last call, oldest first, without newlines.

        Each is an event in the public form. Empty where there is nothing new. Bounded in size, so that a
        reader that was away for long catches up in steps. Never raises for what the files contain.
        """
        ...


@runtime_checkable
class GlancingSource(Source, Protocol):
    """A source that can be asked often at little cost."""

    def glance(self) -> list[bytes]:
        """Like `poll`, but what is costly to find may wait a few calls; `poll` gives it at once."""
        ...


class Sink(Protocol):
    """Where a tailer puts events. Called from one thread."""

    def write(self, lines: Sequence[bytes], /) -> None:
        """Take lines in the public form, without newlines.

        Raises: SinkError where they cannot be taken now; the tailer then tries the same lines again later, less
            those that the error counts as taken.
        """
        ...

    def close(self, *, timeout_s: float) -> None:
        """Let go of what the sink holds, within the time given. Never raises."""
        ...
