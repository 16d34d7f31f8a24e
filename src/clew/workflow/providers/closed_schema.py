"""Whether a JSON schema says everything about an answer: only then can a provider be made to keep to it."""

from __future__ import annotations

from typing import Any

_COMBINED = ("anyOf", "oneOf", "allOf")


def closed_schema(schema: dict[str, Any], *, allow_optional: bool) -> dict[str, Any] | None:
    """Return the schema with every object closed to further fields, or None where that would change what it means.

    Providers only enforce schemas whose objects name all of their fields. An object without fields of its own, an
    array of anything, and a value without a type are free: closed, nothing could ever be said in them.

    Args:
        schema: of the answer; it is not changed.
        allow_optional: whether a field may be left out by the answer.
    """
    try:
        return _closed(schema, allow_optional=allow_optional)
    except _FreeSchemaError:
        return None


class _FreeSchemaError(Exception):
    """A part of the schema is open."""


def _closed(schema: Any, *, allow_optional: bool) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise _FreeSchemaError
    closed = dict(schema)
    for word in ("$defs", "definitions"):
        if word in schema:
            closed[word] = {
                name: _closed(part, allow_optional=allow_optional) for name, part in schema[word].items()
            }
    if "$ref" in schema or "enum" in schema or "const" in schema:
        return closed
    combined = [word for word in _COMBINED if word in schema]
    for word in combined:
        closed[word] = [_closed(part, allow_optional=allow_optional) for part in schema[word]]
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "object" in kinds:
        closed |= _closed_object(schema, allow_optional=allow_optional)
    if "array" in kinds:
        closed["items"] = _closed(schema.get("items"), allow_optional=allow_optional)
    if kinds == [None] and not combined:
        raise _FreeSchemaError
    return closed


def _closed_object(schema: dict[str, Any], *, allow_optional: bool) -> dict[str, Any]:
    properties = schema.get("properties")
    if not properties or schema.get("additionalProperties") or "patternProperties" in schema:
        raise _FreeSchemaError
    if not allow_optional and set(schema.get("required", ())) != set(properties):
        raise _FreeSchemaError
    return {
        "properties": {
            name: _closed(part, allow_optional=allow_optional) for name, part in properties.items()
        },
        "additionalProperties": False,
    }
