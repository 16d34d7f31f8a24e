"""Following the journal while many writers write it: every line once, in each writer's order."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from clew.journal.follow import JournalFollower
from clew.journal.layout import journal_folder
from clew.journal.writer import JournalWriter
from clew.testing import FakeClock
from tests.journal.segments import RUN, event, new_writer, numbers

OTHER = "b" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".clew"


def drain(follower: JournalFollower) -> list[bytes]:
    """Everything that is there now."""
    lines: list[bytes] = []
    while new := follower.poll():
        lines += new
    return lines


def put(writer: JournalWriter, count: int = 1, *, run: str = RUN, filler: int = 0) -> list[bytes]:
    lines = [event(writer, run=run, filler="x" * filler) for _ in range(count)]
    for line in lines:
        writer.append(line)
    return [line[:-1] for line in lines]


def begin(writer: JournalWriter, run: str, **above: str) -> list[bytes]:
    line = event(writer, run=run, name="workflow_started", **above).replace(b'": "', b'":"')
    writer.append(line)
    return [line[:-1]]


@pytest.mark.parametrize("mode", ["mapped", "written"])
def test_lines_of_many_writers_that_roll_come_once_and_in_each_writers_order(home: Path, mode: str) -> None:
    follower = JournalFollower(home)
    choose = random.Random(1)
    writers = [new_writer(home, n, mode=mode, segment_bytes=64 * 1024) for n in range(1, 9)]
    sent: dict[str, list[bytes]] = {writer.id: [] for writer in writers}
    got: list[bytes] = []
    for _ in range(6000):
        writer = choose.choice(writers)
        sent[writer.id] += put(writer, filler=choose.randrange(400))
        if choose.random() < 0.05:
            got += follower.poll()
    assert all(writer.number > 1 for writer in writers)
    got += drain(follower)
    for writer in writers:
        writer.close()
    assert drain(follower) == []
    for writer_id, mine in sent.items():
        assert [line for line in got if json.loads(line)["writer"] == writer_id] == mine
    assert len(got) == 6000


def test_what_was_there_before_is_left_out_or_wanted(home: Path) -> None:
    sealed, growing = new_writer(home, 1), new_writer(home, 2)
    old = put(sealed, 3) + put(growing, 3)
    sealed.close()
    late = JournalFollower(home)
    early = JournalFollower(home, from_start=True)
    new = put(growing, 2)
    assert drain(late) == new
    assert sorted(drain(early)) == sorted(old + new)
    growing.close()


def test_a_writers_own_follower_has_what_it_wrote_before(home: Path) -> None:
    mine, other = new_writer(home, 1), new_writer(home, 2)
    put(other, 2, run=OTHER)
    before = put(mine, 2)
    follower = JournalFollower(home, runs=[RUN], own_writer=mine.id)
    after = put(mine, 2)
    put(other, 2, run=OTHER)
    assert drain(follower) == before + after


def test_a_home_that_does_not_exist_yet_is_followed_from_its_first_line(home: Path) -> None:
    follower = JournalFollower(home)
    assert follower.poll() == []
    writer = new_writer(home)
    sent = put(writer, 2)
    assert drain(follower) == sent


def test_a_segment_of_another_day_is_found(home: Path) -> None:
    clock = FakeClock()
    follower = JournalFollower(home)
    sent = []
    for day in range(3):
        writer = new_writer(home, day + 1, clock=clock)
        sent += put(writer)
        clock.advance(86_400)
        assert drain(follower) == sent[-1:]
    assert len(list(journal_folder(home).iterdir())) == 3


def test_segments_that_begin_within_one_tick_of_the_file_system_are_all_found(home: Path) -> None:
    """A folder's time has coarse ticks: two files may come in the same one, before and after a look."""
    follower = JournalFollower(home)
    tick = time.time_ns() + 10**9
    for number in range(1, 20):
        writer = new_writer(home, number)
        sent = put(writer)
        assert writer.path is not None
        os.utime(writer.path.parent, ns=(tick, tick))
        assert drain(follower) == sent, number
        writer.close()


def test_a_thread_that_follows_sees_everything_that_other_threads_write(home: Path) -> None:
    follower = JournalFollower(home)
    writers = [new_writer(home, n, segment_bytes=100_000) for n in (1, 2)]
    done = threading.Event()
    got: list[bytes] = []

    def follow() -> None:
        while not done.is_set():
            got.extend(follower.poll())
        got.extend(drain(follower))

    def write(writer: JournalWriter, mine: list[bytes]) -> None:
        for _ in range(4000):
            mine += put(writer, filler=100)

    sent: list[list[bytes]] = [[], [], [], []]
    threads = [threading.Thread(target=write, args=(writers[n % 2], sent[n])) for n in range(4)]
    reading = threading.Thread(target=follow)
    reading.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reading.join()
    assert sorted(got) == sorted(itertools.chain(*sent))
    assert sorted(numbers([line for line in got if json.loads(line)["writer"] == writers[0].id])) == list(
        range(1, 8001)
    )


def test_of_the_wanted_runs_every_line_comes_from_whatever_writer(home: Path) -> None:
    one, two = new_writer(home, 1), new_writer(home, 2)
    follower = JournalFollower(home, runs=[RUN])
    wanted = put(one) + put(two)
    put(one, run=OTHER)
    put(two, run=OTHER)
    wanted += put(two)
    assert sorted(drain(follower)) == sorted(wanted)


def test_runs_nested_in_a_wanted_one_are_wanted_however_deep(home: Path) -> None:
    outer, middle, inner, stranger = ("0" * 31 + digit for digit in "1234")
    writer = new_writer(home)
    for wanted, nested in ((outer, [outer, middle, inner]), (middle, [middle, inner]), (inner, [inner])):
        follower = JournalFollower(home, runs=[wanted])
        lines = {
            outer: begin(writer, outer),
            middle: begin(writer, middle, parent_run_id=outer, root_run_id=outer),
            inner: begin(writer, inner, parent_run_id=middle, root_run_id=outer),
            stranger: begin(writer, stranger, parent_run_id="f" * 32, root_run_id="f" * 32),
        }
        for run in lines:
            lines[run] += put(writer, run=run)
        found = {run: [line for line in drain(follower) if line in lines[run]] for run in [wanted]}
        assert found[wanted] == lines[wanted]
        follower = JournalFollower(home, runs=[wanted], from_start=True)
        seen = {json.loads(line)["run_id"] for line in drain(follower)}
        assert seen == set(nested)


def test_a_segment_that_is_deleted_and_written_anew_gives_no_line_twice_and_misses_none(home: Path) -> None:
    writer = new_writer(home)
    follower = JournalFollower(home)
    sent = put(writer, 20, filler=100)
    got = drain(follower)

    def delete_segment(_home: Path) -> None:
        assert writer.path is not None
        writer.path.unlink()

    for delete in (shutil.rmtree, lambda home: shutil.rmtree(home / "journal"), delete_segment):
        delete(home)
        got += drain(follower)
        sent += put(writer, 20, filler=100)
        got += drain(follower)
        writer.check()
        sent += put(writer, 5, filler=100)
        got += drain(follower)
        assert got == sent
    shutil.rmtree(home)
    writer.check()
    sent += put(writer, 5)
    assert got + drain(follower) == sent  # nobody looked while it was gone
    writer.close()
    assert drain(follower) == []


def test_a_deleted_segment_of_a_dead_writer_raises_nothing(home: Path) -> None:
    writer = new_writer(home)
    follower = JournalFollower(home)
    put(writer, 3)
    assert len(drain(follower)) == 3
    writer.abandon()
    shutil.rmtree(home)
    assert drain(follower) == []
    assert drain(JournalFollower(home, from_start=True)) == []


def test_garbage_in_the_journal_raises_nothing_and_hides_nothing(home: Path) -> None:
    writer = new_writer(home)
    sent = put(writer, 3)
    assert writer.path is not None
    folder = writer.path.parent
    (folder / "ffffffffffffffff-1.jsonl").write_bytes(os.urandom(10_000))
    (folder / "fffffffffffffffe-1.jsonl").mkdir()
    (folder / "fffffffffffffffd-1.jsonl").symlink_to("nowhere")
    (folder / "fffffffffffffffc-1.jsonl").write_bytes(b"")
    (journal_folder(home) / "2026-11-20").write_text("not a folder")
    (journal_folder(home) / "2026-11-19").symlink_to("2026-11-19")
    follower = JournalFollower(home, from_start=True)
    assert sent == [line for line in drain(follower) if line in sent]
    sent = put(writer, 2)
    assert [line for line in drain(follower) if line in sent] == sent
    sent = put(writer, 2)
    follower = JournalFollower(home)
    assert drain(follower) == []


def test_a_segment_that_is_only_just_created_when_following_begins_is_followed(home: Path) -> None:
    """On systems that cannot create it with its first line in it."""
    writer = new_writer(home)
    put(writer)
    assert writer.path is not None
    beginning = writer.path.with_name("00000000000000aa-1.jsonl")
    for content in (b"", b"\0" * 4096):
        beginning.write_bytes(content)
        follower = JournalFollower(home)
        later = new_writer(home, 2)
        line = event(later)
        beginning.write_bytes(writer.path.read_bytes().splitlines(keepends=True)[0] + line)
        assert drain(follower) == [line[:-1]]


def test_a_follower_holds_one_descriptor_for_each_open_segment_and_lets_go_of_sealed_ones(home: Path) -> None:
    def held() -> int:
        links = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
        return sum(str(link).startswith(str(home)) for link in links)

    follower = JournalFollower(home)
    writers = [new_writer(home, n, mode="written") for n in range(1, 6)]
    for writer in writers:
        put(writer)
    drain(follower)
    assert held() == 10
    for writer in writers:
        writer.close()
    drain(follower)
    assert held() == 0


PROGRAM = """
import sys, clew
with clew.run("r" + sys.argv[1]):
    for n in range(2000):
        with clew.span("s", n=n):
            pass
"""


def test_processes_that_write_at_once_are_followed_to_their_last_line(home: Path) -> None:
    follower = JournalFollower(home)
    programs = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(n)]) for n in range(3)]
    got: list[bytes] = []
    while any(program.poll() is None for program in programs):
        got += follower.poll()
        time.sleep(0.01)
    got += drain(follower)
    assert [program.returncode for program in programs] == [0, 0, 0]
    by_writer: dict[str, list[int]] = {}
    for line in map(json.loads, got):
        by_writer.setdefault(line["writer"], []).append(line["seq"])
    assert [seqs == list(range(1, 4003)) for seqs in by_writer.values()] == [True] * 3


def test_a_glance_gives_what_its_own_writer_wrote_across_segments(home: Path) -> None:
    mine = new_writer(home, 1, segment_bytes=20_000)
    follower = JournalFollower(home, runs=[RUN], own_writer=mine.id, own_place=mine.place)
    sent, got = [], []
    for _ in range(2000):
        sent += put(mine, 2)
        got += follower.glance()
        got += follower.glance()
    assert mine.number > 3
    got += drain(follower)
    assert got == sent


def test_a_glance_looks_at_no_file_where_only_its_own_writer_writes_and_wrote_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = new_writer(home, 1)
    put(mine, 1)
    follower = JournalFollower(home, runs=[RUN], own_writer=mine.id, own_place=mine.place)
    drain(follower)
    follower.glance()
    monkeypatch.setattr(os, "pread", None)  # any use raises
    monkeypatch.setattr(os, "stat", None)
    assert follower.glance() == []
    monkeypatch.undo()
    sent = put(mine, 1)
    assert follower.glance() == sent


def test_a_glance_reads_on_where_others_write_too_and_a_poll_misses_nobody(home: Path) -> None:
    mine, other = new_writer(home, 1), new_writer(home, 2)
    put(mine, 1)
    follower = JournalFollower(home, runs=[RUN], own_writer=mine.id, own_place=mine.place)
    drain(follower)
    follower.glance()
    first = put(other, 1)
    assert drain(follower) == first
    second = put(other, 1)
    assert follower.glance() == second
