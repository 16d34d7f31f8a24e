"""What a value is, in words: in refusals, and to tell which values can be compared."""

from __future__ import annotations

from collections.abc import Mapping


def kind_of(value: object) -> str:
    """Say of what type a value is, in the words of schemas. Two values can be compared where the words are the same."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "an array"
    return f"a {type(value).__name__}"
