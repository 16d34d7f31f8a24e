"""Prompts with `{{variables}}`: which there are, and the text with their values."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from clew.errors import ExpressionError, WorkflowError
from clew.workflow.expression import look_up

_VARIABLE: Final = re.compile(r"\{\{\s*([^\W\d]\w*(?:\.\w+)*)\s*\}\}")


def names(body: str) -> set[str]:
    """Return the variables of a text, as `topic` and `customer.name`."""
    return {match[1] for match in _VARIABLE.finditer(body)}


def render(
    body: str, values: Mapping[str, Any], *, optional: Collection[str] = (), strict: bool = True
) -> str:
    """Return the text with every variable replaced by its value.

    A string stands as it is, any other value as JSON. What a value contains is never rendered again.

    Args:
        body: the text.
        values: of the variables.
        optional: variables that are empty where there is no value; the part before the first dot is looked for.
        strict: False leaves a variable without a value in the text as it was written.

    Raises: WorkflowError: a variable has no value.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        try:
            return _text(look_up(values, _steps(name, values)))
        except ExpressionError:
            if name.partition(".")[0] in optional:
                return ""
            if not strict:
                return match[0]
            near = difflib.get_close_matches(name, list(values), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise WorkflowError(f"nothing gave a value for {{{{{name}}}}}{meant}") from None

    return _VARIABLE.sub(replaced, body)


def _steps(name: str, values: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return the steps to a variable; a number is a position where a list stands there."""
    steps: list[str | int] = []
    value: Any = values
    for part in name.split("."):
        step = int(part) if isinstance(value, list) and part.isdecimal() else part
        steps.append(step)
        try:
            value = look_up(value, (step,)) if isinstance(value, Mapping) else value[step]
        except (ExpressionError, LookupError, TypeError):
            value = None
    return tuple(steps)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
