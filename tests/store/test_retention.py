"""Old runs make room: whole segments, never a living writer's, and payloads that nothing refers to."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clew.journal.blobs import blob_path, read_blob, write_blob
from clew.store.lock import only_one
from clew.store.retention import Plan, plan, remove
from clew.store.store import Store
from tests.store.segments import BEGIN, RUN, Life, Segment, files_under

NOW = BEGIN + timedelta(days=10)
DAY_US = 86_400_000_000


def segment_of_day(home: Path, day: int, *, life: Life = "dead", sealed: bool = True, nodes: int = 2) -> Path:
    segment = Segment(home, f"{day:016x}", life=life)
    run = f"{day:032x}"
    segment.add("workflow_started", {"name": f"day {day}"}, run=run, at_us=day * DAY_US)
    for _ in range(nodes):
        segment.add("note", run=run, at_us=day * DAY_US + 1)
    segment.add("workflow_completed", {"duration_ms": 1}, run=run, at_us=day * DAY_US + 2)
    return segment.write(sealed=sealed)


def days(chosen: Plan) -> list[int]:
    return [int(Path(item.path).name[:16], 16) for item in chosen.segments]


def test_segments_older_than_an_age_go(tmp_path: Path) -> None:
    for day in range(5):
        segment_of_day(tmp_path, day)
    assert days(plan(tmp_path, older_than=timedelta(days=7, seconds=1), now=NOW)) == [0, 1, 2]
    assert days(plan(tmp_path, older_than=timedelta(days=30), now=NOW)) == []
    assert days(plan(tmp_path, now=NOW)) == []


def test_the_oldest_go_until_the_rest_fits(tmp_path: Path) -> None:
    sizes = [segment_of_day(tmp_path, day).stat().st_size for day in range(4)]
    chosen = plan(tmp_path, keep_bytes=sum(sizes[2:]), now=NOW)
    assert days(chosen) == [0, 1]
    assert (chosen.freed_bytes, chosen.kept_bytes) == (sum(sizes[:2]), sum(sizes[2:]))
    assert days(plan(tmp_path, keep_bytes=sum(sizes[2:]) - 1, now=NOW)) == [0, 1, 2]
    assert days(plan(tmp_path, keep_bytes=sum(sizes), now=NOW)) == []
    assert days(plan(tmp_path, keep_bytes=0, now=NOW)) == [0, 1, 2, 3]


def test_a_plan_changes_nothing_and_a_removal_does_what_it_says(tmp_path: Path) -> None:
    paths = [segment_of_day(tmp_path, day) for day in range(3)]
    Store(tmp_path).refresh()
    before = files_under(tmp_path)
    chosen = plan(tmp_path, older_than=timedelta(days=8, seconds=1), now=NOW)
    assert {name: content for name, content in files_under(tmp_path).items() if name in before} == before
    assert (chosen.runs, chosen.cut_runs) == ([f"{0:032x}", f"{1:032x}"], [])
    removed = remove(tmp_path, chosen)
    assert (removed.segments, removed.freed_bytes, removed.faults) == (2, chosen.freed_bytes, [])
    assert [path.exists() for path in paths] == [False, False, True]
    assert [row.name for row in Store(tmp_path).runs()] == ["day 2"]
    assert plan(tmp_path, older_than=timedelta(days=8, seconds=1), now=NOW).segments == []


@pytest.mark.parametrize(
    "life, sealed, goes",
    [
        ("dead", True, True),
        ("dead", False, True),
        ("alive", True, False),
        ("alive", False, False),
        ("elsewhere", True, True),
        ("elsewhere", False, False),
    ],
)
def test_only_what_nobody_writes_any_more_goes(tmp_path: Path, life: Life, sealed: bool, goes: bool) -> None:
    segment_of_day(tmp_path, 0, life=life, sealed=sealed)
    assert days(plan(tmp_path, older_than=timedelta(0), keep_bytes=0, now=NOW)) == ([0] if goes else [])


def test_the_sealed_segments_of_a_writer_that_still_writes_stay(tmp_path: Path) -> None:
    one = Segment(tmp_path, life="elsewhere")
    one.run(end=None)
    one.write(sealed=True)
    other = Segment(tmp_path, number=2, life="elsewhere", first_seq=one.seq + 1)
    other.node()
    other.write()
    assert plan(tmp_path, keep_bytes=0, now=NOW).segments == []
    other.write(sealed=True)
    assert len(plan(tmp_path, keep_bytes=0, now=NOW).segments) == 2


def test_a_run_of_which_only_a_part_goes_is_named(tmp_path: Path) -> None:
    one = Segment(tmp_path)
    one.run(end=None)
    one.write(sealed=True)
    other = Segment(tmp_path, number=2, first_seq=one.seq + 1)
    other.add("note", at_us=5 * DAY_US)
    other.write(sealed=True)
    chosen = plan(tmp_path, older_than=timedelta(days=6), now=NOW)
    assert (chosen.runs, chosen.cut_runs) == ([], [RUN])


def payload(home: Path, content: bytes, *, age: timedelta = timedelta(days=9)) -> str:
    digest = write_blob(home, content)
    stamp = (NOW - age).timestamp()
    os.utime(blob_path(home, digest), (stamp, stamp))
    return digest


def referring(home: Path, day: int, digest: str) -> None:
    segment = Segment(home, f"{day:016x}")
    data = {"inputs": {"$blob": digest, "bytes": 9, "preview": ""}, "text": f'{{"$blob":"{digest}"}}'}
    segment.add("note", data, run=f"{day:032x}", at_us=day * DAY_US)
    segment.write(sealed=True)


def test_payloads_go_with_the_last_segment_that_refers_to_them(tmp_path: Path) -> None:
    shared, old, new = (payload(tmp_path, text) for text in (b"shared", b"old", b"new"))
    orphan = payload(tmp_path, b"nobody's")
    fresh = payload(tmp_path, b"just stored, its line not yet written", age=timedelta(minutes=5))
    referring(tmp_path, 0, old)
    for day, digest in ((1, shared), (5, shared), (6, new)):
        referring(tmp_path, day, digest)
    chosen = plan(tmp_path, older_than=timedelta(days=8), now=NOW)
    assert days(chosen) == [0, 1]
    assert {Path(item.path).stem for item in chosen.blobs} == {old, orphan}
    removed = remove(tmp_path, chosen)
    assert (removed.blobs, removed.faults) == (2, [])
    for digest in (shared, new, fresh):
        assert read_blob(tmp_path, digest)
    assert not blob_path(tmp_path, orphan).exists()


def test_payloads_count_for_the_size_that_is_kept(tmp_path: Path) -> None:
    digest = payload(tmp_path, os.urandom(50_000))
    referring(tmp_path, 0, digest)
    last = segment_of_day(tmp_path, 5)
    chosen = plan(tmp_path, keep_bytes=20_000, now=NOW)
    assert (days(chosen), len(chosen.blobs)) == ([0], 1)
    assert chosen.kept_bytes == last.stat().st_size


def test_no_payload_goes_while_a_segment_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload(tmp_path, b"nobody's")
    path = segment_of_day(tmp_path, 0)
    real = Path.open

    def refusing(self: Path, *arguments: object, **named: object) -> object:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return real(self, *arguments, **named)  # type: ignore[call-overload]  # whatever it was called with

    Store(tmp_path).refresh()
    monkeypatch.setattr(Path, "open", refusing)
    assert plan(tmp_path, now=NOW).blobs == []
    monkeypatch.undo()
    assert len(plan(tmp_path, now=NOW).blobs) == 1


def test_a_segment_that_grew_since_the_plan_is_kept(tmp_path: Path) -> None:
    path = segment_of_day(tmp_path, 0)
    gone = segment_of_day(tmp_path, 1)
    chosen = plan(tmp_path, keep_bytes=0, now=NOW)
    with path.open("ab") as file:
        file.write(b"more")
    gone.unlink()
    removed = remove(tmp_path, chosen)
    assert (removed.segments, path.exists()) == (0, True)
    assert removed.faults == [f"{path.relative_to(tmp_path)} has changed and was kept"]


def test_empty_folders_of_past_days_go_and_todays_stays(tmp_path: Path) -> None:
    old = segment_of_day(tmp_path, 0)
    past = old.parent.rename(old.parent.with_name("2020-01-01"))
    segment_of_day(tmp_path, 1)
    today = old.parent.rename(old.parent.with_name(datetime.now(UTC).strftime("%Y-%m-%d")))
    remove(tmp_path, plan(tmp_path, keep_bytes=0, now=NOW))
    assert (past.exists(), today.exists()) == (False, True)


def test_removing_keeps_out_of_the_way_of_a_repair(tmp_path: Path) -> None:
    segment_of_day(tmp_path, 0)
    chosen = plan(tmp_path, keep_bytes=0, now=NOW)
    with only_one(tmp_path), pytest.raises(Exception, match="try again when it is done"):
        remove(tmp_path, chosen)
