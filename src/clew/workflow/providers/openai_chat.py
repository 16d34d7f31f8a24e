"""Models of OpenAI, and of every server that speaks like it, by the official SDK."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from clew.extras import require
from clew.model.usage import Usage
from clew.workflow.chat import CallPlace, ChatAnswer, ChatRequest, Message, ToolCall
from clew.workflow.providers.answer_parts import (
    MISSHAPEN,
    consistent,
    count_of,
    index_of,
    json_object,
    text_of,
)
from clew.workflow.providers.closed_schema import closed_schema
from clew.workflow.providers.failures import NO_STREAM, failure, provider_failure, told, without_words
from clew.workflow.providers.prices import BUILT_IN, Prices

PREFIX: Final = "openai/"
OFFICIAL_URL: Final = "https://api.openai.com/v1"
_CONNECT_S: Final = 10.0
_NEWER: Final = re.compile(r"^(?:o\d|gpt-(?:[5-9]|\d{2}))")
"""These refuse `max_tokens`; what only speaks like OpenAI often knows nothing else."""


class OpenAIChat:
    """Asks `/chat/completions`. The client is made on first use, off the event loop: its import takes half a second."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None = None,
        timeout_s: float = 600.0,
        prices: Prices = BUILT_IN,
    ) -> None:
        """Say whom to ask.

        Args:
            api_key: of the endpoint; any text where it wants none.
            base_url: of another endpoint, with its `/v1`; None: OpenAI's own.
            timeout_s: how long the server may be silent, before its answer and between two pieces of it.
            prices: of models.
        """
        self._api_key = api_key
        self._base_url = base_url or OFFICIAL_URL
        self._timeout_s = timeout_s
        self._prices = prices
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def answer(
        self,
        request: ChatRequest,
        *,
        place: CallPlace,  # noqa: ARG002 - part of the Protocol
        on_text: Callable[[str], None] | None = None,
    ) -> ChatAnswer:
        """Ask once, as `ChatModel` says; the runner is who tries again.

        Raises: ProviderError; MissingExtraError where the SDK is not installed.
        """
        client = await self._open(request.model)
        parameters = request_parameters(request, is_official=self._base_url == OFFICIAL_URL)
        if on_text is not None:
            parameters |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            response = await client.chat.completions.create(**parameters)
        except Exception as error:
            raise provider_failure(error, model=request.model, secrets=[self._api_key]) from without_words(
                error
            )
        if on_text is None:
            collected = _read_completion(response, request.model)
        else:
            collected = await self._collect(response, request.model, on_text)
        try:
            return collected.to_answer(request.model, self._prices)
        except MISSHAPEN as error:
            raise failure("bad_answer", model=request.model, reason=_NO_COMPLETION) from error

    async def close(self) -> None:
        """Close the connections, if there are any."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # nothing can be lost any more
                await client.close()

    async def _open(self, model: str) -> Any:
        async with self._opening:
            if self._client is None:
                openai = await asyncio.to_thread(require, "openai", extra="openai")
                try:
                    self._client = self._new_client(openai)
                except Exception as error:  # of an address that is none
                    raise provider_failure(error, model=model, secrets=[self._api_key]) from without_words(
                        error
                    )
            return self._client

    def _new_client(self, openai: Any) -> Any:
        return openai.AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            timeout=openai.Timeout(self._timeout_s, connect=min(_CONNECT_S, self._timeout_s)),
            max_retries=0,  # each attempt is recorded by the runner, which also knows the node's patience
        )

    async def _collect(self, stream: Any, model: str, on_text: Callable[[str], None]) -> _Collected:
        collected = _Collected()
        came = False
        async with stream, contextlib.aclosing(told(stream, model=model, secrets=[self._api_key])) as chunks:
            async for chunk in chunks:
                came = True
                try:
                    text = collected.add_chunk(chunk)
                except MISSHAPEN as error:
                    raise failure("bad_answer", model=model, reason=_NO_COMPLETION) from error
                if text:
                    on_text(text)
        if not came:
            raise failure("bad_answer", model=model, reason=NO_STREAM)
        if collected.finish_reason is None:
            raise failure("connection", model=model, reason="its stream ended before the answer did")
        return collected


_NO_COMPLETION: Final = "it has not the form of a chat completion"


class _Collected:
    """An answer as it comes together."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.refusals: list[str] = []
        self.calls: dict[int, dict[str, str]] = {}
        self._latest: dict[int, int] = {}
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.cache_write_tokens = 0

    def add_chunk(self, chunk: Any) -> str:
        """Take in a piece of a stream; return its text."""
        self.add_about(chunk)
        text = ""
        for choice in chunk.choices or []:
            self.finish_reason = text_of(choice.finish_reason) or self.finish_reason
            if choice.delta is not None:
                text += self.add_message(choice.delta)
        return text

    def add_about(self, response: Any) -> None:
        """Take in what a completion and a chunk have in common."""
        self.model = text_of(response.model) or self.model
        usage = getattr(response, "usage", None)
        if usage is not None:
            self.usage = _usage(usage)
            details = getattr(usage, "prompt_tokens_details", None)
            self.cache_write_tokens = count_of(getattr(details, "cache_write_tokens", None)) or 0

    def add_message(self, message: Any) -> str:
        """Take in a message, or a piece of one; return its text."""
        text = text_of(message.content)
        self.pieces.append(text)
        self.refusals.append(text_of(getattr(message, "refusal", None)))
        for number, call in enumerate(message.tool_calls or []):
            index = getattr(call, "index", None)  # a piece says which call it belongs to
            parts = self._parts(number if index is None else index_of(index), text_of(call.id))
            if call.function is not None:
                parts["name"] += text_of(call.function.name)
                parts["raw"] += text_of(call.function.arguments)
        return text

    def _parts(self, index: int, id_: str) -> dict[str, str]:
        """Return what is known of a call. Some servers count none of them: another id is another call."""
        key = self._latest.get(index, index)
        if id_ and self.calls.get(key, {}).get("id", id_) != id_:
            key = max(self.calls) + 1
        self._latest[index] = key
        parts = self.calls.setdefault(key, {"id": "", "name": "", "raw": ""})
        parts["id"] = id_ or parts["id"]
        return parts

    def to_answer(self, asked: str, prices: Prices) -> ChatAnswer:
        """Return what was collected, with its price."""
        refusal = "".join(self.refusals)
        reason = "tool_calls" if self.finish_reason == "function_call" else self.finish_reason
        answered = self.model or asked  # has a date where it was asked for without one
        priced = answered if prices.find(answered) is not None else asked
        return ChatAnswer(
            text="".join(self.pieces) or refusal,
            tool_calls=[
                ToolCall(
                    id=parts["id"] or f"call-{number}",  # some servers give none
                    name=parts["name"],
                    arguments=json_object(parts["raw"]),
                    raw=parts["raw"],
                )
                for number, parts in sorted(self.calls.items())
            ],
            model=self.model,
            finish_reason="content_filter" if refusal else reason,
            usage=self.usage,
            cost_usd=prices.cost_usd(priced, self.usage, cache_write_tokens=self.cache_write_tokens),
        )


def _read_completion(response: Any, model: str) -> _Collected:
    collected = _Collected()
    try:
        collected.add_about(response)
        choice = response.choices[0]
        collected.finish_reason = text_of(choice.finish_reason) or None
        collected.add_message(choice.message)
    except MISSHAPEN as error:
        raise failure("bad_answer", model=model, reason=_NO_COMPLETION) from error
    return collected


def request_parameters(request: ChatRequest, *, is_official: bool) -> dict[str, Any]:
    """Return the request in the form of chat completions.

    Args: is_official: whether OpenAI itself is asked, which has given `max_tokens` another name.
    """
    name = request.model.removeprefix(PREFIX)
    parameters: dict[str, Any] = {
        "model": name,
        "messages": [_message(message) for message in request.messages],
    }
    if request.temperature is not None:
        parameters["temperature"] = request.temperature
    if request.max_tokens is not None:
        newer = is_official or _NEWER.match(name)
        parameters["max_completion_tokens" if newer else "max_tokens"] = request.max_tokens
    if request.tools:
        parameters["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters or {"type": "object", "properties": {}},
                },
            }
            for tool in request.tools
        ]
    if request.schema is not None:
        closed = closed_schema(request.schema, allow_optional=False)
        parameters["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": request.schema if closed is None else closed,
                "strict": closed is not None,
            },
        }
    return parameters


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": message.content}
    if not message.tool_calls:
        return {"role": message.role, "content": message.content}
    return {
        "role": message.role,
        "content": message.content or None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call)},
            }
            for call in message.tool_calls
        ],
    }


def _arguments(call: ToolCall) -> str:
    return call.raw or msgspec.json.encode(call.arguments or {}).decode()


def _usage(usage: Any) -> Usage:
    sent = getattr(usage, "prompt_tokens_details", None)
    received = getattr(usage, "completion_tokens_details", None)
    return consistent(
        Usage(
            input_tokens=count_of(usage.prompt_tokens),
            output_tokens=count_of(usage.completion_tokens),
            cached_tokens=count_of(getattr(sent, "cached_tokens", None)),
            reasoning_tokens=count_of(getattr(received, "reasoning_tokens", None)),
        )
    )
