"""What goes to a server that speaks like Anthropic, and what is read from its answers, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clew.errors import ProviderError
from clew.model.usage import Usage
from clew.workflow.chat import ChatAnswer, ChatRequest, Message, ToolCall, ToolSpec
from clew.workflow.providers.anthropic_chat import AnthropicChat
from tests.workflow.model_answers import Call, Says, Sends
from tests.workflow.model_servers import AnthropicServer
from tests.workflow.providers.asked import SEARCH, VERDICT, ask, request

pytestmark = pytest.mark.needs_extra("anthropic")

MODEL = "anthropic/claude-sonnet-5"
SAID = Says(
    "It is raining.",
    input_tokens=100,
    output_tokens=40,
    cached_tokens=60,
    cache_write_tokens=10,
    reasoning_tokens=30,
)
CALLED = Says(
    "Let me look.", [Call(name="search", arguments={"query": "rain"}), Call(name="now", arguments={}, id="2")]
)


def asked_of(server: AnthropicServer, asked: ChatRequest, *, stream: bool = False) -> ChatAnswer:
    model = AnthropicChat(api_key="k-123", base_url=server.url)
    return ask(model, asked, on_text=(lambda _: None) if stream else None)


def sent(asked: ChatRequest) -> dict[str, Any]:
    with AnthropicServer([SAID]) as server:
        asked_of(server, asked)
        assert server.headers[0]["authorization"] == "Bearer k-123"
        return server.requests[0]


@pytest.mark.parametrize("stream", [False, True])
def test_every_field_of_an_answer_is_read_and_input_is_all_that_was_sent(stream: bool) -> None:
    with AnthropicServer([SAID]) as server:
        answer = asked_of(server, request(MODEL), stream=stream)
    assert answer == ChatAnswer(
        text="It is raining.",
        model="claude-sonnet-5",
        finish_reason="stop",
        usage=Usage(input_tokens=100, output_tokens=40, cached_tokens=60, reasoning_tokens=30),
        cost_usd=(30 * 2 + 60 * 0.2 + 10 * 2.5 + 40 * 10) / 1_000_000,
    )


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_are_read_with_their_text(stream: bool) -> None:
    with AnthropicServer([CALLED]) as server:
        answer = asked_of(server, request(MODEL, tools=[SEARCH]), stream=stream)
    assert answer.text == "Let me look."
    assert answer.finish_reason == "tool_calls"
    assert [(call.id, call.name, call.arguments) for call in answer.tool_calls] == [
        ("call_1", "search", {"query": "rain"}),
        ("2", "now", {}),
    ]


def test_arguments_that_are_no_object_are_kept_as_they_came() -> None:
    with AnthropicServer([Says("", [Call(name="search", arguments='{"query": ')])]) as server:
        answer = asked_of(server, request(MODEL, tools=[SEARCH]), stream=True)
    assert answer.tool_calls == [ToolCall(id="call_1", name="search", arguments=None, raw='{"query": ')]


def test_a_conversation_with_tools_goes_out_as_it_was() -> None:
    calls = [ToolCall(id="c1", name="search", arguments={"query": "rain"}), ToolCall(id="c2", name="now")]
    messages = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="Is it raining?"),
        Message(role="assistant", content="Let me look.", tool_calls=calls),
        Message(role="tool", content="yes", tool_call_id="c1"),
        Message(role="tool", content="no clock", tool_call_id="c2", is_error=True),
        Message(role="assistant"),
        Message(role="system", content="Be kind."),
        Message(role="user", content="And now?"),
    ]
    tools = [SEARCH, ToolSpec(name="now")]
    assert sent(ChatRequest(model=MODEL, messages=messages, tools=tools, max_tokens=9)) == {
        "model": "claude-sonnet-5",
        "max_tokens": 9,
        "stream": False,
        "system": "Be brief.\n\nBe kind.",
        "messages": [
            {"role": "user", "content": "Is it raining?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me look."},
                    {"type": "tool_use", "id": "c1", "name": "search", "input": {"query": "rain"}},
                    {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "yes", "is_error": False},
                    {"type": "tool_result", "tool_use_id": "c2", "content": "no clock", "is_error": True},
                ],
            },
            {"role": "user", "content": "And now?"},
        ],
        "tools": [
            {"name": "search", "description": "Looks something up.", "input_schema": SEARCH.parameters},
            {"name": "now", "description": "", "input_schema": {"type": "object"}},
        ],
    }


def test_a_closed_schema_is_enforced_by_the_api() -> None:
    body = sent(request(MODEL, schema={**VERDICT, "required": ["score"]}))
    schema = body["output_config"]["format"]["schema"]
    assert schema["properties"] == VERDICT["properties"]
    assert (schema["required"], schema["additionalProperties"]) == (["score"], False)
    assert "system" not in body


@pytest.mark.parametrize("stream", [False, True])
def test_a_free_schema_is_asked_for_in_words_and_its_answer_taken_out_of_a_fence(stream: bool) -> None:
    asked = request(MODEL, schema={"type": "object"})
    with AnthropicServer([Says('```json\n{"a": 1}\n```')]) as server:
        assert asked_of(server, asked, stream=stream).text == '{"a": 1}'
    assert "output_config" not in server.requests[0]
    assert '{"type":"object"}' in server.requests[0]["system"]


def test_a_bound_on_tokens_is_always_sent() -> None:
    assert sent(request(MODEL))["max_tokens"] == 16_000


@pytest.mark.parametrize(
    "word,reason",
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_why_it_stopped_is_said_in_the_words_of_all_providers(word: str, reason: str) -> None:
    with AnthropicServer([Says("It", finish_reason=word)]) as server:
        assert asked_of(server, request(MODEL)).finish_reason == reason


def test_a_temperature_goes_by_the_last_version_of_the_api_that_knows_it() -> None:
    with AnthropicServer([SAID, SAID]) as server:
        asked_of(server, request(MODEL, temperature=0.0))
        asked_of(server, request(MODEL))
    assert [body.get("temperature") for body in server.requests] == [0.0, None]
    assert server.headers[0]["anthropic-version"] == "2023-06-01"
    assert server.headers[1]["anthropic-version"] > "2023-06-01"


@pytest.mark.parametrize(
    "counts,usage",
    [
        (f'"input_tokens":{"1" * 400},"output_tokens":5', Usage(output_tokens=5)),
        (
            '"input_tokens":1,"cache_read_input_tokens":50,"output_tokens":5',
            Usage(input_tokens=51, output_tokens=5, cached_tokens=50),
        ),
        (
            '"input_tokens":1,"output_tokens":5,"output_tokens_details":{"thinking_tokens":6}',
            Usage(input_tokens=1, output_tokens=5),
        ),
    ],
)
def test_counts_that_cannot_be_are_unknown(counts: str, usage: Usage) -> None:
    body = f'{{"model":"claude-sonnet-5","stop_reason":"end_turn","content":[{{"type":"text","text":"a"}}],"usage":{{{counts}}}}}'
    with AnthropicServer([Sends(body.encode())]) as server:
        answer = asked_of(server, request(MODEL))
    assert answer.usage == usage
    assert (answer.cost_usd is None) == (usage.input_tokens is None)


def test_calls_that_are_counted_in_words_are_no_answer() -> None:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"model": "m", "stop_reason": None, "usage": None}},
        *(
            {
                "type": "content_block_start",
                "index": index,
                "content_block": {"type": "tool_use", "id": "a", "name": "now"},
            }
            for index in ("one", 2)
        ),
        {"type": "message_stop"},
    ]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
    with (
        AnthropicServer([Sends(body, "text/event-stream")]) as server,
        pytest.raises(ProviderError) as caught,
    ):
        asked_of(server, request(MODEL), stream=True)
    assert (caught.value.kind, caught.value.may_retry) == ("bad_answer", True)
