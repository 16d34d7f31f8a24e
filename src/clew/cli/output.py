"""Where a command prints: how wide, in colour or not, and never a character that a terminal would obey."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from functools import cached_property
from typing import Any, Final

import msgspec

from clew.stream.human import should_colour
from clew.view.cells import harmless

NARROWEST: Final = 20
_RESET: Final = "\x1b[0m"
_STYLES: Final = {
    "bold": "\x1b[1m",
    "dim": "\x1b[2m",
    "red": "\x1b[31m",
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
    "cyan": "\x1b[36m",
    "heading": "\x1b[1;4m",
}
STATUS_STYLES: Final = {
    "completed": "green",
    "failed": "red",
    "interrupted": "yellow",
    "running": "cyan",
    "skipped": "dim",
}


class Page:
    """Standard output as a command sees it."""

    def __init__(self) -> None:
        self._stream = sys.stdout

    @cached_property
    def encoding(self) -> str:
        """What the output is encoded in."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @cached_property
    def ellipsis(self) -> str:
        """The sign for what was left out, in one column."""
        return "…" if harmless("…", encoding=self.encoding) == "…" else "~"

    @cached_property
    def colour(self) -> bool:
        """Whether to use colours."""
        return should_colour(self._stream)

    @cached_property
    def width(self) -> int | None:
        """Columns that a line may have; None where nobody cuts it, in a file or a pipe."""
        columns = os.environ.get("COLUMNS", "")
        if columns.isdecimal() and int(columns) > 0:
            return max(NARROWEST, int(columns))
        try:
            is_terminal = self._stream is not None and self._stream.isatty()
        except ValueError:
            is_terminal = False
        return max(NARROWEST, shutil.get_terminal_size().columns) if is_terminal else None

    def safe(self, text: str) -> str:
        """Return text that the terminal shows and never obeys."""
        return harmless(text, encoding=self.encoding)

    def paint(self, text: str, style: str | None = None) -> str:
        """Return text made harmless and, where there are colours, in a style."""
        safe = self.safe(text)
        return f"{_STYLES[style]}{safe}{_RESET}" if self.colour and style and safe else safe

    def line(self, *parts: str) -> None:
        """Print one line of parts that are harmless already."""
        self.write("".join(parts) + "\n")

    def write(self, text: str) -> None:
        """Print text as it is."""
        if self._stream is not None:
            self._stream.write(text)

    def heading(self, text: str) -> None:
        """Print an empty line and a heading."""
        self.line()
        self.line(self.paint(text, "heading"))


def print_json(value: Any) -> None:
    """Print one JSON document: the same on a terminal and in a pipe, and UTF-8 whatever the locale."""
    document = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2) + b"\n"
    write_bytes(document)


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output, after what was printed before."""
    if sys.stdout is None:
        return
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a program that replaced the stream by one of text
        sys.stdout.write(data.decode("utf-8", "backslashreplace"))
        return
    sys.stdout.flush()
    buffer.write(data)


def note(message: str) -> None:
    """Print a sentence on standard error: it is no result, and no failure either."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"clew: {harmless(message, encoding=sys.stderr.encoding or 'utf-8')}\n")
