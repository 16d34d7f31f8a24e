"""Clew's own two formats give back the very trace that was written."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest

from clew.export import jsonl, trace_json
from clew.export.formats import exporter, read
from clew.export.timeline import timeline
from clew.model.events import Event, decode_event, encode_event
from clew.model.trace import ExecutionTrace
from tests.export.made_traces import RUN_ID, Recording, random_trace
from tests.export.sample_files import RUN_FOLDERS, SPANS, TELEMETRY, sample

SEEDS = range(12)
SAMPLES = (*TELEMETRY, SPANS, *(f"{folder}/trace.json" for folder in RUN_FOLDERS))


def exported(trace: ExecutionTrace, name: str, folder: Path) -> Path:
    path = folder / f"run{exporter(name).suffix}"
    with path.open("wb") as out:
        exporter(name).write(trace, out)
    return path


@pytest.mark.parametrize("name", ["jsonl", "json"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_trace_written_and_read_is_the_same_trace(seed: int, name: str, tmp_path: Path) -> None:
    trace = random_trace(seed)
    imported = read(exported(trace, name, tmp_path))
    (run,) = imported.runs
    assert (imported.format, imported.skipped) == (name, 0)
    assert (run.run_id, run.original_run_id) == (RUN_ID, None)
    assert run.ended == (trace.status == "completed")
    assert run.events == trace.to_events()
    assert ExecutionTrace.from_events(run.events) == trace


@pytest.mark.parametrize("form", ["jsonl", "json"])
@pytest.mark.parametrize("name", SAMPLES)
def test_an_imported_run_survives_our_own_formats(name: str, form: str, tmp_path: Path) -> None:
    for run in read(sample(name)).runs:
        trace = ExecutionTrace.from_events(run.events)
        (again,) = read(exported(trace, form, tmp_path)).runs
        assert again.run_id == run.run_id
        assert ExecutionTrace.from_events(again.events) == trace


@pytest.mark.parametrize("seed", SEEDS)
def test_the_document_is_the_one_that_the_trace_itself_gives(seed: int) -> None:
    for trace in (random_trace(seed), random_trace(seed, steps=0), ExecutionTrace(run_id="x")):
        out = io.BytesIO()
        trace_json.write(trace, out)
        assert out.getvalue() == trace.to_json(indent=2)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_timeline_is_the_events_of_the_trace_in_its_order(seed: int) -> None:
    trace = random_trace(seed, step_ns=900)
    assert [event for event, _ in timeline(trace)] == trace.to_events()
    for event, node in timeline(trace):
        is_boundary = event.event.startswith("node_")
        assert (node is not None) == is_boundary
        assert node is None or (node.span_id, node.node_id) == (event.span_id, event.node_id)


def test_an_end_that_another_clock_put_before_its_start_stays_an_end() -> None:
    made = Recording()
    made.now_ns = 5_000_000
    made.start("s", node="n")
    made.now_ns = 1_000_000
    made.end("s")
    trace = made.trace()
    assert [event for event, _ in timeline(trace)] == trace.to_events()


def test_lines_that_exist_are_passed_through_as_they_are() -> None:
    lines = [b'{"b":1,  "a":2}', b'{"timestamp":"2026-11-21T00:00:00Z"}']
    out = io.BytesIO()
    jsonl.write_lines(lines, out)
    assert out.getvalue() == b"\n".join(lines) + b"\n"


def test_unknown_events_fields_and_envelopes_survive() -> None:
    line = (
        b'{"timestamp":"2027-01-01T00:00:00.000001Z","run_id":"%s","event":"from_the_future","level":"INFO",'
        b'"span_id":"00000000000000aa","writer":"w","seq":1,"data":{"x":[1,{"y":null}]},"tenant":"t"}'
        % RUN_ID.encode()
    )
    event = decode_event(line)
    assert event is not None
    out = io.BytesIO()
    jsonl.write(ExecutionTrace.from_events([event]), out)
    assert out.getvalue() == line + b"\n"


def test_a_filtered_stream_gets_no_start_that_it_does_not_have(tmp_path: Path) -> None:
    trace = random_trace(1)
    ends = [event for event in trace.to_events() if event.event == "node_completed"]
    path = tmp_path / "ends.jsonl"
    path.write_bytes(b"".join(encode_event(event) + b"\n" for event in ends))
    (run,) = read(path, format_name="jsonl").runs
    assert run.events == ends


def test_a_segment_of_the_journal_is_read_without_its_bookkeeping(tmp_path: Path) -> None:
    events = random_trace(2).to_events()
    lines = [encode_event(event) for event in events]
    path = tmp_path / "segment.jsonl"
    header, seal = b'{"clew":"segment","writer":"w1","schema_version":1}', b'{"clew":"seal","writer":"w1"}'
    path.write_bytes(b"\n".join([header, *lines, seal, b"\0" * 4096]))
    imported = read(path)
    assert (imported.format, imported.skipped) == ("jsonl", 0)
    assert imported.runs[0].events == events


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_a_run_id_that_cannot_be_ours_is_replaced_and_kept(form: str, tmp_path: Path) -> None:
    events = random_trace(3).to_events()
    for event in events:
        event.run_id = "../../etc"
    path = exported(ExecutionTrace.from_events(events), form, tmp_path)
    (run,) = read(path).runs
    assert len(run.run_id) == 32
    assert run.original_run_id == "../../etc"
    assert {event.run_id for event in run.events} == {run.run_id}
    assert ExecutionTrace.from_events(run.events).attributes["original_run_id"] == "../../etc"


def test_a_second_start_under_the_same_id_is_a_second_run(tmp_path: Path) -> None:
    def lines(second: int) -> list[bytes]:
        names = ["workflow_started", "node_started", "node_completed", "workflow_completed"]
        return [
            msgspec.json.encode(
                {
                    "timestamp": f"2026-01-01T00:00:{second}.{milli}00Z",
                    "run_id": "fixed",
                    "event": name,
                    "node_id": "n" if name.startswith("node") else None,
                }
            )
            for milli, name in enumerate(names)
        ]

    path = tmp_path / "appended.jsonl"
    path.write_bytes(b"\n".join([*lines(10), *lines(20), *lines(10)]))
    first, second = read(path).runs
    assert first.original_run_id == second.original_run_id == "fixed"
    assert first.run_id != second.run_id
    assert [event.event for event in first.events] == [event.event for event in second.events]
    assert len(first.events) == 4


def test_an_end_belongs_to_the_start_that_its_duration_fits(tmp_path: Path) -> None:
    def line(milli: int, event: str, **data: object) -> bytes:
        at = f"2026-01-01T00:00:00.{milli:03}Z"
        return msgspec.json.encode(
            {"timestamp": at, "run_id": "r", "event": event, "node_id": "n", "data": data}
        )

    path = tmp_path / "parallel.jsonl"
    starts = [line(0, "node_started", k=0), line(10, "node_started", k=1), line(20, "node_started", k=2)]
    ends = [line(30, "node_completed", duration_ms=10), line(41, "node_completed", duration_ms=41)]
    path.write_bytes(b"\n".join([*starts, *ends, line(50, "node_failed")]))
    trace = ExecutionTrace.from_events(read(path).runs[0].events)
    assert [(node.extra["k"], node.status, (node.duration_ns or 0) // 10**6) for node in trace.nodes] == [
        (0, "completed", 41),
        (1, "failed", 40),
        (2, "completed", 10),
    ]


def test_events_are_equal_only_if_they_say_the_same() -> None:
    one, other = random_trace(4).to_events()[:2]
    assert isinstance(one, Event)
    assert one != other
