"""What a program writes while a live view is drawn, printed above that view instead of into it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TextIO

from rich.ansi import AnsiDecoder
from rich.text import Text

from clew.view.cells import harmless
from clew.workflow.tools.process_end import before_hasty_end

if TYPE_CHECKING:
    from rich.console import Console

_POLL_S: Final = 0.05
_UNENDED_S: Final = 1.0
"""After this long a line without an end is shown as it is: it may be a question to whoever sits there."""
_LONGEST_LINE_BYTES: Final = 8192
_SHOW_CURSOR: Final = "\x1b[?25h"
_READ_BYTES: Final = 1 << 16
_MOST_AT_ONCE_BYTES: Final = 1 << 18
_TOO_LARGE_BYTES: Final = 64 << 20
_COLOUR: Final = re.compile(r"(\x1b\[[0-9;:]*m)")


class PrintedAbove:
    """Descriptor 2 leads into a file as long as the block lasts, and from there to a console, line by line.

    So does all that leads to descriptor 2 already: `sys.stderr`, the standard output of tools, child processes. It is a
    file because a pipe that is full would stop whoever writes; one that holds Python's lock stops its reader, too.
    """

    def __init__(self) -> None:
        """Raises: OSError: there is no room for the file, or no descriptor 2."""
        self._real = os.dup(2)
        try:
            self._file, path = tempfile.mkstemp(prefix="clew-")
            os.close(self._file)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND)
            Path(path).unlink()
        except OSError:
            os.close(self._real)
            raise
        given = sys.stderr
        self.terminal: TextIO = os.fdopen(
            self._real, "w", encoding=given.encoding, errors=given.errors or "backslashreplace"
        )
        """A stream to where descriptor 2 led before."""
        self.console: Console | None = None
        """Where it is printed. None: it waits."""
        self._offset = 0
        self._unended = b""
        self._unended_since_s = 0.0
        self._decoder = AnsiDecoder()
        self._lock = threading.Lock()
        self._hasty = contextlib.ExitStack()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clew output of tools", daemon=True)

    def __enter__(self) -> Self:
        """Lead descriptor 2 away."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(self._file, 2)
        self._hasty.enter_context(before_hasty_end(self._give_back))
        with contextlib.suppress(RuntimeError):  # no thread to be had: all is printed at the end
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put descriptor 2 back, and print what is left."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        self._hasty.close()
        os.dup2(self._real, 2)
        self._over.set()
        self.drain()
        with self._lock:
            self.console = None
            os.close(self._file)
        with contextlib.suppress(OSError):
            self.terminal.close()

    def _give_back(self) -> None:
        """Put descriptor 2 back and show the cursor, with nothing but system calls: whoever holds a lock never goes on."""
        try:
            os.dup2(self._real, 2)
        except OSError:  # a tool closed it
            os.dup2(os.open("/dev/tty", os.O_WRONLY), 2)
        left = b""
        with contextlib.suppress(OSError):
            left = os.pread(self._file, _MOST_AT_ONCE_BYTES, self._offset)
        lines = [harmless(line) for line in left.decode(errors="replace").splitlines()]
        os.write(2, "\n".join([_SHOW_CURSOR, *lines, ""]).encode(errors="replace"))

    def drain(self) -> None:
        """Print all that was written until now."""
        with contextlib.suppress(OSError, ValueError):
            end = os.fstat(self._file).st_size  # a program left behind may write for ever
            while self._print_some(is_last=True) and self._offset < end:
                pass

    def _run(self) -> None:
        while not self._over.wait(_POLL_S):
            with contextlib.suppress(OSError, ValueError):
                self._print_some()

    def _print_some(self, *, is_last: bool = False) -> bool:
        """Print what is new; return whether there may be more."""
        with self._lock:
            if self.console is None:  # there is none yet, or none any more
                return False
            data = b""
            while len(data) < _MOST_AT_ONCE_BYTES and (
                piece := os.pread(self._file, _READ_BYTES, self._offset)
            ):
                data += piece
                self._offset += len(piece)
            if not data and self._offset > _TOO_LARGE_BYTES:
                # What is written at this very moment may be lost; a full disk would be worse.
                os.ftruncate(self._file, 0)
                self._offset = 0
            lines = self._lines(data, is_last=is_last and len(data) < _MOST_AT_ONCE_BYTES)
            if lines:
                shown = Text("\n").join(self._shown(line) for line in lines)
                self.console.print(shown, no_wrap=True, overflow="ignore", crop=False, highlight=False)
            return bool(data)

    def _lines(self, data: bytes, *, is_last: bool) -> list[bytes]:
        now_s = time.monotonic()
        if data:
            self._unended_since_s = now_s
        *lines, rest = (self._unended + data).split(b"\n")
        while len(rest) > _LONGEST_LINE_BYTES:
            if b"\r" in rest:  # a bar that is drawn over and over
                rest = rest.rsplit(b"\r", 1)[1][-_LONGEST_LINE_BYTES:]
                break
            lines.append(rest[:_LONGEST_LINE_BYTES])
            rest = rest[_LONGEST_LINE_BYTES:]
        waited = now_s - self._unended_since_s >= _UNENDED_S and b"\r" not in rest
        if rest and (is_last or waited):
            lines.append(rest)
            rest = b""
        self._unended = rest
        return lines

    def _shown(self, line: bytes) -> Text:
        """Return a line as a terminal shows it, with its colours and without what would move the cursor."""
        text = line.decode("utf-8", "backslashreplace").rstrip("\r").rsplit("\r", 1)[-1].expandtabs()
        parts = _COLOUR.split(text)
        return self._decoder.decode_line(
            "".join(part if place % 2 else harmless(part) for place, part in enumerate(parts))
        )
