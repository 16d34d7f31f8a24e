"""Repair: what a dead writer left open is closed, as the writer itself would have done it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from clew.journal.layout import journal_folder
from clew.journal.marks import Seal, as_end, encode_mark
from clew.journal.reader import read_header, read_seal
from clew.journal.tail import find_end
from clew.model.events import encode_event
from clew.store.index import Index
from clew.store.liveness import life_of
from clew.store.lock import only_one

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clew.model.events import Event
    from clew.store.rows import SegmentRow


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to one segment."""

    path: str
    """Below the home directory."""
    writer: str
    """The dead writer."""
    sealed: bool
    """Whether it was sealed here; a segment that had its seal was only cut to its end."""
    interrupted: list[str]
    """Runs that it had left open, and whose `run_interrupted` was written here."""
    torn_bytes: int
    """Bytes of a last line without its end that were cut off: they were no event."""
    freed_bytes: int
    """Bytes that were reserved and not used."""
    fault: str | None = None
    """Why it could not be done; None where it was."""


def repair(home: Path) -> list[Repair]:
    """Seal the open segments of writers that are known to be dead, and give back what they had reserved.

    Living and unknown writers are left alone.

    Whole lines are never changed. Once done there is nothing left to do, so a second call returns nothing.

    Raises: JournalError where another process repairs the same place.
    """
    if not os.path.isdir(journal_folder(home)):  # noqa: PTH112  the method raises where it may not look
        return []
    with only_one(home):
        index = Index(home)
        try:
            index.refresh()
            rows = index.segments()
            done = []
            # Finished but not sealed: its writer was seen to be dead before it was read to its end.
            for writer in sorted({row.writer for row in rows if row.finished and row.state.seal is None}):
                own = [row for row in rows if row.writer == writer]
                opened = [row for row in own if row.state.seal is None]
                done += _repair_writer(home, own, opened, index.interruptions(writer))
            for row in rows:
                # Its writer died between sealing it and cutting off what was reserved.
                if row.state.seal is not None and row.process is not None and life_of(row.process) is False:
                    done += filter(None, [_close(home, row, b"", [])])
            return done
        finally:
            index.close()


def _repair_writer(
    home: Path, own: Sequence[SegmentRow], opened: Sequence[SegmentRow], events: Sequence[Event]
) -> list[Repair]:
    highest = max((row.numbers[-1][1] for row in own if row.numbers), default=0)
    done = []
    for row in sorted(opened, key=lambda row: -row.number):
        lines = []
        for event in events:
            highest += 1
            event.seq = highest
            lines.append(encode_event(event) + b"\n")
        lines.append(encode_mark(Seal(writer=row.writer, last_seq=highest, by="doctor")))
        outcome = _close(home, row, b"".join(lines), [event.run_id for event in events])
        if outcome is not None:
            done.append(outcome)
            if outcome.fault is None:
                events = []  # said once is enough
    return done[::-1]


def _close(home: Path, row: SegmentRow, last_words: bytes, interrupted: list[str]) -> Repair | None:
    """Put the last words behind the last whole line of a segment, and cut off what follows."""
    path = journal_folder(home) / row.path
    torn = freed = 0
    fault = None
    try:
        fd = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        try:
            if read_header(path) != row.state.header or read_seal(path) is not None:
                return None  # it is another file by now
            end = find_end(fd)
            last_words = as_end(last_words, end.offset)
            # First write, where blocks are reserved already, then cut: a full disk is no obstacle then.
            os.lseek(fd, end.offset, os.SEEK_SET)  # last words that a seal stands for already are none
            if os.write(fd, last_words) != len(last_words):
                fault = "the disk took only a part of what was to be written"
            else:
                before = os.fstat(fd).st_size
                os.ftruncate(fd, end.offset + len(last_words))
                torn = end.torn_bytes
                freed = max(0, before - end.offset - torn)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        fault = error.strerror or str(error)
    return Repair(
        path=f"journal/{row.path}",
        writer=row.writer,
        sealed=bool(last_words) and fault is None,
        interrupted=interrupted if fault is None else [],
        torn_bytes=torn,
        freed_bytes=freed,
        fault=fault,
    )
