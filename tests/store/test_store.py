"""Programs record, and the store reads back what they did: field by field, against a log that they wrote themselves."""

from __future__ import annotations

import gc
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.errors import NoSuchRunError
from clew.model.events import decode_event
from clew.model.trace import ExecutionTrace
from clew.store.store import Store
from tests.model.event_streams import RUN_ID, Stream, streams
from tests.store.segments import (
    BEGIN,
    OTHER,
    OTHER_RUN,
    RUN,
    Segment,
    files_under,
    names_of,
    run_program,
    write_lines,
)

LOOPING_PARALLEL_RETRIED_FAILING = """
    import json, threading, time
    import clew

    log = []

    def work(name, *, round=None, fails=False, inside=()):
        with clew.span(name, round=round) as span:
            record = {"node": name, "span": span.span_id, "round": round, "thread": threading.get_ident()}
            log.append(record)
            begin = time.perf_counter_ns()
            try:
                for name, child_round, child_fails in inside:
                    work(name, round=child_round, fails=child_fails)
                span.metrics["rounds"] = round or 0
                time.sleep(0.002)
                if fails:
                    raise ValueError(f"{name} failed in round {round}")
            except ValueError as error:
                record["error"] = str(error)
                if not inside:
                    raise
            finally:
                record["took_ns"] = time.perf_counter_ns() - begin

    with clew.run("everything", kind="script", job="a1") as run:
        for round in range(3):
            work("draft", round=round)
        for attempt in (1, 2):
            try:
                work("flaky", round=attempt, fails=attempt == 1)
            except ValueError:
                pass
        scope = __import__("contextvars").copy_context()
        threads = [
            threading.Thread(target=scope.copy().run, args=(work, "branch"), kwargs={"round": n}) for n in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        work("outer", inside=[("inner", 1, False), ("inner", 2, True)])
    print(json.dumps({"run_id": run.run_id, "log": log}))
"""


def test_what_a_program_did_is_read_back_field_by_field(tmp_path: Path) -> None:
    printed = json.loads(run_program(tmp_path, LOOPING_PARALLEL_RETRIED_FAILING).stdout)
    log = {record["span"]: record for record in printed["log"]}
    store = Store(tmp_path)
    trace = store.trace(store.resolve("latest"))
    assert (trace.run_id, trace.name, trace.kind, trace.status) == (
        printed["run_id"],
        "everything",
        "script",
        "completed",
    )
    assert (trace.attributes, trace.lost, trace.depth) == ({"job": "a1"}, 0, 0)
    assert {node.span_id for node in trace.nodes} == set(log)
    outer = next(node for node in trace.nodes if node.node_id == "outer")
    for node in trace.nodes:
        record = log[node.span_id or ""]
        assert (node.node_id, node.attributes.get("round")) == (record["node"], record["round"])
        assert node.status == ("failed" if "error" in record and node is not outer else "completed")
        assert (node.error.message if node.error else None) == (
            record.get("error") if node is not outer else None
        )
        assert node.parent_id == (outer.span_id if node.node_id == "inner" else None)
        assert node.duration_ns is not None
        assert node.duration_ns >= record["took_ns"]
        assert node.duration_ns - record["took_ns"] < 50_000_000
        if "error" not in record:
            assert node.metrics == {"rounds": record["round"] or 0}
    inner = [node for node in trace.nodes if node.node_id == "inner"]
    assert outer.duration_ns is not None
    assert outer.self_time_ns == pytest.approx(
        outer.duration_ns - sum(node.duration_ns or 0 for node in inner), abs=10_000
    )
    assert [node.attributes["round"] for node in trace.executions("draft")] == [0, 1, 2]


def test_the_row_of_a_run_says_what_its_trace_says(tmp_path: Path) -> None:
    run_program(tmp_path, LOOPING_PARALLEL_RETRIED_FAILING)
    store = Store(tmp_path)
    (row,) = store.runs()
    trace = store.trace(row.run_id)
    assert (row.name, row.kind, row.status) == (trace.name, trace.kind, trace.status)
    assert (row.started_at, row.last_event_at) == (trace.started_at, trace.last_event_at)
    assert row.duration_ns == trace.duration_ns
    assert (row.nodes, row.failed_nodes) == (len(trace.nodes), sum(n.status == "failed" for n in trace.nodes))
    assert row.events == len(list(store.lines(row.run_id)))


@settings(deadline=None, max_examples=60)
@given(streams())
def test_a_made_up_run_is_the_same_from_the_journal_as_from_its_events(
    tmp_path_factory: pytest.TempPathFactory, stream: Stream
) -> None:
    home = tmp_path_factory.mktemp("home")
    write_lines(home, stream.by_writer, life="elsewhere")
    events = [event for line in stream.lines if (event := decode_event(line)) is not None]
    trace = ExecutionTrace.from_events(events)
    store = Store(home)
    assert store.trace(RUN_ID) == trace
    assert sorted(store.lines(RUN_ID)) == sorted(stream.lines)
    (row,) = store.runs()
    assert (row.name, row.kind, row.status, row.exit_code) == (
        trace.name,
        trace.kind,
        trace.status,
        trace.exit_code,
    )
    assert (row.started_at, row.duration_ns, row.depth) == (trace.started_at, trace.duration_ns, trace.depth)
    assert row.last_event_at == trace.last_event_at
    assert (row.events, row.lost) == (len(stream.lines), trace.lost)
    if None not in stream.by_writer:
        assert row.nodes == len(trace.nodes)
        assert row.failed_nodes == sum(event.event == "node_failed" for event in events)


@settings(deadline=None, max_examples=25)
@given(streams(most_steps=8), st.randoms(use_true_random=False))
def test_however_writers_share_out_a_run_it_folds_to_the_same_trace(
    tmp_path_factory: pytest.TempPathFactory, stream: Stream, chance: object
) -> None:
    """The files of a journal are read in no order that means anything."""
    one, other = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("home")
    write_lines(one, stream.by_writer, life="elsewhere")
    write_lines(other, dict(reversed(stream.by_writer.items())), life="elsewhere")
    for number, path in enumerate(sorted((other / "journal" / "2026-11-21").iterdir(), reverse=True)):
        folder = other / "journal" / f"2026-10-{number + 1:02d}"
        folder.mkdir()
        path.rename(folder / path.name)
    assert Store(one).trace(RUN_ID) == Store(other).trace(RUN_ID)


@settings(deadline=None, max_examples=40)
@given(streams(foreign=False), st.data())
def test_any_byte_prefix_of_a_segment_reads_as_a_prefix_of_its_events(
    tmp_path_factory: pytest.TempPathFactory, stream: Stream, data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("home")
    writer = next(iter(stream.by_writer))
    segment = Segment(home, str(writer), life="reused")
    segment.lines = stream.by_writer[writer]
    path = segment.write(tail=b"\0" * data.draw(st.integers(0, 5000)))
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    store = Store(home)
    read = [
        line
        for line in store.lines(RUN_ID)
        if b'"reason":"process died"' not in line or line in segment.lines
    ]
    assert read == segment.lines[: len(read)]
    # Every line whose end is in the file is there, unless the header was cut.
    whole_lines = whole[:cut].rstrip(b"\0").count(b"\n") - 1
    assert len(read) == max(0, whole_lines)


def test_runs_are_listed_newest_first_and_chosen_by_name_status_and_age(tmp_path: Path) -> None:
    for hour, (name, end) in enumerate(
        [("ingest", "workflow_failed"), ("Nightly ingest", "workflow_completed"), ("fit", None)]
    ):
        segment = Segment(tmp_path, f"{hour:016x}")
        segment.seq = hour * 3_600_000_000  # one microsecond of time for each number
        segment.run(name, run=f"{hour:032x}", end=end)
        segment.write(sealed=True)
    store = Store(tmp_path)
    assert names_of(store.runs()) == ["fit", "Nightly ingest", "ingest"]
    assert names_of(store.runs(limit=2)) == ["fit", "Nightly ingest"]
    assert names_of(store.runs(name="INGEST")) == ["Nightly ingest", "ingest"]
    assert names_of(store.runs(name="in*")) == ["ingest"]
    assert names_of(store.runs(name="*[tT]")) == ["fit", "Nightly ingest", "ingest"]
    assert names_of(store.runs(status="failed")) == ["ingest"]
    assert names_of(store.runs(status="interrupted")) == ["fit"]
    assert names_of(store.runs(since=BEGIN + timedelta(hours=1))) == ["fit", "Nightly ingest"]
    assert names_of(
        store.runs(name="ingest", status="completed", since=datetime(2020, 1, 1, tzinfo=UTC), limit=5)
    ) == ["Nightly ingest"]


def test_runs_of_one_segment_are_told_apart(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run("one", run=RUN)
    segment.run("other", run=OTHER_RUN, nodes=1)
    segment.write(sealed=True)
    store = Store(tmp_path)
    assert [len(store.trace(run).nodes) for run in (RUN, OTHER_RUN)] == [2, 1]
    assert all(OTHER_RUN.encode() not in line for line in store.lines(RUN))


def test_a_run_over_many_segments_is_one_run(tmp_path: Path) -> None:
    printed = run_program(
        tmp_path,
        """
        import os
        os.environ["CLEW_SEGMENT_BYTES"] = "65536"
        import clew
        with clew.run("long") as run:
            for n in range(2000):
                with clew.span("step", n=n):
                    pass
        print(run.run_id)
        """,
    )
    store = Store(tmp_path)
    assert len(list(tmp_path.rglob("*.jsonl"))) > 3
    trace = store.trace(printed.stdout.strip())
    assert [node.attributes["n"] for node in trace.nodes] == list(range(2000))
    (row,) = store.runs()
    assert (row.events, row.nodes, row.lost) == (4002, 2000, 0)


def test_a_line_that_only_looks_like_an_event_is_not_given_out(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run()
    whole = segment.lines.copy()
    segment.lines[2] = whole[2].replace(b'"data":{', b'"data":{{')
    segment.lines[3] = whole[3].replace(b'"data":{', b'"data":{"x":"\xff",')
    segment.write(sealed=True)
    assert list(Store(tmp_path).lines(RUN)) == whole[:2] + whole[4:]


def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run()
    segment.write(sealed=True)
    store = Store(tmp_path)
    for was_on in (True, False):
        (gc.enable if was_on else gc.disable)()
        try:
            store.trace(RUN)
            with pytest.raises(NoSuchRunError):
                store.trace(OTHER_RUN)
            assert gc.isenabled() == was_on
        finally:
            gc.enable()


def test_an_unknown_run_has_no_lines_and_no_trace(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert list(store.lines("f" * 32)) == []
    with pytest.raises(NoSuchRunError, match="There is no run"):
        store.trace("f" * 32)


def test_reading_creates_nothing_but_the_index(tmp_path: Path) -> None:
    Segment(tmp_path).write()
    before = files_under(tmp_path)
    with_index = Store(tmp_path)
    with_index.runs()
    with_index.close()
    assert set(files_under(tmp_path)) == {*before, "index.sqlite"}
    missing = tmp_path / "not there"
    assert Store(missing).runs() == []
    assert not missing.exists()
    empty = tmp_path / "somebody's folder"
    empty.mkdir()
    assert Store(empty).runs() == []
    assert list(empty.iterdir()) == []


def test_a_line_of_another_writer_and_of_another_form_belongs_to_its_run(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.run("mixed", end=None)
    foreign = (
        b'{ "event" : "note", "run_id" : "%b", "timestamp" : "2026-11-21T09:00:00+00:00" }' % RUN.encode()
    )
    segment.lines.append(foreign)
    segment.lines.append(
        segment.lines[-2].replace(segment.writer.encode(), OTHER.encode()).replace(RUN.encode(), b"x")
    )
    segment.write(sealed=True)
    store = Store(tmp_path)
    assert foreign in list(store.lines(RUN))
    assert {row.run_id for row in store.runs()} == {RUN, "x"}
    assert [event.event for event in store.trace(RUN).events] == ["note"]
