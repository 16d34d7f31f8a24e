"""What a Python function takes, as JSON schema and as a check before the call."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from clew.errors import ToolError
from clew.workflow.project import Schema
from clew.workflow.shape import json_schema

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def schema_of_function(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON schema of the object of a function's keyword arguments, from its annotations and defaults."""
    signature = signature_of(function)
    if signature is None:
        return {"type": "object"}
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # an annotation that cannot be worked out says nothing
        hints = {}
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    required: list[str] = []
    is_open = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            is_open = True
        if parameter.kind not in _NAMED:
            continue
        schema = _schema_of_type(hints.get(name, Any))
        definitions |= schema.pop("$defs", {})
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
        elif _is_plain(parameter.default):
            schema["default"] = parameter.default
        properties[name] = schema
    return _object(properties, required, is_open=is_open) | ({"$defs": definitions} if definitions else {})


def schema_of_fields(fields: Schema) -> dict[str, Any]:
    """Return the JSON schema of an object with the fields that a manifest names."""
    schema = json_schema(fields)
    defaults = {name: field.default for name, field in fields.items() if field.default is not msgspec.UNSET}
    for name, default in defaults.items():
        schema["properties"][name]["default"] = default
    return schema | {"required": [name for name in schema["required"] if name not in defaults]}


def check_arguments(signature: inspect.Signature | None, arguments: Mapping[str, Any], *, tool: str) -> None:
    """Look whether a function with this signature can be called with these keywords.

    Raises: ToolError, with what it takes.
    """
    if signature is None:
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ToolError(f"tool {tool}: {error}; it takes {_described(signature)}") from None


def description_of(function: Callable[..., Any]) -> str:
    """Return the first paragraph of a function's docstring."""
    return (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ").strip()


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return what a function takes; None where it is compiled and does not say."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _described(signature: inspect.Signature) -> str:
    names = [
        f"**{name}"
        if parameter.kind is inspect.Parameter.VAR_KEYWORD
        else name
        if parameter.default is inspect.Parameter.empty
        else f"{name} (optional)"
        for name, parameter in signature.parameters.items()
    ]
    return ", ".join(names) or "nothing"


def _object(properties: dict[str, Any], required: list[str], *, is_open: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema if is_open else schema | {"additionalProperties": False}


def _schema_of_type(annotation: Any) -> dict[str, Any]:
    if annotation is Any:
        return {}
    try:
        return msgspec.json.schema(annotation)
    except Exception:  # a class of the user's that has no JSON form
        return {}


def _is_plain(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except Exception:
        return False
    return True
