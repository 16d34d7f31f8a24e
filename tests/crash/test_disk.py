"""A disk that takes nothing more: the program does not notice, and what is lost has a number."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.journal.layout import stand_in, usable_home
from clew.store.rows import RunRow
from clew.store.store import Store
from tests.crash import programs
from tests.crash.mounts import make_read_only, may_mount, small_disk
from tests.crash.programs import Ended

PROGRAM = """
import os, shutil, sys, time
import clew

trouble, place, at, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def make_trouble():
    if trouble.startswith("delete"):
        shutil.rmtree(place)
    elif trouble == "replace":
        shutil.rmtree(place)
        open(place, "w").close()
    elif trouble == "free":
        os.unlink(place)
        time.sleep(1.2)

total = 0
for number in range(count):
    if number == at:
        make_trouble()
    with clew.span("work", source=0, number=number, text="x" * 500) as span:
        total += number
if at == count:
    make_trouble()
print(total, flush=True)
if trouble == "delete and die":
    os._exit(3)
sys.exit(3)
"""
COUNT = 4000
EVENTS = 2 * COUNT + 2
"""Each span's start and end, and those of the run."""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A place that takes a megabyte and no more."""
    with small_disk(tmp_path / "disk", size_kib=1024) as place:
        yield place


def run_both(
    program: Path, home: Path, trouble: str = "none", place: Path | str = "", *, at: int = -1, **options: str
) -> Ended:
    """Run the program with plain Python and recorded; it must print and return the same. Returns the latter."""
    plain = programs.run(programs.python(program, "none", "", "-1", str(COUNT)))
    command = programs.clew("run", program, trouble, place, str(at), str(COUNT))
    recorded = programs.run(command, environ={"CLEW_HOME": str(home), **options})
    assert plain == (3, b"%d\n" % sum(range(COUNT)), b"")
    assert recorded[:2] == plain[:2], recorded.err
    assert all(line.startswith(b"clew: ") for line in recorded.err.splitlines()), recorded.err
    return recorded


def only_row(home: Path) -> RunRow:
    (row,) = Store(home).runs()
    return row


def told(home: Path, row: RunRow) -> int:
    """Return how many events of the program are in the journal, without those that tell what is missing."""
    events = [json.loads(line) for line in Store(home).lines(row.run_id)]
    return sum("seq" in event and event["event"] != "events_lost" for event in events)


def shown_loss(home: Path) -> int:
    shown = programs.run(programs.clew("show", "latest", "--json", "--home", home))
    assert shown.code == 0, shown.err
    return int(json.loads(shown.out)["lost"])


def losses_add_up(home: Path) -> int:
    row = only_row(home)
    assert told(home, row) + row.lost == EVENTS
    assert Store(home).trace(row.run_id).lost == row.lost == shown_loss(home)
    assert (row.status, row.exit_code) == ("failed", 3)
    return row.lost


@pytest.mark.parametrize("journal", ["auto", "written"])
def test_what_a_full_disk_does_not_take_is_counted_to_the_event(
    program: Path, tmp_path: Path, journal: str
) -> None:
    """A small disk where mounting is allowed, else a home whose place another file takes in the middle."""
    if may_mount():
        with small_disk(tmp_path / "disk", size_kib=1024) as disk:
            recorded = run_both(program, disk / ".clew", CLEW_JOURNAL=journal)
            lost = losses_add_up(disk / ".clew")
            assert f"{lost} events are lost".encode() in recorded.err
            assert lost > EVENTS / 2
    else:
        home = tmp_path / ".clew"
        recorded = run_both(program, home, "replace", home / "journal", at=COUNT // 2, CLEW_JOURNAL=journal)
        assert b"events are lost" in recorded.err


def test_a_disk_that_has_room_again_gets_everything(program: Path, tmp_path: Path) -> None:
    """Events wait in memory meanwhile. Without a mount: a limit on the size of one file, and another file."""
    if not may_mount():
        limited(program, tmp_path / ".clew", limit_bytes=100_000)
        return
    with small_disk(tmp_path / "disk", size_kib=16 * 1024) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * (15 * 1024 * 1024 + 512 * 1024))
        recorded = run_both(program, disk / ".clew", "free", ballast, at=COUNT // 2)
        assert b"No space left on device" in recorded.err
        assert losses_add_up(disk / ".clew") == 0


def limited(program: Path, home: Path, *, limit_bytes: int, journal: str = "auto") -> Ended:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    arguments = ("none", "", "-1", str(COUNT))
    environ = {"CLEW_HOME": str(home), "CLEW_JOURNAL": journal}
    plain = programs.run(programs.python(program, *arguments), in_child=limit)
    recorded = programs.run(programs.clew("run", program, *arguments), environ=environ, in_child=limit)
    assert plain[:2] == recorded[:2], recorded.err
    return recorded


@pytest.mark.parametrize("journal", ["auto", "written"])
@pytest.mark.parametrize("limit_bytes", [10_000, 100_000, 1_000_000])
def test_a_limit_on_the_size_of_a_file_loses_nothing(
    program: Path, tmp_path: Path, limit_bytes: int, journal: str
) -> None:
    recorded = limited(program, tmp_path / ".clew", limit_bytes=limit_bytes, journal=journal)
    assert recorded.err == b""
    assert losses_add_up(tmp_path / ".clew") == 0


def test_a_limit_below_a_single_line_is_told_with_the_number_of_lost_events(
    program: Path, tmp_path: Path
) -> None:
    recorded = limited(program, tmp_path / ".clew", limit_bytes=64)
    assert f"{EVENTS} events are lost".encode() in recorded.err


def recorded_elsewhere(program: Path, home: Path, state: Path) -> None:
    """Nothing is lost, it is said where things are, and the commands find them by the home that was asked for."""
    recorded = run_both(program, home, XDG_STATE_HOME=str(state))
    (spare,) = (state / "clew").iterdir()
    assert recorded.err == f"clew: {home} cannot be written; recording to {spare} instead\n".encode()
    assert losses_add_up(spare) == 0
    shown = programs.run(
        programs.clew("show", "latest", "--json"),
        environ={"CLEW_HOME": str(home), "XDG_STATE_HOME": str(state)},
    )
    assert shown.code == 0
    assert json.loads(shown.out)["lost"] == 0
    assert str(spare).encode() in shown.err


def test_a_home_that_cannot_be_made_is_recorded_elsewhere(program: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    recorded_elsewhere(program, tmp_path / "file" / ".clew", tmp_path / "state")


def test_a_read_only_disk_is_recorded_elsewhere(program: Path, tmp_path: Path) -> None:
    if not may_mount():
        test_a_home_that_cannot_be_made_is_recorded_elsewhere(program, tmp_path)
        return
    with small_disk(tmp_path / "disk", size_kib=1024) as disk:
        make_read_only(disk)
        recorded_elsewhere(program, disk / ".clew", tmp_path / "state")


def test_a_stand_in_that_somebody_else_could_write_to_is_not_used(tmp_path: Path) -> None:
    home = tmp_path / "file" / ".clew"
    (tmp_path / "file").touch()
    spare = usable_home(home)
    assert spare != home
    spare.mkdir(parents=True)
    assert usable_home(home) == spare == stand_in(home)
    spare.chmod(0o777)
    assert usable_home(home) == home
    assert stand_in(home) is None


def test_where_nothing_at_all_can_be_written_that_is_told_and_changes_nothing(
    program: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    recorded = run_both(program, tmp_path / "file" / ".clew", XDG_STATE_HOME=str(tmp_path / "file" / "state"))
    assert f"{EVENTS} events are lost".encode() in recorded.err


@pytest.mark.parametrize("journal", ["auto", "written"])
@pytest.mark.parametrize("at", [0, 1, COUNT // 2, COUNT - 1, COUNT])
@pytest.mark.parametrize("what", [".clew", ".clew/journal"])
def test_a_journal_that_is_deleted_while_it_is_written_is_written_anew(
    program: Path, tmp_path: Path, at: int, what: str, journal: str
) -> None:
    recorded = run_both(program, tmp_path / ".clew", "delete", tmp_path / what, at=at, CLEW_JOURNAL=journal)
    assert recorded.err == b""
    assert losses_add_up(tmp_path / ".clew") == 0


@pytest.mark.parametrize("journal", ["auto", "written"])
def test_a_deleted_journal_is_back_before_the_end(program: Path, tmp_path: Path, journal: str) -> None:
    """Whoever dies long after the deletion, without a last word, has lost nothing."""
    home = tmp_path / ".clew"
    run_both(program, home, "delete and die", home, at=100, CLEW_JOURNAL=journal)
    row = only_row(home)
    assert (row.status, row.lost) == ("interrupted", 0)
    assert told(home, row) == EVENTS - 1


def test_segments_that_were_complete_when_they_were_deleted_are_counted_as_lost(
    program: Path, tmp_path: Path
) -> None:
    home = tmp_path / ".clew"
    run_both(program, home, "delete", home, at=COUNT // 2, CLEW_SEGMENT_BYTES=str(64 * 1024))
    row = only_row(home)
    assert row.lost > COUNT / 2
    assert told(home, row) + row.lost == EVENTS
    assert shown_loss(home) == row.lost


def test_a_home_whose_place_is_taken_while_it_is_written_changes_nothing(
    program: Path, tmp_path: Path
) -> None:
    home = tmp_path / ".clew"
    recorded = run_both(program, home, "replace", home, at=COUNT // 2)
    assert f"{EVENTS} events are lost".encode() in recorded.err
    shutil.rmtree(home, ignore_errors=True)
