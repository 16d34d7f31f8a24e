from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from clew.errors import SinkError
from clew.stream.file_sink import FileSink
from clew.stream.pump import CLOSING_ATTEMPTS, Pump
from tests.stream.fakes import WAIT_S, HangingSink, ListSink, ListSource, RefusingSink, numbered

PROGRAM = """
    import os, signal, sys, threading, time
    from clew.stream.pump import Pump
    from clew.stream.text_sink import TextSink
    from clew.stream.file_sink import FileSink
    from tests.stream.fakes import HangingSink, ListSink, ListSource, RefusingSink, numbered
    """


def run_program(code: str, *, pipe_to: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program, with its stdout into a shell command; the exit code is the program's own."""
    program = textwrap.dedent(PROGRAM) + textwrap.dedent(code)
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", program]
    if pipe_to:
        command = ["bash", "-c", f'"$@" | {pipe_to}; exit ${{PIPESTATUS[0]}}', "bash", *command]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=root)


def test_lines_that_come_while_the_program_runs_are_delivered() -> None:
    source, sink = ListSource(), ListSink()
    pump = Pump(source, sink, name="x")
    pump.start()
    source.feed(numbered(2))
    sink.wait_for(2)
    source.feed(numbered(3, start=2))
    sink.wait_for(5)
    assert pump.close(WAIT_S) == 0
    assert sink.lines == numbered(5)
    assert sink.closed
    assert (pump.delivered, pump.undelivered, pump.failed) == (5, 0, 0)


def test_closing_delivers_everything_that_the_source_holds() -> None:
    """The interval is a minute: nothing but closing can have brought the second batch."""
    source, sink = ListSource(numbered(1)), ListSink()
    pump = Pump(source, sink, name="x", poll_s=60)
    pump.start()
    sink.wait_for(1)
    source.feed(*([line] for line in numbered(500, start=1)))
    assert pump.close(WAIT_S) == 0
    assert sink.lines == numbered(501)


def test_a_batch_without_a_line_that_passes_does_not_end_the_draining() -> None:
    from clew.stream.filters import EventFilter

    source, sink = ListSource(numbered(3), [b"no event"], numbered(2)), ListSink()
    pump = Pump(source, sink, event_filter=EventFilter(["node_completed"]), name="x", poll_s=60)
    pump.begin_close(WAIT_S)
    pump.start()
    assert pump.finish_close() == 0
    assert len(sink.lines) == 5


def test_a_sink_that_recovers_while_it_is_closed_still_gets_the_rest() -> None:
    source, sink = ListSource(numbered(3), numbered(2, start=3)), ListSink(refusals=[SinkError("full")])
    pump = Pump(source, sink, name="x")
    pump.begin_close(WAIT_S)
    pump.start()
    assert pump.finish_close() == 0
    assert sink.lines == numbered(5)


def test_a_sink_that_recovers_loses_nothing() -> None:
    source, sink = ListSource(numbered(3)), ListSink(refusals=[SinkError("full"), RuntimeError("bug")])
    said: list[str] = []
    pump = Pump(source, sink, name="telemetry to x", report=said.append)
    pump.start()
    sink.wait_for(3)
    assert pump.close(WAIT_S) == 0
    assert sink.lines == numbered(3)
    assert pump.failed == 2
    assert said == ["telemetry to x: full; trying again, and the journal keeps every event"]


def test_a_sink_that_never_takes_anything_ends_the_closing_early_with_the_exact_number() -> None:
    sink = RefusingSink()
    pump = Pump(ListSource(numbered(2), numbered(5)), sink, name="x")
    pump.start()
    sink.wait_for_offers(1)
    began_s = time.monotonic()
    assert pump.close(WAIT_S) == 7
    assert time.monotonic() - began_s < WAIT_S / 2
    assert pump.delivered == 0
    assert len(sink.offered) <= 3 + CLOSING_ATTEMPTS, "waits between attempts grow"
    assert sink.closed


def test_a_sink_that_hangs_holds_up_closing_until_the_deadline_only() -> None:
    sink = HangingSink()
    source = ListSource(numbered(2), numbered(3))
    pump = Pump(source, sink, name="x")
    pump.start()
    assert sink.entered.wait(WAIT_S)
    began_s = time.monotonic()
    assert pump.close(0.05) is None
    assert time.monotonic() - began_s < WAIT_S / 2
    assert pump.undelivered >= 2
    polls = source.polls
    sink.release.set()
    thread = pump._thread
    assert thread is not None
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert source.polls == polls, "a pump that was given up reads nothing more"
    assert sink.closed


def test_a_sink_that_hangs_does_not_hold_up_another_one() -> None:
    hanging, sink = HangingSink(), ListSink()
    pumps = [Pump(ListSource(numbered(1)), hanging, name="a"), Pump(ListSource(numbered(1)), sink, name="b")]
    for pump in pumps:
        pump.start()
    assert hanging.entered.wait(WAIT_S)
    sink.wait_for(1)
    assert pumps[1].close(WAIT_S) == 0
    hanging.release.set()
    assert pumps[0].close(WAIT_S) == 0


def test_closing_twice_gives_the_same_answer() -> None:
    pump = Pump(ListSource(numbered(2)), RefusingSink(), name="x")
    pump.start()
    assert [pump.close(WAIT_S), pump.close(WAIT_S)] == [2, 2]


def test_a_pump_that_was_never_started_closes() -> None:
    assert Pump(ListSource(), ListSink(), name="x").close(WAIT_S) is None


def test_a_source_that_never_ends_is_given_up_at_the_deadline() -> None:
    class Endless(ListSource):
        def poll(self) -> list[bytes]:
            return numbered(1)

    pump = Pump(Endless(), ListSink(), name="x")
    pump.start()
    assert pump.close(0.2) is None


def test_a_system_without_a_thread_to_spare_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    said: list[str] = []
    pump = Pump(ListSource(numbered(1)), ListSink(), name="telemetry to x", report=said.append)
    monkeypatch.setattr(threading.Thread, "start", start)
    pump.start()
    assert pump.close(WAIT_S) is None
    assert said == ["telemetry to x: can't start new thread; the journal keeps every event"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # since Python 3.12
def test_a_forked_child_leaves_the_pump_alone() -> None:
    sink = HangingSink()
    pump = Pump(ListSource(numbered(1)), sink, name="x")
    pump.start()
    assert sink.entered.wait(WAIT_S)
    child = os.fork()
    if child == 0:
        os._exit(0 if pump.close(60) is None and not pump._closing.is_set() else 1)
    assert os.waitpid(child, 0)[1] == 0
    sink.release.set()
    assert pump.close(WAIT_S) == 0
    assert sink.lines == numbered(1)


def test_a_program_that_ends_without_closing_is_not_held_up() -> None:
    done = run_program(
        """
        sink = HangingSink()
        pump = Pump(ListSource(numbered(1)), sink, name="x")
        pump.start()
        sink.entered.wait()
        sys.exit(7)
        """
    )
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.parametrize("deadly", ["", "signal.signal(signal.SIGPIPE, signal.SIG_DFL)"])
def test_a_reader_that_leaves_does_not_change_the_exit_code(deadly: str) -> None:
    """Also where the program asked to die of SIGPIPE: its own prints may, ours must not."""
    done = run_program(
        f"""
        {deadly}
        source = ListSource(numbered(50))
        said = []
        pump = Pump(source, TextSink(1), name="telemetry to stdout", report=said.append)
        pump.start()
        while not said:
            source.feed(numbered(50))
            time.sleep(0.01)
        left = pump.close(5)
        print(*said, left == pump.undelivered > 0, sep="\\n", file=sys.stderr)
        sys.exit(3)
        """,
        pipe_to="head -1",
    )
    assert done.returncode == 3
    assert done.stdout.count("\n") == 1
    assert done.stderr.splitlines() == [
        "telemetry to stdout: it was closed; the journal keeps every event",
        "True",
    ]


def test_a_file_size_limit_does_not_end_a_program_that_asked_to_die_of_it(tmp_path: Path) -> None:
    done = run_program(
        f"""
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        pump = Pump(ListSource(numbered(50)), FileSink({str(tmp_path / "x.log")!r}), name="x")
        pump.start()
        print(pump.close(5), pump.delivered)
        """
    )
    left, delivered = map(int, done.stdout.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert left + delivered == 50
    assert 0 < delivered < 50
    assert (tmp_path / "x.log").read_bytes().splitlines() == numbered(delivered)


def test_a_million_lines_from_four_threads_arrive_once_in_order_and_whole(tmp_path: Path) -> None:
    """The source hands on what four threads append while the pump runs; each thread's order is kept."""

    class SharedSource:
        def __init__(self) -> None:
            self.lines: list[bytes] = []
            self.read = 0

        def poll(self) -> list[bytes]:
            new = self.lines[self.read : self.read + 20_000]
            self.read += len(new)
            return new

    def record(thread: int) -> None:
        for number in range(per_thread):
            source.lines.append(b'{"thread":%d,"number":%d}' % (thread, number))

    per_thread = 250_000
    source = SharedSource()
    pump = Pump(source, FileSink(tmp_path / "x.log", max_bytes=8_000_000, max_files=100), name="x")
    pump.start()
    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pump.close(60) == 0
    assert pump.delivered == 4 * per_thread
    files = sorted(tmp_path.iterdir(), key=lambda file: -int(file.suffix[1:]) if file.suffix != ".log" else 1)
    assert len(files) > 3
    assert b"".join(file.read_bytes() for file in files).splitlines() == source.lines
