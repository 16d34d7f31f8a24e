"""Schemas of fields: as JSON schema for models, and checked against real values."""

from __future__ import annotations

import copy
from typing import Any, Final

import msgspec

from clew.workflow.project import Field, Schema
from clew.workflow.value_kind import kind_of

_FITS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


def json_schema(schema: Schema) -> dict[str, Any]:
    """Return the JSON schema of an object with these fields and no others."""
    return {
        "type": "object",
        "properties": {name: _json_field(field) for name, field in schema.items()},
        "required": [name for name, field in schema.items() if field.required],
        "additionalProperties": False,
    }


def _json_field(field: Field) -> dict[str, Any]:
    if field.type == "object" and field.fields:
        found = json_schema(field.fields)
    else:
        found = {} if field.type == "any" else {"type": field.type}
    if field.type == "array" and field.items is not None:
        found["items"] = _json_field(field.items)
    if field.choices:
        found["enum"] = list(field.choices)
    if field.description:
        found["description"] = field.description
    return found


def complaint(values: dict[str, Any], schema: Schema) -> str | None:
    """Say what is wrong with the values of these fields, in one sentence; None where nothing is."""
    for name, field in schema.items():
        if name not in values:
            if field.required and field.default is msgspec.UNSET:
                return f"there is no field {name!r}"
            continue
        wrong = _complaint_of(values[name], field, place=name)
        if wrong is not None:
            return wrong
    return None


def _complaint_of(value: Any, field: Field, *, place: str) -> str | None:
    if value is None and (not field.required or field.default is None):
        return None
    wanted = _FITS.get(field.type)
    if wanted is not None and (
        not isinstance(value, wanted) or (isinstance(value, bool) and field.type != "boolean")
    ):
        is_whole = field.type == "integer" and isinstance(value, float) and value.is_integer()
        if not is_whole:
            return f"{place!r} is {kind_of(value)}, but must be {_an(field.type)}"
    if field.choices and value not in field.choices:
        return f"{place!r} is {value!r}, but must be one of {', '.join(map(str, field.choices))}"
    if field.type == "object" and field.fields:
        inner = complaint(value, field.fields)
        return None if inner is None else f"in {place!r} {inner}"
    if field.type == "array" and field.items is not None:
        for index, item in enumerate(value):
            wrong = _complaint_of(item, field.items, place=f"{place}[{index}]")
            if wrong is not None:
                return wrong
    return None


def with_defaults(values: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the values, and the defaults of fields that are not among them nor in the objects and lists in them."""
    completed = {
        name: _completed(values[name] if name in values else copy.deepcopy(field.default), field)
        for name, field in schema.items()
        if name in values or field.default is not msgspec.UNSET
    }
    return {**values, **completed}


def _completed(value: Any, field: Field) -> Any:
    match value:
        case dict() if field.fields:
            return with_defaults(value, field.fields)
        case list() | tuple() if field.items is not None and (field.items.fields or field.items.items):
            return [_completed(item, field.items) for item in value]
    return value


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aio" else f"a {kind}"
