"""The writer: numbers without gaps, rolling, sealing, and what becomes of lines when the disk refuses."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from clew.journal.process import Process, this_process
from clew.journal.reader import SegmentReader, read_header, read_seal
from clew.journal.written import WrittenSegment
from clew.testing import FakeClock
from tests.journal.segments import content, event, events_in, new_writer, numbers

KINDS = ["mapped", "written"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".clew"


@pytest.mark.parametrize("mode", KINDS)
def test_a_segment_begins_with_who_writes_it_and_ends_with_a_seal(home: Path, mode: str) -> None:
    clock = FakeClock(wall_ns=1_795_233_600_000_000_000, monotonic_ns=77)
    writer = new_writer(home, clock=clock, mode=mode)
    lines = [event(writer, n=n) for n in range(10)]
    for line in lines:
        writer.append(line)
    assert writer.path is not None
    path = writer.path
    first = json.loads(content(path)[0])
    assert next(iter(first)) == "clew"
    assert first["clew"] == "segment"
    assert (first["writer"], first["number"], first["schema_version"]) == (writer.id, 1, 1)
    assert (first["wall_ns"], first["monotonic_ns"]) == (1_795_233_600_000_000_000, 77)
    assert first["process"]["pid"] == os.getpid()
    assert read_seal(path) is None
    writer.close()
    assert [line + b"\n" for line in content(path)[1:-1]] == lines
    seal = json.loads(content(path)[-1])
    assert (seal["clew"], seal["writer"], seal["last_seq"], seal["by"]) == ("seal", writer.id, 10, "writer")
    assert b"\0" not in path.read_bytes()
    header = read_header(path)
    assert header is not None
    assert header.process == this_process()


@pytest.mark.parametrize("mode", KINDS)
def test_a_segment_is_rolled_at_its_size_and_no_line_is_missing_or_twice(home: Path, mode: str) -> None:
    writer = new_writer(home, mode=mode, segment_bytes=100_000)
    sent = [event(writer, filler="x" * (n % 300)) for n in range(4000)]
    for line in sent:
        writer.append(line)
    writer.close()
    assert [line + b"\n" for line in events_in(home)] == sent
    paths = sorted((home / "journal").glob("*/*.jsonl"), key=lambda path: int(path.stem.split("-")[1]))
    assert len(paths) >= 4
    assert [int(path.stem.split("-")[1]) for path in paths] == list(range(1, len(paths) + 1))
    for number, path in enumerate(paths, 1):
        header, seal = read_header(path), read_seal(path)
        assert header is not None
        assert header.number == number
        assert seal is not None
        assert seal.last_seq >= numbers(content(path)[1:-1])[-1]
        assert path.stat().st_size < 500_000


@pytest.mark.parametrize("mode", KINDS)
def test_a_line_larger_than_a_segment_is_written_whole(home: Path, mode: str) -> None:
    writer = new_writer(home, mode=mode, segment_bytes=64 * 1024)
    sent = [event(writer, filler="x" * size) for size in (10, 3_000_000, 10, 200_000, 10)]
    for line in sent:
        writer.append(line)
    writer.close()
    assert [line + b"\n" for line in events_in(home)] == sent


@pytest.mark.parametrize("mode", KINDS)
def test_four_threads_lose_nothing_over_many_windows_and_rolls(home: Path, mode: str) -> None:
    writer = new_writer(home, mode=mode, segment_bytes=200_000)
    sent: list[list[bytes]] = [[], [], [], []]

    def work(mine: list[bytes], seed: int) -> None:
        for n in range(4000):
            line = event(writer, thread=seed, n=n, filler="y" * (n * (seed + 3) % 200))
            writer.append(line)
            mine.append(line[:-1])

    threads = [threading.Thread(target=work, args=(mine, seed)) for seed, mine in enumerate(sent)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    found = events_in(home)
    assert sorted(found) == sorted(itertools.chain(*sent))
    assert sorted(numbers(found)) == list(range(1, 16_001))
    for seed, mine in enumerate(sent):
        assert [line for line in found if json.loads(line)["data"]["thread"] == seed] == mine


@pytest.mark.parametrize("mode", KINDS)
def test_a_line_after_the_end_opens_another_segment(home: Path, mode: str) -> None:
    writer = new_writer(home, mode=mode)
    writer.append(event(writer, n=1))
    writer.close()
    writer.close()
    writer.append(event(writer, n=2))
    writer.close()
    assert [path.stem[-2:] for path in sorted((home / "journal").glob("*/*"))] == ["-1", "-2"]
    assert numbers(events_in(home)) == [1, 2]


def test_a_writer_that_never_wrote_leaves_nothing(home: Path) -> None:
    writer = new_writer(home)
    writer.check()
    writer.sync()
    writer.close()
    assert not home.exists()


def test_a_short_script_leaves_kilobytes_while_it_runs_and_less_afterwards(home: Path) -> None:
    writer = new_writer(home, mode="mapped")
    for n in range(10):
        writer.append(event(writer, n=n))
    assert writer.path is not None
    assert writer.path.stat().st_blocks * 512 <= 24 * 1024
    writer.close()
    assert writer.path.stat().st_blocks * 512 <= 8 * 1024
    assert writer.path.stat().st_size < 4096


def test_space_is_reserved_in_steps_that_grow_to_a_bound(home: Path) -> None:
    """So that a hundred workers do not hold gigabytes, and a busy one is not stopped at each page."""
    writer = new_writer(home, mode="mapped")
    ahead: list[int] = []
    used = 0
    for n in range(20_000):
        line = event(writer, n=n, filler="x" * 100)
        writer.append(line)
        used += len(line)
        assert writer.path is not None
        ahead.append(writer.path.stat().st_blocks * 512 - used)
    assert writer.path is not None
    assert ahead[0] <= 24 * 1024
    assert max(ahead) <= 600 * 1024
    steps = sum(late > early for early, late in itertools.pairwise(ahead))
    assert steps < 60
    writer.close()
    assert writer.path.stat().st_blocks * 512 <= used + 8192


@pytest.mark.parametrize("mode", KINDS)
def test_a_segment_that_somebody_deleted_is_written_anew_when_it_is_noticed(home: Path, mode: str) -> None:
    writer = new_writer(home, mode=mode)
    sent = [event(writer, n=n, filler="x" * 200) for n in range(3000)]
    for line in sent[:1000]:
        writer.append(line)
    shutil.rmtree(home)
    for line in sent[1000:2000]:
        writer.append(line)
    shutil.rmtree(home, ignore_errors=True)
    writer.check()
    assert [line + b"\n" for line in events_in(home)] == sent[:2000]
    for line in sent[2000:]:
        writer.append(line)
    shutil.rmtree(home)
    writer.close()
    assert [line + b"\n" for line in events_in(home)] == sent
    assert writer.path is not None
    assert read_seal(writer.path) is not None


def test_a_deleted_segment_is_noticed_without_being_asked_when_its_window_is_full(home: Path) -> None:
    for mode in KINDS:
        writer = new_writer(home, mode=mode)
        writer.append(event(writer))
        shutil.rmtree(home)
        count = 1
        while not home.exists():
            writer.append(event(writer, filler="x" * 500))
            count += 1
            assert count < 1000
        assert numbers(events_in(home)) == list(range(1, count + 1))
        writer.close()
        shutil.rmtree(home)


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full for whatever is to be reserved, written or made from now on."""

    def full(*args: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(os, "mkdir", full)


@pytest.mark.parametrize("mode", KINDS)
def test_lines_wait_in_memory_while_the_disk_refuses_and_are_written_when_it_takes_them_again(
    home: Path, mode: str
) -> None:
    clock, reports = FakeClock(), list[str]()
    writer = new_writer(home, clock=clock, reports=reports, mode=mode)
    sent = [event(writer, n=n, filler="x" * 300) for n in range(2000)]
    for line in sent[:200]:
        writer.append(line)
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch)
        for line in sent[200:1000]:
            writer.append(line)
            clock.advance(0.01)  # it tries again now and then
        assert "No space left" in str(writer.fault)
        assert writer.lines() != []
    assert len(reports) == 1
    assert "events wait in memory" in reports[0]
    clock.advance(2.0)
    for line in sent[1000:]:
        writer.append(line)
    assert str(writer.fault) == "None"
    assert writer.lines() == []
    writer.close()
    assert sorted(numbers(events_in(home))) == list(range(1, 2001))
    assert len(events_in(home)) == 2000


def test_what_the_ring_gave_up_meanwhile_is_counted_by_run_and_written_as_lost(home: Path) -> None:
    clock = FakeClock()
    writer = new_writer(home, clock=clock)
    runs = ["a" * 32, "b" * 32]
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch)
        writer.append(event(writer, run=runs[0]))
        writer._ring._max_bytes = 20_000
        for n in range(200):
            writer.append(event(writer, run=runs[n % 2], filler="x" * 300))
    clock.advance(2.0)
    writer.append(event(writer, run=runs[0]))
    writer.close()
    found = [json.loads(line) for line in events_in(home)]
    kept = [line for line in found if line["event"] == "x"]
    lost = {line["run_id"]: line["data"] for line in found if line["event"] == "events_lost"}
    assert len(kept) + sum(data["count"] for data in lost.values()) == 202
    assert lost.keys() == set(runs)
    assert all(data["numbered"] is True for data in lost.values())
    assert abs(lost[runs[0]]["count"] - lost[runs[1]]["count"]) <= 2
    assert len({line["seq"] for line in found}) == len(found)


@pytest.mark.parametrize("mode", KINDS)
def test_a_process_that_ends_while_the_disk_refuses_says_how_much_is_lost(home: Path, mode: str) -> None:
    reports: list[str] = []
    writer = new_writer(home, reports=reports, mode=mode)
    for n in range(10):
        writer.append(event(writer, n=n))
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch)
        for n in range(500):
            writer.append(event(writer, n=n, filler="x" * 300))
        assert writer.fault is not None
        waiting = len(writer.lines())
        writer.close()
    assert waiting > 0
    assert len(reports) == 2
    assert f"{waiting} events are lost" in reports[1]
    found = [json.loads(line) for line in events_in(home)]
    lost = sum(line["data"]["count"] for line in found if line["event"] == "events_lost")
    if mode == "mapped":  # a page was kept back for that
        assert lost == waiting
    assert [line["data"]["n"] for line in found if line["event"] == "x"][:10] == list(range(10))


def test_a_home_that_cannot_be_made_keeps_lines_in_memory_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    reports: list[str] = []
    clock = FakeClock()
    writer = new_writer(tmp_path / "file" / ".clew", clock=clock, reports=reports)
    for n in range(5):
        writer.append(event(writer, n=n))
        clock.advance(2.0)
    assert numbers(writer.lines()) == [1, 2, 3, 4, 5]
    assert len(reports) == 1
    (tmp_path / "file").unlink()
    clock.advance(2.0)
    writer.append(event(writer))
    writer.close()
    assert numbers(events_in(tmp_path / "file" / ".clew")) == [1, 2, 3, 4, 5, 6]


def test_in_memory_nothing_touches_the_disk(home: Path) -> None:
    writer = new_writer(home, mode="memory")
    for n in range(10):
        writer.append(event(writer, n=n))
    writer.check()
    writer.sync()
    assert numbers(writer.lines()) == list(range(1, 11))
    writer.close()
    writer.append(event(writer))
    assert numbers(writer.lines()) == list(range(1, 12))
    assert not home.exists()


@pytest.mark.parametrize("mode", KINDS)
def test_two_writers_of_one_process_write_two_files(home: Path, mode: str) -> None:
    writers = [new_writer(home, number, mode=mode) for number in (1, 2)]
    for n in range(100):
        for writer in writers:
            writer.append(event(writer, n=n))
    for writer in writers:
        writer.close()
    for writer in writers:
        assert writer.path is not None
        assert numbers(SegmentReader(writer.path).read()) == list(range(1, 101))


def test_letting_go_after_a_fork_leaves_the_file_to_the_parent(home: Path) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    writer = new_writer(home, mode="mapped")
    writer.append(event(writer))
    assert writer.path is not None
    before = writer.path.read_bytes()
    writer.abandon()
    assert writer.path.read_bytes() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_header_says_which_process_and_no_more_than_that(home: Path) -> None:
    writer = new_writer(home)
    writer.append(event(writer))
    assert writer.path is not None
    header = read_header(writer.path)
    assert header is not None
    assert isinstance(header.process, Process)
    assert (header.process.pid, header.process.host) == (os.getpid(), os.uname().nodename)
    assert b"python" not in content(writer.path)[0]
    writer.close()


def test_where_other_threads_take_the_room_again_and_again_a_line_still_finds_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    writer = new_writer(home, mode="written")
    writer._report = told.append
    writer.append(event(writer, n=0))
    write = WrittenSegment.write
    refused: list[bytes] = []

    def taken(segment: WrittenSegment, line: bytes) -> int:
        if len(refused) < 5:
            refused.append(line)
            raise ValueError("no room")
        return write(segment, line)

    monkeypatch.setattr(WrittenSegment, "write", taken)
    assert writer._segment is not None
    writer.write = writer._segment.write
    line = event(writer, n=1)
    writer.append(line)
    assert (len(refused), told, writer.fault) == (5, [], None)
    writer.close()
    assert [numbers([found])[0] for found in events_in(home)] == [1, 2]
