"""Outputs are published whole, inside the project, and what keeps them from it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workflow.commands import run
from tests.workflow.written_projects import judged, write

pytestmark = pytest.mark.needs_extra("workflow")

MANIFEST = """name: n
nodes: {i: {type: input}, o: {type: output}}
tools: {t: {type: python, module: t, function: f}}
edges: {a: {from: i, to: t}, b: {from: t, to: o}}
orchestration: {publish: {WANTED}}
"""


def project(folder: Path, wanted: str, tool: str = "def f(): return {'a': 1}\n") -> Path:
    return write(folder / "inner", {"clew.yaml": MANIFEST.replace("WANTED", wanted), "tools/t.py": tool})


@pytest.mark.parametrize(
    "wanted, said",
    [
        ("path: .", "the path to publish to '.' is a folder; name a file in it"),
        ("path: tools/", "the path to publish to 'tools/' is a folder; name a file in it"),
        ("path: clew.yaml/x", "the path to publish to 'clew.yaml/x' leads through a file"),
        ("path: " + "y" * 300, f"the path to publish to '{'y' * 40}'... is longer than the name of a file may be"),
        ("path: " + "y/" * 3_000, f"the path to publish to '{'y/' * 20}'... is longer than the name of a file may be"),
        ("alias: " + "é" * 150, f"the alias '{'é' * 60}' is no plain name"),
    ],
)  # fmt: skip
def test_where_no_file_can_be_nothing_is_published_to(tmp_path: Path, wanted: str, said: str) -> None:
    folder = project(tmp_path, wanted)
    assert judged(folder) == [f"clew.yaml:5: {said}"]
    before = sorted(tmp_path.rglob("*"))
    assert run(folder, CLEW_HOME=str(tmp_path / "home")).returncode == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_outputs_that_cannot_be_published_are_told_and_leave_nothing_half_written(tmp_path: Path) -> None:
    """The run itself is none the worse."""
    tool = "import pathlib\ndef f():\n    pathlib.Path(__file__).parents[1].joinpath('out').mkdir()\n    return {'a': 1}\n"
    folder = project(tmp_path, "path: out, alias: result", tool)
    home = tmp_path / "home"
    done = run(folder, CLEW_HOME=str(home))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"o": {"a": 1}})
    assert f"the outputs could not be published to {folder / 'out'}: Is a directory" in done.stderr
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert json.loads((home / "outputs" / "result.json").read_text()) == {"o": {"a": 1}}
