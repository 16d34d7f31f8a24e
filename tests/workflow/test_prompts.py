"""A prompt file becomes a prompt, and all that is wrong with it is said."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from clew.workflow.project import Problem, Prompt
from clew.workflow.prompts import read_prompt

pytestmark = pytest.mark.needs_extra("workflow")

FULL = """---
id: sort
name: Sort the message
description: What it is about
system: You sort mail for {{company}}.
model: openai/gpt-5
temperature: 0.2
max_tokens: 100
input:
  message: {type: string, description: The message}
  company: {type: string, required: false, default: ACME}
output:
  format: json
  schema:
    topic: [bill, refund, other]
    urgency: integer, 0 to 5
    customer: {type: object, fields: {name: string, tags: {type: array, items: string}}}
---

Sort this message: {{message}}

---
and this line belongs to the body
"""


def read(path: Path, text: str, *, strict: bool = True) -> tuple[Prompt | None, list[str]]:
    path.write_text(text, encoding="utf-8")
    found: list[Problem] = []
    prompt = read_prompt(path, found=found, strict=strict)
    return prompt, [
        f"{problem.place.line}{'' if problem.is_error else ' warning'}: {problem.message}"
        for problem in found
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sort.prompt"


def test_every_field_of_the_front_matter_is_in_the_prompt(path: Path) -> None:
    prompt, found = read(path, FULL)
    assert found == []
    assert prompt is not None
    assert (prompt.id, prompt.name, prompt.description) == ("sort", "Sort the message", "What it is about")
    assert (prompt.model, prompt.temperature, prompt.max_tokens) == ("openai/gpt-5", 0.2, 100)
    assert prompt.system == "You sort mail for {{company}}."
    assert prompt.body == "Sort this message: {{message}}\n\n---\nand this line belongs to the body"
    assert prompt.inputs["message"].default is msgspec.UNSET
    assert (prompt.inputs["company"].required, prompt.inputs["company"].default) == (False, "ACME")
    assert prompt.format == "json"
    topic, urgency, customer = prompt.output.values()
    assert (topic.type, topic.choices) == ("string", ["bill", "refund", "other"])
    assert (urgency.type, urgency.description, urgency.place.line) == ("integer", "0 to 5", 16)
    assert customer.fields["name"].type == "string"
    assert customer.fields["tags"].items is not None
    assert customer.fields["tags"].items.type == "string"


def test_a_prompt_without_an_id_has_the_name_of_its_file(path: Path) -> None:
    prompt, found = read(path, "---\n---\nHello")
    assert found == []
    assert prompt is not None
    assert (prompt.id, prompt.body, prompt.format) == ("sort", "Hello", "text")


def test_an_output_with_a_schema_is_json(path: Path) -> None:
    prompt, _ = read(path, "---\noutput: {schema: {a: string}}\n---\nHello")
    assert prompt is not None
    assert prompt.format == "json"


def test_carriage_returns_and_a_byte_order_mark_make_no_difference(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf\r\n---\r\nid: x\r\n---\r\nHello\r\nyou\r\n")
    prompt = read_prompt(path, found=[])
    assert prompt is not None
    assert (prompt.id, prompt.body) == ("x", "Hello\nyou")


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "1: a prompt file begins with a line --- above its fields"),
        ("Hello", "1: a prompt file begins with a line --- above its fields"),
        ("---\nid: x\nHello", "1: no second line --- ends the fields that begin here"),
        ("---\nid: x\n---\n  \n", "1: the prompt has no text below its fields"),
        ("---\nid: x\n\tname: y\n---\nHello", "3: YAML is indented with spaces, and here is a tab"),
        ("---\n- x\n---\nHello", "2: a prompt should be a mapping, not a list"),
        ("---\ninputs: {}\n---\nHello", "2: a prompt has no 'inputs'; did you mean 'input'?"),
        (
            "---\ntemperature: warm\n---\nHello",
            "2: temperature of a prompt should be a number of at least 0, not the text 'warm'",
        ),
        (
            "---\nmax_tokens: 1.5\n---\nHello",
            "2: max_tokens of a prompt should be a whole number of at least 1, not the number 1.5",
        ),
        (
            "---\ninput: {x: strin}\n---\nHello",
            "2: the field 'x' of the prompt's input has the unknown type 'strin', and may have string, number, integer, boolean, array, object or any; did you mean 'string'?",
        ),
        (
            "---\ninput: {x: 3}\n---\nHello",
            "2: the field 'x' of the prompt's input should be a type or a mapping, not the number 3",
        ),
        ("---\ninput: [x]\n---\nHello", "2: the prompt's input should be a mapping of fields, not a list"),
        (
            "---\ninput: {x: []}\n---\nHello",
            "2: the field 'x' of the prompt's input has an empty list of choices",
        ),
        (
            "---\ninput:\n  x: {type: integer, default: a}\n---\nHello",
            "3: the field 'x' of the prompt's input has a default that does not fit: 'default' is a string, but must be an integer",
        ),
        (
            "---\ninput:\n  x: {type: string, choices: [a, 1, 2]}\n---\nHello",
            "3: the field 'x' of the prompt's input can never be 1 or 2, which is no string",
        ),
        (
            "---\noutput: {format: jsn}\n---\nHello",
            "2: format of the prompt's output is 'jsn', and may be text or json; did you mean 'json'?",
        ),
        (
            "---\noutput: {format: text, schema: {a: string}}\n---\nHello",
            "2: a prompt whose output is text gives no fields; say format: json",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(path: Path, text: str, said: str) -> None:
    assert read(path, text)[1] == [said]


def test_what_trident_lets_pass_is_a_warning_in_its_projects(path: Path) -> None:
    text = "---\nid: x\nauthor: me\ninput: {x: {type: text/html}}\n---\nHello {{x}}"
    prompt, found = read(path, text, strict=False)
    assert prompt is not None
    assert prompt.inputs["x"].type == "any"
    assert len(found) == 2
    assert all(" warning: " in line for line in found)
