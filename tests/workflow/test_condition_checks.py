"""Conditions are read before anything runs, wherever they stand, and compared with what their fields can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.workflow.condition_checks import check_condition
from clew.workflow.offers import UNKNOWN, Offer
from clew.workflow.project import Field, Place
from tests.workflow.written_projects import judged, write

PLACE = Place(Path("clew.yaml"), 3)
OFFER = Offer(
    {
        "n": Field(place=PLACE, type="number"),
        "i": Field(place=PLACE, type="integer"),
        "text": Field(place=PLACE, type="string"),
        "done": Field(place=PLACE, type="boolean"),
        "any": Field(place=PLACE),
        "who": Field(place=PLACE, type="object", fields={"age": Field(place=PLACE, type="integer")}),
    }
)


@pytest.mark.parametrize(
    "condition, said",
    [
        ("n < 'x'", "n is a number, and 'x' is a string: <, which cannot be worked out and counts as false"),
        ("'3' >= i", "i is a number, and '3' is a string: >=, which cannot be worked out and counts as false"),
        ("done and (any or not who.age == '3')", "who.age is a number, and '3' is a string: ==, which is never so"),
        ("done != 'true'", "done is a boolean, and 'true' is a string: !=, which is always so"),
        ("text == 3", "text is a string, and 3 is a number: ==, which is never so"),
        ("output.n == true", "output.n is a number, and True is a boolean: ==, which is never so"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_than_its_field_is_warned_of(condition: str, said: str) -> None:
    (problem,) = check_condition(condition, OFFER, PLACE, what="the condition", strict=True)
    assert (problem.place, problem.message, problem.is_error) == (PLACE, f"the condition: {said}", False)


@pytest.mark.parametrize(
    "condition",
    [
        "n < 3",
        "i == 2.5",
        "n == null",
        "text > 'a'",
        "done == false",
        "any < 'x'",
        "n in ['x']",
        "n < i",
        "who",
    ],
)
def test_what_may_fit_is_not_warned_of(condition: str) -> None:
    assert check_condition(condition, OFFER, PLACE, what="the condition", strict=True) == []
    assert check_condition("n < 'x'", UNKNOWN, PLACE, what="the condition", strict=True) == []


INNER = "name: {0}\nnodes:\n  in: {{type: input, schema: {{n: integer}}}}\n  again: {{type: branch, workflow: self, {1}}}\n"


@pytest.mark.needs_extra("workflow")
@pytest.mark.parametrize(
    "loop_while, said",
    [
        (
            "foo(",
            "cannot be read: 'and', 'or' or the end should stand here, not '(', at character 4 of 'foo('",
        ),
        (
            "n <> 3",
            "cannot be read: a field or a value should stand here, not '>', at character 4 of 'n <> 3'",
        ),
        ("m < 3", None),
    ],
)
def test_the_loop_of_a_workflow_in_itself_is_read(tmp_path: Path, loop_while: str, said: str | None) -> None:
    text = INNER.format("x", f"loop_while: '{loop_while}'")
    edges = "  out: {type: output}\nedges:\n  a: {from: in, to: again}\n  b: {from: again, to: out}\n"
    found = judged(write(tmp_path, {"clew.yaml": text + edges}))
    assert found == ([] if said is None else [f"clew.yaml:4: loop_while of 'again' {said}"])


@pytest.mark.needs_extra("workflow")
def test_the_loop_of_a_workflow_in_itself_may_only_speak_of_what_the_workflow_gives(tmp_path: Path) -> None:
    text = INNER.format("x", "loop_while: 'm < 3', condition: 'n < 3'")
    edges = "  out: {type: output}\nedges:\n  a: {from: in, to: again}\n  b: {from: in, to: out, mapping: {n: n}}\n"
    assert judged(write(tmp_path, {"clew.yaml": text + edges})) == [
        "clew.yaml:4: loop_while of 'again': no field 'm'; there is n"
    ]


@pytest.mark.needs_extra("workflow")
def test_the_loop_of_a_workflow_that_cannot_be_read_is_read_all_the_same(tmp_path: Path) -> None:
    text = "name: x\nnodes: {in: {type: input}, b: {type: branch, workflow: none.yaml, loop_while: 'n <'}}\n"
    found = judged(write(tmp_path, {"clew.yaml": f"{text}edges: {{a: {{from: in, to: b}}}}"}))
    assert [line.partition(": ")[2][:27] for line in found] == [
        "loop_while of 'b' cannot be",
        "'b' runs no workflow: there",
    ]
