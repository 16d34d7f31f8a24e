"""The standard output of the process is the result of the run and nothing else: what tools print goes to stderr.

Two ways, because neither does for all. `diverted()` catches whatever goes through `sys.stdout`, in a program that
has its own use for its standard output. `quiet_stdout()` is for the command, which may take the descriptor itself: it
also catches `os.write(1, ...)`, compiled code and child processes. `result_on_stdout()` is for what the command then
prints, and for what tools have left to happen at the end of the process.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, TextIO, cast


class Diversion:
    """One call whose prints are led away."""

    def __init__(self) -> None:
        self._over_at = math.inf

    def end(self, *, grace_s: float = 0.0) -> None:
        """The call was abandoned: after `grace_s` for tidying up, printing ends the thread or task that does it.

        Else a loop of prints would go on to the end of the process, and hold a lock that Python needs there.
        """
        self._over_at = time.monotonic() + grace_s

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._over_at


class _Stdout:
    """Stands in for `sys.stdout` while a tool runs, and asks at every use whose output it is."""

    def __init__(self, original: TextIO) -> None:
        self._original = original

    def _stream(self) -> TextIO:
        diversion = _current.get()
        if diversion is None:
            return self._original
        if diversion.is_over:
            raise SystemExit("nobody waits for this call any more")
        return sys.stderr or _nowhere()

    def write(self, text: str) -> int:
        return self._stream().write(text)

    def close(self) -> None:
        if _current.get() is None:
            self._original.close()

    @property
    def buffer(self) -> IO[bytes]:
        return self._stream().buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream(), name)


@functools.cache
def _nowhere() -> TextIO:
    """Return what takes the prints of tools where there is no stderr."""
    return Path(os.devnull).open("w", encoding="utf-8")


class _Layer:
    """What was put over one `sys.stdout`, and the number of calls that need it there."""

    def __init__(self, original: TextIO) -> None:
        self.original = original
        self.stdout = cast("TextIO", _Stdout(original))
        self.calls = 0


_current: ContextVar[Diversion | None] = ContextVar("clew_tool_output", default=None)
_lock = threading.Lock()
_layer: _Layer | None = None
"""The newest. An abandoned call may keep one for ever, long after the program has put another stream in its place."""
_calls = 0
_unhook_threads: Callable[[], None] | None = None


@contextlib.contextmanager
def diverted(diversion: Diversion) -> Iterator[None]:
    """Lead to stderr what this context, and every thread that is started in it, writes to `sys.stdout`."""
    token = _current.set(diversion)
    with _lock:
        layer = _put_over()
    try:
        yield
    finally:
        with _lock:
            _take_off(layer)
        _current.reset(token)


def _put_over() -> _Layer:
    global _calls, _layer, _unhook_threads
    layer = _layer
    if layer is None or sys.stdout is not layer.stdout:
        layer = _layer = _Layer(sys.stdout)
        sys.stdout = layer.stdout
    layer.calls += 1
    _calls += 1
    if _calls == 1:
        _unhook_threads = _hook_threads()
    return layer


def _take_off(layer: _Layer) -> None:
    """Undo what no call needs any more, and only what is still ours: another may have put something over it."""
    global _calls
    layer.calls -= 1
    _calls -= 1
    if not layer.calls and sys.stdout is layer.stdout:
        sys.stdout = layer.original
    if not _calls and _unhook_threads is not None:
        _unhook_threads()


def _hook_threads() -> Callable[[], None]:
    """Have each new thread print to where the one that starts it does; returns what undoes that."""
    start = threading.Thread.start

    def start_diverted(thread: threading.Thread) -> None:
        diversion = _current.get()
        if diversion is not None:
            run = thread.run

            def run_diverted() -> None:
                _current.set(diversion)
                run()

            thread.run = run_diverted  # type: ignore[method-assign]
        start(thread)

    def undo() -> None:
        if threading.Thread.start is start_diverted:
            threading.Thread.start = start  # type: ignore[method-assign]

    threading.Thread.start = start_diverted  # type: ignore[method-assign, assignment]
    return undo


def _fresh_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_fresh_lock)


@contextlib.contextmanager
def quiet_stdout() -> Iterator[TextIO]:
    """Point descriptor 1 at stderr and yield a text stream to the real standard output.

    The stream stands on a descriptor that no program started in between inherits. Where `sys.stdout` is no descriptor
    1 (a notebook, a test), the stream is `sys.stdout` as it was. A tool that puts streams of its own in the place of
    `sys.stdout` and `sys.stderr`, to silence a library, does so until the end of this and no longer.

    Raises: OSError from the last flush of the stream.
    """
    with contextlib.ExitStack() as stack:
        given = sys.stdout
        stack.callback(_put_back, given, sys.stderr)
        is_descriptor = _descriptor(given) == 1
        if is_descriptor:
            given.flush()
        real = _set_aside(stack)
        if not is_descriptor and given is not None:
            yield given
            return
        stream = os.fdopen(  # closed below, after what it may raise was heard
            os.open(os.devnull, os.O_WRONLY) if real is None else os.dup(real),
            "w",
            encoding=getattr(given, "encoding", None) or "utf-8",
            errors=getattr(given, "errors", None) or "strict",
        )
        try:
            yield stream
            stream.flush()
        finally:
            with contextlib.suppress(OSError):
                stream.close()
            with contextlib.suppress(OSError, ValueError):
                if is_descriptor:
                    given.flush()  # to stderr still


@contextlib.contextmanager
def result_on_stdout() -> Iterator[None]:
    """Have what is printed in here be the last on descriptor 1: what tools left for the end (`atexit`) goes to stderr.

    Raises: OSError: the output could not be written, unless another error is on its way, such as a SystemExit.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, ValueError):
            _end_stdout()
        raise
    _end_stdout()


def _end_stdout() -> None:
    if _descriptor(sys.stdout) != 1:
        return
    after = 2
    try:
        sys.stdout.flush()
    except OSError:
        after = os.open(os.devnull, os.O_WRONLY)  # what is still in the buffer belongs nowhere
        raise
    finally:
        with contextlib.suppress(OSError):  # no stderr
            os.dup2(after, 1)


def _put_back(stdout: TextIO, stderr: TextIO) -> None:
    sys.stderr = stderr
    if not isinstance(sys.stdout, _Stdout):  # where it is, an abandoned call needs it still
        sys.stdout = stdout


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _set_aside(stack: contextlib.ExitStack) -> int | None:
    """Move descriptor 1 to another number until the stack unwinds; None where there is none."""
    try:
        real: int | None = os.dup(1)  # not inherited
    except OSError:
        real = None
    try:
        os.dup2(2, 1)
    except OSError:  # no stderr either
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != 1:
            os.dup2(nowhere, 1)
            os.close(nowhere)

    def put_back() -> None:
        if real is None:
            os.close(1)
        else:
            os.dup2(real, 1)
            os.close(real)

    stack.callback(put_back)
    return real
