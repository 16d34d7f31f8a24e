"""Reading one segment, whatever is in it.

A segment may be growing, torn, cut off, full of NUL bytes or foreign: the reader gives every whole line that
looks like an event and counts the rest.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from clew.journal.marks import Header, Seal, decode_header, decode_seal
from clew.journal.tail import End, find_end

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK_BYTES: Final = 256 * 1024  # stays in the cache while it is taken apart
_LOOK_BYTES: Final = 16 * 1024
_LONGEST_LINE_BYTES: Final = 256 * 1024 * 1024
_MARK: Final = b'{"clew":'
_EVENT: Final = b'{"timestamp":'


class SegmentState(msgspec.Struct, kw_only=True):
    """What was seen of a segment so far."""

    header: Header | None = None
    """Its first line; None where that is missing or unreadable."""
    seal: Seal | None = None
    """Its last line; None while it is open, and where its writer died."""
    offset: int = 0
    """Bytes read."""
    bad_lines: int = 0
    """Lines that cannot be events."""
    nul_bytes: int = 0
    """NUL bytes between lines: never written, or lost by the disk."""
    torn_bytes: int = 0
    """Bytes of a last line without its end."""


class SegmentReader:
    """Reads one segment from where it stopped the last time. Never raises for what the file contains."""

    def __init__(self, path: Path, *, state: SegmentState | None = None, keep_open: bool = False) -> None:
        """Read `path` from where `state` stands.

        keep_open: hold the file between reads, for a follower that reads many times a second. Call `close`.
        """
        self.path = path
        self.state = state or SegmentState()
        self._keep_open = keep_open
        self._fd: int | None = None

    def read(self, *, limit_bytes: int = 32 * _CHUNK_BYTES, final: bool = False) -> list[bytes]:
        """Return whole lines that are new, without newlines, headers and seals left out.

        A growing segment ends at its first NUL byte. With `final` nobody writes any more: NUL bytes are then
        a hole that is stepped over, and a line without an end is counted as torn. Empty at the end of the
        file and where it is gone.
        """
        try:
            fd = self._open()
            return self._read(fd, limit_bytes, final=final)
        except OSError:
            return []
        finally:
            if not self._keep_open:
                self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def replaced(self) -> bool:
        """Say whether the file was deleted, or lies no longer where it was opened."""
        try:
            here = self.path.stat()
            return self._fd is not None and not os.path.samestat(here, os.fstat(self._fd))
        except OSError:
            return True

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        return self._fd

    def _read(self, fd: int, limit_bytes: int, *, final: bool) -> list[bytes]:
        state = self.state
        lines: list[bytes] = []
        # A growing segment is looked at many times a second, and mostly holds little that is new.
        size, end = (_CHUNK_BYTES if final else _LOOK_BYTES), state.offset + limit_bytes
        last: End | None = None
        while state.offset < end:
            chunk = os.pread(fd, size, state.offset)
            if final and chunk and (len(chunk) < size or b"\0" in chunk):
                last = last or find_end(fd)
                if state.offset >= last.offset:
                    state.torn_bytes += last.torn_bytes
                    state.offset = os.fstat(fd).st_size
                    break
                chunk = chunk[: last.offset - state.offset]
            whole = self._whole_lines(chunk, final=final)
            if not whole:
                if len(chunk) < size or size >= _LONGEST_LINE_BYTES or (not final and b"\0" in chunk):
                    break
                size *= 4  # a line longer than the chunk
                continue
            self._sort(chunk[:whole], lines)
            state.offset += whole
            if not final:
                if len(chunk) < size or b"\0" in chunk:
                    break  # that was all: each further look would let other threads in
                size = _CHUNK_BYTES
        return lines

    def _whole_lines(self, chunk: bytes, *, final: bool) -> int:
        """Return the length of the part of a chunk that holds whole lines."""
        if final:
            return max(chunk.rfind(b"\n"), chunk.rfind(b"\0")) + 1
        nul = chunk.find(b"\0")
        return chunk.rfind(b"\n", 0, nul if nul >= 0 else len(chunk)) + 1

    def _sort(self, text: bytes, lines: list[bytes]) -> None:
        """Part events from marks and from what can be neither."""
        state = self.state
        if b"\0" in text:
            state.nul_bytes += text.count(b"\0") - (len(text) - len(text.rstrip(b"\0")))
            text = text.replace(b"\0", b"\n")
        found = text.split(b"\n")
        if (
            text.startswith(_EVENT)
            and text.endswith(b"}\n")
            and text.count(b"}\n" + _EVENT) == len(found) - 2
        ):
            found.pop()
            lines += found  # events and nothing else: one search instead of two looks at every line
            return
        for line in found:
            if line.startswith(_EVENT) and line.endswith(b"}"):
                lines.append(line)
            elif line.startswith(_MARK):
                self._note(line)
            elif line.startswith(b"{") and line.rstrip().endswith(b"}"):
                lines.append(line.rstrip())  # another system's order of fields
            elif line:
                state.bad_lines += 1

    def _note(self, line: bytes) -> None:
        header = decode_header(line)
        seal = None if header is not None else decode_seal(line)
        if header is not None:
            self.state.header = header
        elif seal is not None:
            self.state.seal = seal
        else:
            self.state.bad_lines += 1


def read_header(path: Path) -> Header | None:
    """Return a segment's header; None where it is missing or unreadable."""
    try:
        with path.open("rb") as file:
            return decode_header(file.readline(65536))
    except OSError:
        return None


def read_seal(path: Path) -> Seal | None:
    """Return a segment's seal; None while it is open, and where its writer died."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 512))
            tail = file.read()
    except OSError:
        return None
    last = tail[tail.rfind(_MARK) :] if _MARK in tail else b""
    return decode_seal(last.rstrip(b"\n")) if last.endswith(b"\n") else None
