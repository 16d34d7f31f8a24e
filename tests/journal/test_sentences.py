"""Our own sentences on standard error: written where that can be done at once, dropped where it cannot."""

from __future__ import annotations

import contextlib
import io
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.journal.sentences import say

TIME_LIMIT_S = 30.0
PROGRAM = """
import clew
for number in range(3000):
    with clew.span("work", number=number):
        pass
"""


def fill(descriptor: int) -> int:
    """Write until nothing more is taken, and say how much that was."""
    taken = 0
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += os.write(descriptor, b"x")
    os.set_blocking(descriptor, True)
    return taken


def is_full(descriptor: int) -> bool:
    return not select.select([], [descriptor], [], 0)[1]


def says_in_time(sentence: str, *, patience_s: float = 0.0) -> bool:
    """Say it in a thread, so that a test of what must not hang does not hang itself."""
    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(say(sentence, patience_s=patience_s)), daemon=True)
    thread.start()
    thread.join(TIME_LIMIT_S)
    assert said, "it hangs"
    return said[0]


@contextlib.contextmanager
def as_stderr(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="backslashreplace") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        yield
        monkeypatch.undo()


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A descriptor to read from, and one to write to."""
    if request.param == "pipe":
        read, write = os.pipe()
    else:
        read, write = (end.detach() for end in socket.socketpair())
    yield read, write
    os.close(read)
    os.close(write)


def test_a_sentence_is_one_line(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = ends
    with as_stderr(write, monkeypatch):
        assert says_in_time("clew: größer\ud800")
    assert os.read(read, 100) == "clew: größer\\ud800\n".encode()


def test_where_nobody_reads_it_is_dropped_and_the_next_is_said_again(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = ends
    taken = fill(write)
    with as_stderr(write, monkeypatch):
        assert not says_in_time("never", patience_s=0.05)
        assert not says_in_time(
            "nor this", patience_s=TIME_LIMIT_S + 60
        )  # which is not waited for a second time
        while taken:
            taken -= len(os.read(read, taken))
        assert says_in_time("now")
    assert os.read(read, 100) == b"now\n"


def test_a_stream_that_another_thread_waits_with_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program itself writes more than the pipe takes, and has the lock of the stream meanwhile."""
    read, write = os.pipe()
    with as_stderr(write, monkeypatch):
        own = threading.Thread(target=sys.stderr.write, args=("y" * 1_000_000 + "\n",))
        own.start()
        while not is_full(write):
            time.sleep(0.001)
        assert not says_in_time("dropped")
        got = 0
        while got <= 1_000_000:
            got += len(os.read(read, 65536))
        own.join(TIME_LIMIT_S)
    assert got == 1_000_001
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "text"])
def test_a_stream_without_a_descriptor_is_written_to(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert say("here") is (stream is not None)
    assert stream is None or stream.getvalue() == "here\n"


def test_a_closed_stream_is_no_reason_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert not say("nowhere")


def test_a_program_whose_stderr_nobody_reads_ends_all_the_same(tmp_path: Path) -> None:
    """It streams more than the pipe takes, and writes nothing there itself."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    read, write = os.pipe()
    try:
        command = [sys.executable, "-m", "clew.cli.main", "run", "--telemetry", str(program)]
        done = subprocess.run(command, stderr=write, timeout=TIME_LIMIT_S, check=False)
    finally:
        os.close(read)
        os.close(write)
    assert done.returncode == 0
