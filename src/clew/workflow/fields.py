"""Schemas as they are written in manifests and prompts.

text: string, what the customer wrote     the short form
topic: [bill, refund]                     the only values that it may have
urgency: {type: integer, description: 0 to 5, required: false, default: 0}
customer: {type: object, fields: {name: string}}
tags: {type: array, items: string}
"""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from clew.workflow.document import Value
from clew.workflow.project import Field, FieldType, Problem, Schema
from clew.workflow.shape import complaint
from clew.workflow.table import Table, described, listed, suggestion

_MOST_SHOWN: Final = 5
TYPES: Final[tuple[FieldType, ...]] = get_args(FieldType)
_OTHER_NAMES: Final[dict[str, FieldType]] = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}
_FITS: Final[dict[FieldType, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "any": (object,),
}


def read_schema(value: Value | None, *, what: str, found: list[Problem], strict: bool = True) -> Schema:
    """Read the fields of a schema.

    Args:
        value: a mapping of fields; None: there are none.
        what: whose schema it is, for the messages.
        found: gets the problems.
        strict: whether unknown keys and types are errors; else they are warnings.
    """
    if value is None:
        return {}
    if not isinstance(value.data, dict):
        found.append(Problem(value.place, f"{what} should be a mapping of fields, not {described(value)}"))
        return {}
    return {
        name: read_field(entry, what=f"the field {name!r} of {what}", found=found, strict=strict)
        for name, entry in value.data.items()
    }


def read_field(value: Value, *, what: str, found: list[Problem], strict: bool = True) -> Field:
    """Read one field, in any of its forms."""
    match value.data:
        case None:
            return Field(place=value.place)
        case str() as text:
            word, _, description = text.partition(",")
            field_type = _type(word, value, what=what, found=found, strict=strict)
            return Field(place=value.place, type=field_type, description=description.strip())
        case list() as members:
            choices = [member.plain() for member in members]
            if not choices:
                found.append(Problem(value.place, f"{what} has an empty list of choices"))
            return Field(place=value.place, type=_type_of(choices), choices=choices)
        case dict():
            return _full_field(value, what=what, found=found, strict=strict)
    found.append(Problem(value.place, f"{what} should be a type or a mapping, not {described(value)}"))
    return Field(place=value.place)


def _full_field(value: Value, *, what: str, found: list[Problem], strict: bool) -> Field:
    table = Table(value, what=what, found=found, strict=strict)
    written = table.text("type")
    required = table.flag("required")
    default = table.any_value("default")
    nested = table.value("fields") or table.value("properties")
    items = table.value("items")
    choices: list[Any] = []
    for key in ("choices", "enum"):
        entry = table.value(key)
        if entry is not None and isinstance(entry.data, list):
            choices = [member.plain() for member in entry.data]
        elif entry is not None:
            table.wrong(entry.place, f"{key} of {what} should be a list, not {described(entry)}")
    field_type: FieldType = "object" if nested else "array" if items else _type_of(choices)
    if written is not None:
        field_type = _type(written, value, what=what, found=found, strict=strict)
    field = Field(
        place=value.place,
        type=field_type,
        description=table.text("description") or "",
        required=required if required is not None else True,
        default=msgspec.UNSET if default is None else default.plain(),
        fields=read_schema(nested, what=what, found=found, strict=strict),
        items=None
        if items is None
        else read_field(items, what=f"an item of {what}", found=found, strict=strict),
        choices=choices,
    )
    any_choice = {"a choice": msgspec.structs.replace(field, choices=[])}
    misfits = [choice for choice in choices if complaint({"a choice": choice}, any_choice)]
    if misfits:
        shown = listed(map(str, misfits), most=_MOST_SHOWN)
        table.wrong(value.place, f"{what} can never be {shown}, which is no {field.type}", is_error=strict)
    wrong = None if default is None else complaint({"default": default.plain()}, {"default": field})
    if default is not None and wrong is not None:
        table.wrong(default.place, f"{what} has a default that does not fit: {wrong}", is_error=strict)
    table.finish()
    # Whether it has to be there may be what is misspelt.
    return msgspec.structs.replace(field, required=False) if table.meant else field


def _type(text: str, value: Value, *, what: str, found: list[Problem], strict: bool) -> FieldType:
    word = text.strip().lower()
    for name in TYPES:
        if word == name:
            return name
    if word in _OTHER_NAMES:
        return _OTHER_NAMES[word]
    message = f"{what} has the unknown type {text.strip()[:40]!r}, and may have {listed(TYPES)}"
    found.append(Problem(value.place, message + suggestion(word, TYPES), strict))
    return "any"


def _type_of(choices: list[Any]) -> FieldType:
    """Return the type that all choices have."""
    if not choices:
        return "any"
    for name in ("boolean", "integer", "number", "string"):
        if all(type(choice) in _FITS[name] for choice in choices):
            return name
    return "any"
