"""A segment that nobody sealed is damage only where something of it is lost, torn or open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clew.store import doctor
from tests.store.segments import OTHER, OTHER_RUN, RUN, Segment, run_program

POOL = """
    import multiprocessing, os, time
    import clew

    @clew.traced
    def square(n):
        return n * n

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        with clew.run("pool"):
            with context.Pool(2) as pool:
                assert pool.map(square, range(20)) == [n * n for n in range(20)]
            pid = os.fork()
            if not pid:
                square(7)
                os._exit(0)
            os.waitpid(pid, 0)
"""


def test_workers_that_a_pool_ended_and_a_child_that_left_at_once_are_no_damage(tmp_path: Path) -> None:
    run_program(tmp_path, POOL)
    tmp_path.chmod(0o700)
    reports = doctor.examine(tmp_path)
    assert [report.problems for report in reports] == [[]] * len(reports)
    remarks = [remark for report in reports for remark in report.remarks]
    assert remarks
    assert all("nothing of it is lost; a repair seals it" in remark for remark in remarks)
    assert len(doctor.repair(tmp_path)) == len(remarks)
    assert [report.remarks for report in doctor.examine(tmp_path)] == [[]] * len(reports)


def test_a_writer_that_died_between_runs_is_only_remarked(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run()
    segment.write(tail=bytes(4096))
    (report,) = doctor.examine(tmp_path)
    assert (report.problems, len(report.remarks), report.can_be_repaired) == ([], 1, True)


@pytest.mark.parametrize("what", ["run", "node", "torn", "junk", "gap"])
def test_a_writer_that_left_something_open_torn_or_lost_is_damage(tmp_path: Path, what: str) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None if what == "run" else "workflow_completed")
    if what == "node":
        segment.node(end=None)
    if what == "gap":
        segment.seq += 100
        segment.run(run=OTHER_RUN)
    if what == "junk":
        segment.lines[2] = b"junk"
    segment.write(tail=b'{"timestamp":"2026' if what == "torn" else b"")
    (report,) = doctor.examine(tmp_path)
    assert "died before sealing it; a repair seals it" in report.problems[0]
    assert report.remarks == []


def test_a_span_that_another_process_ended_is_not_open(tmp_path: Path) -> None:
    """And a run belongs to the process that began it: a worker that is gone leaves nothing open by that."""
    parent, worker = Segment(tmp_path), Segment(tmp_path, OTHER)
    parent.run(end=None)
    place: dict[str, Any] = {"node_id": "far", "span_id": "00000000000000aa"}
    worker.add("node_started", **place)
    parent.add("node_completed", **place)
    parent.add("workflow_completed")
    parent.write(sealed=True)
    worker.write()
    assert [(report.problems, len(report.remarks)) for report in doctor.examine(tmp_path)] == [
        ([], 0),
        ([], 1),
    ]


def test_a_run_that_goes_on_in_a_second_segment_is_open_in_both(tmp_path: Path) -> None:
    one = Segment(tmp_path)
    one.add("workflow_started", {"name": "nightly"}, run=RUN)
    one.write()
    other = Segment(tmp_path, number=2, first_seq=one.seq + 1)
    other.node()
    other.write()
    assert [len(report.problems) for report in doctor.examine(tmp_path)] == [1, 1]
    other.add("workflow_completed", run=RUN)
    other.write()
    assert [len(report.problems) for report in doctor.examine(tmp_path)] == [0, 0]
