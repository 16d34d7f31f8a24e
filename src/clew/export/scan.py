r"""JSON values out of a file that may be damaged, and that need not hold one value a line.

Hosts write from several threads without a lock, die in the middle of a line, print text after their log, and people
concatenate, indent and convert files. A scan gives every value that is still whole:

- lines, with `\n` or `\r\n`, blank ones between them, with byte order marks, with the NUL tail of a mapped file;
- values that span lines, and several values on one line;
- the whole line behind the torn head of another one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

from clew.export.foreign import loads

T = TypeVar("T")

_LINE: Final = re.compile(rb"[^\s\0,][^\n]*")
# Possessive, so that a string of many megabytes needs no memory to go back over.
_TOKEN: Final = re.compile(rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|[{}\[\]"]')
_MOST_HEADS = 16
_FREE_SCAN_BYTES = 1 << 20
_SCANS_OF_FILE = 8
_PASSED: Final[list[Any]] = []
"""What stands for a value that is nobody's loss."""


def as_utf8(data: bytes) -> bytes:
    """Return text without its byte order mark, in UTF-8 if it was UTF-16 (as some shells redirect output)."""
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").encode("utf-8", "replace")
    return data.removeprefix(codecs.BOM_UTF8)


class Scan(Generic[T]):
    """One pass over a file. Iterate once, then read `skipped` and `fault`."""

    def __init__(
        self,
        data: bytes,
        *,
        line: Callable[[memoryview], T | None] | None = None,
        value: Callable[[object], list[T] | None],
    ) -> None:
        """Take what turns a line (fast; None: not so simple), and a decoded value, into results.

        `value` gives an empty list for a value that is not what is looked for, None for one to pass over silently.
        """
        self._data = data
        self._view = memoryview(data)
        self._read_line = line
        self._read_value = value
        self._budget = _FREE_SCAN_BYTES + _SCANS_OF_FILE * len(data)
        self._skipped_at = -1
        self.skipped = 0
        """Lines that gave nothing, or not all that is in them."""
        self.fault: tuple[int, str] | None = None
        """Number and beginning of the first such line."""

    def __iter__(self) -> Iterator[T]:
        at = 0
        while (match := _LINE.search(self._data, at)) is not None:
            start, end = match.span()
            if self._data.startswith(codecs.BOM_UTF8, start):
                at = start + len(codecs.BOM_UTF8)
                continue
            found = self._read_line(self._view[start:end]) if self._read_line is not None else None
            if found is not None:
                yield found
                at = end
                continue
            results, at = self._piece(start, end)
            yield from results

    def _piece(self, start: int, end: int) -> tuple[list[T], int]:
        """Read what begins at `start`, in a line that ends at `end`; return it and where to go on."""
        results = self._results(start, end)
        if results is None and self._data[start] in b"{[":
            close = self._matching_end(start, len(self._data))
            results = self._results(start, close) if close is not None else None
            if results is not None and close is not None:
                end = close
        if results is None:
            return self._after_torn_head(start, end)
        if not results and results is not _PASSED:
            self._skip(start)
        return results, end

    def _results(self, start: int, end: int) -> list[T] | None:
        """Return what lies there; an empty list is nothing that is looked for, None is no whole value."""
        try:
            value = loads(self._data[start:end].rstrip(b"\0\r\t ,"))
        except (ValueError, RecursionError):
            return None
        try:
            results = self._read_value(value)
        except RecursionError:
            return None
        return _PASSED if results is None else results

    def _after_torn_head(self, start: int, end: int) -> tuple[list[T], int]:
        self._skip(start)
        at = start
        for _ in range(_MOST_HEADS):
            at = self._data.find(b'{"', at + 1, end)
            if at < 0:
                break
            close = self._matching_end(at, end)
            results = self._results(at, close) if close is not None else None
            if results and close is not None:
                return results, close
        return [], end

    def _matching_end(self, start: int, stop: int) -> int | None:
        """Return where the value that begins at `start` ends, by its brackets; None where it does not."""
        if self._budget <= 0:
            return None
        depth = 0
        for token in _TOKEN.finditer(self._data, start, stop):
            first = self._data[token.start()]
            if first in b"{[":
                depth += 1
            elif first in b"}]":
                depth -= 1
                if depth == 0:
                    self._budget -= token.end() - start
                    return token.end()
            elif token.end() - token.start() == 1:  # a quote that nothing closes
                self._budget -= token.end() - start
                return None
        self._budget -= stop - start
        return None

    def _skip(self, start: int) -> None:
        begin = self._data.rfind(b"\n", 0, start) + 1
        if begin == self._skipped_at:
            return
        self._skipped_at = begin
        self.skipped += 1
        if self.fault is None:
            shown = self._data[begin : begin + 60].split(b"\n")[0].decode("utf-8", "replace")
            self.fault = (self._data.count(b"\n", 0, begin) + 1, ascii(shown))
