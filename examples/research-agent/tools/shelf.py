"""A shelf with three documents."""

from __future__ import annotations

from typing import Any

_DOCUMENTS = {
    "rivers": "The Rhine is 1233 km long. The Elbe is 1094 km long.",
    "mountains": "The Zugspitze is 2962 m high.",
    "lakes": "Lake Constance has an area of 536 square kilometres.",
}


def search(word: str) -> dict[str, list[str]]:
    """Return the names of documents that hold a word."""
    return {"documents": [name for name, text in _DOCUMENTS.items() if word.lower() in text.lower()]}


def read(name: str) -> dict[str, str]:
    """Return a document.

    Raises: KeyError: there is none of that name.
    """
    return {"text": _DOCUMENTS[name]}


def calculate(operation: str, left: float, right: float) -> dict[str, Any]:
    """Work out one operation: add, subtract, multiply or divide."""
    results = {"add": left + right, "subtract": left - right, "multiply": left * right}
    if operation == "divide":
        return {"result": left / right}
    return {"result": results[operation]}
