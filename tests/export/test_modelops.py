"""ModelOps' spans, read and written: every number to the last digit, and nothing that time does not say."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clew.export.contract import Imported
from clew.export.formats import exporter, read
from clew.export.modelops import write_spans, write_summary
from clew.model.trace import ExecutionTrace
from tests.export.made_traces import random_trace
from tests.export.sample_files import SPANS, json_lines, ordered, sample

ANCHOR = datetime(2025, 1, 4, 12, 0, 0, tzinfo=UTC)
Line = dict[str, Any]


def span(name: str, start: float, end: float | None, **fields: Any) -> Line:
    duration = None if end is None else end - start
    line = {
        "name": name,
        "start_time": start,
        "end_time": end,
        "duration": duration,
        "metrics": {},
        "tags": {},
    }
    return {**line, **fields}


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., Imported]:
    def import_lines(*lines: Line, anchor: datetime | None = ANCHOR) -> Imported:
        path = tmp_path / "spans.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return read(path, format_name="modelops", anchor=anchor)

    return import_lines


def trace_of(imported: Imported) -> ExecutionTrace:
    (run,) = imported.runs
    return ExecutionTrace.from_events(run.events)


def written(write: Callable[[ExecutionTrace, io.BytesIO], None], trace: ExecutionTrace) -> str:
    out = io.BytesIO()
    write(trace, out)
    return out.getvalue().decode()


def parents(trace: ExecutionTrace) -> dict[str, str | None]:
    names = {node.span_id: node.node_id for node in trace.nodes}
    return {node.node_id: names.get(node.parent_id) for node in trace.nodes}


def test_every_field_of_a_span_is_in_its_execution() -> None:
    path = sample(SPANS)
    lines = json_lines(path.read_text(encoding="utf-8"))
    imported = read(path, anchor=ANCHOR)
    trace = trace_of(imported)
    first = min(line["start_time"] for line in lines)
    by_start = sorted(lines, key=lambda line: line["start_time"])
    assert (imported.format, imported.skipped, len(trace.nodes)) == ("modelops", 0, len(lines))
    for node, line in zip(trace.nodes, by_start, strict=True):
        tags = dict(line["tags"])
        if "error" in tags:
            assert node.status == "failed"
            assert node.error is not None
            assert (node.error.error_type, node.error.message) == (tags.pop("error"), tags.pop("error_msg"))
        else:
            assert node.status == "completed"
        assert (node.node_id, node.metrics, node.attributes) == (line["name"], line["metrics"], tags)
        assert node.started_at == ANCHOR + timedelta(seconds=line["start_time"] - first)
        assert node.ended_at == ANCHOR + timedelta(seconds=line["end_time"] - first)
        assert node.duration_ns == round(line["duration"] * 1e9)
        kept = (node.extra["start_time"], node.end_extra["end_time"], node.end_extra["duration"])
        assert kept == (line["start_time"], line["end_time"], line["duration"])


def test_the_span_that_holds_all_others_is_where_the_run_begins_and_ends() -> None:
    trace = trace_of(read(sample(SPANS), anchor=ANCHOR))
    assert (trace.name, trace.kind, trace.status) == ("job-abc123", "simulation", "completed")
    assert trace.duration_ns == trace.nodes[0].duration_ns
    assert trace.attributes["original_run_id"] == "job-abc123"
    assert trace.attributes["clock"] == "relative"
    assert set(parents(trace).values()) == {None, "job.simulation"}
    assert parents(trace)["job.simulation"] is None


def test_written_again_the_sample_is_the_same(tmp_path: Path) -> None:
    path = sample(SPANS)
    trace = trace_of(read(path))
    write_directory = exporter("modelops").write_directory
    assert write_directory is not None
    summary, spans = write_directory(trace, tmp_path / "job-abc123")
    assert sorted(file.name for file in (tmp_path / "job-abc123").iterdir()) == [
        "spans.jsonl",
        "summary.json",
    ]
    assert [ordered(line) for line in json_lines(spans.read_text())] == [
        ordered(line) for line in json_lines(path.read_text())
    ]
    original = (path.parent / "summary.json").read_text()
    assert ordered(json.loads(summary.read_text())) == ordered(json.loads(original))
    # The one difference in the text: a metric is a float here, and the original had a whole number.
    assert summary.read_text() == original.replace('"sum": 3,', '"sum": 3.0,')


def test_a_second_import_gives_the_same_events_whatever_date_the_file_has() -> None:
    first, second = read(sample(SPANS)), read(sample(SPANS))
    assert first == second
    moved = read(sample(SPANS), anchor=ANCHOR)
    ids = [(event.run_id, event.span_id, event.writer, event.seq) for event in first.runs[0].events]
    assert ids == [(event.run_id, event.span_id, event.writer, event.seq) for event in moved.runs[0].events]


def test_without_an_anchor_the_dates_cannot_be_taken_for_real_ones() -> None:
    assert trace_of(read(sample(SPANS))).started_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_span_without_an_end_is_open_and_keeps_its_metrics(imported: Callable[..., Imported]) -> None:
    lines = [
        span("inner", 1.0, 2.0),
        span("killed", 0.5, None, metrics={"n": 3.0}, tags={"error": "a user's own", "x": "1"}),
    ]
    trace = trace_of(imported(*lines))
    killed = trace.nodes[0]
    assert (killed.node_id, killed.status, killed.ended_at) == ("killed", "running", None)
    assert (killed.extra["metrics"], killed.attributes) == ({"n": 3.0}, lines[1]["tags"])
    assert parents(trace) == {"inner": "killed", "killed": None}
    assert trace.status == "running"
    assert json_lines(written(write_spans, trace)) == lines


def test_work_of_two_threads_has_no_parent_where_time_fits_both(imported: Callable[..., Imported]) -> None:
    trace = trace_of(
        imported(
            span("in both", 3.0, 4.0),
            span("in the first", 1.5, 1.8),
            span("first", 1.0, 5.0),
            span("in the second", 6.0, 6.5),
            span("second", 2.0, 7.0),
            span("job", 0.0, 9.0, tags={"job_id": "j"}),
        )
    )
    assert parents(trace) == {
        "job": None,
        "first": "job",
        "second": "job",
        "in the first": "first",
        "in the second": "second",
        "in both": None,
    }
    ambiguous = {node.node_id for node in trace.nodes if node.attributes.get("clew.nesting") == "ambiguous"}
    assert ambiguous == {"in both"}
    assert all("clew.nesting" not in line["tags"] for line in json_lines(written(write_spans, trace)))


def test_a_span_inside_one_of_its_own_name_is_parallel_to_it(imported: Callable[..., Imported]) -> None:
    trace = trace_of(
        imported(
            span("simulation.execute", 2.0, 3.0),
            span("simulation.execute", 1.0, 4.0),
            span("job.simulation", 0.0, 5.0),
        )
    )
    outer, long, short = trace.nodes
    assert (long.parent_id, short.parent_id) == (outer.span_id, None)
    assert short.attributes == {"clew.nesting": "ambiguous"}


def test_a_file_of_several_jobs_holds_several_runs(imported: Callable[..., Imported]) -> None:
    later = [span("a", 11.0, 12.0), span("job.simulation", 10.0, 13.0, tags={"job_id": "later"})]
    earlier = [span("a", 1.0, 2.0), span("job.simulation", 0.5, 3.0, tags={"job_id": "earlier"})]
    other_machine = [span("calibration.job", 0.1, 0.2)]
    runs = imported(*earlier, *later, *other_machine).runs
    assert [run.original_run_id for run in runs] == ["earlier", "later", None]
    assert [run.ended for run in runs] == [True, True, True]
    assert len({run.run_id for run in runs}) == 3
    turned = imported(*later, *earlier).runs
    assert [run.run_id for run in turned] == [runs[1].run_id, runs[0].run_id]


def test_a_file_appended_to_itself_holds_its_runs_once(imported: Callable[..., Imported]) -> None:
    lines = [span("a", 1.0, 2.0), span("b", 2.5, 4.0, tags={"k": "v"}), span("c", 5.0, 6.0)]
    once, twice = imported(*lines), imported(*lines, *lines)
    assert [run.run_id for run in twice.runs] == [once.runs[0].run_id] * 2
    both = [event for run in twice.runs for event in run.events]
    assert ExecutionTrace.from_events(both) == trace_of(once)


def test_metrics_that_are_no_numbers_come_back_as_they_were(imported: Callable[..., Imported]) -> None:
    metrics = {"loss": 0.5, "best": float("nan"), "label": "x", "none": None, "all": [1, 2]}
    trace = trace_of(imported(span("a", 0.0, 1.0, metrics=metrics)))
    assert trace.nodes[0].metrics["loss"] == 0.5
    assert math.isnan(trace.nodes[0].metrics["best"])
    (line,) = json_lines(written(write_spans, trace))
    assert line["metrics"] == {"loss": 0.5, "best": None, "label": "x", "none": None, "all": [1, 2]}
    summary = json.loads(written(write_summary, trace))
    assert summary["by_name"]["a"]["metrics"] == {"loss": {"mean": 0.5, "sum": 0.5, "count": 1}}


def test_fields_that_nobody_knows_are_kept(imported: Callable[..., Imported]) -> None:
    trace = trace_of(imported(span("a", 0.0, 1.0, worker="tcp://x", type="odd")))
    assert trace.nodes[0].extra["worker"] == "tcp://x"
    assert trace.nodes[0].extra["modelops"] == {"type": "odd"}
    assert trace.nodes[0].kind is None


def test_two_of_start_end_and_duration_are_enough(imported: Callable[..., Imported]) -> None:
    trace = trace_of(
        imported({"duration": 2, "name": "a", "start_time": 1}, {"name": "b", "end_time": 2.5, "duration": 1})
    )
    assert [(node.node_id, node.duration_ns) for node in trace.nodes] == [("a", 2 * 10**9), ("b", 10**9)]
    assert parents(trace) == {"a": None, "b": "a"}


def test_what_a_collector_gives_as_a_whole_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.json"
    spans = [span("a", 1.0, 2.0), span("b", 0.0, 3.0)]
    path.write_text(json.dumps({"spans": spans, "total_spans": 2, "total_duration": 4.0}, indent=2))
    imported = read(path)
    assert (imported.format, imported.skipped) == ("modelops", 0)
    assert parents(trace_of(imported)) == {"b": None, "a": "b"}


def expected_summary(spans: list[Line], job_type: str | None) -> Line:
    """Sum up as the requirement says, from nothing but the lines."""
    by_name: Line = {}
    for name in dict.fromkeys(line["name"] for line in spans):
        group = [line for line in spans if line["name"] == name]
        durations = [line["duration"] for line in group if line["duration"] is not None]
        known = bool(durations)
        by_name[name] = {
            "count": len(group),
            "total_duration": sum(durations),
            "mean_duration": sum(durations) / len(durations) if known else None,
            "max_duration": max(durations) if known else None,
            "min_duration": min(durations) if known else None,
        }
        metrics: dict[str, list[float]] = {}
        for line in group:
            for key, value in line["metrics"].items():
                metrics.setdefault(key, []).append(value)
        if metrics:
            by_name[name]["metrics"] = {
                key: {"mean": sum(values) / len(values), "sum": sum(values), "count": len(values)}
                for key, values in metrics.items()
            }
    return {
        "job_type": job_type,
        "total_spans": len(spans),
        "total_duration": sum(line["duration"] or 0 for line in spans),
        "by_name": by_name,
    }


@pytest.mark.parametrize("seed", range(8))
def test_a_run_of_ours_becomes_spans_and_the_sums_of_them(seed: int) -> None:
    trace = random_trace(seed)
    lines = json_lines(written(write_spans, trace))
    assert trace.started_at is not None
    assert sorted(line["name"] for line in lines) == sorted(node.node_id for node in trace.nodes)
    ends = [line["end_time"] for line in lines]
    closed = [end for end in ends if end is not None]
    assert ends == [*closed, *[None] * (len(ends) - len(closed))]
    ours = [node for node in trace.nodes if node.node_id == "main"]
    (main,) = [line for line in lines if line["name"] == "main"]
    assert main["start_time"] == pytest.approx(
        (ours[0].started_at or trace.started_at).timestamp() - BEGIN_S, abs=1e-6
    )
    for line in lines:
        assert list(line) == ["name", "start_time", "end_time", "duration", "metrics", "tags"]
        assert all(isinstance(tag, str) for tag in line["tags"].values())
    failed = [line for line in lines if "error" in line["tags"]]
    assert len(failed) == sum(node.status == "failed" for node in trace.nodes)
    assert all(line["tags"]["error_msg"] == "boom\nsecond line" for line in failed)
    assert json.loads(written(write_summary, trace)) == expected_summary(lines, "script")


BEGIN_S = random_trace(0, steps=0).started_at.timestamp()  # type: ignore[union-attr]  # it has a start


def test_a_long_error_is_cut_as_the_original_cuts_it(imported: Callable[..., Imported]) -> None:
    trace = trace_of(imported(span("a", 0.0, 1.0, tags={"k": "v", "error": "E", "error_msg": "x" * 500})))
    (line,) = json_lines(written(write_spans, trace))
    assert ordered(line["tags"]) == [("k", "v"), ("error", "E"), ("error_msg", "x" * 200)]
