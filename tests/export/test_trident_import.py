"""What Trident recorded is read, and every field of its files is found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clew.export.contract import Imported
from clew.export.formats import read
from clew.model.events import Event, decode_event, encode_event
from clew.model.trace import ExecutionTrace
from tests.export.sample_files import RUN_FOLDERS, TELEMETRY, date, json_lines, sample


def traces(imported: Imported) -> list[ExecutionTrace]:
    return [ExecutionTrace.from_events(run.events) for run in imported.runs]


def recorded(imported: Imported) -> list[Event]:
    """Return the events that stand in the file, in its order, without the starts that were made."""
    events = [event for run in imported.runs for event in run.events]
    return [
        event for event in events if event.values().get("attributes", {}).get("start_recorded") is not False
    ]


@pytest.mark.parametrize("name", TELEMETRY)
def test_every_field_of_a_telemetry_line_is_in_its_event(name: str) -> None:
    path = sample(name)
    lines = json_lines(path.read_text(encoding="utf-8"))
    imported = read(path)
    assert imported.format == "trident"
    originals = {run.run_id: run.original_run_id for run in imported.runs}
    by_run = {run_id: [line for line in lines if line["run_id"] == run_id] for run_id in originals.values()}
    assert list(by_run) == list(dict.fromkeys(line["run_id"] for line in lines))
    events = recorded(imported)
    assert len(events) == len(lines)
    for run_id, original in originals.items():
        of_run = [event for event in events if event.run_id == run_id]
        for event, line in zip(of_run, by_run[original], strict=True):
            assert event.timestamp == date(line["timestamp"])
            assert (event.event, event.level, event.node_id) == (
                line["event"],
                line["level"],
                line.get("node_id"),
            )
            data = event.values()
            if event.event == "workflow_started":
                assert data.pop("attributes") == {"imported_from": "trident", "original_run_id": original}
            assert data == line["data"]
            assert set(line) <= {"timestamp", "run_id", "event", "level", "data", "node_id"}


@pytest.mark.parametrize("name", TELEMETRY)
def test_the_trace_says_of_each_node_what_the_lines_say(name: str) -> None:
    path = sample(name)
    lines = json_lines(path.read_text(encoding="utf-8"))
    for trace in traces(read(path)):
        original = trace.attributes["original_run_id"]
        of_run = [line for line in lines if line["run_id"] == original]
        starts = [line for line in of_run if line["event"] == "node_started"]
        assert [node.node_id for node in trace.nodes] == [line["node_id"] for line in starts]
        for node, start in zip(trace.nodes, starts, strict=True):
            end = next(line for line in of_run if line.get("node_id") == node.node_id and line is not start)
            assert f"node_{node.status}" == end["event"]
            assert (node.kind, node.started_at) == (start["data"]["type"], date(start["timestamp"]))
            assert node.ended_at == date(end["timestamp"])
            if node.status == "completed":
                assert node.duration_ns == end["data"]["duration_ms"] * 1_000_000
                assert node.usage is not None
                assert node.usage.input_tokens == end["data"]["input_tokens"]
            if node.status == "failed":
                assert node.error is not None
                assert node.error.message == end["data"]["error"]
                assert node.error.error_type == end["data"]["error_type"]
            if node.status == "skipped":
                assert node.skip == end["data"]


def test_text_around_the_lines_is_counted_and_not_read() -> None:
    path = sample("trident/projects/fail/original.stdout.txt")
    text = path.read_text(encoding="utf-8")
    before, _, printed = text.partition("=== Execution FAILED")
    blocks = [line for line in printed.splitlines() if line.strip()]
    in_outputs = len(["{", '"n": 1', "}"]) - 1  # the three lines of one JSON document
    assert read(path).skipped == len(blocks) - in_outputs
    assert len(recorded(read(path))) == len(before.splitlines())


@pytest.mark.parametrize("folder", RUN_FOLDERS)
def test_every_field_of_a_trace_file_is_in_the_trace(folder: str) -> None:
    path = sample(folder) / "trace.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    metadata: dict[str, Any] = json.loads((path.parent / "metadata.json").read_text(encoding="utf-8"))
    outputs: dict[str, Any] = json.loads((path.parent / "outputs.json").read_text(encoding="utf-8"))
    imported = read(path)
    (trace,) = traces(imported)
    assert (imported.format, imported.skipped) == ("trident", 0)
    assert imported.runs[0].original_run_id == document["run_id"]
    assert (trace.started_at, trace.ended_at) == (date(document["start_time"]), date(document["end_time"]))
    assert (trace.status, trace.error) == ("completed", None)
    assert (trace.name, trace.inputs, trace.outputs) == (
        metadata["project_name"],
        metadata["inputs"],
        outputs,
    )
    assert trace.attributes["project_root"] == metadata["project_root"]
    assert [node.node_id for node in trace.nodes] == [node["id"] for node in document["nodes"]]
    for node, source in zip(trace.nodes, document["nodes"], strict=True):
        assert (node.started_at, node.ended_at) == (date(source["start_time"]), date(source["end_time"]))
        assert node.inputs == source["input"]
        is_skipped = source["skipped"]
        assert node.status == ("skipped" if is_skipped else "completed")
        assert (node.end_extra.get("outputs") if is_skipped else node.outputs) == source["output"]
        assert node.model == source["model"]
        tokens = (
            {}
            if node.usage is None
            else {"input": node.usage.input_tokens, "output": node.usage.output_tokens}
        )
        assert tokens == source["tokens"]
        assert node.cost_usd == source["cost_usd"]
        assert node.end_extra.get("session_id") == source["session_id"]
        assert node.end_extra["num_turns"] == source["num_turns"]


def test_a_node_of_a_trace_file_that_failed_keeps_its_error(tmp_path: Path) -> None:
    node = {
        "id": "boom",
        "start_time": "2026-11-21T04:09:49.439327+00:00",
        "end_time": "2026-11-21T04:09:49.440267+00:00",
        "error": "bad n",
        "error_type": "ToolError",
        "tokens": {"input": 3, "output": 4, "cache_read": 2},
        "cost_usd": 0.5,
        "retries": 2,
    }
    late = {
        "id": "late",
        "start_time": "2026-11-21T04:09:49.440300+00:00",
        "end_time": None,
        "input": {"n": 1},
    }
    document = {
        "run_id": "f1",
        "start_time": "2026-11-21T04:09:49.435785+00:00",
        "end_time": "2026-11-21T04:09:49.441075+00:00",
        "error": "Node 'boom' failed",
        "nodes": [node, late],
        "host": "a",
    }
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(document, indent=4), encoding="utf-8")
    (trace,) = traces(read(path))
    assert (trace.status, trace.duration_ns) == ("failed", 5_290_000)
    assert trace.error is not None
    assert trace.error.message == "Node 'boom' failed"
    boom, open_node = trace.nodes
    assert boom.error is not None
    assert (boom.error.message, boom.error.error_type, boom.duration_ns) == ("bad n", "ToolError", 940_000)
    assert boom.usage is not None
    assert (boom.usage.input_tokens, boom.usage.output_tokens, boom.cost_usd) == (3, 4, 0.5)
    assert (boom.end_extra["tokens"], boom.end_extra["retries"]) == ({"cache_read": 2}, 2)
    assert (open_node.status, open_node.inputs, open_node.ended_at) == ("running", {"n": 1}, None)
    assert trace.boundaries[0].values()["host"] == "a"


def test_runs_inside_a_branch_are_runs_of_their_own_under_the_run_that_branched() -> None:
    imported = read(sample("trident/projects/loop/original.stdout.txt"))
    outer, *inner = traces(imported)
    assert [run.ended for run in imported.runs] == [True, False, False, False]
    for trace in inner:
        assert trace.attributes["start_recorded"] is False
        assert trace.attributes["parent_run"] == "derived from time"
        assert (trace.parent_run_id, trace.root_run_id, trace.depth) == (outer.run_id, outer.run_id, 1)
        assert trace.started_at == trace.nodes[0].started_at


def test_a_run_of_which_two_others_could_be_the_origin_has_none(tmp_path: Path) -> None:
    def line(second: str, run: str, event: str, node: str, kind: str = "branch") -> dict[str, Any]:
        at = f"2026-01-01T00:00:{second}.000Z"
        return {"timestamp": at, "run_id": run, "event": event, "node_id": node, "data": {"type": kind}}

    lines = [
        line("01", "a", "node_started", "loop"),
        line("02", "b", "node_started", "loop"),
        line("03", "inner", "node_started", "x", "tool"),
        line("04", "inner", "node_completed", "x", "tool"),
        line("05", "a", "node_completed", "loop"),
        line("06", "b", "node_completed", "loop"),
    ]
    path = tmp_path / "two.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in lines), encoding="utf-8")
    inner = next(trace for trace in traces(read(path)) if trace.attributes["original_run_id"] == "inner")
    assert inner.parent_run_id is None


@pytest.mark.parametrize("name", [*TELEMETRY, *(f"{folder}/trace.json" for folder in RUN_FOLDERS)])
def test_a_second_import_gives_the_same_events_and_they_are_told_from_others(name: str) -> None:
    first, second = read(sample(name)), read(sample(name))
    assert first == second
    keys = [(event.writer, event.seq) for run in first.runs for event in run.events]
    assert None not in {part for key in keys for part in key}
    assert len(set(keys)) == len(keys)
    for run in first.runs:
        assert len(run.run_id) == 32
        assert int(run.run_id, 16)
        assert [event.seq for event in run.events] == list(range(1, len(run.events) + 1))
        twice = ExecutionTrace.from_events([*run.events, *run.events])
        assert twice == ExecutionTrace.from_events(run.events)


@pytest.mark.parametrize("name", TELEMETRY)
def test_a_file_that_has_grown_keeps_the_numbers_of_what_was_there(name: str, tmp_path: Path) -> None:
    whole = sample(name).read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path / "growing.jsonl"
    path.write_text("".join(whole), encoding="utf-8")
    last = {(event.writer, event.seq): encode_event(event) for run in read(path).runs for event in run.events}
    path.write_text("".join(whole[: len(whole) // 2]), encoding="utf-8")
    for run in read(path).runs:
        for event in run.events:
            # The start that stands for a missing one may learn what started it; all else is the same.
            if event.event != "workflow_started":
                assert last[event.writer, event.seq] == encode_event(event)


@pytest.mark.parametrize("name", TELEMETRY)
def test_imported_events_are_lines_of_the_public_form(name: str) -> None:
    for run in read(sample(name)).runs:
        for event in run.events:
            line = encode_event(event)
            assert b"\n" not in line
            assert decode_event(line) == event


@pytest.mark.parametrize("seconds", [(1, 2), (1,)])
def test_two_runs_of_the_same_times_are_not_each_other_s_origin(
    seconds: tuple[int, ...], tmp_path: Path
) -> None:
    lines = [
        {"timestamp": f"2026-01-01T00:00:0{second}Z", "run_id": run, "event": event, "node_id": "n"}
        for second, event in zip(seconds, ("node_started", "node_completed"), strict=False)
        for run in ("a", "b")
    ]
    path = tmp_path / "twins.jsonl"
    path.write_text(
        "\n".join(json.dumps({**line, "data": {"type": "trigger"}}) for line in lines), encoding="utf-8"
    )
    one, other = traces(read(path))
    assert (one.parent_run_id, other.parent_run_id) in {
        (None, None),
        (other.run_id, None),
        (None, one.run_id),
    }


def test_the_neighbours_of_a_trace_file_are_used_only_if_they_are_of_its_run(tmp_path: Path) -> None:
    begin = "2026-01-01T00:00:01.000000+00:00"
    document: dict[str, Any] = {
        "run_id": "mine",
        "start_time": begin,
        "end_time": begin,
        "error": None,
        "nodes": [],
    }
    (tmp_path / "trace.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "outputs.json").write_text('{"output": {"n": 1}}', encoding="utf-8")
    for run_id, name in (("mine", "project"), ("another", None)):
        metadata = {"run_id": run_id, "project_name": "project", "inputs": {"n": 0}}
        (tmp_path / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
        (trace,) = traces(read(tmp_path / "trace.json"))
        assert (trace.name, trace.inputs is None, trace.outputs is None) == (name, name is None, name is None)
    (tmp_path / "metadata.json").write_bytes(b"\xff{[")
    assert traces(read(tmp_path / "trace.json"))[0].status == "completed"
