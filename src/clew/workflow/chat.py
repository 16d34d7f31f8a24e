"""What is asked of a model and what it answers, in one form for all providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from clew.model.usage import Usage


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model wants a tool to be called."""

    id: str
    name: str
    arguments: dict[str, Any] | None = None
    """None where what the model sent is not a JSON object; `raw` has it then."""
    raw: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: list[ToolCall] = []
    """Of an assistant."""
    tool_call_id: str | None = None
    """Which call the result of a tool answers."""
    is_error: bool = False
    """Whether the tool failed."""


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool that a model may call."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    """JSON schema of an object."""


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that decides about an answer. Its hash is what a replay matches."""

    model: str
    """`provider/name`, as in the manifest."""
    messages: list[Message]
    temperature: float | None = None
    max_tokens: int | None = None
    tools: list[ToolSpec] = []
    schema: dict[str, Any] | None = None
    """JSON schema of the answer, where one is wanted."""


class Then(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an answer was when it was recorded. Now it is free."""

    cost_usd: float | None = None
    source: str | None = None


class ChatAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model said."""

    text: str = ""
    tool_calls: list[ToolCall] = []
    model: str | None = None
    """The model that answered, as the provider calls it."""
    finish_reason: str | None = None
    """stop, length, tool_calls, content_filter, or the provider's own word."""
    usage: Usage | None = None
    cost_usd: float | None = None
    """None where the price is unknown."""
    source: str | None = None
    """`scripted`, `dry-run` or `replay` where no model was asked."""
    then: Then | None = None
    """Of an answer that is replayed: a budget of then ends where it ended."""


class CallPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a run a model is asked or a tool called: what a script matches besides the request."""

    node_id: str
    turn: int = 1
    iteration: int | None = None
    position: int | None = None
    """Of a tool that an agent calls: which of the calls of this turn it is, from 0."""


class ChatModel(Protocol):
    """Answers requests. One object serves many at the same time, from one event loop."""

    async def answer(
        self,
        request: ChatRequest,
        *,
        place: CallPlace,
        on_text: Callable[[str], None] | None = None,
    ) -> ChatAnswer:
        """Ask, and wait for the whole answer.

        Args:
            request: what is asked.
            place: where in the run.
            on_text: called with each piece of text as it comes; None: no streaming is wanted.

        Raises: ProviderError where there is no answer; asyncio.CancelledError.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. Never raises."""
        ...
