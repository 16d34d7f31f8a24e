"""Recording into memory, with time and ids in the test's hands, and the check that nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from clew.config import Settings
from clew.journal.layout import find_home
from clew.journal.writer import JournalWriter
from clew.model.events import decode_event
from clew.model.trace import ExecutionTrace
from clew.record import propagation
from clew.record.context import ambient, current
from clew.record.recorder import Recorder
from clew.session import session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clew.model.events import Event
    from clew.model.ports import Clock, Ids

EPOCH_NS: Final = 1_795_219_200_000_000_000
"""Where a `FakeClock` begins: 2026-11-21, midnight UTC."""


class FakeClock:
    """Time that moves when a test says so: by `advance`, or by a fixed tick at every reading.

    Both clocks move together, so the duration of a span under a tick is the tick times the readings in it.
    """

    def __init__(self, *, tick_ns: int = 0, wall_ns: int = EPOCH_NS, monotonic_ns: int = 0) -> None:
        """Begin at an instant; every reading of the monotonic clock moves time on by `tick_ns`."""
        self.tick_ns = tick_ns
        self._now_ns = monotonic_ns
        self._ahead_ns = wall_ns - monotonic_ns
        self._lock = threading.Lock()

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970, UTC. Time stands still while this is read."""
        return self._now_ns + self._ahead_ns

    def monotonic_ns(self) -> int:
        """Return the time, and let a tick pass."""
        with self._lock:
            now_ns = self._now_ns
            self._now_ns += self.tick_ns
            return now_ns

    def advance(self, seconds: float = 0.0, *, ns: int = 0) -> None:
        """Let time pass."""
        with self._lock:
            self._now_ns += round(seconds * 1e9) + ns

    def set_wall_back(self, *, ns: int) -> None:
        """Set the wall clock back, as a person or a time server does; the monotonic clock knows nothing of it."""
        self._ahead_ns -= ns


class SequentialIds:
    """Ids that count from 1: the first run is 32 digits that end in 1. For one process only."""

    def __init__(self) -> None:
        self._runs = self._writers = self._prefixes = 0

    def run_id(self) -> str:
        """Return the next run id."""
        self._runs += 1
        return f"{self._runs:032x}"

    def writer_id(self) -> str:
        """Return the next writer id."""
        self._writers += 1
        return f"{self._writers:016x}"

    def span_prefix(self) -> str:
        """Return the next beginning of a writer's span ids."""
        self._prefixes += 1
        return f"{self._prefixes:08x}"


class MemoryJournal:
    """A journal in memory: a `Source` like the one on disk, and whatever can be asked of it in a test."""

    def __init__(
        self, home: Path | None = None, *, clock: Clock | None = None, ids: Ids | None = None
    ) -> None:
        self.clock: Clock = clock or FakeClock()
        self.ids: Ids = ids or SequentialIds()
        self.writers: list[JournalWriter] = []
        """One, and one more for each fork that this process is a child of."""
        self._home = home or find_home()
        self._polled = 0

    def new_writer(self) -> JournalWriter:
        """Return a writer whose lines stay in memory."""
        writer = JournalWriter(self._home, self.clock, ids=self.ids, mode="memory")
        self.writers.append(writer)
        return writer

    def lines(self) -> list[bytes]:
        """Return every line as it would be in a file, without newlines."""
        return [line[:-1] for writer in self.writers for line in writer.lines()]

    def poll(self) -> list[bytes]:
        """Return the lines that are new since the last call."""
        lines = self.lines()
        new, self._polled = lines[self._polled :], len(lines)
        return new

    def events(self, name: str | None = None) -> list[Event]:
        """Return every event, or those of one name. A line that is not an event is an AssertionError."""
        events = [decode_event(line) for line in self.lines()]
        assert None not in events, f"not an event: {self.lines()[events.index(None)]!r}"
        return [event for event in events if event is not None and name in {None, event.event}]

    def run_ids(self) -> list[str]:
        """Return the ids of the runs, in the order of their first events."""
        return list(dict.fromkeys(event.run_id for event in self.events()))

    def trace(self, run_id: str | None = None) -> ExecutionTrace:
        """Return the trace of a run; of the first where none is named.

        Raises: ValueError where no such run was recorded.
        """
        events = self.events()
        wanted = run_id or (events[0].run_id if events else "")
        return ExecutionTrace.from_events(event for event in events if event.run_id == wanted)


def memory_recorder(journal: MemoryJournal | None = None, **settings: Any) -> Recorder:
    """Return a recorder that keeps what it writes in memory.

    Args:
        journal: where it writes; with it come the clock and the ids. A new one where None.
        settings: any setting of a `Recorder`, such as `capture="full"`.
    """
    kept = journal or MemoryJournal()
    recorder = Recorder(kept.new_writer, ids=kept.ids, clock=kept.clock, **settings)
    recorder.read_trace = kept.trace
    return recorder


class Recording(MemoryJournal):
    """What the module-level functions of `clew` record while `recording()` is open."""

    recorder: Recorder
    """The recorder that they use."""


@contextmanager
def recording(*, clock: Clock | None = None, ids: Ids | None = None, **settings: Any) -> Iterator[Recording]:
    """Have `clew.run`, `clew.span` and the others record into memory, with a fake clock and ids in sequence.

    Whatever place in a run the caller is in is set aside, and comes back at the end; whatever run the block
    leaves open is let go, with the wraps that it installed.

    Args:
        clock: a clock of your own; one that only moves by hand where None.
        ids: ids of your own; numbers in sequence where None.
        settings: any setting of a `Recorder`, such as `capture="full"`.
    """
    journal = Recording(settings.get("home"), clock=clock, ids=ids)
    journal.recorder = memory_recorder(journal, **settings)
    with using(journal.recorder):
        yield journal


@contextmanager
def using(recorder: Recorder | None) -> Iterator[None]:
    """Have the module-level functions use this recorder; with None they are switched off."""
    before = session._settings, session._recorder, session._home
    runs, inherited = list(ambient._runs), ambient.inherited
    followed = list(propagation._following)
    place = current.set(None)
    ambient.forget()
    home = find_home() if recorder is None or recorder.home is None else recorder.home
    session.configure(Settings(enabled=recorder is not None, home=home))
    session._recorder = recorder
    try:
        yield
    finally:
        for scope in propagation._following[:]:
            if scope not in followed:
                propagation.unfollow(scope)
        session._settings, session._recorder, session._home = before
        ambient._runs[:], ambient.inherited = runs, inherited
        with contextlib.suppress(ValueError):  # the block may end in another context than it began in
            current.reset(place)


def installed() -> dict[str, object]:
    """Return what Clew may replace in a process while a run is open, as it stands now."""
    found: dict[str, object] = {
        "threading.Thread.start": threading.Thread.__dict__["start"],
        "subprocess.Popen.__init__": subprocess.Popen.__dict__["__init__"],
        "sys.meta_path": list(sys.meta_path),
    }
    found |= {f"os.environ[{name!r}]": os.environ.get(name) for name in propagation.VARIABLES}
    for module, (owner, names, _) in propagation._LATER.items():
        if module in sys.modules:
            methods = getattr(sys.modules[module], owner).__dict__
            found |= {f"{module}.{owner}.{name}": methods[name] for name in names}
    return found


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Fail with an AssertionError where the block leaves a wrap, an environment variable or a run behind.

    A fixture of one line: `with nothing_left_behind(): yield`.
    """
    before = installed()
    place = current.get(), list(ambient._runs), ambient.inherited
    yield
    after = installed()
    changed = [name for name in before if after[name] != before[name]]
    changed += [name for name, value in after.items() if name not in before and _is_ours(value)]
    if (current.get(), ambient._runs, ambient.inherited) != place:
        changed.append("the current place in a run")
    assert not changed, f"left behind: {', '.join(changed)}"


def _is_ours(value: object) -> bool:
    return getattr(value, "__module__", "").startswith("clew.")
