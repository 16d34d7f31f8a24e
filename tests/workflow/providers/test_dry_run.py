from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clew.workflow.providers.dry_run import MOCK_TEXT, DryRunModel, mock_value
from tests.workflow.providers.asked import VERDICT, ask, request


def test_without_a_schema_the_answer_is_the_text_that_the_original_gives() -> None:
    answer = ask(DryRunModel(), request("openai/gpt-4o"))
    assert (answer.text, answer.source, answer.usage, answer.cost_usd) == (MOCK_TEXT, "dry-run", None, None)
    assert MOCK_TEXT == "[DRY RUN] Mock text response"


def test_with_a_schema_the_answer_is_json_that_has_its_fields() -> None:
    answer = ask(DryRunModel(), request("openai/gpt-4o", schema=VERDICT))
    assert msgspec.json.decode(answer.text) == {"category": "[mock_category]", "score": 0}


@pytest.mark.parametrize(
    "schema,value",
    [
        ({"type": "string"}, "[mock_x]"),
        ({"type": "number"}, 0),
        ({"type": "integer"}, 0),
        ({"type": "boolean"}, True),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "object"}, {}),
        ({"type": "object", "properties": {"y": {"type": "boolean"}}}, {"y": True}),
        ({"properties": {"y": {}}}, {"y": "[mock_y]"}),
        ({"type": "string", "enum": ["low", "high"]}, "low"),
        ({"const": 7}, 7),
        ({"type": ["null", "integer"]}, 0),
        ({"type": "null"}, None),
        ({"anyOf": [{"type": "boolean"}, {"type": "string"}]}, True),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, 0),
    ],
)
def test_each_type_has_the_value_that_the_original_gives(schema: dict[str, Any], value: object) -> None:
    assert mock_value(schema, field="x") == value


def test_a_schema_that_contains_itself_ends() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}}}
    assert mock_value(tree)["left"]["left"] != {}
