"""The bytes of a file to import, which may be any file of the system."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from stat import S_ISFIFO, S_ISREG
from typing import Final

from clew.errors import ImportFormatError

LONGEST_LINE_BYTES: Final = 256 * 1024 * 1024  # as long as a reader of the journal takes
_PIECE_BYTES: Final = 1024 * 1024


def read_source(path: Path, *, begins: Callable[[bytes], object] | None = None) -> bytes:
    """Return the content of a file, or of a pipe until its other end is closed.

    Args: begins: sees the first bytes, as many as can be had, before the rest is read; may raise.
    Raises: ImportFormatError: it is a device or a socket, which may never end, or a line of it is too long;
            OSError: it cannot be read.
    """
    pieces = bytearray()
    line_bytes = 0
    with path.open("rb", buffering=0) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not (S_ISREG(mode) or S_ISFIFO(mode)):
            raise ImportFormatError(f"{path} is neither a file nor a pipe; name a file.")
        while piece := _piece(file.read):
            if not pieces and begins is not None:
                begins(piece)
            pieces += piece
            newline = piece.rfind(b"\n")
            line_bytes = len(piece) - newline - 1 if newline >= 0 else line_bytes + len(piece)
            if line_bytes > LONGEST_LINE_BYTES:
                raise ImportFormatError(
                    f"{path} has a line of more than {LONGEST_LINE_BYTES >> 20} MiB, which is no log of a run."
                )
    if not pieces and begins is not None:
        begins(b"")
    return bytes(pieces)


def _piece(read: Callable[[int], bytes | None]) -> bytes:
    """Return the next megabyte, or what is left; a pipe gives it in small portions."""
    piece = bytearray()
    while len(piece) < _PIECE_BYTES and (portion := read(_PIECE_BYTES - len(piece))):
        piece += portion
    return bytes(piece)
