"""What a schema says of defaults is what a run does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.commands import CLEW, run
from tests.workflow.written_projects import judged, write

pytestmark = pytest.mark.needs_extra("workflow")


def result(folder: Path, given: dict[str, Any]) -> Any:
    """Return the output `o` of a run of a project that has no problems."""
    assert judged(folder) == []
    done = run(folder, "-i", json.dumps(given), "-o", "json", CLEW_HOME=str(folder / "home"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["outputs"]["o"]


@pytest.mark.parametrize(
    "field",
    ["{type: any, default: null}", "{type: string, default: null}", "{default: null, required: false}"],
)
def test_null_is_a_default_of_every_type(tmp_path: Path, field: str) -> None:
    manifest = (
        f"name: n\nnodes: {{i: {{type: input, schema: {{x: {field}}}}}, o: {{type: output}}}}\n"
        "edges: {a: {from: i, to: o, mapping: {y: x}}}\n"
    )
    assert result(write(tmp_path, {"clew.yaml": manifest}), {}) == {"y": None}


def test_defaults_inside_of_objects_and_lists_that_are_given_count(tmp_path: Path) -> None:
    field = "{type: object, fields: {x: integer, y: {type: integer, default: 7}}}"
    manifest = (
        f"name: n\nnodes:\n  i: {{type: input, schema: {{a: {field}, l: {{type: array, items: {field}}}, z: {{default: []}}}}}}\n"
        "  o: {type: output}\nedges: {a: {from: i, to: o}}\n"
    )
    given = {"a": {"x": 1}, "l": [{"x": 2}, {"x": 3, "y": 4}]}
    found = result(write(tmp_path, {"clew.yaml": manifest}), given)
    assert found == {"a": {"x": 1, "y": 7}, "l": [{"x": 2, "y": 7}, {"x": 3, "y": 4}], "z": []}


def tool(folder: Path, declared: str, text: str) -> Path:
    manifest = (
        "name: n\nnodes: {i: {type: input, schema: {a: integer}}, o: {type: output}}\n"
        f"tools: {{t: {{{declared}}}}}\n"
        "edges: {a: {from: i, to: t}, b: {from: t, to: o}}\n"
    )
    return write(folder, {"clew.yaml": manifest, "tools/t.py": text})


def test_a_tool_gets_the_defaults_of_its_parameters_anew_in_each_call(tmp_path: Path) -> None:
    declared = (
        "type: python, module: t, function: f, parameters: {a: integer, c: {type: array, default: [z]}}"
    )
    text = "def f(a, c):\n    c.append(a)\n    return {'c': c}\n"
    folder = tool(tmp_path, declared, text)
    assert result(folder, {"a": 1}) == {"c": ["z", 1]}
    (folder / "tools/t.py").write_text("def f(a, c): raise SystemExit('asked again')\n", encoding="utf-8")
    command = [*CLEW, "replay", "latest", "--home", str(folder / "home"), "-o", "json"]
    replayed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert json.loads(replayed.stdout)["outputs"]["o"] == {"c": ["z", 1]}, replayed.stderr


def test_a_default_for_what_a_function_does_not_take_is_told(tmp_path: Path) -> None:
    declared = "type: python, module: t, function: f, parameters: {a: integer, c: {type: string, default: z}}"
    said = "clew.yaml:3: tool 't' has a default for 'c', which f does not take"
    assert judged(tool(tmp_path / "fixed", declared, "def f(a): ...\n")) == [said]
    assert judged(tool(tmp_path / "open", declared, "def f(**all): ...\n")) == []


def test_a_field_that_an_answer_leaves_out_has_its_default(tmp_path: Path) -> None:
    manifest = (
        "name: n\ndefaults: {model: scripted, script: s.yaml}\n"
        "nodes: {i: {type: input, schema: {a: string}}, p: {type: prompt}, o: {type: output}}\n"
        "edges: {a: {from: i, to: p}, b: {from: p, to: o, mapping: {topic: topic, urgency: urgency}}}\n"
    )
    prompt = "---\noutput: {schema: {topic: string, urgency: {type: integer, required: false, default: 3}}}\n---\n{{a}}\n"
    files = {"clew.yaml": manifest, "prompts/p.prompt": prompt, "s.yaml": "answers: [{json: {topic: x}}]\n"}
    assert result(write(tmp_path, files), {"a": "b"}) == {"topic": "x", "urgency": 3}
