"""What every kind of segment can do, and which kind a place can bear."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, Protocol

from clew.errors import JournalError
from clew.journal.mapped import MappedSegment, can_map
from clew.journal.written import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODES: Final = ("auto", "mapped", "written", "memory")
"""How lines are kept: what the file system can bear, one of the two kinds of segment, or memory alone."""


class Segment(Protocol):
    """One file of the journal that a writer appends to. The contract is in `clew.testing.SegmentContract`."""

    @property
    def write(self) -> Callable[[bytes], int]:
        """Append a whole line. ValueError: no room, or closed. OSError: the file system refused.

        The callable may be another one after `grow` and `use_spare`.
        """
        ...

    def grow(self, needed_bytes: int) -> int:
        """Make room for a line of that length; return the bytes used. OSError where there is none."""
        ...

    def use_spare(self) -> None:
        """After `grow` failed: make room for a last word."""
        ...

    def close(self) -> int:
        """Take no more lines, cut the file to what is used, and return that."""
        ...

    def abandon(self) -> None:
        """Let go without touching the file."""
        ...

    def unlinked(self) -> bool:
        """Say whether somebody deleted the file."""
        ...

    def content(self) -> bytes:
        """Return everything that was appended, and take no more."""
        ...

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        ...


def create_segment(path: Path, mode: str) -> Segment:
    """Create a segment file of the kind that the mode asks for, or that the file system can bear.

    Raises: OSError or JournalError where it cannot be created; no file is left behind then.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if mode == "mapped" or (mode == "auto" and can_map(fd, path)):
            with contextlib.suppress(OSError, ValueError):
                return MappedSegment(fd)
            os.ftruncate(fd, 0)
        if mode != "mapped":
            return WrittenSegment(fd)
    except OSError:
        _discard(fd, path)
        raise
    _discard(fd, path)
    raise JournalError(f"{path.parent} cannot be mapped; set CLEW_JOURNAL=written or auto")


def _discard(fd: int, path: Path) -> None:
    os.close(fd)
    path.unlink(missing_ok=True)
