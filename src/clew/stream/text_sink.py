"""A sink for stdout, stderr, or any other stream of the program."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any, Protocol

from clew.errors import SinkError
from clew.stream.descriptor import GONE, Descriptor
from clew.stream.formats import Encode, encode_jsonl


class Stream(Protocol):
    """What of a text or binary stream is needed: sys.stdout, a notebook's output, io.StringIO ..."""

    def write(self, text: Any, /) -> object:
        """Take text, or bytes where it is a binary stream."""
        ...

    def flush(self) -> None:
        """Pass on what was taken."""
        ...


class TextSink:
    """Writes lines to a descriptor or stream whose other end may leave, stall, or be closed by the program.

    The lines go to the descriptor itself, each whole: what the program holds in the buffer of its own stream
    stays there, in its order. Where a stream has no descriptor, they go through the stream.
    """

    def __init__(self, target: int | Stream | None, *, encode: Encode = encode_jsonl) -> None:
        """Args: target: a descriptor, a stream, or None for a stream that the program was started without.
        encode: how lines are written. Never raises: a closed target makes a sink that is finished.
        """
        self.finished: str | None = None
        """Why nothing more will be written; None as long as something may."""
        self.dropped = 0
        """Lines that were taken after that."""
        self._encode = encode
        self._stream: Stream | None = None
        self._descriptor: Descriptor | None = None
        self._data = b""
        self._start = 0
        self._attach(target)

    def write(self, lines: Sequence[bytes], /) -> None:
        """Write lines, waiting as long as the other end needs.

        Raises: SinkError: they cannot all be written now (a full disk). What was written of a line is remembered:
            the lines that were not taken, given again, continue at the byte where it stopped.
        """
        if self.finished is not None:
            self.dropped += len(lines)
            return
        if not self._data:
            self._data = self._encode(lines)
        try:
            self._write_all()
        except (OSError, ValueError) as error:
            taken = self._data.count(b"\n", 0, self._start)
            self._data, self._start = self._data[self._start :], 0
            if isinstance(error, OSError) and error.errno not in GONE:
                raise SinkError(error.strerror or str(error), taken=taken) from error
            self.finished = "it was closed"
            self.dropped += len(lines) - taken
        else:
            self._data, self._start = b"", 0

    def close(self, *, timeout_s: float) -> None:  # noqa: ARG002 - nothing here takes time
        """Let go of the descriptor; the stream stays open."""
        descriptor, self._descriptor = self._descriptor, None
        self.finished = self.finished or "the run is over"
        if descriptor is not None:
            os.close(descriptor.fd)

    def _attach(self, target: int | Stream | None) -> None:
        if target is None:
            self.finished = "the program was started without it"
            return
        try:
            # A copy of our own: should the program close its stream, and open a file that gets the same number,
            # that file must not receive events.
            self._descriptor = Descriptor(os.dup(_descriptor_of(target)))
        except io.UnsupportedOperation:
            self._stream = None if isinstance(target, int) else target
        except (OSError, ValueError):
            self.finished = "it was closed"

    def _write_all(self) -> None:
        if self._descriptor is not None:
            while self._start < len(self._data):
                self._start = self._descriptor.write(self._data, self._start)
        elif self._stream is not None:
            is_binary = isinstance(self._stream, io.RawIOBase | io.BufferedIOBase)
            self._stream.write(self._data if is_binary else self._data.decode())
            self._start = len(self._data)
            self._stream.flush()


def _descriptor_of(target: int | Stream) -> int:
    if isinstance(target, int):
        return target
    fileno = getattr(target, "fileno", None)
    if fileno is None:
        raise io.UnsupportedOperation
    return int(fileno())
