"""Text in the cells of a terminal: how wide it is, how it is cut, and what must never reach the terminal."""

from __future__ import annotations

import unicodedata
from typing import Final

_EMOJI_STYLE: Final = "\ufe0f"
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINER: Final = "\u200d"


def harmless(text: str, *, encoding: str = "utf-8") -> str:
    r"""Return text that a terminal shows and never obeys.

    Control characters, escapes, line breaks, marks that turn the writing direction, and whatever the terminal's
    encoding does not have, are written as Python writes them: `\x1b`, `\n`, `\u202e`.
    """
    if not text.isascii() or not text.isprintable():
        text = "".join(char if _is_safe(char) else _escaped(char) for char in text)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def cell_width(text: str) -> int:
    """Return how many cells a terminal needs at most for text without control characters.

    Wide and full-width characters take two cells, combining ones none. A sequence that some terminals join into one
    picture counts as its parts, because others show the parts.
    """
    if text.isascii():
        return len(text)
    return sum(_width(char) for char in text)


def fit(text: str, width: int, *, ellipsis: str = "…") -> str:
    """Return text in exactly `width` cells: cut with an ellipsis, or filled with spaces."""
    needed = cell_width(text)
    if needed > width:
        room = width - cell_width(ellipsis)
        if room < 0:
            return "." * max(0, width) if ellipsis.isascii() else ellipsis[: max(0, width)]
        kept = []
        for char in text:
            room -= _width(char)
            if room < 0:
                break
            kept.append(char)
        text = "".join(kept) + ellipsis
        needed = cell_width(text)
    return text + " " * (width - needed)


def _width(char: str) -> int:
    if char == _EMOJI_STYLE:
        return 1  # it makes the character before it wide
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _is_safe(char: str) -> bool:
    return char == _JOINER or unicodedata.category(char) not in _UNSAFE


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
