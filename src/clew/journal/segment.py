"""What every kind of segment can do, and which kind a place can bear."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, Protocol

from clew.errors import JournalError
from clew.journal.descriptors import beyond_standard
from clew.journal.mapped import MappedSegment, can_map
from clew.journal.signals import Tolerate, let_through
from clew.journal.written import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODES: Final = ("auto", "mapped", "written", "memory")
"""How lines are kept: what the file system can bear, one of the two kinds of segment, or memory alone."""
_FULL: Final = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


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

    def close(self, last_line: bytes = b"", /) -> int:
        """Take no more lines, put the last one behind them, cut the file to what is used, and return that.

        No line of another thread comes behind the last one.
        """
        ...

    def abandon(self) -> None:
        """Let go without touching the file."""
        ...

    def used(self) -> int | None:
        """Return a number that changes once a line can be read; None where that cannot be said without a look."""
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


def create_segment(path: Path, mode: str, *, first_line: bytes) -> Segment:
    """Create a segment file of the kind that the mode asks for, or that the file system can bear.

    The file has its name only once its first line is in it, where the system can do that: a process that is killed
    meanwhile leaves nothing of which nobody could say whose it is.

    Raises: OSError or JournalError where it cannot be created; no file is left behind then.
    """
    if hasattr(os, "O_TMPFILE"):
        with Tolerate(OSError):
            return _create_nameless(path, mode, first_line)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        fd = beyond_standard(fd)
        return _begin(fd, path, mode, first_line)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _create_nameless(path: Path, mode: str, first_line: bytes) -> Segment:
    fd = beyond_standard(os.open(path.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600))
    segment = _begin(fd, path, mode, first_line)
    try:
        # Python follows the link only where it is given a directory too, which an absolute path does not need.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
    except BaseException:
        segment.abandon()
        raise
    return segment


def _begin(fd: int, path: Path, mode: str, first_line: bytes) -> Segment:
    """Make a segment of an empty file and write its first line; close the file where that cannot be done."""
    try:
        segment = _of_kind(fd, path, mode)
        segment.write(first_line)
    except BaseException:
        os.close(fd)
        raise
    return segment


def _of_kind(fd: int, path: Path, mode: str) -> Segment:
    if mode == "mapped":
        try:
            return MappedSegment(fd)
        except (OSError, ValueError) as error:
            let_through(error)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise
            reason = getattr(error, "strerror", None) or error
            raise JournalError(
                f"{path.parent} cannot be mapped ({reason}); set CLEW_JOURNAL=written or auto"
            ) from error
    if mode == "auto" and can_map(path):
        with Tolerate(OSError, ValueError):
            return MappedSegment(fd)
    os.ftruncate(fd, 0)  # of what was reserved in the attempt
    return WrittenSegment(fd)
