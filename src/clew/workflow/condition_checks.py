"""What can be wrong with a condition: how it is written, which fields it speaks of, and what it compares them with."""

from __future__ import annotations

from typing import Final

from clew.errors import ExpressionError
from clew.workflow.expression import Expression, parse, path_text
from clew.workflow.offers import Missing, Offer, follow
from clew.workflow.project import FieldType, Place, Problem
from clew.workflow.table import suggestion
from clew.workflow.value_kind import kind_of

_WORDS: Final = ("true", "false", "null", "and", "or", "not", "in")
_KINDS: Final[dict[FieldType, str]] = {
    "string": "a string",
    "number": "a number",
    "integer": "a number",
    "boolean": "a boolean",
}
"""Types whose values are compared by what they are."""


def check_condition(
    text: str | None, offer: Offer, place: Place, *, what: str, strict: bool
) -> list[Problem]:
    """Return the problems of a condition.

    Args:
        text: as it was written; None: there is none.
        offer: the fields that there will be.
        place: where it stands.
        what: what it is, for the messages.
        strict: whether a field that will not be there is an error; else it is a warning.
    """
    if text is None:
        return []
    try:
        expression = parse(text)
    except ExpressionError as error:
        where = f", at character {error.position + 1}" if error.position is not None else ""
        return [Problem(place, f"{what} cannot be read: {error}{where} of {text[:80]!r}")]
    found = []
    for steps in expression.paths().values():
        field = follow(offer, steps, whole="output")
        if isinstance(field, Missing):
            near = suggestion(str(steps[0]), _WORDS)
            found.append(Problem(place, f"{what}: {field.reason}{near}", strict))
    return [*found, *(Problem(place, f"{what}: {said}", False) for said in _unlike(expression, offer))]


def _unlike(expression: Expression, offer: Offer) -> list[str]:
    """Say which fields are compared with a value that is of another type, whatever they hold."""
    said = []
    for steps, operator, value in expression.against_values():
        field = follow(offer, steps, whole="output")
        kind = None if isinstance(field, Missing) else _KINDS.get(field.type)
        if kind is None or value is None or kind_of(value) == kind:
            continue
        outcome = {"==": "which is never so", "!=": "which is always so"}.get(
            operator, "which cannot be worked out and counts as false"
        )
        said.append(f"{path_text(steps)} is {kind}, and {value!r} is {kind_of(value)}: {operator}, {outcome}")
    return said
