"""`clew validate` says everything that is wrong, and its exit code says whether that matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done
from tests.export.sample_files import sample
from tests.workflow.written_projects import write

pytestmark = pytest.mark.needs_extra("workflow")
Call = Callable[..., Done]

GOOD = "name: good\nnodes: {input: {type: input}, output: {type: output}}\nedges: {a: {from: input, to: output}}\n"
WARNED = f"{GOOD}tools: {{alone: {{type: python, module: t, function: f}}}}\n"
BROKEN = "name: broken\nnodes: {input: {type: inptu}}\nedges:\n  a: {to: output}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_valid_project_is_one_line_and_exit_code_0(call: Call, here: Path) -> None:
    write(here, {"clew.yaml": GOOD})
    assert call("validate") == Done(0, "good is valid: 2 nodes, 1 edge\n", "")
    assert call("validate", "clew.yaml").code == 0


@pytest.mark.parametrize("name", ["fail", "par", "loop", "ticket"])
def test_a_real_project_of_trident_is_valid(call: Call, name: str) -> None:
    done = call("validate", sample(f"trident/projects/{name}"), "--strict")
    assert (done.code, done.err) == (0, "")
    assert " is valid: " in done.out


def test_every_error_has_a_line_and_the_exit_code_is_2(call: Call, here: Path) -> None:
    write(here, {"clew.yaml": BROKEN})
    done = call("validate")
    assert done == Done(
        2,
        "error  clew.yaml:2: type of node 'input' is 'inptu', and may be input, output, prompt, agent, branch or "
        "trigger; did you mean 'input'?\n"
        "error  clew.yaml:4: edge 'a' needs 'from'\n"
        "\nbroken: 2 errors\n",
        "",
    )


def test_what_only_validation_finds_is_told_in_the_same_way(call: Call, here: Path) -> None:
    write(here, {"clew.yaml": GOOD.replace("to: output", "to: output, condition: x =")})
    assert call("validate") == Done(
        2,
        "error  clew.yaml:3: the condition of edge 'a' cannot be read: '=' compares nothing; use '==', at character 3 "
        "of 'x ='\n\ngood: 1 error\n",
        "",
    )


def test_a_warning_is_an_error_only_where_one_is_strict(call: Call, here: Path) -> None:
    write(here, {"clew.yaml": WARNED})
    (here / "tools").mkdir()
    write(here, {"tools/t.py": "def f():\n    pass\n"})
    said = "clew.yaml:4: no edge leads to 'alone' or away from it\n"
    assert call("validate") == Done(0, f"warning  {said}\ngood: 1 warning\n", "")
    assert call("validate", "--strict") == Done(2, f"error  {said}\ngood: 1 error\n", "")


def test_json_has_all_of_it(call: Call, here: Path) -> None:
    write(here, {"clew.yaml": BROKEN})
    done = call("validate", "--json")
    document = json.loads(done.out)
    assert (done.code, document["project"], document["valid"]) == (2, "broken", False)
    assert [(one["level"], one["line"]) for one in document["problems"]] == [("error", 2), ("error", 4)]
    assert document["problems"][1] == {
        "level": "error",
        "file": str(here.resolve() / "clew.yaml"),
        "line": 4,
        "message": "edge 'a' needs 'from'",
    }
    write(here, {"clew.yaml": GOOD})
    assert json.loads(call("validate", "--json").out) == {"project": "good", "valid": True, "problems": []}


def test_where_there_is_no_project_it_is_one_sentence(call: Call, here: Path) -> None:
    done = call("validate")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("clew: there is no workflow in .: it has no clew.yaml, agent.tml, ")
    assert call("validate", "nowhere").err == "clew: there is no file or folder nowhere\n"


def test_a_terminal_obeys_nothing_that_a_project_says(call: Call, here: Path) -> None:
    write(here, {"clew.yaml": 'name: "\\e]0;x\\a"\nnodes: {"\\e[2J": {type: output}}\n'})
    done = call("validate")
    assert done.code == 2
    assert "\x1b" not in done.out + done.err
