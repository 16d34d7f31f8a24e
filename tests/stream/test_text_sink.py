from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from clew.errors import SinkError
from clew.stream.delivery import EndingSink
from clew.stream.descriptor import PIPE_BUF
from clew.stream.formats import encode_human, encoder
from clew.stream.text_sink import TextSink
from tests.stream.fakes import WAIT_S, event_line, numbered


class Pipe:
    """A pipe whose ends a test may close when it likes."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def close_reader(self) -> None:
        reader, self.reader = self.reader, -1
        if reader >= 0:
            os.close(reader)

    def close_writer(self) -> None:
        writer, self.writer = self.writer, -1
        if writer >= 0:
            os.close(writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close_reader()
    pipe.close_writer()


def read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)


class Reading(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True)
        self.fd = fd
        self.data = b""

    def run(self) -> None:
        self.data = read_all(self.fd)


def run_program(code: str, *, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
    )


def test_lines_arrive_as_they_are(pipe: Pipe) -> None:
    sink = TextSink(pipe.writer)
    sink.write([b'{"a":1}', b'{"b":2}'])
    sink.write([])
    sink.write([b'{"c":3}'])
    sink.close(timeout_s=1)
    pipe.close_writer()
    assert read_all(pipe.reader) == b'{"a":1}\n{"b":2}\n{"c":3}\n'


def test_the_human_format_is_one_line_of_text_for_each_event(pipe: Pipe) -> None:
    sink = TextSink(pipe.writer, encode=encoder("human"))
    sink.write([event_line(data={"k": "a\nb"}), b"\x1b"])
    sink.close(timeout_s=1)
    pipe.close_writer()
    assert read_all(pipe.reader).decode().splitlines() == [
        '[2026-11-21 03:59:12.123] [INFO] NODE_COMPLETED run=0199c2f1a3b4 k="a\\nb"',
        "\\x1b",
    ]


def test_a_reader_that_left_finishes_the_sink_and_what_follows_is_counted(pipe: Pipe) -> None:
    sink = TextSink(pipe.writer)
    pipe.close_reader()
    sink.write(numbered(3))
    sink.write(numbered(2))
    assert isinstance(sink, EndingSink)
    assert sink.finished is not None
    assert sink.dropped == 5


def test_a_program_that_closes_its_stdout_does_not_receive_events_in_its_next_file(tmp_path: Path) -> None:
    """The number of a closed descriptor is given to the next file that is opened."""
    pipe = Pipe()
    sink = TextSink(pipe.writer)
    number = pipe.writer
    pipe.close_writer()
    other = os.open(tmp_path / "data", os.O_WRONLY | os.O_CREAT)
    assert other == number
    sink.write([b"x"])
    sink.close(timeout_s=1)
    os.close(other)
    assert (tmp_path / "data").read_bytes() == b""
    assert read_all(pipe.reader) == b"x\n"
    pipe.close_reader()


@pytest.mark.parametrize("target", [None, 10_000])
def test_a_program_without_stdout_gets_a_sink_that_counts(target: int | None) -> None:
    sink = TextSink(target)
    sink.write(numbered(4))
    sink.close(timeout_s=1)
    assert sink.dropped == 4


def test_a_stream_closed_from_the_start_is_a_finished_sink(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as stream:
        pass
    sink = TextSink(stream)
    sink.write(numbered(1))
    assert sink.dropped == 1


@pytest.mark.parametrize("stream", [io.StringIO(), io.BytesIO()])
def test_a_stream_without_a_descriptor_is_written_through(stream: io.StringIO | io.BytesIO) -> None:
    sink = TextSink(stream)
    sink.write(["é".encode(), b"x"])
    value = stream.getvalue()
    assert (value if isinstance(value, str) else value.decode()) == "é\nx\n"
    stream.close()
    sink.write([b"y"])
    assert sink.finished is not None
    assert sink.dropped == 1


def test_a_full_device_refuses_and_is_asked_again() -> None:
    with Path("/dev/full").open("wb") as full:
        sink = TextSink(full)
        for _ in range(2):
            with pytest.raises(SinkError, match="No space left"):
                sink.write(numbered(2))
        assert sink.finished is None
        assert sink.dropped == 0
        sink.close(timeout_s=1)


def test_a_non_blocking_pipe_that_is_full_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    sink = TextSink(pipe.writer)
    lines = numbered(3000)
    reading = Reading(pipe.reader)
    writing = threading.Thread(target=lambda: sink.write(lines), daemon=True)
    writing.start()  # more than the pipe holds, and nobody reads yet
    while not is_full(pipe.writer):
        assert writing.is_alive()
    reading.start()
    writing.join(WAIT_S)
    sink.close(timeout_s=1)
    pipe.close_writer()
    reading.join(WAIT_S)
    assert reading.data.splitlines() == lines


def is_full(writer: int) -> bool:
    """Whether a pipe has no room for the longest write that goes in one piece."""
    import select

    waiter = select.poll()
    waiter.register(writer, select.POLLOUT)
    return not waiter.poll(0)


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_stay_whole_beside_the_prints_of_the_program(pipe: Pipe, blocking: bool) -> None:
    """Both write to one pipe that is full most of the time."""
    os.set_blocking(pipe.writer, blocking)
    sink = TextSink(pipe.writer)
    batches = [
        [event_line(seq=number, data={"x": "x" * (number * 7 % 900)}) for number in range(start, start + 200)]
        for start in range(0, 8000, 200)
    ]
    prints = [[b"print %02d %s\n" % (batch, b"-" * length) for length in range(80)] for batch in range(40)]
    together = threading.Barrier(2, timeout=WAIT_S)

    def print_all() -> None:
        for batch in prints:
            together.wait()
            for text in batch:
                while not wrote_whole(pipe.writer, text):
                    pass

    reading = Reading(pipe.reader)
    reading.start()
    printing = threading.Thread(target=print_all, daemon=True)
    printing.start()
    for batch in batches:
        together.wait()
        sink.write(batch)
    printing.join(WAIT_S)
    sink.close(timeout_s=1)
    pipe.close_writer()
    reading.join(WAIT_S)
    arrived = reading.data.splitlines(keepends=True)
    assert [line for line in arrived if line.startswith(b"print")] == list(chain(*prints))
    assert [line.rstrip() for line in arrived if not line.startswith(b"print")] == list(chain(*batches))


def wrote_whole(fd: int, text: bytes) -> bool:
    """Write what is short enough to go in one piece or not at all."""
    try:
        return os.write(fd, text) == len(text)
    except BlockingIOError:
        return False


def test_a_line_longer_than_a_pipe_holds_arrives_whole(pipe: Pipe) -> None:
    sink = TextSink(pipe.writer)
    lines = [event_line(data={"x": "x" * 500_000}), *numbered(3), b"y" * (PIPE_BUF + 1)]
    reading = Reading(pipe.reader)
    reading.start()
    sink.write(lines)
    sink.close(timeout_s=1)
    pipe.close_writer()
    reading.join(WAIT_S)
    assert reading.data.splitlines() == lines


def test_a_socket_receives_every_line() -> None:
    import socket

    ours, theirs = socket.socketpair()
    lines = numbered(5000)
    with ours, theirs:
        reading = Reading(theirs.fileno())
        reading.start()
        sink = TextSink(ours.fileno())
        sink.write(lines)
        sink.close(timeout_s=1)
        ours.shutdown(socket.SHUT_WR)
        reading.join(WAIT_S)
    assert reading.data.splitlines() == lines


def test_a_short_write_goes_on_at_its_byte_when_there_is_room_again(tmp_path: Path) -> None:
    """A file-size limit cuts the write in the middle of a line; the limit is lifted; the file is complete."""
    path = tmp_path / "out"
    with path.open("wb") as file:
        done = run_program(
            """
            import resource, sys
            from clew.errors import SinkError
            from clew.stream.text_sink import TextSink

            lines = [b"%05d" % n for n in range(100)]
            sink = TextSink(1)
            resource.setrlimit(resource.RLIMIT_FSIZE, (123, resource.RLIM_INFINITY))
            try:
                sink.write(lines)
            except SinkError as error:
                print(error, error.taken, file=sys.stderr)
                left = lines[error.taken :]
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            sink.write(left)
            """,
            stdout=file.fileno(),
        )
    assert done.stderr.decode().strip() == "File too large 20"
    assert path.read_bytes() == b"".join(b"%05d\n" % number for number in range(100))


def test_what_the_program_holds_in_its_buffer_stays_its_business(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as stream:
        sink = TextSink(stream)
        stream.write("held back ")
        sink.write([b"{}"])
        sink.close(timeout_s=1)
        sink.close(timeout_s=1)
        stream.write("and written")
    assert (tmp_path / "x").read_text() == "{}\nheld back and written"


def test_encoding_nothing_writes_nothing() -> None:
    assert encoder("jsonl")([]) == b"" == encode_human([])


def test_every_line_that_was_written_to_a_pipe_is_valid_json(pipe: Pipe) -> None:
    sink = TextSink(pipe.writer)
    sink.write(numbered(100))
    sink.close(timeout_s=1)
    pipe.close_writer()
    assert [json.loads(line)["seq"] for line in read_all(pipe.reader).splitlines()] == list(range(100))
