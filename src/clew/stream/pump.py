"""The thread that carries lines from a source to a sink while the program runs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import Final

from clew.model.ports import Sink, Source
from clew.stream.delivery import FIRST_RETRY_S, Delivery, Pace
from clew.stream.filters import EventFilter
from clew.stream.report import Report, tell

POLL_S: Final = 0.04
"""At 20,000 events a second each of them is then seen well within 100 ms, and the program is seldom interrupted."""
CLOSING_ATTEMPTS: Final = 3
"""A full disk does not become free while a program ends; its exit should not wait to see."""
_COUNTING_SHARE: Final = 0.9
"""The part of the time for closing after which the thread stops, so that whoever waits sees it stopped."""


class Pump:
    """One daemon thread for one sink, so that a sink that hangs holds up nothing but itself.

    Never raises, and never holds up the program's exit beyond the time given to `close`. After a fork the pump
    belongs to the parent alone: in the child, its methods do nothing.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        event_filter: EventFilter | None = None,
        name: str = "telemetry",
        report: Report | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """Args: source: polled from the thread only, with a position of its own. sink: written and closed from
        the thread only. event_filter: None lets everything pass. report: told in one sentence, from the thread,
        once that the sink fails and once that it is finished. poll_s: seconds between two polls.
        """
        self.name: Final = name
        self._delivery = Delivery(
            source, sink, event_filter=event_filter or EventFilter(), name=name, report=report
        )
        self._report = report
        self._poll_s = poll_s
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        # Held until closing. Waiting for it is one call; waiting for an Event is four, many times a second.
        self._until_closing = threading.Lock()
        self._until_closing.acquire()
        self._given_up = threading.Event()
        self._deadline_s = 0.0
        self._all_counted = False

    @property
    def delivered(self) -> int:
        """Lines that reached the sink."""
        return self._delivery.delivered

    @property
    def undelivered(self) -> int:
        """Lines known not to have reached the sink, so far."""
        return self._delivery.undelivered

    @property
    def failed(self) -> int:
        """Attempts to read or write that failed."""
        return self._delivery.failed

    def start(self) -> None:
        """Start the thread. Where the system allows none, that is reported, and nothing is delivered."""
        thread = threading.Thread(target=self._run, name=f"clew {self.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            tell(self._report, f"{self.name}: {error}; the journal keeps every event")
            return
        self._thread = thread

    def close(self, timeout_s: float) -> int | None:
        """Deliver what the source holds now, then stop.

        Args: timeout_s: after that many seconds the thread is left to itself, whatever it is doing.
        Returns: how many lines were not delivered; None where that is not known.
        """
        self.begin_close(timeout_s)
        return self.finish_close()

    def begin_close(self, timeout_s: float) -> None:
        """Ask the thread to deliver the rest and stop, without waiting for it."""
        if not self._closing.is_set() and self._is_ours():
            self._deadline_s = time.monotonic() + timeout_s
            self._closing.set()
            with contextlib.suppress(RuntimeError):  # a signal handler closed it in between
                self._until_closing.release()

    def finish_close(self) -> int | None:
        """Wait for what `begin_close` asked for; returns what `close` does."""
        thread = self._thread
        if thread is None or not self._is_ours() or thread is threading.current_thread():
            return None
        thread.join(max(0.0, self._deadline_s - time.monotonic()))
        if thread.is_alive():
            self._given_up.set()
            return None
        return self.undelivered if self._all_counted else None

    def _is_ours(self) -> bool:
        return self._pid == os.getpid()

    def _run(self) -> None:
        _block_deadly_signals()
        pace = Pace(self._poll_s)
        while not self._closing.is_set():
            began_s = time.monotonic()
            done = self._delivery.advance(glance=True)
            pause_s = pace.after(done, elapsed_s=time.monotonic() - began_s)
            if pause_s > 0:
                self._until_closing.acquire(timeout=pause_s)
        self._drain()
        self._delivery.close_sink(max(0.0, self._deadline_s - time.monotonic()))

    def _drain(self) -> None:
        now_s = time.monotonic()
        deadline_s = now_s + _COUNTING_SHARE * (self._deadline_s - now_s)
        attempts = 0
        while attempts < CLOSING_ATTEMPTS and not self._given_up.is_set():
            done = self._delivery.advance()
            if done.failed:
                attempts += 1
                self._given_up.wait(min(FIRST_RETRY_S * attempts, max(0.0, deadline_s - time.monotonic())))
            elif not done.taken and not done.written:
                self._all_counted = True
                return
            if time.monotonic() >= deadline_s:
                break
        if not self._given_up.is_set():
            self._all_counted = self._delivery.count_rest(deadline_s)


def _block_deadly_signals() -> None:
    """Keep a closed pipe or a file-size limit from ending a program that set these signals to their default.

    Both are sent to the thread that writes, which is this one; the write then fails with an error instead.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE, signal.SIGXFSZ})
