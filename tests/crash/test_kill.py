"""kill -9 at random instants: the one ending that no program can prepare for."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from clew.store.doctor import examine
from clew.store.store import Store
from tests.crash import programs, shooting_range
from tests.crash.readback import events_of, steps_of
from tests.crash.shooting_range import Shot, done

KILLS = 200


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Shot]]:
    """A journal that 200 killed processes left, and what each had acknowledged."""
    home = tmp_path_factory.mktemp("killed") / ".clew"
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # noqa: T201 - shown where a test fails, so that it can be done again
    program = programs.python(Path(shooting_range.__file__), str(KILLS), str(seed))
    ended = programs.run(program, environ={"CLEW_HOME": str(home)})
    assert ended.code == 0, ended.err
    assert ended.err == b""
    found = [Shot(*json.loads(line)) for line in ended.out.splitlines()]
    assert len(found) == KILLS
    assert {shot.status for shot in found} == {signal.SIGKILL}
    return home, found


def test_no_event_whose_call_returned_is_lost_by_kill_9(shots: tuple[Path, list[Shot]]) -> None:
    """Each thread's events are read back whole, in order, once; at most the one in flight beyond them."""
    home, found = shots
    store = Store(home)
    compared = 0
    for shot in found:
        if not shot.run_id:
            continue
        steps = steps_of(events_of(store, shot.run_id))
        for source, acknowledged in enumerate(shot.acknowledged):
            read = steps.get(source, [])
            assert acknowledged <= len(read) <= acknowledged + 1
            assert read == done(source, len(read))
            compared += acknowledged
    assert compared > 100 * KILLS, "the children were killed before they did anything"
    assert {shot.journal for shot in found if any(shot.acknowledged)} == {"mapped", "written"}


def test_what_a_killed_process_left_open_is_interrupted_and_keeps_its_inputs(
    shots: tuple[Path, list[Shot]],
) -> None:
    home, found = shots
    store = Store(home)
    interrupted = 0
    for shot in found:
        if not any(shot.acknowledged):
            continue
        trace = store.trace(shot.run_id)
        assert trace.status == "interrupted"
        assert trace.lost == 0
        nodes = {"work": 0, "step": 0}
        for node in trace.nodes:
            name = node.node_id.rpartition(".")[2]
            nodes[name] += 1
            if node.status == "completed":
                continue
            assert node.status == "interrupted"
            assert set(node.inputs or node.attributes) == {"source", "number"}
            interrupted += 1
        # A thread that was between two rounds has nothing open; one in the middle has one or two.
        read = steps_of(events_of(store, shot.run_id))
        assert nodes["work"] == sum(step[0] == "work started" for steps in read.values() for step in steps)
    assert interrupted > sum(any(shot.acknowledged) for shot in found)


def test_rolled_segments_were_part_of_it(shots: tuple[Path, list[Shot]]) -> None:
    home, _ = shots
    numbers = [int(path.stem.rpartition("-")[2]) for path in home.glob("journal/*/*.jsonl")]
    assert max(numbers) > 2


def test_a_line_that_was_being_written_is_torn_and_no_damage(shots: tuple[Path, list[Shot]]) -> None:
    """The kernel may end a copy anywhere, also with the last bytes of a line in place and the first missing."""
    home, _ = shots
    for report in examine(home):
        assert (report.bad_lines, report.nul_bytes, report.missing, report.removed) == (0, 0, 0, 0)


def test_a_repaired_journal_is_sealed_and_passes_the_doctor(
    shots: tuple[Path, list[Shot]], tmp_path: Path
) -> None:
    home = tmp_path / "repaired"
    shutil.copytree(shots[0], home)
    before = {row.run_id: (row.status, row.events, row.nodes, row.lost) for row in Store(home).runs()}
    sick = programs.run(programs.clew("doctor", "--home", home))
    repaired = programs.run(programs.clew("doctor", "--repair", "--home", home))
    sound = programs.run(programs.clew("doctor", "--home", home))
    assert (sick.code, repaired.code, sound.code) == (1, 0, 0), repaired
    for report in examine(home):
        assert report.sealed_by is not None
        assert report.problems == []
        assert report.reserved_bytes == 0
    for row in Store(home).runs():
        status, events, nodes, lost = before.pop(row.run_id)
        assert (row.status, row.nodes, row.lost) == (status, nodes, lost)
        assert row.events in {events, events + 1}, "a repair adds the end of the run and nothing else"
    assert before == {}
    assert all(
        shot.run_id in {row.run_id for row in Store(home).runs()}
        for shot in shots[1]
        if any(shot.acknowledged)
    )
