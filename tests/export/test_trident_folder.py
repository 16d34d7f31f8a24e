"""The folder of a run is one run, whatever of its files is there, and the runs inside it are runs below it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ImportFormatError
from clew.export.contract import Imported
from clew.export.formats import exporter, read
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from tests.export.made_traces import random_trace
from tests.export.sample_files import RUN_FOLDERS, date, sample

LOOP = "trident/projects/loop/original.dot-trident/runs/loop1"
BEGIN, END = "2026-01-01T00:00:01.000000+00:00", "2026-01-01T00:00:03.000000+00:00"


def traces(imported: Imported) -> list[ExecutionTrace]:
    return [ExecutionTrace.from_events(run.events) for run in imported.runs]


def document(folder: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return loaded


def checkpoint(**fields: object) -> dict[str, object]:
    done = {"outputs": {"n": 1}, "completed_at": END, "session_id": "s", "cost_usd": 0.5, "num_turns": 2}
    return {
        "run_id": "r",
        "project_name": "p",
        "started_at": BEGIN,
        "updated_at": END,
        "status": "completed",
        "completed_nodes": {"ask": done},
        "pending_nodes": [],
        "total_cost_usd": 0.5,
        "inputs": {"n": 0},
        "entrypoint": "in",
        "branch_states": {},
        **fields,
    }


def write(folder: Path, **files: object) -> Path:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", RUN_FOLDERS)
def test_a_folder_says_what_its_files_say(name: str) -> None:
    folder = sample(name)
    trace_file, metadata = document(folder, "trace.json"), document(folder, "metadata.json")
    imported = read(folder)
    trace = traces(imported)[0]
    assert (imported.format, imported.skipped, imported.unknown) == ("trident", 0, None)
    assert (trace.name, trace.inputs) == (metadata["project_name"], metadata["inputs"])
    assert trace.outputs == document(folder, "outputs.json")
    assert trace.boundaries[0].values()["entrypoint"] == metadata["entrypoint"]
    assert (trace.started_at, trace.ended_at) == (
        date(trace_file["start_time"]),
        date(trace_file["end_time"]),
    )
    assert [
        (node.node_id, node.outputs, node.inputs) for node in trace.nodes if node.status == "completed"
    ] == [(node["id"], node["output"], node["input"]) for node in trace_file["nodes"] if not node["skipped"]]


@pytest.mark.parametrize("name", ["hello-world", "branching", "tools"])
def test_the_telemetry_in_a_folder_adds_kinds_and_reasons(name: str) -> None:
    folder = sample(f"trident/{name}")
    (whole,) = traces(read(folder))
    (lines,) = traces(read(folder / f"{name}.telemetry.jsonl"))
    assert [(n.node_id, n.kind, n.status) for n in whole.nodes] == [
        (n.node_id, n.kind, n.status) for n in lines.nodes
    ]
    assert [n.skip for n in whole.nodes] == [n.skip for n in lines.nodes]
    assert whole.boundaries[0].values()["dry_run"] is True
    assert [e.event for e in whole.events] == [e.event for e in lines.events]


def test_runs_inside_a_branch_are_below_the_run_with_their_rounds() -> None:
    folder = sample(LOOP)
    outer, *inner = traces(read(folder))
    assert [trace.attributes["original_run_id"] for trace in inner] == [
        path.name
        for number in range(3)
        for path in (folder / f"branches/loop/iter_{number}/runs").iterdir()
        if path.is_dir()
    ]
    for number, trace in enumerate(inner):
        assert (trace.parent_run_id, trace.root_run_id, trace.depth) == (outer.run_id, outer.run_id, 1)
        assert (trace.attributes["node"], trace.attributes["iteration"]) == ("loop", number)
        assert (trace.inputs, trace.outputs) == ({"n": number}, {"output": {"n": number + 1}})
    rounds = [event for event in outer.nodes[1].events if event.event == "branch_iteration"]
    assert [event.values()["iteration"] for event in rounds] == [0, 1, 2]
    assert rounds[2].values()["outputs"] == {"output": {"n": 3}}


def test_runs_that_a_trigger_waited_for_are_below_the_run(tmp_path: Path) -> None:
    write(tmp_path, checkpoint=checkpoint())
    inside = tmp_path / "triggers" / "later" / "runs" / "x"
    inside.mkdir(parents=True)
    write(inside, checkpoint=checkpoint(run_id="x"))
    (inside / "branches").mkdir()
    (inside / "branches" / "b").mkdir()
    (inside / "branches" / "b" / "iter_0").mkdir()
    (inside / "branches" / "b" / "iter_0" / "runs").symlink_to(tmp_path / "triggers" / "later" / "runs")
    outer, inner = traces(read(tmp_path))
    assert (inner.parent_run_id, inner.attributes["node"]) == (outer.run_id, "later")


@pytest.mark.parametrize("path", ["trident/projects/loop/original.dot-trident", f"{LOOP}/.."])
def test_a_folder_of_runs_gives_each_of_them(path: str) -> None:
    assert read(sample(path)) == read(sample(LOOP))


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted"])
def test_a_checkpoint_gives_what_it_has_and_says_what_it_has_not(status: str, tmp_path: Path) -> None:
    write(tmp_path, checkpoint=checkpoint(status=status, pending_nodes=["late"]))
    for path in (tmp_path, tmp_path / "checkpoint.json"):
        imported = read(path)
        (trace,) = traces(imported)
        assert imported.unknown == (
            "a checkpoint has the nodes that completed, without their starts and inputs, and no errors"
        )
        assert (trace.status, trace.name, trace.inputs, trace.outputs) == (status, "p", {"n": 0}, None)
        assert (trace.started_at, trace.ended_at) == (date(BEGIN), date(END))
        assert trace.attributes["pending_nodes"] == ["late"]
        (node,) = trace.nodes
        assert (node.node_id, node.status, node.outputs) == ("ask", "completed", {"n": 1})
        assert (node.started_at, node.duration_ns, node.inputs, node.usage) == (None, None, None, None)
        assert (node.cost_usd, node.end_extra) == (0.5, {"session_id": "s", "num_turns": 2})


def test_metadata_alone_are_a_run_that_began(tmp_path: Path) -> None:
    name = "trident/hello-world/metadata.json"
    imported = read(sample(name))
    (trace,) = traces(imported)
    assert imported.unknown is not None
    assert "nodes, outputs and end are not known" in imported.unknown
    assert (trace.name, trace.inputs, trace.nodes, trace.ended_at) == (
        "hello-world",
        {"name": "Ada"},
        [],
        None,
    )
    shutil.copy(sample(name), tmp_path)
    assert [run.run_id for run in read(tmp_path).runs] == [trace.run_id]


def test_a_checkpoint_adds_what_a_trace_file_leaves_open(tmp_path: Path) -> None:
    nodes = [
        {"id": "ask", "start_time": BEGIN, "end_time": BEGIN},
        {"id": "ask", "start_time": BEGIN, "end_time": END},
    ]
    trace_file: dict[str, Any] = {
        "run_id": "r",
        "start_time": BEGIN,
        "end_time": END,
        "error": None,
        "nodes": nodes,
    }
    write(tmp_path, checkpoint=checkpoint(), trace=trace_file)
    imported = read(tmp_path)
    (trace,) = traces(imported)
    assert [node.cost_usd for node in trace.nodes] == [None, 0.5]
    assert (trace.name, trace.inputs, imported.unknown) == ("p", {"n": 0}, None)


def test_a_file_of_another_run_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    """A run that was resumed under a new id has the checkpoint of the old one."""
    metadata = {"run_id": "new", "project_name": "p", "project_root": "/p", "started_at": BEGIN, "inputs": {}}
    trace_file: dict[str, Any] = {
        "run_id": "new",
        "start_time": BEGIN,
        "end_time": END,
        "error": None,
        "nodes": [],
    }
    imported = read(write(tmp_path, checkpoint=checkpoint(run_id="old"), metadata=metadata, trace=trace_file))
    assert [run.original_run_id for run in imported.runs] == ["new"]
    assert imported.unknown == "checkpoint.json is of another run, old, and was left out"


@pytest.mark.parametrize(
    "content, told",
    [("{torn", "is not JSON"), ("[1]", "expected an object"), ('{"nodes": []}', "expected run_id")],
)
def test_a_folder_with_a_file_that_cannot_be_read_is_refused(content: str, told: str, tmp_path: Path) -> None:
    write(tmp_path, checkpoint=checkpoint())
    (tmp_path / "trace.json").write_text(content, encoding="utf-8")
    with pytest.raises(ImportFormatError, match=told) as refused:
        read(tmp_path)
    assert str(refused.value).startswith(str(tmp_path / "trace.json"))
    assert "\n" not in str(refused.value)


def tokens(of: ExecutionTrace | NodeExecution) -> tuple[int | None, int | None] | None:
    """Return tokens in and out, which is all that Trident has of them."""
    return None if of.usage is None else (of.usage.input_tokens, of.usage.output_tokens)


@pytest.mark.parametrize("odd", [None, 7, "x", [1], {"a": [1]}])
@pytest.mark.parametrize("field", list(checkpoint()))
def test_an_odd_field_of_a_checkpoint_is_a_refusal_or_a_run(field: str, odd: object, tmp_path: Path) -> None:
    write(tmp_path, checkpoint=checkpoint(**{field: odd}))
    try:
        runs = read(tmp_path).runs
    except ImportFormatError:
        assert field in ("run_id", "started_at")
    else:
        assert all(ExecutionTrace.from_events(run.events).to_json() for run in runs)


def of(node: NodeExecution) -> dict[str, Any]:
    """Return what an export for Trident must keep of a node."""
    return {
        "id": node.node_id,
        "kind": node.kind,
        "status": node.status,
        "inputs": node.inputs or {},
        "outputs": node.outputs or {},
        "error": None if node.error is None else (node.error.message, node.error.error_type),
        "tokens": tokens(node),
        "cost": node.cost_usd,
        "model": node.model,
        "skip": node.skip,
        "ended": node.ended_at,
    }


@pytest.mark.parametrize("seed", range(8))
def test_an_export_is_read_back_as_the_same_run(seed: int, tmp_path: Path) -> None:
    trace = random_trace(seed)
    write_directory = exporter("trident").write_directory
    assert write_directory is not None
    write_directory(trace, tmp_path / "run")
    (again,) = traces(read(tmp_path / "run"))
    assert [of(node) for node in again.nodes] == [of(node) for node in trace.nodes]
    assert (again.run_id, again.name, again.status, again.inputs or {}, again.outputs) == (
        trace.run_id,
        trace.name,
        trace.status,
        trace.inputs or {},
        trace.outputs,
    )
    assert tokens(again) == tokens(trace)
    assert again.cost_usd == trace.cost_usd
    assert (again.error and again.error.message) == (trace.error and trace.error.message)
