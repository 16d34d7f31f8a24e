"""Where things lie under a Clew home directory.

.clew/
  journal/<UTC date>/<writer>-<n>.jsonl    segments
  blobs/<first 2>/<hash>.gz                large payloads
  index.sqlite                             which run lies in which segment; derived, can be rebuilt
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clew.errors import JournalError
from clew.journal.signals import Tolerate, let_through

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME_NAME: Final = ".clew"
_SEGMENT = re.compile(r"^([0-9a-f]{16})-(\d+)\.jsonl$")
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def find_home(start: Path | None = None) -> Path:
    """Return the home directory: `$CLEW_HOME`, else the nearest `.clew` upward, else `./.clew`.

    Nothing is created.
    """
    named = os.environ.get("CLEW_HOME")
    if named:
        return Path(named).absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        candidate = folder / HOME_NAME
        if candidate.is_dir():
            return candidate
    return here / HOME_NAME


def usable_home(home: Path) -> Path:
    """Return the home itself, or its stand-in where this user may write nothing there. Nothing is created; never raises.

    The stand-in is a folder of that home's own, below the user's folder for the state of programs.
    """
    try:
        if _may_write(home):
            return home
        spare = _stand_in(home)
        return spare if _may_write(spare) and _is_own(spare) else home
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # RuntimeError: nobody knows where the user's folder is
        let_through(error)
        return home


def stand_in(home: Path) -> Path | None:
    """Return the stand-in of a home, if there is one already. Never raises."""
    try:
        spare = _stand_in(home)
        return spare if spare.is_dir() and _is_own(spare) else None
    except (OSError, RuntimeError, ValueError) as error:
        let_through(error)
        return None


def _may_write(home: Path) -> bool:
    today = journal_folder(home) / datetime.now(tz=UTC).date().isoformat()
    for place in (today, *today.parents):
        found = _lstat(place)
        if found is not None:
            is_folder = stat.S_ISDIR(found.st_mode) or (stat.S_ISLNK(found.st_mode) and place.is_dir())
            return is_folder and os.access(place, os.W_OK | os.X_OK)
    return False


def _lstat(path: Path) -> os.stat_result | None:
    """Look at a path; None where there is nothing."""
    try:
        return path.lstat()
    except OSError as error:
        let_through(error)
        return None


def _is_own(folder: Path) -> bool:
    """Say whether nobody else can put something there: its name can be guessed."""
    found = _lstat(folder)
    if found is None:
        return True
    is_mine = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return stat.S_ISDIR(found.st_mode) and is_mine and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _stand_in(home: Path) -> Path:
    import hashlib  # only a home that cannot be written needs it

    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    state = named if named.is_absolute() else Path.home() / ".local" / "state"
    name = hashlib.blake2b(os.fsencode(os.path.realpath(home)), digest_size=8).hexdigest()
    return state / "clew" / name


def make_home(home: Path) -> None:
    """Create a home directory that only its owner can read and that version control leaves alone.

    Raises: JournalError where it cannot be made.
    """
    try:
        if not home.is_dir():
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        let_through(error)
        raise JournalError(f"{home} cannot be created: {error.strerror or error}") from error
    ignore = home / ".gitignore"
    # Not through a link that somebody else laid there, and no reason to record nothing where it cannot be made.
    # Tried at once: `os.path.lexists` would swallow the `TimeoutError` of a signal handler.
    with Tolerate(OSError):
        fd = os.open(ignore, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write("*\n")


def make_folder(home: Path, folder: Path) -> None:
    """Create a folder under a home directory, and whatever is missing above it, for its owner only.

    Raises: JournalError or OSError where it cannot be made.
    """
    make_home(home)
    # One by one: with `parents=True` only the last would have this mode.
    for missing in reversed([folder, *folder.relative_to(home).parents]):
        # `mkdir(exist_ok=True)` would swallow the `TimeoutError` of a signal handler.
        with contextlib.suppress(FileExistsError):
            (home / missing).mkdir(mode=0o700)


def announce_segment(home: Path) -> None:
    """Touch the journal's folder, which is all that a follower looks at until something is new."""
    with Tolerate(OSError):
        os.utime(journal_folder(home))


def journal_folder(home: Path) -> Path:
    """Return the folder that holds the date folders."""
    return home / "journal"


def segment_path(home: Path, writer: str, number: int, wall_ns: int) -> Path:
    """Return where a writer's segment lies that is opened at that time."""
    # Not strftime, which imports a module at every call: while Python ends, it cannot.
    date = datetime.fromtimestamp(wall_ns / 1e9, tz=UTC).date().isoformat()
    return journal_folder(home) / date / f"{writer}-{number}.jsonl"


def segment_name(name: str) -> tuple[str, int] | None:
    """Return writer and number of a segment's file name; None where it is not one."""
    match = _SEGMENT.match(name)
    return None if match is None else (match[1], int(match[2]))


def date_folders(home: Path) -> list[Path]:
    """Return the date folders of the journal, oldest first; empty where there is no journal."""
    folder = journal_folder(home)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if _is_date_folder(entry))
    return []


def _is_date_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return _DATE.match(entry.name) is not None and entry.is_dir()
    except OSError:
        return False  # a link to itself must not hide the others


def segments_in(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the segment files of one date folder, in no order."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            # Whatever else has such a name: opening a pipe would wait for ever.
            if segment_name(entry.name) is not None and entry.is_file():
                yield entry


def segments(home: Path) -> list[Path]:
    """Return every segment file, oldest date first, then by writer and number."""
    return [
        Path(entry.path)
        for folder in date_folders(home)
        for entry in sorted(segments_in(folder), key=lambda e: segment_name(e.name) or ("", 0))
    ]
