"""Answers that no model gave: made from the schema that is asked for, so that a project can be tried for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from clew.workflow.chat import CallPlace, ChatAnswer, ChatRequest

SOURCE: Final = "dry-run"
MOCK_TEXT: Final = "[DRY RUN] Mock text response"
_DEEPEST = 32
"""A schema that refers to itself ends here."""


class DryRunModel:
    """Answers every request at once, without a network, and always the same way."""

    async def answer(
        self,
        request: ChatRequest,
        *,
        place: CallPlace,  # noqa: ARG002 - part of the Protocol
        on_text: Callable[[str], None] | None = None,
    ) -> ChatAnswer:
        """Return a value that fits the request's schema as JSON, or a fixed text where it has none."""
        text = MOCK_TEXT
        if request.schema is not None:
            text = msgspec.json.encode(mock_value(request.schema)).decode()
        if on_text is not None:
            on_text(text)
        return ChatAnswer(text=text, model=request.model, finish_reason="stop", source=SOURCE)

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def mock_value(schema: dict[str, Any], *, field: str = "answer") -> Any:
    """Return a plain value of the form that a JSON schema describes: `[mock_<field>]`, 0, true, [] or an object of those.

    Args:
        schema: of the value; `$ref` into its own `$defs` is followed.
        field: the name that a text has in it.
    """
    return _mock(schema, field, schema, 0)


def _mock(schema: Any, field: str, root: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return _mock(_referred(schema["$ref"], root), field, root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return _mock(schema[word][0], field, root, depth + 1)
    match _type_of(schema):
        case "number" | "integer":
            return 0
        case "boolean":
            return True
        case "array":
            return []
        case "null":
            return None
        case "object":
            properties = schema.get("properties") or {}
            return {name: _mock(inner, name, root, depth + 1) for name, inner in properties.items()}
    return f"[mock_{field}]"


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    return str(kind)


def _referred(reference: Any, root: dict[str, Any]) -> Any:
    found: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        if part and isinstance(found, dict):
            found = found.get(part)
    return found
