"""`clew doctor` finds what is wrong, and repairs what a dead process left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.cli.conftest import Done, record, record_and_kill
from tests.store.segments import Segment

Call = Callable[..., Done]


def test_a_healthy_journal_is_well(call: Call, tmp_path: Path) -> None:
    home = tmp_path / ".clew"
    with record(home, "agent") as process:
        process.communicate()
    done = call("doctor")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "all is well"


def test_a_living_writer_is_no_problem(call: Call, tmp_path: Path) -> None:
    with record(tmp_path / ".clew", "killed") as process:
        assert process.stdout is not None
        process.stdout.readline()
        done = call("doctor")
        process.communicate("\n")
    assert done.code == 0
    assert "  1 segment being written" in done.out


def test_a_segment_of_a_killed_process_is_a_problem_until_it_is_repaired(call: Call, tmp_path: Path) -> None:
    home = tmp_path / ".clew"
    record_and_kill(home, "killed")
    before = call("doctor")
    assert before.code == 1
    assert "died before sealing it" in before.out
    assert before.out.splitlines()[-1] == "clew doctor --repair repairs 1 segment"
    assert call("doctor") == before
    repaired = call("doctor", "--repair")
    assert repaired.code == 0
    assert "sealed, 1 run marked as interrupted" in repaired.out
    assert call("doctor").code == 0
    assert call("runs", "--status", "interrupted").out.count("killed") == 1


def test_a_repair_changes_nothing_that_was_read_before(call: Call, home: Path) -> None:
    before = call("show", "killed").out
    call("doctor", "--repair")
    ignoring_age = slice(0, None)
    assert [
        line for line in call("show", "killed").out.splitlines()[ignoring_age] if "started" not in line
    ] == [line for line in before.splitlines() if "started" not in line]


def test_what_cannot_be_repaired_stays_a_problem(call: Call, home: Path) -> None:
    run_id = Store(home).resolve("agent")
    (path,) = (path for path in home.glob("journal/*/*.jsonl") if run_id.encode() in path.read_bytes())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"junk\n", *lines[3:]]))
    done = call("doctor", "--repair")
    assert done.code == 1
    assert "1 line of it cannot be read as an event" in done.out


def test_json_has_every_segment(call: Call, home: Path) -> None:
    done = call("doctor", "--json")
    report = json.loads(done.out)
    assert (done.code, report["problems"] > 0, report["repairs"]) == (1, True, [])
    assert len(report["segments"]) == len(list(home.glob("journal/*/*.jsonl")))
    assert report["home"] == str(home)


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--repair"]])
def test_no_journal_is_no_problem_and_is_not_made(call: Call, tmp_path: Path, arguments: list[str]) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("clew: there is no journal in ")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_was_killed_between_two_runs_is_remarked_and_no_damage(
    call: Call, tmp_path: Path
) -> None:
    segment = Segment(tmp_path / ".clew")
    segment.run()
    segment.write(tail=bytes(4096))
    (tmp_path / ".clew").chmod(0o700)
    done = call("doctor")
    assert done.code == 0
    assert "died before sealing it; nothing of it is lost; a repair seals it" in done.out
    assert done.out.splitlines()[-1] == "clew doctor --repair repairs 1 segment"
    assert json.loads(call("doctor", "--json").out)["problems"] == 0
    assert call("doctor", "--repair").code == 0
    assert call("doctor").out.splitlines()[-1] == "all is well"


def test_a_large_payload_that_is_gone_is_a_problem(call: Call, tmp_path: Path) -> None:
    home = tmp_path / ".clew"
    with record(home, "large") as process:
        process.communicate()
    assert call("doctor").code == 0
    blob, _, _ = home.glob("blobs/*/*.gz")
    blob.write_bytes(b"garbage")
    damaged = call("doctor")
    assert (damaged.code, "was damaged: its content is not the payload of that hash" in damaged.out) == (
        1,
        True,
    )
    shutil.rmtree(home / "blobs")
    gone = call("doctor", "--repair")
    assert (gone.code, "3 large payloads that its events refer to are not in blobs" in gone.out) == (1, True)
