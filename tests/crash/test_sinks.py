"""Wherever the stream goes and however it fails there, the program and the journal do not notice."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from clew.journal.follow import JournalFollower
from clew.store.store import Store
from tests.crash import programs
from tests.crash.programs import Ended

COUNT = 500
PROGRAM = """
import sys, clew
for number in range(int(sys.argv[1])):
    with clew.span("work", source=0, number=number):
        print("line", number)
sys.exit(3)
"""
FAKES = """
import sys, threading
import clew
from clew.journal.follow import JournalFollower
from clew.session import session
from clew.stream.pump import Pump

class Raises:
    def write(self, lines): raise RuntimeError("this sink never takes anything")
    def close(self, *, timeout_s): raise RuntimeError("not even its end")

class Hangs:
    def write(self, lines): threading.Event().wait()
    def close(self, *, timeout_s): threading.Event().wait()

class Exits:
    def write(self, lines): sys.exit(9)
    def close(self, *, timeout_s): raise KeyboardInterrupt

class Takes:
    count = 0
    def write(self, lines): self.count += len(lines)
    def close(self, *, timeout_s): pass

good = Takes()
pumps = [Pump(JournalFollower(session.settings.home), sink) for sink in (Raises(), Hangs(), Exits(), good)]
for pump in pumps:
    pump.start()
with clew.run("fakes"):
    for number in range(500):
        with clew.span("work", source=0, number=number):
            print("line", number)
left = [pump.begin_close(1.0) for pump in pumps] and [pump.finish_close() for pump in pumps]
sys.stderr.write(f"{good.count} {left[-1]}")
sys.exit(3)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def only_loss(home: Path) -> int:
    """Return what the journal has lost; whatever it says must add up to the events of the program."""
    (row,) = Store(home).runs()
    assert row.events == 2 * COUNT + 2
    assert (row.status, row.exit_code, row.nodes) == ("failed", 3, COUNT)
    return row.lost


def in_time(program: Path, *flags: str | Path, plain: Ended | None = None) -> Ended:
    """Run the program with and without a stream: the same result, and an end that waits for no sink for long."""
    plain = plain or programs.run(programs.python(program, str(COUNT)))
    began_s = time.monotonic()
    recorded = programs.run(programs.clew("run", "--telemetry", *flags, program, str(COUNT)))
    assert time.monotonic() - began_s < 30
    assert recorded[:2] == plain[:2] == (3, b"".join(b"line %d\n" % n for n in range(COUNT)))
    assert all(line.startswith(b"clew: ") for line in recorded.err.splitlines())
    assert only_loss(Path(os.environ["CLEW_HOME"])) == 0
    return recorded


def test_a_full_device_as_telemetry_file_is_told_once_and_loses_nothing(program: Path) -> None:
    recorded = in_time(program, "--telemetry-file", "/dev/full")
    assert recorded.err.count(b"No space left on device") == 1
    assert f"{2 * COUNT + 2} events were not delivered".encode() in recorded.err


def test_a_pipe_without_a_reader_as_telemetry_file_does_not_hang(program: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    recorded = in_time(program, "--telemetry-file", fifo)
    assert f"{2 * COUNT + 2} events were not delivered".encode() in recorded.err


def test_a_pipe_whose_reader_never_reads_does_not_hang(program: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        recorded = in_time(program, "--telemetry-file", fifo)
    finally:
        os.close(reader)
    assert b"not delivered" in recorded.err


def test_a_telemetry_file_in_a_place_that_cannot_be_is_told_and_loses_nothing(program: Path) -> None:
    recorded = in_time(program, "--telemetry-file", program / "below" / "a-file.jsonl")
    assert b"Not a directory" in recorded.err


def test_sinks_that_raise_hang_or_exit_do_not_reach_the_program_or_each_other(tmp_path: Path) -> None:
    program = tmp_path / "fakes.py"
    program.write_text(FAKES)
    recorded = programs.run(programs.python(program))
    assert (recorded.code, recorded.err) == (3, b"%d 0" % (2 * COUNT + 2))
    assert recorded.out == b"".join(b"line %d\n" % n for n in range(COUNT))
    (row,) = Store(Path(os.environ["CLEW_HOME"])).runs()
    assert (row.events, row.lost, row.status) == (2 * COUNT + 2, 0, "completed")


def head(command: list[str | Path], *, lines: int) -> tuple[Ended, list[bytes]]:
    """Read so many lines of a program's output, close the pipe, and wait for its end."""
    process = programs.start(command)
    assert process.stdout is not None
    read = [process.stdout.readline() for _ in range(lines)]
    process.stdout.close()
    process.stdout = None
    return programs.finish(process), read


@pytest.mark.parametrize("count", [3, 100_000], ids=["within the buffer", "far more"])
def test_a_program_whose_reader_leaves_ends_as_with_python(program: Path, count: int) -> None:
    """The pipe is closed before its end, or before the buffer is first flushed."""
    lines = 0 if count == 3 else 1
    plain, some = head(programs.python(program, str(count)), lines=lines)
    recorded, same = head(programs.clew("run", program, str(count)), lines=lines)
    assert some == same
    assert recorded.code == plain.code
    assert [
        line for line in recorded.err.splitlines() if not line.startswith(b"clew: ")
    ] == plain.err.splitlines()
    store = Store(Path(os.environ["CLEW_HOME"]))
    (row,) = store.runs()
    assert row.lost == 0
    assert row.events == sum(1 for _ in store.lines(row.run_id))


def test_a_telemetry_reader_that_leaves_after_one_line_changes_nothing(tmp_path: Path) -> None:
    """`clew run --telemetry-stdout quiet.py | head -1`: the program itself prints nothing and must not notice."""
    quiet = tmp_path / "quiet.py"
    quiet.write_text(PROGRAM.replace('print("line", number)', "pass"))
    recorded, (line,) = head(programs.clew("run", "--telemetry-stdout", quiet, str(COUNT)), lines=1)
    assert json.loads(line)["event"] == "workflow_started"
    assert recorded.code == 3
    assert all(line.startswith(b"clew: ") for line in recorded.err.splitlines())
    assert only_loss(Path(os.environ["CLEW_HOME"])) == 0


def test_an_output_that_takes_nothing_ends_the_program_as_with_python(program: Path) -> None:
    ends = []
    for command in (programs.python(program, "5"), programs.clew("run", program, "5")):
        with Path("/dev/full").open("wb") as full:
            process = programs.start(command, stdout=full.fileno())
            ends.append(programs.finish(process))
    assert ends[1] == ends[0]


def test_a_follower_beside_the_program_sees_every_event_once(program: Path) -> None:
    """The independent reader of a journal that grows: all of it, in order, nothing twice."""
    home = Path(os.environ["CLEW_HOME"])
    follower = JournalFollower(home, from_start=True)
    process = programs.start(programs.clew("run", program, "20000"), stdout=-3)
    lines: list[bytes] = []
    deadline_s = time.monotonic() + programs.TIME_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        lines += follower.poll()
    while found := follower.poll():
        lines += found
    assert programs.finish(process).code == 3
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, 40_003))
