"""A sink for a file: appended, rotated, opened again when others move it, and never left with half a line."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from clew.errors import SinkError
from clew.journal.descriptors import beyond_standard
from clew.stream.descriptor import Descriptor
from clew.stream.formats import Encode, encode_jsonl
from clew.stream.report import Report, tell
from clew.stream.rotation import may_rotate, rotate

CHECK_S: Final = 1.0
"""How often to see whether the file was moved or removed. Not at every batch: under load each system call costs
a wait for the interpreter's lock, and with it the time until an event is visible."""

_FLAGS: Final = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a named pipe without a reader is an error now, not a wait for ever
)


class FileSink:
    """Appends lines to a file. `tail -F` and logrotate may work on it, and other processes write to it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        encode: Encode = encode_jsonl,
        max_bytes: int | None = None,
        max_files: int = 5,
        report: Report | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: path: created with its directories, for its owner only, at the first write.
        encode: how lines are written. max_bytes: a file that would grow beyond is rotated first; None never.
        max_files: how many files there are at most, the current one included. report: told once if the file
        cannot be rotated, which only makes it grow. now_s: a monotonic clock.
        """
        self.path: Final = Path(path).absolute()  # the program may change its directory
        self._encode = encode
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._report = report
        self._now_s = now_s
        self._file: Descriptor | None = None
        self._is_regular = False
        self._size = 0
        self._check_at_s = 0.0
        self._may_grow = False

    @staticmethod
    def check(path: str | os.PathLike[str]) -> str | None:
        """Return in one sentence why a file cannot be written, None where nothing speaks against it.

        Creates nothing, and cannot know everything: only the first write does.
        """
        text = os.fspath(path)
        try:
            target = Path(text).absolute()
            if not text or target.is_dir():
                return f"telemetry file {text!r} is a directory; give the path of a file"
            existing = target
            while not os.path.lexists(existing):
                existing = existing.parent
            if existing != target and not existing.is_dir():
                return f"telemetry file {text!r} cannot be created: {str(existing)!r} is not a directory"
            if "\0" in text:
                return f"telemetry file {text!r} cannot be created: no file name has a NUL character"
            if existing.exists() and not os.access(existing, os.W_OK):
                return f"telemetry file {text!r} cannot be written: no permission for {str(existing)!r}"
        except (OSError, ValueError) as error:
            return f"telemetry file {text!r} cannot be written: {error}"
        return None

    def write(self, lines: Sequence[bytes], /) -> None:
        """Append lines.

        Raises: SinkError: they are not all in the file. Those that it counts as taken are, whole.
        """
        data = self._encode(lines)
        start = 0
        try:
            self._keep_open()
            while start < len(data):
                end = self._end_of_part(data, start)
                self._append(data, start, end)
                start = end
        except _ShortWriteError as error:
            self._refuse(data, error.complete, error.cause)
        except (OSError, ValueError) as error:
            self._refuse(data, start, error)

    def close(self, *, timeout_s: float = 0.0) -> None:  # noqa: ARG002 - nothing here takes time
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                os.close(file.fd)
            except OSError as error:  # a remote file system may say only now that it is full
                self._tell(f"{self.path}: {error.strerror or error}")

    def _refuse(self, data: bytes, complete: int, cause: Exception) -> None:
        self.close()  # the next attempt opens the file anew, whatever became of it
        reason = cause.strerror if isinstance(cause, OSError) else str(cause)
        taken = data.count(b"\n", 0, complete)
        raise SinkError(f"{self.path}: {reason or cause}", taken=taken) from cause

    def _keep_open(self) -> None:
        now_s = self._now_s()
        if self._file is not None and now_s >= self._check_at_s:
            self._may_grow = False
            if self._is_elsewhere():
                self.close()
            else:
                self._size = os.fstat(self._file.fd).st_size
            self._check_at_s = now_s + CHECK_S
        if self._file is None:
            self._open()
            self._check_at_s = now_s + CHECK_S

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        fd = beyond_standard(os.open(self.path, _FLAGS, 0o600))
        try:
            self._file = Descriptor(fd)
            status = os.fstat(fd)
            self._is_regular = stat.S_ISREG(status.st_mode)
            self._size = status.st_size
            if self._is_regular and self._size and _ends_in_half_a_line(self.path):
                self._size += os.write(fd, b"\n")
        except OSError:
            self._file = None
            os.close(fd)
            raise

    def _is_elsewhere(self) -> bool:
        """Whether the path names another file than the one that is open, or none."""
        assert self._file is not None
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(self._file.fd))
        except FileNotFoundError:
            return True

    def _end_of_part(self, data: bytes, start: int) -> int:
        """Return how far `data` goes into the current file, which is a new one where nothing fits."""
        if self._max_bytes is None or not self._is_regular or self._may_grow:
            return len(data)
        if len(data) - start <= self._max_bytes - self._size:
            return len(data)
        end = data.rfind(b"\n", start, max(start, start + self._max_bytes - self._size)) + 1
        if end > start:
            return end
        if self._size:
            self._rotate()
            return self._end_of_part(data, start)
        return data.find(b"\n", start) + 1  # a line longer than a file may be has a file of its own

    def _rotate(self) -> None:
        assert self._file is not None
        try:
            if not may_rotate(self._file.fd):
                self._may_grow = True  # another process is at it
                self._check_at_s = 0.0
                return
            if not self._is_elsewhere():
                rotate(self.path, max_files=self._max_files)
        except OSError as error:
            self._may_grow = True
            self._tell(f"{self.path} cannot be rotated, so it grows: {error.strerror or error}")
            return
        self.close()
        self._open()

    def _append(self, data: bytes, start: int, end: int) -> None:
        assert self._file is not None
        part = data if end - start == len(data) else data[start:end]
        written = 0
        try:
            while written < len(part):
                written = self._file.write(part, written)
        except OSError as error:
            complete = part.rfind(b"\n", 0, written) + 1
            if self._is_regular:
                self._cut(written - complete)
            raise _ShortWriteError(start + complete, error) from error
        self._size += len(part)

    def _cut(self, half_line_bytes: int) -> None:
        """Take back the half line at the end, if it is still the end."""
        assert self._file is not None
        fd = self._file.fd
        try:
            size = os.fstat(fd).st_size
            if half_line_bytes and size == os.lseek(fd, 0, os.SEEK_CUR):
                os.ftruncate(fd, size - half_line_bytes)
        except OSError:
            return  # opening the file again ends the half line with a newline

    def _tell(self, problem: str) -> None:
        report, self._report = self._report, None
        tell(report, problem)


class _ShortWriteError(Exception):
    def __init__(self, complete: int, cause: OSError) -> None:
        super().__init__(str(cause))
        self.complete = complete
        self.cause = cause


def _ends_in_half_a_line(path: Path) -> bool:
    """Whether a program was killed while it wrote there. A file that cannot be read is taken to be whole."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False
