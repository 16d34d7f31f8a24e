"""Where the whole lines of a segment end that nobody writes any more."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

_CHUNK_BYTES: Final = 64 * 1024


class End(NamedTuple):
    """The end of a segment's content."""

    offset: int
    """Just behind the last whole line."""
    torn_bytes: int
    """Bytes behind it that were written but have no end of line."""


def find_end(fd: int) -> End:
    """Find the last whole line of an open file; what follows it is torn, or NUL bytes that were reserved.

    Raises: OSError where the file cannot be read.
    """
    position = os.fstat(fd).st_size
    written_end = newline_end = 0
    while position > 0 and not newline_end:
        start = max(0, position - _CHUNK_BYTES)
        chunk = os.pread(fd, position - start, start)
        if not written_end:
            written_end = start + len(chunk.rstrip(b"\0")) if chunk.strip(b"\0") else 0
        newline_end = start + chunk.rfind(b"\n") + 1 if b"\n" in chunk else 0
        position = start
    return End(newline_end, max(0, written_end - newline_end))
