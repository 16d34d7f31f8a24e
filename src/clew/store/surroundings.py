"""What lies around the segments of a home directory: files that nobody knows, rights that are wrong, the index."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from clew.store.database import INDEX_NAME, look_at
from clew.store.payloads import is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KNOWN: Final = re.compile(
    rf"""^(?: \.gitignore | doctor\.lock | {re.escape(INDEX_NAME)}(?:-wal|-shm|-journal)?
        | journal/\d{{4}}-\d\d-\d\d/[0-9a-f]{{16}}-\d+\.jsonl
        | blobs/[0-9a-f]{{2}}/[0-9a-f]{{32}}\.gz
        | offsets/[^/]+\.json
        | signals/[^/]+\.(?:started|completed|failed|ready)
        | outputs/[^/]+\.json
        | parquet/.* )$""",
    re.VERBOSE,
)
_HALF_WRITTEN: Final = re.compile(r"^blobs/.*\.part$")


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor found beside the segments."""

    index: Literal["missing", "sound", "newer", "unusable"]
    """State of `index.sqlite`; one that is missing or unusable is made again when it is needed."""
    blobs: int
    """Payloads that are stored on their own."""
    blob_bytes: int
    half_written: list[str]
    """Payloads that a process did not live to finish, below the home directory."""
    unknown: list[str]
    """Files that Clew did not make, below the home directory."""
    problems: list[str]
    """Rights that are missing or too wide, and payloads whose content is another one, a sentence each."""


def look_around(home: Path) -> Surroundings:
    """Look at everything but the segments. Changes nothing; a home that does not exist is an empty one."""
    unknown: list[str] = []
    half_written: list[str] = []
    problems: list[str] = []
    blobs = blob_bytes = 0
    for name, size in _files(home, problems):
        if name.startswith("blobs/") and _KNOWN.match(name):
            blobs += 1
            blob_bytes += size
            problems += _damage_of(home, name)
        elif _HALF_WRITTEN.match(name):
            half_written.append(name)
        elif not _KNOWN.match(name):
            unknown.append(name)
    problems += _too_open(home)
    return Surroundings(
        index=look_at(home),
        blobs=blobs,
        blob_bytes=blob_bytes,
        half_written=sorted(half_written),
        unknown=sorted(unknown),
        problems=problems,
    )


def _damage_of(home: Path, name: str) -> list[str]:
    """Read a stored payload; one that cannot be read has been told of already."""
    try:
        sound = is_sound(home / name)
    except OSError:
        return []
    return [] if sound else [f"{name} was damaged: its content is not the payload of that hash"]


def _files(home: Path, problems: list[str]) -> Iterator[tuple[str, int]]:
    """Yield what is not a folder, with its size; note what cannot be read or written."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        place = home / folder
        try:
            with os.scandir(place) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{folder or '.'} cannot be listed: {error.strerror or error}")
            continue
        if not os.access(place, os.W_OK):
            problems.append(f"{folder or '.'} cannot be written")
        for entry in listed:
            name = f"{folder}/{entry.name}".lstrip("/")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
                continue
            if not os.access(entry.path, os.R_OK):
                problems.append(f"{name} cannot be read")
            try:
                yield name, entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue


def _too_open(home: Path) -> list[str]:
    """Say so where others may read what was recorded; whoever made the folder by hand may not have meant it."""
    try:
        mode = stat.S_IMODE(home.stat().st_mode)
    except OSError:
        return []
    if os.name == "posix" and mode & 0o077:
        return [f"others than its owner may enter it (mode {mode:04o}): chmod 700 {home}"]
    return []
