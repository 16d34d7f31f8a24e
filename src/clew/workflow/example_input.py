"""An input that a workflow would take, to show what one looks like."""

from __future__ import annotations

import json
from typing import Any

from clew.workflow.offers import has_to_arrive
from clew.workflow.project import Field, InputNode, Project, Schema


def example_of(project: Project) -> str:
    """Return the JSON of an input with the fields that have to be there, and something of their type in each."""
    schema: Schema = {}
    for node in project.nodes.values():
        if isinstance(node, InputNode):
            schema |= node.schema
    return json.dumps(_object(schema), ensure_ascii=False)


def _object(schema: Schema) -> dict[str, Any]:
    return {name: _value(field) for name, field in schema.items() if has_to_arrive(field)}


def _value(field: Field) -> Any:
    if field.choices:
        return field.choices[0]
    match field.type:
        case "object":
            return _object(field.fields)
        case "array":
            return []
        case "boolean":
            return False
        case "integer" | "number":
            return 0
    return "..."
