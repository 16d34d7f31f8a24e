"""The doctor says what is wrong, changes nothing by looking, and repairs only what nobody writes any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clew.errors import JournalError
from clew.journal.reader import read_seal
from clew.store import doctor
from clew.store.lock import only_one
from clew.store.store import Store
from tests.store.segments import OTHER, OTHER_RUN, RUN, WRITER, Life, Segment, files_under, run_program

KILLED_WHILE_FOUR_THREADS_RECORD = """
    import contextvars, os, signal, threading, time
    import clew

    def work():
        for n in range(10**9):
            with clew.span("step", n=n):
                pass

    with clew.run("killed"):
        context = contextvars.copy_context()
        for _ in range(4):
            threading.Thread(target=context.copy().run, args=(work,), daemon=True).start()
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_sound_journal_has_no_problems(tmp_path: Path) -> None:
    for writer, life in (("1" * 16, "dead"), ("2" * 16, "alive"), ("3" * 16, "elsewhere")):
        segment = Segment(tmp_path, writer, life=life)  # type: ignore[arg-type]  # one of the words
        segment.run(run=writer * 2)
        segment.write(sealed=life == "dead")
    tmp_path.chmod(0o700)
    reports = doctor.examine(tmp_path)
    assert [report.problems for report in reports] == [[], [], []]
    assert [(report.process, report.sealed_by) for report in reports] == [
        ("dead", "writer"),
        ("alive", None),
        ("unknown", None),
    ]
    assert [(report.events, report.runs) for report in reports] == [(6, 1)] * 3
    assert doctor.look_around(tmp_path).problems == []


def test_the_doctor_counts_what_is_wrong(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    segment.seq += 2
    segment.node(end=None)
    segment.lines[2] += b"\0\0\0\0"
    segment.lines[3] = b"no event at all"
    segment.lines[4] = segment.lines[4].replace(b'"data":{', b'"data":{{')
    path = segment.write(tail=b'{"timestamp":"2026-' + b"\0" * 4096)
    (report,) = doctor.examine(tmp_path)
    assert (report.path, report.writer, report.number) == (
        f"journal/2026-11-21/{path.name}",
        segment.writer,
        1,
    )
    assert (report.bad_lines, report.torn_bytes, report.nul_bytes, report.reserved_bytes) == (2, 19, 4, 4096)
    assert report.size_bytes == path.stat().st_size
    # Two numbers were never given to a line, two belonged to the lines that are spoiled.
    assert (report.events, report.missing) == (4, 4)
    assert report.can_be_repaired
    assert len(report.problems) == 5
    assert not any("\n" in problem for problem in report.problems)


def test_what_a_writer_reserved_behind_its_seal_is_given_back_once_it_is_dead(tmp_path: Path) -> None:
    """A process killed while it sealed a segment wrote the seal and did not come to cut the file."""
    paths = {}
    for writer, life in ((WRITER, "dead"), (OTHER, "alive")):
        segment = Segment(tmp_path, writer, life=life)  # type: ignore[arg-type]  # one of the words
        segment.run()
        sealed = segment.write(sealed=True).read_bytes()
        paths[life] = (segment.write(sealed=True, tail=bytes(8192)), sealed)
    tmp_path.chmod(0o700)
    found = doctor.examine(tmp_path)
    assert [(r.reserved_bytes, r.can_be_repaired, len(r.remarks), r.problems) for r in found] == [
        (8192, True, 1, []),
        (8192, False, 0, []),
    ]
    (done,) = doctor.repair(tmp_path)
    assert (done.writer, done.sealed, done.freed_bytes, done.fault) == (WRITER, False, 8192, None)
    path, sealed = paths["dead"]
    assert path.read_bytes() == sealed
    path, sealed = paths["alive"]
    assert path.read_bytes() == sealed + bytes(8192)
    assert doctor.repair(tmp_path) == []
    assert [report.problems for report in doctor.examine(tmp_path)] == [[], []]


def test_looking_changes_nothing(tmp_path: Path) -> None:
    Segment(tmp_path).write(tail=b"torn")
    Store(tmp_path).runs()
    before = files_under(tmp_path)
    doctor.examine(tmp_path)
    doctor.look_around(tmp_path)
    assert files_under(tmp_path) == before


def test_a_segment_without_a_header_is_nobodys(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    path = segment.write()
    for content in (b"", b"\0" * 4096, b'{"clew":"segm'):
        path.write_bytes(content)
        (report,) = doctor.examine(tmp_path)
        assert (report.process, report.pid, report.can_be_repaired) == ("unknown", None, False)
        assert report.problems[0] == "its first line is not a header, so nobody can say who writes it"
        assert doctor.repair(tmp_path) == []
        assert path.read_bytes() == content


def test_a_segment_under_another_writers_name_is_told(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    path = segment.write(sealed=True)
    path.rename(path.with_name(f"{OTHER}-1.jsonl"))
    (report,) = doctor.examine(tmp_path)
    assert report.problems == [f"its header says that it is segment 1 of writer {segment.writer}"]


# --- repair --------------------------------------------------------------------------------------------------


def test_a_journal_that_a_kill_left_is_repaired_and_says_the_same_as_before(tmp_path: Path) -> None:
    run_program(tmp_path, KILLED_WHILE_FOUR_THREADS_RECORD, expect=-9)
    store = Store(tmp_path)
    before = store.trace(store.resolve("killed"))
    rows = store.runs()
    lines = list(store.lines(before.run_id))
    (last,) = [path for path in tmp_path.rglob("*.jsonl") if read_seal(path) is None]
    repairs = doctor.repair(tmp_path)
    assert [(done.path, done.interrupted, done.fault) for done in repairs] == [
        (str(last.relative_to(tmp_path)), [before.run_id], None)
    ]
    assert repairs[0].freed_bytes > 0
    assert all(report.problems == [] for report in doctor.examine(tmp_path))
    after = store.trace(before.run_id)
    assert after.nodes == before.nodes
    assert after.events == before.events
    assert (after.status, after.interrupted_by, after.lost) == ("interrupted", "process died", 0)
    assert (after.last_event_at, after.errors) == (before.last_event_at, before.errors)
    # Only the last line is another one: it has a number now, because it is in the log.
    assert list(store.lines(before.run_id))[:-1] == lines[:-1]
    (row,) = store.runs()
    assert (row.status, row.nodes, row.lost, row.events) == (
        "interrupted",
        rows[0].nodes,
        0,
        rows[0].events + 1,
    )


def test_a_second_repair_finds_nothing_to_do(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    path = segment.write(tail=b"\0" * 100)
    assert len(doctor.repair(tmp_path)) == 1
    content = path.read_bytes()
    assert doctor.repair(tmp_path) == []
    assert path.read_bytes() == content


def test_what_is_torn_is_cut_off_and_counted_and_whole_lines_stay(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    path = segment.write(tail=b'{"timestamp":"2026-11-21T' + b"\0" * 5000)
    (done,) = doctor.repair(tmp_path)
    assert (done.torn_bytes, done.freed_bytes) == (25, 5000)
    lines = path.read_bytes().splitlines()
    assert lines[1 : 1 + len(segment.lines)] == segment.lines
    assert len(lines) == len(segment.lines) + 3  # header, run_interrupted, seal
    assert b'"event":"run_interrupted"' in lines[-2]
    assert b'"seq":%d,' % (segment.seq + 1) in lines[-2]
    assert path.read_bytes().endswith(b'"by":"doctor"}\n')


@pytest.mark.parametrize("life", ["alive", "elsewhere"])
def test_the_segments_of_living_and_unknown_writers_are_not_touched(tmp_path: Path, life: Life) -> None:
    segment = Segment(tmp_path, life=life)
    segment.run(end=None)
    path = segment.write(tail=b"torn\0\0\0")
    content = path.read_bytes()
    assert doctor.repair(tmp_path) == []
    assert path.read_bytes() == content


def test_a_sealed_segment_is_not_touched(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    path = segment.write(sealed=True)
    content = path.read_bytes()
    assert doctor.repair(tmp_path) == []
    assert path.read_bytes() == content


def test_every_open_segment_of_a_dead_writer_is_sealed_and_the_death_is_told_once(tmp_path: Path) -> None:
    one = Segment(tmp_path)
    one.run(end=None)
    one.add("workflow_started", {"name": "other"}, run=OTHER_RUN)
    one.write()
    other = Segment(tmp_path, number=2, first_seq=one.seq + 1)
    other.node(end=None)
    other.write()
    repairs = doctor.repair(tmp_path)
    assert [(done.path[-7:], done.interrupted) for done in repairs] == [
        ("1.jsonl"[-7:], []),
        ("2.jsonl"[-7:], [RUN, OTHER_RUN]),
    ]
    store = Store(tmp_path)
    assert {row.run_id: (row.status, row.lost) for row in store.runs()} == {
        RUN: ("interrupted", 0),
        OTHER_RUN: ("interrupted", 0),
    }


def test_a_repair_that_was_cut_short_is_finished_by_the_next(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    path = segment.write()
    doctor.repair(tmp_path)
    repaired = path.read_bytes()
    for cut in range(len(segment.content), len(repaired)):
        path.write_bytes(repaired[:cut] + b"\0" * 64)
        assert len(doctor.repair(tmp_path)) == 1
        text = path.read_bytes()
        assert (text.count(b"run_interrupted"), text.count(b'"by":"doctor"}\n')) == (1, 1)
        assert read_seal(path) is not None
        assert text.startswith(segment.content)


def test_a_segment_that_cannot_be_written_is_told_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    path = segment.write()
    content = path.read_bytes()
    real = os.open

    def refusing(name: object, flags: int, *rest: int) -> int:
        if str(name) == str(path) and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(name, flags, *rest)  # type: ignore[arg-type]  # whatever it was called with

    monkeypatch.setattr(os, "open", refusing)
    (done,) = doctor.repair(tmp_path)
    assert (done.fault, done.interrupted) == ("Permission denied", [])
    assert path.read_bytes() == content


def test_two_repairs_at_once_do_not_collide(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    segment.write()
    source = "import sys; from pathlib import Path; from clew.store.doctor import repair; repair(Path(sys.argv[1]))"
    with only_one(tmp_path), pytest.raises(JournalError, match="another process; try again"):
        doctor.repair(tmp_path)
    with only_one(tmp_path):
        other = subprocess.run(
            [sys.executable, "-c", source, str(tmp_path)], capture_output=True, text=True, check=False
        )
    assert "JournalError" in other.stderr
    assert len(doctor.repair(tmp_path)) == 1


def test_a_place_without_a_journal_needs_no_repair(tmp_path: Path) -> None:
    assert doctor.examine(tmp_path / "nothing") == []
    assert doctor.repair(tmp_path / "nothing") == []
    assert doctor.repair(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


# --- what lies around the segments ---------------------------------------------------------------------------


def test_files_that_clew_did_not_make_are_named(tmp_path: Path) -> None:
    Segment(tmp_path).write(sealed=True)
    for name in (
        "notes.txt",
        "journal/2026-11-21/copy of a segment.jsonl",
        "blobs/ab/ab00000000000000000000000000000f.gz",
        "blobs/ab/ab00000000000000000000000000000f.77.abcd.part",
        "offsets/kafka.json",
        "doctor.lock",
        ".gitignore",
        "signals/ok.completed",
        "signals/notes.txt",
        "outputs/res.json",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")
    found = doctor.look_around(tmp_path)
    assert found.unknown == ["journal/2026-11-21/copy of a segment.jsonl", "notes.txt", "signals/notes.txt"]
    assert found.half_written == ["blobs/ab/ab00000000000000000000000000000f.77.abcd.part"]
    assert (found.blobs, found.blob_bytes, found.index) == (1, 5, "missing")


def test_a_journal_that_others_may_enter_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (problem,) = doctor.look_around(tmp_path).problems
    assert problem == f"others than its owner may enter it (mode 0755): chmod 700 {tmp_path}"


def test_the_state_of_the_index_is_told(tmp_path: Path) -> None:
    Segment(tmp_path).write(sealed=True)
    store = Store(tmp_path)
    store.runs()
    assert doctor.look_around(tmp_path).index == "sound"
    store.close()
    assert doctor.look_around(tmp_path).index == "sound"
    (tmp_path / "index.sqlite").write_bytes(b"garbage" * 1000)
    assert doctor.look_around(tmp_path).index == "unusable"
