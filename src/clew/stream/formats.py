"""What a sink writes for a batch of lines: the lines as they are, or one line of text for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from clew.errors import ConfigError
from clew.stream.human import format_human

Encode = Callable[[Sequence[bytes]], bytes]
"""Turns lines without newlines into what is written: as many lines, each with its newline."""

FORMATS: Final = ("jsonl", "human")


def encode_jsonl(lines: Sequence[bytes]) -> bytes:
    """Return the lines untouched, each with a newline: two C calls, however many lines."""
    return b"\n".join(lines) + b"\n" if lines else b""


def encode_human(lines: Sequence[bytes], *, colour: bool = False, whole: bool = False) -> bytes:
    """Return each event as one line of text in UTF-8. Costs about 20 us a line."""
    return "".join(f"{format_human(line, colour=colour, whole=whole)}\n" for line in lines).encode()


def encoder(name: str, *, colour: bool = False, whole: bool = False) -> Encode:
    """Return how to encode a format by name: `jsonl` or `human`.

    Args: colour, whole: as in `format_human`; JSON lines have neither.
    Raises: ConfigError: there is no such format.
    """
    match name:
        case "jsonl":
            return encode_jsonl
        case "human":
            return partial(encode_human, colour=colour, whole=whole)
    raise ConfigError(f"telemetry format {name!r} does not exist; write jsonl or human")
