"""Requests and answers as the tests of this folder ask for and get them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from clew.errors import ProviderError
from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ChatRequest, Message, ToolSpec

PLACE = CallPlace(node_id="classify")
VERDICT: dict[str, Any] = {
    "type": "object",
    "properties": {"category": {"type": "string"}, "score": {"type": "number"}},
    "required": ["category", "score"],
}
SEARCH = ToolSpec(
    name="search",
    description="Looks something up.",
    parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)


def request(model: str, text: str = "Is it raining?", **more: Any) -> ChatRequest:
    """Return a request with one message of a user."""
    return ChatRequest(model=model, messages=[Message(role="user", content=text)], **more)


def ask(
    model: ChatModel,
    asked: ChatRequest,
    *,
    place: CallPlace = PLACE,
    on_text: Callable[[str], None] | None = None,
) -> ChatAnswer:
    """Ask once, in an event loop of its own, and close the model."""

    async def once() -> ChatAnswer:
        try:
            return await model.answer(asked, place=place, on_text=on_text)
        finally:
            await model.close()

    return asyncio.run(once())


def refusal(model: ChatModel, asked: ChatRequest, *, stream: bool = False) -> ProviderError:
    """Ask once; return the error that came instead of an answer."""
    with pytest.raises(ProviderError) as caught:
        ask(model, asked, on_text=(lambda _: None) if stream else None)
    assert "\n" not in str(caught.value), "an error is one sentence"
    return caught.value
