"""What is said of runs whose writers died, and of numbers that are missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clew.store.store import Store
from tests.store.segments import OTHER, OTHER_RUN, RUN, WRITER, Segment, run_program

if TYPE_CHECKING:
    from clew.model.trace import ExecutionTrace
    from tests.store.segments import Life

KILLED = """
    import os, signal, sys
    import clew
    with clew.run("killed"):
        with clew.span("done"):
            pass
        clew.span("open", question="why").__enter__()
        clew.event("decision_made", chosen="die")
        getattr(sys.modules[__name__], sys.argv[1])() if len(sys.argv) > 1 else os.kill(os.getpid(), signal.SIGKILL)
"""


def read(home: Path, run: str = RUN) -> tuple[str, ExecutionTrace, list[dict[str, object]]]:
    """Return the status in the list, the trace, and the events that the reader added."""
    store = Store(home)
    (row,) = [row for row in store.runs() if row.run_id == run]
    added = [json.loads(line) for line in store.lines(run)]
    return row.status, store.trace(run), [event for event in added if "seq" not in event]


def test_a_program_that_was_killed_is_interrupted_and_so_are_its_open_nodes(tmp_path: Path) -> None:
    run_program(tmp_path, KILLED, expect=-9)
    store = Store(tmp_path)
    status, trace, added = read(tmp_path, store.resolve("killed"))
    assert (status, trace.status, trace.interrupted_by) == ("interrupted", "interrupted", "process died")
    assert [(n.node_id, n.status, n.attributes) for n in trace.nodes] == [
        ("done", "completed", {}),
        ("open", "interrupted", {"question": "why"}),
    ]
    assert trace.nodes[1].events[0].event == "decision_made"
    assert (trace.lost, trace.ended_at, trace.duration_ns) == (0, None, None)
    last = max(event.timestamp for event in trace.events)
    assert trace.boundaries[-1].timestamp == last
    assert [event["writer"] for event in added] == trace.writers


@pytest.mark.parametrize(
    "life, status",
    [("alive", "running"), ("dead", "interrupted"), ("reused", "interrupted"), ("elsewhere", "running")],
)
@pytest.mark.parametrize("sealed", [True, False])
def test_a_run_without_an_end_stands_as_its_process_does(
    tmp_path: Path, life: Life, status: str, sealed: bool
) -> None:
    """The same process id with another start time is another process; of another machine nothing is known."""
    segment = Segment(tmp_path, life=life)
    segment.run(end=None)
    segment.node(end=None)
    segment.write(sealed=sealed)
    listed, trace, added = read(tmp_path)
    assert (listed, trace.status, trace.nodes[-1].status) == (status, status, status)
    assert len(added) == (1 if status == "interrupted" else 0)


def test_the_host_of_a_run_of_another_machine_is_shown(tmp_path: Path) -> None:
    segment = Segment(tmp_path, life="elsewhere")
    segment.run(end=None)
    segment.write()
    assert [(row.status, row.host) for row in Store(tmp_path).runs()] == [("running", "another.invalid")]


def test_a_writer_that_dies_while_it_is_watched_is_noticed_without_a_new_byte(tmp_path: Path) -> None:
    segment = Segment(tmp_path, life="alive")
    segment.run(end=None)
    path = segment.write()
    store = Store(tmp_path)
    assert [row.status for row in store.runs()] == ["running"]
    # The same bytes, but for a start time that is not this process's any more.
    dead = Segment(tmp_path, life="reused")
    dead.lines = segment.lines
    path.write_bytes(dead.content)
    assert [row.status for row in store.runs()] == ["interrupted"]
    assert [row.status for row in Store(tmp_path).runs()] == ["interrupted"]


def test_a_child_process_that_ends_while_the_parent_reads_is_noticed(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    source = "import clew, sys; clew.run('r').__enter__(); print('up', flush=True); sys.stdin.read(); import os; os._exit(1)"
    child = subprocess.Popen(
        [sys.executable, "-c", source],
        env={**os.environ, "CLEW_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    store = Store(tmp_path)
    assert [row.status for row in store.runs()] == ["running"]
    child.communicate()
    assert [row.status for row in store.runs()] == ["interrupted"]


def test_a_run_that_ended_stays_ended_when_its_writer_is_killed_later(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.add("workflow_started", {"name": "x"})
    segment.node("leaked", end=None)
    segment.add("workflow_completed", {"duration_ms": 1.5})
    segment.write()
    status, trace, added = read(tmp_path)
    assert (status, trace.status, trace.nodes[0].status) == ("completed", "completed", "interrupted")
    assert [event["event"] for event in added] == ["run_interrupted"]


def test_a_run_that_ended_with_all_its_nodes_gets_nothing_added(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run()
    segment.write()
    assert read(tmp_path)[2] == []


def test_a_dead_worker_interrupts_its_own_nodes_only(tmp_path: Path) -> None:
    main, worker = Segment(tmp_path, life="alive"), Segment(tmp_path, OTHER, life="dead")
    main.run(end=None)
    main.node("mine", end=None)
    worker.node("theirs", end=None)
    main.write()
    worker.write()
    status, trace, added = read(tmp_path)
    assert (status, trace.status) == ("running", "running")
    assert {n.node_id: n.status for n in trace.nodes if n.ended_at is None} == {
        "mine": "running",
        "theirs": "interrupted",
    }
    assert [event["writer"] for event in added] == [OTHER]


def test_a_node_that_another_writer_ended_is_not_open(tmp_path: Path) -> None:
    main, worker = Segment(tmp_path, life="alive"), Segment(tmp_path, OTHER, life="dead")
    main.run(end=None)
    worker.add("node_started", node_id="shared", span_id="00000000000000aa")
    main.add("node_completed", {"duration_ms": 1}, node_id="shared", span_id="00000000000000aa")
    main.write()
    worker.write()
    assert read(tmp_path)[2] == []


def test_a_dead_process_interrupts_every_run_that_it_left_open(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.add("workflow_started", {"name": "outer"}, run=RUN)
    segment.run("inner", run=OTHER_RUN, end=None)
    segment.run("done before", run="3" * 32)
    segment.write()
    assert {row.name: row.status for row in Store(tmp_path).runs()} == {
        "outer": "interrupted",
        "inner": "interrupted",
        "done before": "completed",
    }


def test_a_run_whose_start_is_gone_is_interrupted_by_the_death_of_a_writer_with_open_nodes(
    tmp_path: Path,
) -> None:
    segment = Segment(tmp_path)
    segment.node(end=None)
    segment.write()
    status, trace, _ = read(tmp_path)
    assert (status, trace.status, trace.name) == ("interrupted", "interrupted", None)


# --- numbers that are missing --------------------------------------------------------------------------------


def with_gap(segment: Segment, gap: int) -> None:
    segment.run(end=None)
    segment.seq += gap
    segment.node()


def test_a_gap_in_the_numbers_of_a_sealed_writer_is_a_loss_of_its_size(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    with_gap(segment, 3)
    segment.write(sealed=True)
    _, trace, added = read(tmp_path)
    assert trace.lost == 3
    assert [row.lost for row in Store(tmp_path).runs()] == [3]
    (loss,) = [event for event in added if event["event"] == "events_lost"]
    assert loss["data"] == {"count": 3, "reason": "missing from the log", "numbered": True}
    assert (loss["writer"], loss["level"]) == (WRITER, "WARNING")


def test_numbers_that_were_given_out_and_never_written_before_a_seal_are_lost(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run()
    segment.seq += 5  # what the seal says was given out
    segment.write(sealed=True)
    assert read(tmp_path)[1].lost == 5


@pytest.mark.parametrize("life", ["alive", "dead"])
@pytest.mark.parametrize("gap, lost", [(64, 0), (65, 65)])
def test_numbers_whose_calls_had_not_returned_are_no_loss(
    tmp_path: Path, life: Life, gap: int, lost: int
) -> None:
    segment = Segment(tmp_path, life=life)
    with_gap(segment, gap)
    segment.write()
    assert read(tmp_path)[1].lost == lost


@pytest.mark.parametrize("damage", [b"\nhalf a li", b"\n\0\0\0\0"])
def test_in_a_damaged_segment_every_missing_number_is_a_loss(tmp_path: Path, damage: bytes) -> None:
    segment = Segment(tmp_path)
    with_gap(segment, 1)
    segment.lines[3] += damage
    segment.write()
    assert read(tmp_path)[1].lost == 1


def test_what_a_writer_declared_as_lost_is_not_counted_again(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    with_gap(segment, 7)
    segment.add("events_lost", {"count": 7, "numbered": True, "reason": "the disk took nothing for too long"})
    segment.write(sealed=True)
    assert read(tmp_path)[1].lost == 7
    assert read(tmp_path)[2][0]["event"] == "run_interrupted"
    assert len(read(tmp_path)[2]) == 1


def test_losses_without_numbers_say_nothing_of_a_gap(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    with_gap(segment, 7)
    segment.add("events_lost", {"count": 2, "reason": "a fault in recording"})
    segment.write(sealed=True)
    assert read(tmp_path)[1].lost == 9


def test_a_gap_between_two_segments_of_a_writer_is_a_loss(tmp_path: Path) -> None:
    one = Segment(tmp_path)
    one.run(end=None)
    one.write(sealed=True)
    other = Segment(tmp_path, number=3, first_seq=one.seq + 101)
    other.node()
    other.write(sealed=True)
    assert read(tmp_path)[1].lost == 100


def test_numbers_that_come_out_of_order_and_twice_are_no_gap(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run(nodes=5)
    segment.lines[2:8] = segment.lines[7:1:-1]
    segment.lines.append(segment.lines[4])
    segment.write(sealed=True)
    assert read(tmp_path)[1].lost == 0


def test_a_loss_is_told_to_the_runs_around_it(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run("before", nodes=100, run="1" * 32)
    segment.run("around", nodes=50, run=RUN, end=None)
    segment.seq += 1000
    segment.node(run=RUN)
    for _ in range(100):
        segment.node(run=RUN)
    segment.run("after", run=OTHER_RUN)
    segment.write(sealed=True)
    assert {row.name: row.lost for row in Store(tmp_path).runs()} == {"before": 0, "around": 1000, "after": 0}


def test_segments_that_were_deleted_are_missed_only_by_runs_whose_start_they_took_along(
    tmp_path: Path,
) -> None:
    one = Segment(tmp_path)
    one.run("long", run=RUN, end=None)
    first = one.write(sealed=True)
    other = Segment(tmp_path, number=2, first_seq=one.seq + 1)
    other.node(run=RUN)
    other.run("next", run=OTHER_RUN)
    other.write(sealed=True)
    store = Store(tmp_path)
    assert {row.run_id: row.lost for row in store.runs()} == {RUN: 0, OTHER_RUN: 0}
    first.unlink()
    assert {row.run_id: row.lost for row in store.runs()} == {RUN: one.seq, OTHER_RUN: 0}


def test_the_loss_that_the_list_shows_is_that_of_the_trace(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    with_gap(segment, 200)
    segment.add("events_lost", {"count": 50, "numbered": True})
    segment.write()
    store = Store(tmp_path)
    assert [row.lost for row in store.runs()] == [200] == [store.trace(RUN).lost]
