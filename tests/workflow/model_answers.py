"""What a model of the tests answers, in a form that both servers of `model_servers` can send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

CONTEXT_OVERFLOW = "This model's maximum context length is 8192 tokens, however you requested 10000 tokens."


@dataclass(frozen=True, kw_only=True)
class Call:
    """A tool that the model calls."""

    name: str
    arguments: dict[str, Any] | str
    """As a text, to send what is no JSON."""
    id: str = "call_1"

    @property
    def raw(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True)
class Says:
    """A whole answer. In a stream its text comes in `pieces`."""

    text: str = ""
    calls: Sequence[Call] = ()
    input_tokens: int = 20
    """All of them, those from the cache and into it included."""
    output_tokens: int = 7
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    pieces: int = 3
    delay_s: float = 0.0
    finish_reason: str | None = None
    """The provider's own word; None: as usual for such an answer."""
    hangs_after: int | None = None
    """In a stream: send so many pieces, then nothing more."""
    breaks_after: int | None = None
    """In a stream: send so many pieces, then break the connection."""
    ends_after: int | None = None
    """In a stream: send so many pieces, then end as if nothing was missing."""
    fails_after: tuple[int, Fails] | None = None
    """In a stream: send so many pieces, then an error as an event."""

    def text_pieces(self) -> list[str]:
        size = -(-len(self.text) // self.pieces) or 1
        return [self.text[at : at + size] for at in range(0, len(self.text), size)]


@dataclass(frozen=True)
class Fails:
    """An error, in the form of the provider."""

    status: int
    message: str = "it went wrong"
    type: str = "error"
    code: str | int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sends:
    """Bytes as they are: what is no JSON, or not the JSON that was to come."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hangs:
    """No answer at all."""


@dataclass(frozen=True)
class Drops:
    """The connection is closed without an answer."""


Answer = Says | Fails | Sends | Hangs | Drops
Body = dict[str, Any]
