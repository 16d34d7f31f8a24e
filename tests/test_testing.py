"""What `clew.testing` promises to whoever tests a program that records."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import clew
from clew.config import load_settings
from clew.journal.follow import JournalFollower
from clew.journal.mapped import MappedSegment
from clew.journal.ring import MemoryRing
from clew.journal.segment import Segment
from clew.journal.writer import JournalWriter
from clew.journal.written import WrittenSegment
from clew.model.ports import Clock, Ids, Sink, Source
from clew.record.clock import SystemClock
from clew.session import session
from clew.stream.file_sink import FileSink
from clew.stream.text_sink import TextSink
from clew.testing import (
    FakeClock,
    MemoryJournal,
    SegmentContract,
    SequentialIds,
    SinkContract,
    SourceContract,
    memory_recorder,
    nothing_left_behind,
    recording,
    using,
)


def open_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)


class TestMappedSegment(SegmentContract):
    def new_segment(self, folder: Path) -> tuple[Segment, Path | None]:
        return MappedSegment(open_file(folder / "mapped")), folder / "mapped"


class TestWrittenSegment(SegmentContract):
    def new_segment(self, folder: Path) -> tuple[Segment, Path | None]:
        return WrittenSegment(open_file(folder / "written")), folder / "written"


class TestMemoryRing(SegmentContract):
    def new_segment(self, folder: Path) -> tuple[Segment, Path | None]:
        return MemoryRing(), None


class TestJournalFollower(SourceContract):
    mode = "mapped"

    def new_source(self, folder: Path) -> tuple[Source, Callable[[list[bytes]], None]]:
        writer = JournalWriter(folder / ".clew", SystemClock(), ids=SequentialIds(), mode=self.mode)

        def feed(lines: list[bytes]) -> None:
            for line in lines:
                writer.append(line + b"\n")

        return JournalFollower(folder / ".clew", from_start=True), feed


class TestFollowerOfWrittenSegments(TestJournalFollower):
    mode = "written"


class TestMemoryJournal(SourceContract):
    def new_source(self, folder: Path) -> tuple[Source, Callable[[list[bytes]], None]]:
        journal = MemoryJournal()
        writer = journal.new_writer()

        def feed(lines: list[bytes]) -> None:
            for line in lines:
                writer.append(line + b"\n")

        return journal, feed


class TestFileSink(SinkContract):
    def new_sink(self, folder: Path) -> tuple[Sink, Callable[[], list[bytes]]]:
        path = folder / "out.jsonl"
        return FileSink(path), lambda: path.read_bytes().splitlines() if path.exists() else []


class TestTextSink(SinkContract):
    def new_sink(self, folder: Path) -> tuple[Sink, Callable[[], list[bytes]]]:
        path = folder / "out"
        with path.open("wb") as file:
            sink = TextSink(file.fileno())
        return sink, lambda: path.read_bytes().splitlines()


def test_a_fake_clock_stands_still_until_it_is_moved() -> None:
    clock: Clock = (fake := FakeClock())
    assert clock.monotonic_ns() == clock.monotonic_ns() == 0
    wall = clock.wall_ns()
    fake.advance(1.5)
    fake.advance(ns=7)
    assert clock.monotonic_ns() == 1_500_000_007
    assert clock.wall_ns() - wall == 1_500_000_007
    fake.set_wall_back(ns=10**9)
    assert clock.wall_ns() - wall == 500_000_007
    assert clock.monotonic_ns() == 1_500_000_007


def test_a_fake_clock_with_a_tick_moves_by_it_at_each_reading() -> None:
    clock = FakeClock(tick_ns=3, monotonic_ns=100)
    readings = [clock.monotonic_ns() for _ in range(5)]
    assert readings == [100, 103, 106, 109, 112]
    assert clock.wall_ns() == clock.wall_ns()


def test_ids_in_sequence_are_valid_ids() -> None:
    ids: Ids = SequentialIds()
    assert [ids.run_id(), ids.run_id()] == [f"{1:032x}", f"{2:032x}"]
    assert ids.writer_id() == f"{1:016x}"
    assert ids.span_prefix() == f"{1:08x}"


def test_a_whole_trace_is_exact() -> None:
    """Every byte, so that a test may compare a file."""
    clock = FakeClock(tick_ns=1_000_000)
    with recording(clock=clock) as log, clew.run("r", kind="job"), clew.span("a", kind="tool", n=1) as span:
        clew.event("seen", level="WARNING")
        span.metrics["m"] = 0.5
    writer = '"writer":"0000000000000001","seq"'
    run = '"run_id":"00000000000000000000000000000001","event"'
    span_id = '"span_id":"0000000110000002","parent_id":"0000000000000000"'
    assert b"\n".join(log.lines()).decode() == "\n".join(
        [
            (
                f'{{"timestamp":"2026-11-21T00:00:00.002000Z",{run}:"workflow_started","level":"INFO",{writer}:1,'
                '"data":{"name":"r","type":"job","schema_version":1}}'
            ),
            (
                f'{{"timestamp":"2026-11-21T00:00:00.003000Z",{run}:"node_started","level":"INFO","node_id":"a",'
                f'{span_id},{writer}:2,"data":{{"type":"tool","attributes":{{"n":1}}}}}}'
            ),
            (
                f'{{"timestamp":"2026-11-21T00:00:00.004000Z",{run}:"seen","level":"WARNING","node_id":"a",'
                f'"span_id":"0000000110000002",{writer}:3,"data":{{}}}}'
            ),
            (
                f'{{"timestamp":"2026-11-21T00:00:00.005000Z",{run}:"node_completed","level":"INFO","node_id":"a",'
                f'{span_id},{writer}:4,"data":{{"duration_ms":2.000000,"metrics":{{"m":0.5}}}}}}'
            ),
            (
                f'{{"timestamp":"2026-11-21T00:00:00.007000Z",{run}:"workflow_completed","level":"INFO",{writer}:5,'
                '"data":{"duration_ms":5.000000,"name":"r"}}'
            ),
        ]
    )


def test_dates_of_one_writer_do_not_go_back_when_the_wall_clock_does() -> None:
    clock = FakeClock(tick_ns=1000)
    with recording(clock=clock) as log, clew.run("r"):
        for _ in range(5):
            clew.event("x")
            clock.set_wall_back(ns=3_600 * 10**9)
    times = [event.timestamp for event in log.events()]
    assert times == sorted(times)
    assert all((late - early).total_seconds() < 1 for early, late in pairwise(times))


def test_recording_restores_what_the_session_had() -> None:
    before = session._settings, session._recorder
    with nothing_left_behind():
        with recording() as outer, clew.run("outer"), clew.span("a"):
            with recording() as inner, clew.run("inner"):
                assert clew.current_span() is clew.NOOP_SPAN
            assert clew.current_span().node_id == "a"
            with using(None), clew.run("none"):
                assert clew.span("x") is clew.NOOP_SPAN
        assert [outer.trace().name, inner.trace().name] == ["outer", "inner"]
        assert outer.run_ids() == [f"{1:032x}"]
    assert (session._settings, session._recorder) == before


def test_recording_lets_go_of_a_run_that_is_left_open() -> None:
    with nothing_left_behind():
        with recording() as log:
            clew.run("left open").__enter__()
            clew.span("too").__enter__()
        assert clew.current_run() is None
    assert log.trace().status == "running"


def test_recording_restores_also_after_an_error() -> None:
    with nothing_left_behind():
        with pytest.raises(KeyError), recording(), clew.run("r"):
            raise KeyError
        assert clew.current_run() is None


def test_a_run_inside_recording_reads_its_own_trace() -> None:
    with recording(), clew.run("r") as run, clew.span("a"):
        trace = run.trace
    assert trace is not None
    assert [(n.node_id, n.status) for n in trace.nodes] == [("a", "running")]


def test_asking_for_a_run_that_was_not_recorded_is_an_error() -> None:
    with recording() as log, pytest.raises(ValueError, match="no events"):
        log.trace()


def test_a_recorder_in_memory_needs_no_session() -> None:
    journal = MemoryJournal()
    recorder = memory_recorder(journal, capture="none")
    with using(recorder), clew.run("r"):
        clew.event("x")
    assert [event.event for event in journal.events()] == ["workflow_started", "x", "workflow_completed"]
    assert len(journal.events("x")) == 1


def test_what_is_given_up_in_memory_is_counted_in_the_trace() -> None:
    with recording() as log, clew.run("r"):
        for _ in range(30):
            clew.event("x", filler="y" * 10_000)
            log.recorder.writer._ring._max_bytes = 100_000
    trace = log.trace()
    assert trace.lost > 15
    assert trace.lost + len(log.events("x")) + len(log.events("workflow_started")) == 31


def test_recording_creates_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with recording(), clew.run("r"), clew.span("a"):
        pass
    assert list(tmp_path.iterdir()) == []
    assert not load_settings().home.exists()


def test_threads_can_read_the_clock_and_the_journal_at_once() -> None:
    clock = FakeClock(tick_ns=1)
    with recording(clock=clock) as log, clew.run("r"):

        def work() -> None:
            for _ in range(500):
                with clew.span("s"):
                    pass

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    trace = log.trace()
    assert len(trace.nodes) == 2000
    assert len({n.span_id for n in trace.nodes}) == 2000
    assert trace.lost == 0
