"""The writer: one process lifetime that appends to one segment at a time.

`write` and `next_seq` are the hot path. They are attributes, not methods, so that an append on a mapped
segment is a single C call; whatever that call cannot do comes back as an exception and goes to `rescue`.
"""

from __future__ import annotations

import errno
import itertools
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from clew.errors import JournalError
from clew.journal.layout import announce_segment, make_folder, segment_path
from clew.journal.marks import Header, Seal, encode_mark
from clew.journal.process import this_process
from clew.journal.ring import MemoryRing, run_of
from clew.journal.segment import Segment, create_segment
from clew.journal.sentences import say
from clew.journal.signals import Tolerate, let_through
from clew.model.events import SCHEMA_VERSION, format_timestamp
from clew.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clew.model.ports import Clock, Ids

DEFAULT_SEGMENT_BYTES: Final = 32 * 1024 * 1024
_RETRY_NS: Final = 1_000_000_000
_PATIENCE_S: Final = 2.0
_ATTEMPTS: Final = 8
_RING_FULL: Final = "the room in memory was too small for what was waiting there"


class JournalWriter:
    """Appends lines to the journal of one home directory, and never raises while it does.

    Where the disk refuses, lines wait in a bounded ring in memory until it takes them again; what the ring
    gives up is counted by run and written as `events_lost` as soon as that is possible.
    """

    __slots__ = ("__dict__", "__weakref__", "next_seq", "write")

    def __init__(
        self,
        home: Path,
        clock: Clock,
        *,
        ids: Ids,
        mode: str = "auto",
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        report: Callable[[str], object] | None = None,
    ) -> None:
        self.home = home
        self.mode = mode
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._report = report or say
        self._told = False
        self._ring = MemoryRing()
        self._segment: Segment | None = None
        self._lock = threading.RLock()
        self._busy = False
        self._next_try_ns = 0
        self.number = 0
        """How many segments were opened."""
        self.path: Path | None = None
        """The segment that is being written; None while there is none."""
        self.fault: str | None = None
        """Why lines wait in memory; None while they do not."""
        self.unfinished = 0
        """Calls that took a number and were ended by a signal handler: nobody was promised their events."""
        self.id = ids.writer_id()
        self._count = itertools.count(1)
        self.next_seq: Callable[[], int] = self._count.__next__
        self.write: Callable[[bytes], int] = _no_segment
        if mode == "memory":
            self.write = self._ring.write

    def append(self, line: bytes) -> None:
        """Append one line, newline included. Never raises."""
        try:
            self.write(line)
        except (ValueError, OSError):
            self.rescue(line)

    def rescue(self, line: bytes) -> None:
        """Append a line that the segment did not take, where its error was caught: move on, roll, or keep it in memory.

        Raises: that error, where a signal handler of the program raised it and the segment did take the line.
        """
        refusal = sys.exception()
        if refusal is not None:
            let_through(refusal)
        if not self._lock.acquire(timeout=_PATIENCE_S):
            # The disk is slow, or this is a signal handler in the middle of an append that the thread with the lock
            # waits for.
            self._ring.write(line)
            return
        try:
            if self._busy:
                # A signal handler recorded while this very thread was making room.
                self._ring.write(line)
                return
            self._busy = True
            try:
                self._make_room(line)
            finally:
                self._busy = False
            self._drain()
        finally:
            self._lock.release()

    def lines(self) -> list[bytes]:
        """Return the lines in memory, and one for each run of which some were given up."""
        lost = [self._lost_line(run, n, _RING_FULL, numbered=False) for run, n in self._ring.lost().items()]
        return [*self._ring.lines(), *lost]

    def place(self) -> tuple[int, int] | None:
        """Return what changes once more can be read of this writer's segments; None where only a look can tell."""
        used = None if (segment := self._segment) is None else segment.used()
        return None if used is None else (self.number, used)

    def check(self) -> None:
        """Write the segment anew if somebody deleted it. Never raises."""
        with self._lock, Tolerate(OSError, ValueError):
            if self._busy or self._segment is None or not self._segment.unlinked():
                return
            self._busy = True
            try:
                self._restore()
            except (OSError, ValueError, JournalError) as error:
                let_through(error)
                self._stop(error)
            finally:
                self._busy = False
            self._drain()

    def sync(self) -> None:
        """Wait until what was appended is on the disk. Never raises."""
        if (segment := self._segment) is not None:
            with Tolerate(OSError, ValueError):
                segment.sync()

    def close(self) -> None:
        """Seal the segment; a line that comes later opens another one. Never raises."""
        with self._lock:
            if self._busy:
                return  # a signal handler, while this very thread was making room
            self.check()
            if self.fault is not None:
                self._recover()
            if self.fault is not None:
                self._give_up()
            self._drain()
            while self._segment is not None:  # a signal handler may open another one meanwhile
                self._seal()
            if self.mode != "memory":
                self.write = _no_segment

    def abandon(self) -> None:
        """Let go of everything without touching a file: this process was forked from the writer's."""
        if self._segment is not None:
            with Tolerate(OSError, ValueError):
                self._segment.abandon()
        self._segment = None
        self._lock = threading.RLock()

    # --- the slow path: one thread at a time ---------------------------------------------------------

    def _make_room(self, line: bytes) -> None:
        try:
            if self._segment is None:
                self._open()
            elif self._segment.unlinked():
                self._restore()
            elif self._segment.grow(len(line)) > self._segment_bytes:
                self._roll()
            self._put(line)
        except (OSError, ValueError, JournalError) as error:
            let_through(error)
            self._wait(line, error)

    def _put(self, line: bytes) -> None:
        """Append to a segment or window that is new, and only then let the other threads use it.

        Raises: OSError or ValueError where the line cannot be appended.
        """
        segment = self._segment
        if segment is None:
            raise ValueError("no segment is open")
        for left in range(_ATTEMPTS, -1, -1):
            try:
                segment.write(line)
                break
            except (
                ValueError
            ) as error:  # longer than a first window, or other threads took the room meanwhile
                let_through(error)
                if not left:
                    raise
                segment.grow(len(line))
        self.write = segment.write
        self.fault = None

    def _roll(self) -> None:
        # The next one first: a writer that is killed in between has an open segment, and so its threads may have
        # had numbers in their hands whose events nobody was promised.
        old = self._segment
        self._open()
        if old is not None:
            self._close_sealed(old)

    def _wait(self, line: bytes, error: Exception) -> None:
        """Keep a line in memory that the disk did not take, unless another file can take it."""
        if getattr(error, "errno", None) == errno.EFBIG and self._segment is not None:
            with Tolerate(OSError, ValueError, JournalError):
                self._roll()  # the limit is on one file
                self._put(line)
                return
        self._ring.write(line)
        self._stop(error)

    def _stop(self, error: Exception) -> None:
        """From now on keep lines in memory, and try the disk again every second."""
        self.fault = _reason(error)
        self._next_try_ns = self._clock.monotonic_ns() + _RETRY_NS
        self.write = self._waiting_write
        self._tell(f"clew: {self.fault}; events wait in memory")

    def _waiting_write(self, line: bytes) -> int:
        self._ring.write(line)
        if self.fault is None:  # another thread found room since this one looked
            with self._lock:
                self._drain()
        elif self._clock.monotonic_ns() >= self._next_try_ns:
            with self._lock:
                self._next_try_ns = self._clock.monotonic_ns() + _RETRY_NS
                if not self._busy and self.fault is not None:
                    self._recover()
        return len(line)

    def _recover(self) -> None:
        """Open another segment and write there what waits in memory; leave things as they are if that fails."""
        old, place = self._segment, (self.path, self.number)
        self._busy = True
        try:
            self._open()
        except (OSError, ValueError, JournalError) as error:
            self._segment, (self.path, self.number) = old, place
            let_through(error)
            self.fault = _reason(error)
            return
        finally:
            self._busy = False
        self.fault = None
        if self._segment is not None:
            self.write = self._segment.write
        if old is not None:
            self._close_sealed(old)
        self._drain()

    def _drain(self) -> None:
        """Write what waits in memory, if there is where to write it."""
        if self._busy or self.fault is not None or self.mode == "memory":
            return
        lines, lost = self._ring.take()
        for line in lines:
            self.append(line)
        for run_id, count in lost.items():
            self.append(self._lost_line(run_id, count, _RING_FULL))

    def _give_up(self) -> None:
        """The process ends and the disk takes nothing: say how much is lost where room was kept for that."""
        lines, lost = self._ring.take()
        segment = self._segment
        if segment is not None:
            with Tolerate(OSError, ValueError):
                segment.use_spare()
        for line in lines:
            if not (_ENDS_A_RUN in line[:200] and _fits(segment, line)):
                run_id = run_of(line)
                lost[run_id] = lost.get(run_id, 0) + 1
        for run_id, count in lost.items():
            _fits(segment, self._lost_line(run_id, count, self.fault or "the disk takes nothing"))
        total = sum(lost.values())
        if total:
            self._tell(f"clew: {self.fault}; {total} events are lost", again=True)

    def _lost_line(self, run_id: str, count: int, reason: str, *, numbered: bool = True) -> bytes:
        """Return an event that says how many are lost; without a number of its own where it is not to be written."""
        data = {"count": count, "reason": reason, "numbered": True}
        moment = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, tz=UTC)
        number = f'"writer":"{self.id}","seq":{self.next_seq()},' if numbered else ""
        return (
            f'{{"timestamp":"{format_timestamp(moment)}","run_id":"{run_id}","event":"events_lost",'
            f'"level":"WARNING",{number}"data":{msgspec.json.encode(data).decode()}}}\n'
        ).encode()

    def _open(self) -> None:
        """Open the next segment and write its header.

        Raises: OSError, ValueError or JournalError where that cannot be done; nothing is left behind then.
        """
        number = self.number + 1
        path = segment_path(self.home, self.id, number, self._clock.wall_ns())
        while path.exists():  # Ctrl-C in the middle of this method can leave one behind
            number += 1
            path = segment_path(self.home, self.id, number, self._clock.wall_ns())
        make_folder(self.home, path.parent)
        self._segment = create_segment(path, self.mode, first_line=encode_mark(self._header(number)))
        self.path, self.number = path, number
        announce_segment(self.home)

    def _restore(self) -> None:
        """Write the segment anew, with all that was appended to it, where somebody deleted it.

        Raises: OSError, ValueError or JournalError where that cannot be done; the lines then wait in memory.
        """
        old, self._segment = self._segment, None
        if old is None:
            return
        content = old.content()
        body = content[content.find(b"\n") + 1 :]
        self.number -= 1
        try:
            self._open()
            if body:
                self._put(body)
        except BaseException:  # Ctrl-C too
            for line in body.splitlines(keepends=True):
                self._ring.write(line)
            raise
        finally:
            with Tolerate(OSError, ValueError):
                old.close()

    def _header(self, number: int) -> Header:
        return Header(
            schema_version=SCHEMA_VERSION,
            writer=self.id,
            number=number,
            process=this_process(),
            version=VERSION,
            wall_ns=self._clock.wall_ns(),
            monotonic_ns=self._clock.monotonic_ns(),
        )

    def _upcoming(self) -> int:
        """Return the next number without taking it: `count(7)` says so itself."""
        return int(repr(self._count)[6:-1])

    def _seal(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            self._close_sealed(segment)

    def _close_sealed(self, segment: Segment) -> None:
        threads = len(sys._current_frames()) - 1
        in_flight = threads + self.unfinished
        mark = encode_mark(Seal(writer=self.id, last_seq=self._upcoming() - 1, in_flight=in_flight))
        with Tolerate(OSError, ValueError):
            segment.close(mark)

    def _tell(self, message: str, *, again: bool = False) -> None:
        if not self._told or again:
            self._told = True
            with Tolerate(Exception):  # a closed stderr is no reason to disturb the program
                self._report(message)


_ENDS_A_RUN: Final = b'"event":"workflow_'


def _no_segment(_line: bytes) -> int:
    raise ValueError("no segment is open")


def _fits(segment: Segment | None, line: bytes) -> bool:
    if segment is None:
        return False
    try:
        segment.write(line)
    except (OSError, ValueError) as error:
        let_through(error)
        return False
    return True


def _reason(error: Exception) -> str:
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{where}{what}"
