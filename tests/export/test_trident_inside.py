"""The runs inside branches and triggers are written where Trident has them, and read back from there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clew.export.formats import exporter, read
from clew.model.trace import ExecutionTrace
from tests.export.sample_files import ordered, sample

LOOP = "trident/projects/loop/original.dot-trident/runs/loop1"


def written(trace: ExecutionTrace, inside: list[ExecutionTrace], folder: Path) -> int:
    chosen = exporter("trident")
    assert chosen.write_directory is not None
    assert chosen.write_inside is not None
    chosen.write_directory(trace, folder)
    paths, left_out = chosen.write_inside(trace, inside, folder)
    assert all(path.is_file() for path in paths)
    return left_out


def test_the_rounds_of_a_loop_come_out_where_the_original_has_them(tmp_path: Path) -> None:
    source = sample(LOOP)
    outer, *inner = [ExecutionTrace.from_events(run.events) for run in read(source).runs]
    assert written(outer, inner, tmp_path) == 0
    originals = {path.relative_to(source) for path in source.rglob("*.json")}
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.json")}
    assert made == originals
    for path in originals:
        one, other = (json.loads((root / path).read_text(encoding="utf-8")) for root in (tmp_path, source))
        if path.name in ("trace.json", "outputs.json"):
            assert ordered(one) == ordered(other), path
        else:
            assert list(one) == list(other), path
        if path.name.startswith("iteration_"):
            assert {**one, "started_at": 0, "ended_at": 0} == {**other, "started_at": 0, "ended_at": 0}
    again = read(tmp_path)
    assert [run.run_id for run in again.runs] == [outer.run_id, *(trace.run_id for trace in inner)]
    parents = [ExecutionTrace.from_events(run.events).parent_run_id for run in again.runs]
    assert parents == [None, *[outer.run_id] * 3]


@pytest.mark.parametrize("node", ["../up", "", "a/b", None, 7])
def test_a_run_without_a_node_that_can_be_a_folder_has_no_place(node: object, tmp_path: Path) -> None:
    outer, inner, *_ = [ExecutionTrace.from_events(run.events) for run in read(sample(LOOP)).runs]
    inner.attributes["node"] = node
    assert written(outer, [inner], tmp_path / "run") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not any(path.is_dir() for path in (tmp_path / "run").iterdir())
