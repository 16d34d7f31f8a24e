"""Prompts get the values of their variables, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.errors import WorkflowError
from clew.workflow.template import names, render


@pytest.mark.parametrize(
    "body, text",
    [
        ("Hello {{name}}!", "Hello ada!"),
        ("{{ name }}{{name}}", "adaada"),
        ("{{customer.age}} {{ customer.tags.1 }}", "36 new"),
        ("{{customer}}", '{"age": 36, "tags": ["é", "new"]}'),
        ("{{yes}} {{none}} {{half}}", "true null 0.5"),
        ("{{ name | upper }} {name} {{}} {{#each}}", "{{ name | upper }} {name} {{}} {{#each}}"),
        ("no variables", "no variables"),
    ],
)
def test_a_string_stands_as_it_is_and_other_values_as_json(body: str, text: str) -> None:
    values: dict[str, Any] = {
        "name": "ada",
        "customer": {"age": 36, "tags": ["é", "new"]},
        "yes": True,
        "none": None,
        "half": 0.5,
    }
    assert render(body, values) == text


def test_what_a_value_contains_is_never_rendered_again() -> None:
    values = {"message": "{{secret}} \\1 \\g<0>", "secret": "hunter2"}
    assert render("Sort: {{message}}", values) == "Sort: {{secret}} \\1 \\g<0>"


def test_a_variable_without_a_value_is_an_error_that_names_a_near_one() -> None:
    with pytest.raises(WorkflowError) as caught:
        render("{{topik}}", {"topic": 1})
    assert str(caught.value) == "nothing gave a value for {{topik}}; did you mean 'topic'?"


def test_an_optional_variable_without_a_value_is_empty() -> None:
    assert render("[{{note}}{{note.text}}]", {}, optional=["note"]) == "[]"


def test_a_variable_without_a_value_stays_where_nobody_is_strict() -> None:
    assert render("{{ a }} {{b}}", {"b": 1}, strict=False) == "{{ a }} 1"


def test_the_names_are_those_of_the_variables() -> None:
    assert names("{{a}} {{ b.c }} {{a}} {d} {{e f}}") == {"a", "b.c"}


@given(st.text(), st.text())
def test_a_string_arrives_whole(before: str, value: str) -> None:
    before = before.replace("{", "")
    assert render(before + "{{x}}", {"x": value}) == before + value
