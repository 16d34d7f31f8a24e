"""What may have been meant is said in projects of any size, and never takes longer than the project is large."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from clew.workflow import offers, plan, validate
from clew.workflow.nearness import nearest
from clew.workflow.project import Project
from tests.workflow.written_projects import judged, write

MANY = {f"field_{number}_alpha" for number in range(3_000)}


@pytest.mark.parametrize(
    "written, meant",
    [
        ("field_7_alhpa", "field_7_alpha"),
        ("field_7_alpa", "field_7_alpha"),
        ("field_7_alphaa", "field_7_alpha"),
        ("field_7_elpha", "field_7_alpha"),
        ("source_7_beta", None),
        ("x" * 5_000, None),
    ],
)
def test_among_many_names_one_that_differs_in_a_letter_is_meant(written: str, meant: str | None) -> None:
    assert nearest(written, MANY) == meant


def test_among_few_names_the_one_that_is_most_alike_is_meant() -> None:
    assert nearest("sumarise", {"summarize", "sort"}) == "summarize"
    assert nearest("sumarise", {"summarize", "sort"} | MANY) is None, "two letters off"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many names each call has compared with one."""
    counts: list[int] = []
    compare = difflib.get_close_matches

    def counting(word: str, possibilities: Any, **options: Any) -> Any:
        counts.append(len(possibilities))
        return compare(word, possibilities, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    return counts


@pytest.mark.needs_extra("workflow")
def test_inputs_that_nobody_declared_are_not_each_compared_with_all_nodes(
    tmp_path: Path, compared: list[int]
) -> None:
    nodes = "".join(f"  node_{n}_alpha: {{type: output}}\n" for n in range(1_000))
    edges = "".join(f"  e{n}: {{from: source_{n}_beta, to: node_{n}_alpha}}\n" for n in range(1_000))
    assert judged(write(tmp_path, {"clew.yaml": f"name: x\nnodes:\n{nodes}edges:\n{edges}"})) == []
    assert sum(compared) < 100_000


@pytest.mark.needs_extra("workflow")
def test_a_thousand_misspelt_fields_have_a_suggestion_each(tmp_path: Path, compared: list[int]) -> None:
    schema = "".join(f"      field_{n}_x: string\n" for n in range(1_000))
    mapping = "".join(f"      m{n}: filed_{n}_x\n" for n in range(1_000))
    manifest = f"name: x\nnodes:\n  a:\n    type: input\n    schema:\n{schema}  o: {{type: output}}\nedges:\n  e:\n    from: a\n    to: o\n    mapping:\n{mapping}"
    found = judged(write(tmp_path, {"clew.yaml": manifest}))
    assert found[0].endswith("no field 'filed_0_x'; did you mean 'field_0_x'?")
    assert len(found) == sum("did you mean" in problem for problem in found) == 1_000
    assert sum(compared) < 100_000


@pytest.mark.needs_extra("workflow")
def test_what_many_branches_run_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    outputs_of = offers.outputs_of

    def noting(project: Project) -> offers.Offer:
        calls.append(project.name)
        return outputs_of(project)

    monkeypatch.setattr(offers, "outputs_of", noting)
    nodes = "".join(f"  b{n}: {{type: branch, workflow: ./w.yaml}}\n" for n in range(30))
    edges = "".join(f"  e{n}: {{from: i, to: b{n}}}\n  f{n}: {{from: b{n}, to: o{n}}}\n" for n in range(30))
    inside = "name: w\nnodes: {i: {type: input}, o: {type: output}}\nedges: {e: {from: i, to: o}}\n"
    manifest = f"name: x\nnodes:\n  i: {{type: input}}\n{nodes}edges:\n{edges}"
    found = judged(write(tmp_path, {"clew.yaml": manifest, "w.yaml": inside}))
    assert found == []
    assert calls == ["w"]


@pytest.mark.needs_extra("workflow")
def test_what_entrypoints_lead_to_is_followed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    after = plan.after

    def noting(project: Project, begins: Iterable[str]) -> frozenset[str]:
        calls.append(project.name)
        return after(project, begins)

    monkeypatch.setattr(validate, "after", noting)
    nodes = "".join(f"  n{n}: {{type: output}}\n" for n in range(30))
    edges = "".join(f"  e{n}: {{from: n{n}, to: n{n + 1}}}\n" for n in range(29))
    points = "".join(f"  p{n}: [n{n}]\n" for n in range(5, 30))
    manifest = f"name: x\nnodes:\n{nodes}edges:\n{edges}entrypoints:\n{points}"
    assert judged(write(tmp_path, {"clew.yaml": manifest})) == []
    assert len(calls) <= 2
