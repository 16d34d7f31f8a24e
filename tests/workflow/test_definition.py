"""By what a node is known again: the hash of its definition, where workflows lead to one another and to themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from clew.workflow.definition import Definitions
from clew.workflow.manifest import load_project
from clew.workflow.plan import edges_into
from tests.workflow.commands import run
from tests.workflow.running import write_project
from tests.workflow.test_resume_again import gone_on
from tests.workflow.test_whole_answers import logged, written

pytestmark = pytest.mark.needs_extra("workflow")
ITSELF = """
    clew: "1"
    name: itself
    nodes:
      input: {type: input}
      deeper: {type: branch, workflow: self, condition: "n > 0"}
      output: {type: output}
    tools:
      down: {type: python, module: t, function: down}
      up: {type: python, module: u, function: up}
    edges:
      a: {from: input, to: down}
      b: {from: down, to: deeper}
      c: {from: deeper, to: up}
      d: {from: up, to: output}
"""


def test_a_branch_of_its_own_workflow_runs_again_when_a_node_behind_it_has_changed(tmp_path: Path) -> None:
    up = "def up(n, said):\n    return {'n': n, 'said': [*said, 'old']}\n"
    down = "def down(n, said=()):\n    note(n)\n    return {'n': n - 1, 'said': list(said)}\n"
    place = written(tmp_path, ITSELF, tools=down)
    (place / "tools" / "u.py").write_text(up)
    assert run(place, "-i", '{"n": 3}').returncode == 0
    (place / "tools" / "u.py").write_text(up.replace("old", "new"))
    outputs, said = gone_on(place)
    assert outputs["outputs"]["output"]["said"] == ["new", "new", "new"]
    assert "deeper runs again: its definition has changed" in said
    assert "in the workflow of deeper, up runs again: deeper runs again" in said
    assert logged(tmp_path) == [3, 2, 1]  # what has not changed in it is kept


@pytest.mark.parametrize("name", ["x", "y", "z"])
def test_hashes_of_workflows_that_lead_to_one_another_do_not_depend_on_which_is_asked_for_first(
    tmp_path: Path, name: str
) -> None:
    def workflow(own: str, **to: str) -> str:
        nodes = "\n".join(
            f'          {n}: {{type: branch, workflow: ./{w}.yaml, condition: "n > 0"}}'
            for n, w in to.items()
        )
        edges = "\n".join(f"          {n}: {{from: input, to: {n}}}" for n in to)
        return f'clew: "1"\nname: {own}\nnodes:\n          input: {{type: input}}\n{nodes}\nedges:\n{edges}\n'

    place = write_project(
        tmp_path,
        clew_yaml=workflow("all", x="b", y="c", z="d"),
        b_yaml=workflow("b", to_c="c"),
        c_yaml=workflow("c", to_b="b", to_d="d"),
        d_yaml=workflow("d", to_c="c"),
    )

    def load(path: Path) -> Any:
        return load_project(path, environ=os.environ)

    def hashes(*names: str) -> dict[str, str]:
        definitions, project = Definitions(load), load(place / "clew.yaml")
        into = edges_into(project)
        return {n: definitions.of(project, project.nodes[n], incoming=into[n]) for n in names}

    first = hashes(name)[name]
    assert hashes("z", "y", "x")[name] == hashes("x", "y", "z")[name] == first
    (place / "d.yaml").write_text(workflow("d", to_b="b"))
    assert hashes(name)[name] != first
