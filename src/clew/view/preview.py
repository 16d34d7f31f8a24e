"""A recorded value as one short line, at a cost that does not depend on how large it is."""

from __future__ import annotations

import json
from typing import Any, Final

ELLIPSIS: Final = "…"
_DEEPEST: Final = 8


def preview(value: Any, most: int = 400) -> str:
    """Return a value as JSON, cut with an ellipsis after `most` characters."""
    writer = _Writer(most)
    writer.write(value, _DEEPEST)
    text = "".join(writer.parts)
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS


class _Writer:
    """Collects pieces of JSON until there is more than can be shown."""

    def __init__(self, most: int) -> None:
        self.parts: list[str] = []
        self._room = most

    def write(self, value: Any, deepest: int) -> None:
        if isinstance(value, str):
            self._add(json.dumps(value[: self._room + 1], ensure_ascii=False))
        elif isinstance(value, dict):
            self._items("{", value, "}", deepest)
        elif isinstance(value, list | tuple):
            self._items("[", value, "]", deepest)
        elif isinstance(value, int) and not isinstance(value, bool):
            self._add(str(value) if value.bit_length() < 4000 else f"integer of {value.bit_length()} bits")
        elif value is None or isinstance(value, bool | float):
            self._add(json.dumps(value))
        else:
            self._add(type(value).__name__)

    def _items(self, begin: str, items: Any, end: str, deepest: int) -> None:
        self._add(begin)
        if items and not deepest:
            self._add(ELLIPSIS)
        elif items:
            for number, item in enumerate(items):
                if self._room <= 0:
                    return
                if number:
                    self._add(", ")
                if isinstance(items, dict):
                    self.write(str(item), deepest - 1)
                    self._add(": ")
                self.write(items[item] if isinstance(items, dict) else item, deepest - 1)
        self._add(end)

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self._room -= len(text)
