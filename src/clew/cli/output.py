"""Where a command prints: how wide, in colour or not, and never a character that a terminal would obey."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable
from functools import cached_property
from typing import Any, BinaryIO, Final, TextIO

import msgspec

from clew.journal.sentences import say
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
_OBEYED: Final = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]"
)
"""In UTF-8: the control characters C0 and C1, breaks of lines, and what turns the direction of writing."""
STATUS_STYLES: Final = {
    "completed": "green",
    "failed": "red",
    "interrupted": "yellow",
    "running": "cyan",
    "skipped": "dim",
}


class Page:
    """Standard output as a command sees it."""

    @property
    def _stream(self) -> TextIO | None:
        return sys.stdout  # None where the program was started without it

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
    document = msgspec.json.format(msgspec.json.encode(value, enc_hook=plain), indent=2) + b"\n"
    write_bytes(document)


def write_bytes(data: bytes, *, is_json: bool = True) -> None:
    """Write UTF-8 to standard output, after what was printed before.

    JSON may hold bytes that a terminal would obey: those become escapes there, and pass untouched into a pipe.
    """
    if sys.stdout is None:
        return
    if is_json and sys.stdout.isatty():
        data = harmless_bytes(data)
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a program that replaced the stream by one of text
        sys.stdout.write(data.decode("utf-8", "backslashreplace"))
        return
    sys.stdout.flush()
    buffer.write(data)


def plain(value: object) -> str:
    """Return what JSON has no form for as text: a path above all, whose name may be no UTF-8."""
    return str(value).encode("utf-8", "backslashreplace").decode()


class TerminalStream:
    """Passes text in UTF-8 on to a terminal, bytes that it would obey as escapes of JSON."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes, /) -> int:
        """Write one piece; no character may be cut in two."""
        self._stream.write(harmless_bytes(bytes(data)))
        return len(data)

    def writelines(self, lines: Iterable[bytes], /) -> None:
        """Write pieces."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what was taken."""
        self._stream.flush()


def harmless_bytes(data: bytes) -> bytes:
    r"""Return UTF-8 text with control characters, line ends and tabs excepted, as JSON writes them: `\u001b`."""
    return _OBEYED.sub(lambda match: b"\\u%04x" % ord(match[0].decode()), data)


def note(message: str, *, patience_s: float = 0.5) -> None:
    """Print a sentence on standard error: it is no result, and no failure either.

    Args: patience_s: how long to wait where standard error takes nothing now; then the sentence is dropped.
    """
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    say(f"clew: {harmless(message, encoding=encoding)}", patience_s=patience_s)
