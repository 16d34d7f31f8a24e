"""Following the journal as it grows, over all the segments that may belong to what is followed."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Final

from clew.journal.layout import date_folders, journal_folder, segment_name, segments_in
from clew.journal.marks import looks_sealed
from clew.journal.process import is_alive
from clew.journal.reader import SegmentReader, read_header, read_seal
from clew.journal.ring import run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_TICK_NS: Final = 50_000_000
_MOST_BYTES: Final = 4 * 1024 * 1024
_LOOK_NS: Final = 40_000_000
"""How often to look for new segments: often enough for an event in one to be seen within 100 ms."""
_OTHERS_NS: Final = 200_000_000
"""The same for one that follows its own writer: beside a busy program each look costs a wait for its lock."""
_FOLDERS_NS: Final = 1_000_000_000
"""How often to look into the date folders unasked: for segments that were deleted, or copied from elsewhere."""
_ABOVE: Final = (b'"root_run_id":"', b'"parent_run_id":"')


class JournalFollower:
    """New events of a home directory, or of some of its runs and the runs nested in them.

    A `Source`: every tailer has its own and so its own position. Segments that were sealed before the follower
    began hold nothing new and are left out, unless it reads from the start.
    """

    def __init__(
        self,
        home: Path,
        *,
        runs: Collection[str] | None = None,
        own_writer: str | None = None,
        own_place: Callable[[], object] | None = None,
        from_start: bool = False,
    ) -> None:
        """Follow `home`.

        Args:
            home: the Clew home directory; it need not exist yet.
            runs: ids of the runs to follow; None for all.
            own_writer: a writer whose every event is wanted, so that its lines need not be looked at.
            own_place: returns what changes once more can be read of that writer, and None where it cannot say.
            from_start: whether what is in the journal already is wanted too.
        """
        self._home = home
        self._runs = None if runs is None else set(runs)
        self._own = own_writer
        self._own_place = own_place
        self._place: object = None
        self._look_ns = _LOOK_NS if own_place is None else _OTHERS_NS
        self._readers: dict[str, SegmentReader] = {}
        self._known: set[str] = set()
        self._own_paths: set[str] = set()
        self._given: dict[str, int] = {}
        self._again: dict[str, int] = {}
        self._journal = str(journal_folder(home))
        self._folders: dict[str, int] = {}  # texts: a Path would be made anew for every look
        self._journal_ns = -1
        self._next_look_ns = self._next_folders_ns = 0
        self._leaves_out_sealed = not from_start
        if not from_start:
            self._skip_what_is_there()
            self._leaves_out_sealed = False

    def poll(self) -> list[bytes]:
        """Return lines that are new since the last call: whole, in the order of each segment.

        A thread that lets go of the GIL waits long for it beside busy ones, so a poll makes few system calls:
        one for each open segment, and a look for new ones every now and then, but always before it says that there
        is nothing new: who ends then has everything.
        """
        looks = monotonic_ns() >= self._next_look_ns
        if looks:
            self._discover()
        lines = self._read_on()
        if not lines and not looks and self._discover():
            lines = self._read_on()
        return lines

    def glance(self) -> list[bytes]:
        """Like `poll`, and without any system call where only the own writer writes, and wrote nothing since."""
        place = None if self._own_place is None else self._own_place()
        alone = place is not None and self._readers.keys() <= self._own_paths
        if alone and place == self._place and monotonic_ns() < self._next_look_ns:
            return []
        self._place = place
        return self.poll()

    def _read_on(self) -> list[bytes]:
        lines: list[bytes] = []
        for path, reader in list(self._readers.items()):
            new = reader.read(limit_bytes=_MOST_BYTES)
            if new:
                new = self._not_given_yet(path, new)
                lines += new if self._wants_all(path) else self._of_wanted_runs(new)
            if reader.state.seal is not None:
                self._drop(path)
                self._next_look_ns = 0  # its writer may have begun another one
        return lines

    def _not_given_yet(self, path: str, lines: list[bytes]) -> list[bytes]:
        """Return the lines without those that came before already, in a file that was then deleted."""
        self._given[path] = self._given.get(path, 0) + len(lines)
        again = min(self._again.get(path, 0), len(lines))
        if again:
            self._again[path] -= again
        return lines[again:]

    def _drop(self, path: str) -> None:
        self._readers.pop(path).close()

    def _gone(self, path: str) -> None:
        """Somebody deleted a segment. Its writer may write it anew, beginning with what was in it."""
        self._drop(path)
        self._known.discard(path)
        self._again[path] = self._given.pop(path, 0)

    def _wants_all(self, path: str) -> bool:
        return self._runs is None or path in self._own_paths

    def _of_wanted_runs(self, lines: list[bytes]) -> list[bytes]:
        wanted = []
        runs = self._runs or set()
        for line in lines:
            run_id = run_of(line)
            begins = run_id not in runs and b'"event":"workflow_started"' in line[:160]
            if begins and not runs.isdisjoint(_runs_above(line)):
                runs.add(run_id)
            if run_id in runs:
                wanted.append(line)
        return wanted

    def _discover(self) -> bool:
        """Find new segments, and say whether there are any. Who begins one touches the journal's folder, so mostly
        one look is enough.
        """
        now_ns = monotonic_ns()
        self._next_look_ns = now_ns + self._look_ns
        changed_ns = _mtime_ns(self._journal)
        if changed_ns == self._journal_ns and now_ns < self._next_folders_ns:
            return False
        self._journal_ns = _settled(changed_ns)
        self._next_folders_ns = now_ns + _FOLDERS_NS
        for found in date_folders(self._home):
            self._folders.setdefault(str(found), -1)
        found_one = False
        for folder, seen_ns in self._folders.items():
            changed_ns = _mtime_ns(folder)
            if changed_ns == seen_ns:
                continue
            self._folders[folder] = _settled(changed_ns)
            for path, reader in list(self._readers.items()):
                if str(reader.path.parent) == folder and reader.replaced():
                    self._gone(path)
            for entry in segments_in(Path(folder)):
                if entry.path not in self._known:
                    self._known.add(entry.path)
                    if self._leaves_out_sealed and _looks_sealed(entry):
                        continue
                    name = segment_name(entry.name)
                    if name is not None and name[0] == self._own:
                        self._own_paths.add(entry.path)
                    self._readers[entry.path] = SegmentReader(Path(entry.path), keep_open=True)
                    found_one = True
        return found_one

    def _skip_what_is_there(self) -> None:
        self._discover()
        for path, reader in list(self._readers.items()):
            header = read_header(reader.path)
            done = read_seal(reader.path) is not None
            if header is None and not done and _empty(reader.path):
                continue  # its writer is just beginning
            if done or header is None or is_alive(header.process) is False:
                self._drop(path)
                continue
            if header.writer != self._own:
                while old := reader.read():
                    self._given[path] = self._given.get(path, 0) + len(old)


def _runs_above(line: bytes) -> set[str]:
    """Return the runs that the beginning of a run names as those that it is nested in."""
    places = [(line.find(key), len(key)) for key in _ABOVE]
    return {line[at + size : at + size + 32].decode("ascii", "replace") for at, size in places if at >= 0}


def _looks_sealed(entry: os.DirEntry[str]) -> bool:
    try:
        return looks_sealed(entry.stat().st_size)
    except OSError:
        return False


def _empty(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not file.read(1).strip(b"\0")
    except OSError:
        return True


def _settled(changed_ns: int) -> int:
    """Return when a folder changed; -1 where another change may still get the same time, whose ticks are coarse."""
    return changed_ns if time_ns() - changed_ns > _TICK_NS else -1


def _mtime_ns(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 - the stream looks here many times a second
    except OSError:
        return -1
