"""What `clew run --artifacts` writes has the shapes of what the original wrote for the same project."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.cli.conftest import program
from tests.export.sample_files import sample
from tests.workflow.commands import run

pytestmark = pytest.mark.needs_extra("workflow")

LOOP = "trident/projects/loop/original.dot-trident/runs/loop1"


def shape(value: object) -> object:
    """Return keys in their order and kinds of values; of a date, how long it is."""
    if isinstance(value, dict):
        return [(name, shape(item)) for name, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str) and value.startswith("20"):
        return ("date", len(value))
    return type(value).__name__


def test_a_loop_leaves_the_files_that_the_original_leaves(tmp_path: Path) -> None:
    shutil.copytree(sample("trident/projects/loop"), tmp_path / "loop")
    folder = tmp_path / "artifacts"
    assert run(tmp_path / "loop", "-i", '{"n": 0}', "--artifacts", folder).returncode == 0
    source = sample(LOOP)
    for name in ("trace.json", "checkpoint.json", "outputs.json", "metadata.json"):
        made, original = (
            json.loads((place / name).read_text(encoding="utf-8")) for place in (folder, source)
        )
        if name == "trace.json":
            # What Trident hands through a branch that it skips, Clew does not record.
            for document in (made, original):
                document["nodes"][2] |= {"input": {}, "output": {}}
        if name == "checkpoint.json":
            assert made.pop("branch_states") == {"loop": 2}
            assert original.pop("branch_states") == {}  # written by the original in resumed runs only
        assert shape(made) == shape(original), name
    assert json.loads((folder / "metadata.json").read_text())["entrypoint"] == "input"
    rounds = sorted(path.name for path in (folder / "branches" / "loop").iterdir())
    assert rounds == sorted(path.name for path in (source / "branches" / "loop").iterdir())


def test_artifacts_are_imported_elsewhere_as_the_runs_that_they_are_of(tmp_path: Path) -> None:
    shutil.copytree(sample("trident/projects/loop"), tmp_path / "loop")
    assert run(tmp_path / "loop", "-i", '{"n": 0}', "--artifacts", tmp_path / "made").returncode == 0
    (home,) = (path for path in (tmp_path / ".clew", tmp_path / "loop" / ".clew") if path.exists())
    other = tmp_path / "other"
    assert program(["import", tmp_path / "made", "--home", other]).code == 0
    here, there = Store(home), Store(other)
    rows = {row.run_id: row for row in there.runs()}
    assert len(rows) == 4
    for row in here.runs():
        again = there.trace(row.run_id)
        assert rows[row.run_id].parent_run_id == row.parent_run_id
        assert [(n.node_id, n.status, n.outputs or {}) for n in again.nodes] == [
            (n.node_id, n.status, n.outputs or {}) for n in here.trace(row.run_id).nodes
        ]


def test_a_file_where_a_folder_should_be_is_refused_before_anything_runs(tmp_path: Path) -> None:
    shutil.copytree(sample("trident/projects/loop"), tmp_path / "loop")
    path = tmp_path / "file"
    path.write_text("mine", encoding="utf-8")
    home = tmp_path / "home"
    done = run(tmp_path / "loop", "-i", '{"n": 0}', "--artifacts", path, CLEW_HOME=str(home))
    assert (done.returncode, done.stdout, home.exists()) == (2, "", False)
    assert "--artifacts" in done.stderr
    assert path.read_text(encoding="utf-8") == "mine"
