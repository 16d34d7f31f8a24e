"""`clew graph` draws a project on standard output or into a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import Done
from tests.export.sample_files import sample
from tests.workflow.written_projects import write

pytestmark = pytest.mark.needs_extra("workflow")
Call = Callable[..., Done]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = "name: two\nedges: {a: {from: start, to: end, condition: x < 3, mapping: {y: x}}}\n"
    return write(tmp_path, {"clew.yaml": text})


def test_the_text_has_levels_fields_and_conditions(call: Call, here: Path) -> None:
    drawn = "two: 2 nodes, 1 edge\n\n1  start  input\n     └─▶ end    y = x  if x < 3\n2  end    output\n"
    assert call("graph") == Done(0, drawn, "")
    assert call("graph", "clew.yaml", "-o", "graph.txt") == Done(0, "", "clew: wrote graph.txt\n")
    assert (here / "graph.txt").read_text() == drawn


def test_mermaid_and_svg_are_written_whole(call: Call, here: Path) -> None:
    assert call("graph", "--to", "mermaid").out.startswith("flowchart TD\n")
    out = call("graph", "--to", "svg").out
    ET.fromstring(out)
    assert call("graph", "--to", "svg", "-o", "graph.svg").code == 0
    assert (here / "graph.svg").read_text() == out


def test_json_has_the_nodes_and_edges_themselves(call: Call, here: Path) -> None:
    assert json.loads(call("graph", "--json").out) == {
        "name": "two",
        "nodes": [
            {"id": "start", "kind": "input", "level": 1, "about": ""},
            {"id": "end", "kind": "output", "level": 2, "about": ""},
        ],
        "edges": [
            {"id": "a", "source": "start", "target": "end", "mapping": {"y": "x"}, "condition": "x < 3"},
        ],
    }
    assert call("graph", "--json", "-o", "x").code == 2


@pytest.mark.parametrize("name", ["fail", "par", "loop", "ticket"])
@pytest.mark.parametrize("form", ["text", "mermaid", "svg"])
def test_a_real_project_of_trident_is_drawn(call: Call, name: str, form: str) -> None:
    done = call("graph", sample(f"trident/projects/{name}"), "--to", form)
    assert (done.code, done.err) == (0, "")
    assert "input" in done.out


def test_a_project_that_cannot_be_read_is_told_line_by_line(call: Call, here: Path) -> None:
    write(here, {"clew.yaml": "nodes: {a: {type: x}}\n"})
    done = call("graph")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "clew: clew.yaml:1: a manifest needs a 'name'\n"
        "clew: clew.yaml:1: type of node 'a' is 'x', and may be input, output, prompt, agent, branch or trigger\n"
    )


def test_a_file_that_cannot_be_written_is_one_sentence(call: Call, here: Path) -> None:
    assert call("graph", "-o", "no/graph.txt") == Done(2, "", "clew: --output: there is no folder no\n")
    assert call("graph", "--to", "png").code == 2


@pytest.mark.parametrize("form", ["text", "mermaid", "svg"])
def test_a_dash_is_standard_output(call: Call, here: Path, form: str) -> None:
    project = sample("trident/projects/par")
    assert call("graph", project, "--to", form, "-o", "-") == call("graph", project, "--to", form)
    assert not Path("-").exists()
