"""What goes to a server that speaks like OpenAI, and what is read from its answers, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clew.errors import ProviderError
from clew.model.usage import Usage
from clew.workflow.chat import ChatAnswer, ChatRequest, Message, ToolCall
from clew.workflow.providers.answer_parts import json_object
from clew.workflow.providers.openai_chat import OpenAIChat
from tests.workflow.model_answers import Call, Fails, Says, Sends
from tests.workflow.model_servers import OpenAIServer
from tests.workflow.providers.asked import SEARCH, VERDICT, ask, request

pytestmark = pytest.mark.needs_extra("openai")

SAID = Says("It is raining.", input_tokens=100, output_tokens=40, cached_tokens=60, reasoning_tokens=30)
CALLED = Says(
    "Let me look.", [Call(name="search", arguments={"query": "rain"}), Call(name="now", arguments="", id="2")]
)


def asked_of(server: OpenAIServer, asked: ChatRequest, *, stream: bool = False) -> ChatAnswer:
    model = OpenAIChat(api_key="k-123", base_url=server.url)
    return ask(model, asked, on_text=(lambda _: None) if stream else None)


def sent(asked: ChatRequest, *, stream: bool = False) -> dict[str, Any]:
    with OpenAIServer([SAID]) as server:
        asked_of(server, asked, stream=stream)
        assert server.headers[0]["authorization"] == "Bearer k-123"
        return server.requests[0]


@pytest.mark.parametrize("stream", [False, True])
def test_every_field_of_an_answer_is_read(stream: bool) -> None:
    with OpenAIServer([SAID]) as server:
        answer = asked_of(server, request("openai/gpt-4o"), stream=stream)
    assert answer == ChatAnswer(
        text="It is raining.",
        model="gpt-4o",
        finish_reason="stop",
        usage=Usage(input_tokens=100, output_tokens=40, cached_tokens=60, reasoning_tokens=30),
        cost_usd=(40 * 2.5 + 60 * 1.25 + 40 * 10) / 1_000_000,
    )


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_are_read_with_their_text(stream: bool) -> None:
    with OpenAIServer([CALLED]) as server:
        answer = asked_of(server, request("openai/gpt-4o", tools=[SEARCH]), stream=stream)
    assert answer.text == "Let me look."
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == [
        ToolCall(id="call_1", name="search", arguments={"query": "rain"}, raw='{"query": "rain"}'),
        ToolCall(id="2", name="now", arguments={}, raw=""),
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("raw", ['{"query": ', '["rain"]', "rain"])
def test_arguments_that_are_no_object_are_kept_as_they_came(raw: str, stream: bool) -> None:
    with OpenAIServer([Says("", [Call(name="search", arguments=raw)])]) as server:
        answer = asked_of(server, request("openai/gpt-4o", tools=[SEARCH]), stream=stream)
    assert answer.tool_calls == [ToolCall(id="call_1", name="search", arguments=None, raw=raw)]


def test_a_conversation_with_tools_goes_out_as_it_was() -> None:
    call = ToolCall(id="c1", name="search", arguments={"query": "rain"})
    messages = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="Is it raining?"),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", content="yes", tool_call_id="c1"),
    ]
    asked = ChatRequest(
        model="openai/llama", messages=messages, tools=[SEARCH], temperature=0.0, max_tokens=9
    )
    function = {"name": "search", "arguments": '{"query":"rain"}'}
    assert sent(asked) == {
        "model": "llama",
        "temperature": 0.0,
        "max_tokens": 9,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Is it raining?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "yes"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "search",
                    "description": "Looks something up.",
                    "parameters": SEARCH.parameters,
                },
            }
        ],
    }


def test_a_stream_asks_for_its_usage() -> None:
    body = sent(request("openai/gpt-4o"), stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_a_closed_schema_is_enforced_and_a_free_one_is_only_shown() -> None:
    closed = sent(request("openai/gpt-4o", schema=VERDICT))["response_format"]["json_schema"]
    assert closed == {
        "name": "answer",
        "strict": True,
        "schema": {**VERDICT, "additionalProperties": False},
    }
    for free in ({"type": "object"}, {**VERDICT, "required": ["score"]}, {"type": "array"}):
        shown = sent(request("openai/gpt-4o", schema=free))["response_format"]["json_schema"]
        assert shown == {"name": "answer", "strict": False, "schema": free}


@pytest.mark.parametrize(
    "model,name",
    [
        ("openai/gpt-4o", "max_tokens"),
        ("openai/qwen", "max_tokens"),
        ("openai/gpt-5-mini", "max_completion_tokens"),
        ("openai/o3", "max_completion_tokens"),
    ],
)
def test_the_bound_on_tokens_has_the_name_that_the_model_takes(model: str, name: str) -> None:
    body = sent(request(model, max_tokens=5))
    assert {key: value for key, value in body.items() if key.startswith("max")} == {name: 5}


def test_a_refusal_is_text_that_says_so() -> None:
    body = b'{"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":null,"refusal":"I will not."}}]}'
    with OpenAIServer([Sends(body)]) as server:
        answer = asked_of(server, request("openai/m"))
    assert answer == ChatAnswer(text="I will not.", model="m", finish_reason="content_filter")


def test_no_usage_is_unknown_and_an_unknown_model_has_no_price() -> None:
    with OpenAIServer([SAID]) as server:
        assert asked_of(server, request("openai/qwen")).cost_usd is None
    body = b'{"model":"gpt-4o","choices":[{"index":0,"finish_reason":"length","message":{"role":"assistant","content":"It"}}]}'
    with OpenAIServer([Sends(body)]) as server:
        answer = asked_of(server, request("openai/gpt-4o"))
    assert answer == ChatAnswer(text="It", model="gpt-4o", finish_reason="length")


def test_an_answer_of_many_megabytes_comes_whole() -> None:
    text = "x" * 20_000_000
    with OpenAIServer([Says(text, pieces=50), Says(text)]) as server:
        assert asked_of(server, request("openai/gpt-4o"), stream=True).text == text
        assert asked_of(server, request("openai/gpt-4o")).text == text


def test_each_attempt_is_one_request() -> None:
    with OpenAIServer([Fails(500)] * 3) as server:
        for number in (1, 2):
            with pytest.raises(Exception, match="HTTP 500"):
                asked_of(server, request("openai/gpt-4o"))
            assert server.count == number


@pytest.mark.parametrize(
    "raw,found",
    [("", {}), (" ", {}), ("{}", {}), ('{"a":1}', {"a": 1}), ("[1]", None), ("{", None), ("[" * 9999, None)],
)
def test_arguments_are_an_object_or_nothing(raw: str, found: object) -> None:
    assert json_object(raw) == found


def test_calls_that_a_server_does_not_count_are_told_apart_by_their_ids() -> None:
    def piece(**call: Any) -> bytes:
        delta = {"tool_calls": [{"index": 0, "type": "function", **call}]}
        return (
            b"data: %s\n\n" % json.dumps({"model": "m", "choices": [{"index": 0, "delta": delta}]}).encode()
        )

    stream = [
        piece(id="a", function={"name": "search", "arguments": '{"query":'}),
        piece(function={"arguments": '"rain"}'}),
        piece(id="b", function={"name": "now", "arguments": "{"}),
        piece(function={"arguments": "}"}),
        b'data: {"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n',
    ]
    with OpenAIServer([Sends(b"".join(stream), "text/event-stream")]) as server:
        answer = asked_of(server, request("openai/m"), stream=True)
    assert [(call.id, call.name, call.arguments) for call in answer.tool_calls] == [
        ("a", "search", {"query": "rain"}),
        ("b", "now", {}),
    ]


def test_calls_that_are_counted_in_words_are_no_answer() -> None:
    calls = [
        [{"index": index, "id": index, "function": {"name": "now", "arguments": ""}}]
        for index in ("one", "two")
    ]
    chunks = [{"choices": [{"delta": {"tool_calls": call}, "finish_reason": "tool_calls"}]} for call in calls]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode()
    with OpenAIServer([Sends(body, "text/event-stream")]) as server, pytest.raises(ProviderError) as caught:
        asked_of(server, request("openai/m"), stream=True)
    assert (caught.value.kind, caught.value.may_retry) == ("bad_answer", True)


@pytest.mark.parametrize(
    "sent,received,usage",
    [
        ("1" * 400, "5", Usage(output_tokens=5)),
        ("9" * 17, "5", Usage(output_tokens=5)),
        ('10,"prompt_tokens_details":{"cached_tokens":50}', "5", Usage(input_tokens=10, output_tokens=5)),
        (
            '10,"completion_tokens_details":{"reasoning_tokens":6}',
            "5",
            Usage(input_tokens=10, output_tokens=5),
        ),
    ],
)
def test_counts_that_cannot_be_are_unknown(sent: str, received: str, usage: Usage) -> None:
    body = f'{{"model":"gpt-4o","usage":{{"prompt_tokens":{sent},"completion_tokens":{received}}},"choices":[{{"finish_reason":"stop","message":{{"content":"a"}}}}]}}'
    with OpenAIServer([Sends(body.encode())]) as server:
        answer = asked_of(server, request("openai/gpt-4o"))
    assert answer.usage == usage
    assert (answer.cost_usd is None) == (usage.input_tokens is None)


def test_numbers_of_tokens_that_are_none_are_unknown() -> None:
    body = b'{"model":"gpt-4o","usage":{"prompt_tokens":"12","completion_tokens":null},"choices":[{"finish_reason":"stop","message":{"content":"a"}}]}'
    with OpenAIServer([Sends(body)]) as server:
        answer = asked_of(server, request("openai/gpt-4o"))
    assert (answer.usage, answer.cost_usd) == (Usage(), None)
