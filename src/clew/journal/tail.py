"""Where the whole lines of a segment end that nobody writes any more."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

_CHUNK_BYTES: Final = 64 * 1024
_PAGE: Final = 4096


class End(NamedTuple):
    """The end of a segment's content."""

    offset: int
    """Just behind the last whole line."""
    torn_bytes: int
    """Bytes behind it that belong to a line that was not written to its end."""


def find_end(fd: int) -> End:
    """Find the last whole line of an open file; what follows it is torn, or NUL bytes that were reserved.

    A copy into memory is not made from front to back: a process that was killed in the middle of one may have left
    the last bytes of its line, the newline too, and NUL bytes where the first belong.

    Raises: OSError where the file cannot be read.
    """
    written_end = _written_end(fd)
    newline_end = _newline_end(fd, written_end)
    if newline_end < written_end or not written_end:
        return End(newline_end, written_end - newline_end)
    line_start = _newline_end(fd, written_end - 1)
    if written_end - line_start > _PAGE * _CHUNK_BYTES:
        return End(written_end, 0)
    missing = os.pread(fd, written_end - line_start, line_start).count(b"\0")
    # Whole pages are what a disk loses; that is damage inside the file, and not its end.
    return End(line_start, written_end - line_start) if 0 < missing < _PAGE else End(written_end, 0)


def _written_end(fd: int) -> int:
    """Return the offset behind the last byte that is not NUL."""
    position = os.fstat(fd).st_size
    while position > 0:
        start = max(0, position - _CHUNK_BYTES)
        chunk = os.pread(fd, position - start, start).rstrip(b"\0")
        if chunk:
            return start + len(chunk)
        position = start
    return 0


def _newline_end(fd: int, position: int) -> int:
    """Return the offset behind the last newline before a position; 0 where there is none."""
    while position > 0:
        start = max(0, position - _CHUNK_BYTES)
        found = os.pread(fd, position - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0
