"""Models of Anthropic, by the official SDK."""

from __future__ import annotations

import asyncio
import contextlib
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

PREFIX: Final = "anthropic/"
OFFICIAL_URL: Final = "https://api.anthropic.com"
DEFAULT_MAX_TOKENS: Final = 16_000
"""The API wants a bound, and counts the tokens of thinking against it; only what is used is paid for."""
VERSION_WITH_TEMPERATURE: Final = "2023-06-01"
"""Version 2026-10-21 of the API, and the SDK with it, took the parameter away from every model. By the older version
the models that had it still take it, and the others refuse it in so many words."""
_CONNECT_S: Final = 10.0
_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnthropicChat:
    """Asks `/v1/messages`. The client is made on first use, off the event loop: its import takes a second."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: str | None = None,
        timeout_s: float = 600.0,
        prices: Prices = BUILT_IN,
    ) -> None:
        """Say whom to ask.

        Args:
            api_key: of Anthropic; either this or `auth_token`.
            auth_token: sent as a bearer token instead, as gateways want it.
            base_url: of another endpoint, without `/v1`; None: Anthropic's own.
            timeout_s: how long the server may be silent, before its answer and between two pieces of it.
            prices: of models.
        """
        self._api_key = api_key
        self._auth_token = auth_token
        self._base_url = base_url or OFFICIAL_URL
        self._timeout_s = timeout_s
        self._prices = prices
        self._secrets = [secret for secret in (api_key, auth_token) if secret]
        self._sdk: Any = None
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
        parameters = request_parameters(request, transform=self._sdk.transform_schema)
        try:
            response = await client.messages.create(**parameters, stream=on_text is not None)
        except Exception as error:
            raise provider_failure(error, model=request.model, secrets=self._secrets) from without_words(
                error
            )
        if on_text is None:
            collected = _read_message(response, request.model)
        else:
            collected = await self._collect(response, request.model, on_text)
        try:
            answer = collected.to_answer(request.model, self._prices)
        except MISSHAPEN as error:
            raise failure("bad_answer", model=request.model, reason=_NO_MESSAGE) from error
        if request.schema is not None and "output_config" not in parameters:
            return msgspec.structs.replace(answer, text=_without_fence(answer.text))
        return answer

    async def close(self) -> None:
        """Close the connections, if there are any."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # nothing can be lost any more
                await client.close()

    async def _open(self, model: str) -> Any:
        async with self._opening:
            if self._client is None:
                self._sdk = await asyncio.to_thread(require, "anthropic", extra="anthropic")
                try:
                    self._client = self._new_client()
                except Exception as error:  # of an address that is none
                    raise provider_failure(error, model=model, secrets=self._secrets) from without_words(
                        error
                    )
            return self._client

    def _new_client(self) -> Any:
        return self._sdk.AsyncAnthropic(
            api_key=self._api_key,
            auth_token=self._auth_token,
            base_url=self._base_url,
            timeout=self._sdk.Timeout(self._timeout_s, connect=min(_CONNECT_S, self._timeout_s)),
            max_retries=0,  # each attempt is recorded by the runner, which also knows the node's patience
        )

    async def _collect(self, stream: Any, model: str, on_text: Callable[[str], None]) -> _Collected:
        collected = _Collected()
        came = False
        async with stream, contextlib.aclosing(told(stream, model=model, secrets=self._secrets)) as events:
            async for event in events:
                came = True
                try:
                    text = collected.add_event(event)
                except MISSHAPEN as error:
                    raise failure("bad_answer", model=model, reason=_NO_MESSAGE) from error
                if text:
                    on_text(text)
        if not came:
            raise failure("bad_answer", model=model, reason=NO_STREAM)
        if not collected.is_whole:
            raise failure("connection", model=model, reason="its stream ended before the answer did")
        return collected


_NO_MESSAGE: Final = "it has not the form of a message"


class _Collected:
    """An answer as it comes together."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.calls: dict[int, dict[str, str]] = {}
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.counts: dict[str, int] = {}
        self.is_whole = False

    def add_event(self, event: Any) -> str:
        """Take in an event of a stream; return its text."""
        match event.type:
            case "message_start":
                self.add_about(event.message)
            case "content_block_start":
                return self.add_block(index_of(event.index), event.content_block, is_whole=False)
            case "content_block_delta" if event.delta.type == "text_delta":
                self.pieces.append(text_of(event.delta.text))
                return self.pieces[-1]
            case "content_block_delta" if event.delta.type == "input_json_delta":
                if event.index in self.calls:
                    self.calls[event.index]["raw"] += text_of(event.delta.partial_json)
            case "message_delta":
                self.stop_reason = text_of(event.delta.stop_reason) or self.stop_reason
                self.add_counts(event.usage)
            case "message_stop":
                self.is_whole = True
        return ""

    def add_about(self, message: Any) -> None:
        """Take in what a message says of itself."""
        self.model = text_of(message.model) or None
        self.stop_reason = text_of(message.stop_reason) or None
        self.add_counts(message.usage)

    def add_counts(self, usage: Any) -> None:
        """Take in numbers of tokens: each event has those so far, and leaves out what it does not know."""
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            count = count_of(getattr(usage, name, None))
            if count is not None:
                self.counts[name] = count
        thinking = count_of(getattr(getattr(usage, "output_tokens_details", None), "thinking_tokens", None))
        if thinking is not None:
            self.counts["thinking_tokens"] = thinking

    def add_block(self, index: int, block: Any, *, is_whole: bool) -> str:
        """Take in a block of content, or the beginning of one; return its text. Thinking is left out."""
        if block.type == "text":
            self.pieces.append(text_of(block.text))
            return self.pieces[-1]
        if block.type == "tool_use":
            raw = msgspec.json.encode(block.input).decode() if is_whole else ""
            self.calls[index] = {"id": text_of(block.id), "name": text_of(block.name), "raw": raw}
        return ""

    def to_answer(self, asked: str, prices: Prices) -> ChatAnswer:
        """Return what was collected, with its price."""
        usage = self._usage()
        answered = self.model or asked  # has a date where it was asked for without one
        priced = answered if prices.find(answered) is not None else asked
        written = self.counts.get("cache_creation_input_tokens") or 0
        return ChatAnswer(
            text="".join(self.pieces),
            tool_calls=[
                ToolCall(
                    id=call["id"], name=call["name"], arguments=json_object(call["raw"]), raw=call["raw"]
                )
                for _, call in sorted(self.calls.items())
            ],
            model=self.model,
            finish_reason=_FINISH.get(self.stop_reason or "", self.stop_reason),
            usage=usage,
            cost_usd=prices.cost_usd(priced, usage, cache_write_tokens=written),
        )

    def _usage(self) -> Usage | None:
        """Anthropic counts what was read from a cache and what was put into one apart from the rest of the input."""
        if not self.counts:
            return None
        sent = self.counts.get("input_tokens")
        cached = self.counts.get("cache_read_input_tokens")
        if sent is not None:
            sent += (cached or 0) + (self.counts.get("cache_creation_input_tokens") or 0)
        return consistent(
            Usage(
                input_tokens=sent,
                output_tokens=self.counts.get("output_tokens"),
                cached_tokens=cached,
                reasoning_tokens=self.counts.get("thinking_tokens"),
            )
        )


def _read_message(response: Any, model: str) -> _Collected:
    collected = _Collected()
    try:
        collected.add_about(response)
        for index, block in enumerate(response.content):
            collected.add_block(index, block, is_whole=True)
    except MISSHAPEN as error:
        raise failure("bad_answer", model=model, reason=_NO_MESSAGE) from error
    return collected


def request_parameters(
    request: ChatRequest, *, transform: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Return the request in the form of messages.

    An answer of a schema is asked for by the API's own structured output. A tool that must be called, the older way,
    is refused by models that always think. Where the schema is too free for that, the system prompt asks for it.

    Args: transform: takes what the API does not know out of a schema.
    """
    system = [message.content for message in request.messages if message.role == "system" and message.content]
    parameters: dict[str, Any] = {
        "model": request.model.removeprefix(PREFIX),
        "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _turns(request.messages),
    }
    if request.temperature is not None:
        parameters["extra_body"] = {"temperature": request.temperature}
        parameters["extra_headers"] = {"anthropic-version": VERSION_WITH_TEMPERATURE}
    if request.tools:
        parameters["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": {"type": "object", **tool.parameters},
            }
            for tool in request.tools
        ]
    if request.schema is not None:
        enforced = _enforced(request.schema, transform)
        if enforced is not None:
            parameters["output_config"] = {"format": {"type": "json_schema", "schema": enforced}}
        else:
            wanted = msgspec.json.encode(request.schema).decode()
            system.append(f"Answer with JSON that fits this JSON schema, and with nothing else: {wanted}")
    if system:
        parameters["system"] = "\n\n".join(system)
    return parameters


def _enforced(
    schema: dict[str, Any], transform: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any] | None:
    closed = closed_schema(schema, allow_optional=True)
    if closed is None:
        return None
    try:
        return transform(closed)
    except Exception:  # a form of schema that the SDK does not know: the prompt asks for it instead
        return None


def _turns(messages: list[Message]) -> list[dict[str, Any]]:
    """Return the messages without the system's; results of tools that follow each other are one message."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        if message.role == "tool":
            block = {
                "type": "tool_result",
                "tool_use_id": message.tool_call_id or "",
                "content": message.content,
                "is_error": message.is_error,
            }
            if turns and turns[-1]["role"] == "user" and isinstance(turns[-1]["content"], list):
                turns[-1]["content"].append(block)
            else:
                turns.append({"role": "user", "content": [block]})
        elif message.role == "user":
            turns.append({"role": "user", "content": message.content})
        elif message.content or message.tool_calls:  # an empty message of an assistant is refused
            turns.append({"role": "assistant", "content": _assistant_blocks(message)})
    return turns


def _assistant_blocks(message: Message) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": message.content}] if message.content else []
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments or {}}
        for call in message.tool_calls
    ]
    return blocks


def _without_fence(text: str) -> str:
    """Return the JSON out of the code block that models like to put it into."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") + 1 : -3].strip()
    return text
