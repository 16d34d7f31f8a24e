"""Runs in Trident's files: the same keys in the same order as its own, and the same values where a run has them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from clew.export.formats import exporter, read
from clew.export.trident import FILES, write_checkpoint
from clew.export.trident_lines import write_telemetry
from clew.model.trace import ExecutionTrace
from tests.export.made_traces import Recording, random_trace
from tests.export.sample_files import RUN_FOLDERS, TELEMETRY, json_lines, ordered, sample


def telemetry(trace: ExecutionTrace) -> str:
    out = io.BytesIO()
    write_telemetry(trace, out)
    return out.getvalue().decode()


def files_of(trace: ExecutionTrace, folder: Path) -> dict[str, Any]:
    write_directory = exporter("trident").write_directory
    assert write_directory is not None
    paths = write_directory(trace, folder)
    assert [path.name for path in paths] == list(FILES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    return {path.name: json.loads(path.read_text()) for path in paths if path.suffix == ".json"}


@pytest.mark.parametrize("name", TELEMETRY)
def test_telemetry_lines_come_out_byte_for_byte(name: str) -> None:
    path = sample(name)
    originals = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith('{"')]
    for run in read(path).runs:
        lines = telemetry(ExecutionTrace.from_events(run.events)).splitlines()
        assert lines == [line for line in originals if json.loads(line)["run_id"] == run.original_run_id]


@pytest.mark.parametrize("folder", RUN_FOLDERS)
def test_the_files_of_a_run_come_out_with_the_same_keys_and_values(folder: str, tmp_path: Path) -> None:
    source = sample(folder)
    (run,) = read(source / "trace.json").runs
    trace = ExecutionTrace.from_events(run.events)
    made = files_of(trace, tmp_path / "run")
    originals = {name: json.loads((source / name).read_text()) for name in made}
    # The moment at which Trident wrote this file is in no trace, and nor is where a run was meant to enter.
    originals["metadata.json"]["started_at"] = originals["trace.json"]["start_time"]
    for name, original in originals.items():
        assert ordered(made[name]) == ordered(original), name
    assert (tmp_path / "run" / "trace.json").read_text() == (source / "trace.json").read_text()
    assert (tmp_path / "run" / "checkpoint.json").read_text() == (source / "checkpoint.json").read_text()
    assert (tmp_path / "run" / "outputs.json").read_text() == (source / "outputs.json").read_text()


@pytest.mark.parametrize("name", TELEMETRY)
def test_what_was_written_is_read_as_the_same_run(name: str, tmp_path: Path) -> None:
    first = read(sample(name))
    path = tmp_path / "again.jsonl"
    texts = [telemetry(ExecutionTrace.from_events(run.events)) for run in first.runs]
    path.write_text("".join(texts), encoding="utf-8")
    again = read(path)
    assert again.skipped == 0
    assert [run.run_id for run in again.runs] == [run.run_id for run in first.runs]
    assert [len(run.events) for run in again.runs] == [len(run.events) for run in first.runs]


@pytest.mark.parametrize("seed", range(8))
def test_a_run_of_ours_gives_lines_that_readers_of_trident_know(seed: int) -> None:
    trace = random_trace(seed)
    keys = {
        "workflow_started": ["name", "entrypoint", "dry_run"],
        "workflow_completed": ["name", "duration_ms"],
        "node_started": ["type"],
        "node_completed": ["type", "duration_ms", "input_tokens", "output_tokens"],
        "node_failed": ["type", "error", "error_type"],
        "node_skipped": ["reason"],
    }
    lines = json_lines(telemetry(trace))
    for line in lines:
        envelope = [
            "timestamp",
            "run_id",
            "event",
            "level",
            "data",
            *(["node_id"] if "node_id" in line else []),
        ]
        assert list(line) == envelope
        assert list(line["data"]) == keys[line["event"]]
        assert line["run_id"] == trace.run_id
    ends = [line for line in lines if line["event"] == "node_completed"]
    done = {node.node_id for node in trace.nodes if node.status == "completed"}
    assert {line["node_id"] for line in ends} == done
    assert all(isinstance(line["data"]["duration_ms"], int) for line in ends)
    starts = [line["node_id"] for line in lines if line["event"] == "node_started"]
    assert starts == [node.node_id for node in trace.nodes]


@pytest.mark.parametrize("seed", range(4))
def test_the_files_of_a_run_of_ours_have_trident_s_keys(seed: int, tmp_path: Path) -> None:
    folder = sample(RUN_FOLDERS[0])
    trace = random_trace(seed)
    made = files_of(trace, tmp_path / "run")
    for name in ("trace.json", "checkpoint.json", "metadata.json"):
        assert list(made[name]) == list(json.loads((folder / name).read_text()))
    nodes = json.loads((folder / "trace.json").read_text())["nodes"]
    assert all(list(node) == list(nodes[0]) for node in made["trace.json"]["nodes"])
    assert [node["id"] for node in made["trace.json"]["nodes"]] == [node.node_id for node in trace.nodes]
    assert read(tmp_path / "run" / "trace.json").format == "trident"


def test_a_checkpoint_says_what_is_done_and_what_is_not() -> None:
    made = Recording()
    made.write("workflow_started", data={"name": "x", "entrypoint": "in", "inputs": {"n": 1}})
    for span, node in (("1", "loop"), ("2", "late"), ("3", "bad")):
        made.start(span, node=node)
        made.now_ns += 5_000_000
    made.inside("1", "branch_iteration", iteration=0)
    made.inside("1", "branch_iteration", iteration=1)
    made.end("1", outputs=[1, 2], cost_usd=0.5)
    made.end("3", name="node_failed", error="e", error_type="E")
    out = io.BytesIO()
    write_checkpoint(made.trace(), out)
    checkpoint = json.loads(out.getvalue())
    assert checkpoint["completed_nodes"]["loop"]["outputs"] == {"output": [1, 2]}
    assert checkpoint["pending_nodes"] == ["late", "bad"]
    assert checkpoint["branch_states"] == {"loop": 1}
    assert (checkpoint["status"], checkpoint["total_cost_usd"], checkpoint["entrypoint"]) == (
        "running",
        0.5,
        "in",
    )
    assert checkpoint["inputs"] == {"n": 1}


def test_a_skipped_node_keeps_what_its_trace_file_says_of_it(tmp_path: Path) -> None:
    node = {
        "id": "maybe",
        "start_time": "2026-11-21T04:09:49.167109+00:00",
        "end_time": "2026-11-21T04:09:49.167452+00:00",
        "input": {"n": 3},
        "output": {"n": 3},
        "model": "m",
        "tokens": {},
        "skipped": True,
        "error": None,
        "error_type": None,
        "cost_usd": None,
        "session_id": "s",
        "num_turns": 2,
    }
    begin, end = "2026-11-21T04:09:49.160000+00:00", "2026-11-21T04:09:49.170000+00:00"
    document = {"run_id": "r", "start_time": begin, "end_time": end, "error": None, "nodes": [node]}
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    trace = ExecutionTrace.from_events(read(path).runs[0].events)
    assert ordered(files_of(trace, tmp_path / "made")["trace.json"]) == ordered(document)


def test_a_run_that_was_told_no_entrypoint_has_its_input_node_there(tmp_path: Path) -> None:
    made = Recording()
    made.write("workflow_started", data={"name": "x"})
    for span, kind in (("1", "input"), ("2", "prompt")):
        made.start(span, node=f"my {kind}", type=kind)
        made.end(span, outputs={})
    files = files_of(made.trace(), tmp_path / "run")
    assert files["checkpoint.json"]["entrypoint"] == files["metadata.json"]["entrypoint"] == "my input"
    (started, *_) = json_lines(telemetry(made.trace()))
    assert started["data"]["entrypoint"] == "my input"


def test_a_skipped_node_of_ours_has_the_moment_at_which_it_was_skipped_twice(tmp_path: Path) -> None:
    """Trident's readers take both for dates."""
    made = Recording()
    made.write("workflow_started", data={"name": "x"})
    made.write(
        "node_skipped",
        span_id="9" * 16,
        node_id="late",
        data={"reason": "condition_false", "definition": "ab"},
    )
    files = files_of(made.trace(), tmp_path / "run")
    (node,) = files["trace.json"]["nodes"]
    assert node["start_time"] == node["end_time"] is not None
    (line,) = [line for line in json_lines(telemetry(made.trace())) if line["event"] == "node_skipped"]
    assert line["data"] == {"reason": "condition_false"}
