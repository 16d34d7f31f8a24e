"""What goes wrong at a provider, seen through the real SDKs, is one clear error."""

from __future__ import annotations

import email.utils
import socket
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from clew.workflow.chat import ChatModel
from clew.workflow.providers.anthropic_chat import AnthropicChat
from clew.workflow.providers.failures import provider_failure, retry_after_s
from clew.workflow.providers.openai_chat import OpenAIChat
from tests.workflow.model_answers import CONTEXT_OVERFLOW, Answer, Drops, Fails, Hangs, Says, Sends
from tests.workflow.model_servers import AnthropicServer, ModelServer, OpenAIServer
from tests.workflow.providers.asked import ask, refusal, request

KEY = "sk-this-is-a-key-0123456789"


class Side(NamedTuple):
    """One of the two: its server, its SDK, and how it says things."""

    server: Callable[[list[Answer]], ModelServer]
    client: Callable[..., ChatModel]
    model: str
    too_long: Fails
    overloaded: Fails


OPENAI = Side(
    OpenAIServer,
    OpenAIChat,
    "openai/gpt-4o",
    Fails(400, CONTEXT_OVERFLOW, type="invalid_request_error", code="context_length_exceeded"),
    Fails(500, "The server is overloaded", type="server_error", code="server_error"),
)
ANTHROPIC = Side(
    AnthropicServer,
    AnthropicChat,
    "anthropic/claude-sonnet-5",
    Fails(400, "prompt is too long: 208310 tokens > 200000 maximum", type="invalid_request_error"),
    Fails(529, "Overloaded", type="overloaded_error"),
)


@pytest.fixture(
    params=[
        pytest.param(OPENAI, id="openai", marks=pytest.mark.needs_extra("openai")),
        pytest.param(ANTHROPIC, id="anthropic", marks=pytest.mark.needs_extra("anthropic")),
    ]
)
def side(request: pytest.FixtureRequest) -> Side:
    found: Side = request.param
    return found


def failed(side: Side, answer: Answer, *, stream: bool = False, timeout_s: float = 10.0) -> Any:
    """Return the error, after a look at what it may never be."""
    with side.server([answer]) as server:
        model = side.client(api_key=KEY, base_url=server.url, timeout_s=timeout_s)
        error = refusal(model, request(side.model), stream=stream)
        assert server.count == 1, "the SDK must not try again by itself"
    assert str(error).startswith(side.model)
    assert KEY not in str(error)
    return error


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "answer,kind,may_retry",
    [
        (Fails(400, "temperature is not known"), "bad_request", False),
        (Fails(401, "invalid x-api-key"), "authentication", False),
        (Fails(403, "not for you"), "authentication", False),
        (Fails(404, "no such model"), "bad_request", False),
        (Fails(408, "too slow"), "timeout", True),
        (Fails(409, "busy"), "server", True),
        (Fails(413, "too large", type="request_too_large"), "context_length", False),
        (Fails(422, "no"), "bad_request", False),
        (Fails(429, "slow down"), "rate_limit", True),
        (Fails(429, "pay first", code="insufficient_quota", type="insufficient_quota"), "rate_limit", False),
        (Fails(429, "never", headers={"x-should-retry": "false"}), "rate_limit", False),
        (Fails(500, "oh"), "server", True),
        (Fails(503, "away"), "server", True),
        (Fails(504, "gateway"), "timeout", True),
        (Fails(529, "Overloaded", type="overloaded_error"), "server", True),
    ],
    ids=lambda value: f"{value.status} {value.message}" if isinstance(value, Fails) else None,
)
def test_each_status_has_its_kind(
    side: Side, answer: Fails, kind: str, may_retry: bool, stream: bool
) -> None:
    error = failed(side, answer, stream=stream)
    assert (error.kind, error.status, error.may_retry) == (kind, answer.status, may_retry)
    assert answer.message in str(error)


def test_retry_after_in_seconds_is_carried(side: Side) -> None:
    error = failed(side, Fails(429, "slow down", headers={"retry-after": "1.5"}))
    assert error.retry_after_s == 1.5
    assert failed(side, Fails(429, "slow down")).retry_after_s is None


def test_retry_after_as_a_date_is_carried(side: Side) -> None:
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < failed(side, Fails(503, "away", headers={"retry-after": date})).retry_after_s <= 30


@pytest.mark.parametrize(
    "headers,wait_s",
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "-7"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": f"Mon, 01 Jan {'9' * 5000} 00:00:00 GMT"}, None),
    ],
)
def test_what_retry_after_may_be(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers) == wait_s


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_over_the_context_is_not_tried_again(side: Side, stream: bool) -> None:
    error = failed(side, side.too_long, stream=stream)
    assert (error.kind, error.status, error.may_retry) == ("context_length", 400, False)


@pytest.mark.parametrize("pieces", [0, 2])
def test_an_error_in_the_middle_of_a_stream_is_the_same_as_before_it(side: Side, pieces: int) -> None:
    error = failed(side, Says("It is raining.", fails_after=(pieces, side.overloaded)), stream=True)
    assert (error.kind, error.status, error.may_retry) == ("server", side.overloaded.status, True)
    assert side.overloaded.message in str(error)


@pytest.mark.parametrize(
    "answer,stream", [(Hangs(), False), (Hangs(), True), (Says("abc", hangs_after=2), True)]
)
def test_a_server_that_falls_silent_is_a_timeout(side: Side, answer: Answer, stream: bool) -> None:
    error = failed(side, answer, stream=stream, timeout_s=0.3)
    assert (error.kind, error.may_retry) == ("timeout", True)


@pytest.mark.parametrize(
    "answer,stream",
    [
        (Drops(), False),
        (Drops(), True),
        (Says("abc", breaks_after=2), True),
        (Says("abc", ends_after=2, pieces=3), True),
    ],
    ids=["dropped", "dropped stream", "broken in mid stream", "stream without its end"],
)
def test_a_connection_that_breaks_is_told_from_an_answer(side: Side, answer: Answer, stream: bool) -> None:
    error = failed(side, answer, stream=stream)
    assert (error.kind, error.may_retry) == ("connection", True)


def test_a_server_that_is_not_there_is_a_connection_that_failed(side: Side) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        error = refusal(side.client(api_key=KEY, base_url=url), request(side.model))
    assert (error.kind, error.status, error.may_retry) == ("connection", None, True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        Sends(b'{"choices": [{"mess'),
        Sends(b"\xff\xfe{}"),
        Sends(b"[" * 20_000),
        Sends(b"{}"),
        Sends(b"[]"),
        Sends(b"3"),
        Sends(b'{"choices": 3, "content": 3}'),
        Sends(b'{"choices": [{"message": 3}], "content": [{"type": "text", "text": 3}], "model": 1}'),
        Sends(b'{"choices": [{"message": {"content": 3}}], "content": [], "usage": {}, "model": 1}'),
        Sends(b'{"choices": [{"message": {}, "finish_reason": []}], "content": [], "stop_reason": []}'),
        Sends(b"hello", content_type="text/plain"),
        Sends(b'data: {"choices": [\n\nevent: message_start\ndata: {"mess\n\n', "text/event-stream"),
        Sends(b"data: [1]\n\nevent: message_start\ndata: [1]\n\n", "text/event-stream"),
    ],
    ids=lambda value: value.body[:20].decode("latin-1") if isinstance(value, Sends) else None,
)
def test_an_answer_that_cannot_be_read_may_be_asked_for_again(
    side: Side, answer: Sends, stream: bool
) -> None:
    error = failed(side, answer, stream=stream)
    assert error.kind in {"bad_answer", "connection"}
    assert error.may_retry


def test_a_page_of_a_proxy_is_not_quoted(side: Side) -> None:
    error = failed(side, Sends(b"<html>\n<body>Bad gateway</body></html>", "text/html", 502))
    assert str(error) == f"{side.model} failed (HTTP 502): it sent a page instead"


def test_a_key_that_a_provider_repeats_is_not_in_the_error(side: Side) -> None:
    for said in (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: sk-th*****6789."):
        message = str(failed(side, Fails(401, said)))
        assert "6789" not in message
        assert "[redacted]" in message


@pytest.mark.parametrize("key", ["gsk_aQ3xT7mW9pLz0vK5", "aQ3xT7mW/9pL.z0v+K5bN"])
@pytest.mark.parametrize("mask", ["...", "…", "***", "••••"])
def test_a_key_of_no_known_look_is_neither_in_the_error_nor_in_what_it_came_of(
    side: Side, key: str, mask: str
) -> None:
    said = f"Wrong key: {key} ({key[:6]}{mask}{key[-4:]}, {mask}{key[-4:]})"
    with side.server([Fails(401, said)]) as server:
        error = refusal(side.client(api_key=key, base_url=server.url), request(side.model))
    printed = "".join(traceback.format_exception(error))
    assert key not in printed
    assert key[-4:] not in str(error)
    assert str(error).count("[redacted]") == 3
    assert "SDKError: AuthenticationError" in printed, "the stack says which error of the SDK it was"


def test_what_is_no_part_of_the_key_keeps_its_dots(side: Side) -> None:
    error = failed(side, Fails(400, "messages...content: wait… at least 2 ** 3"))
    assert str(error).endswith("messages...content: wait… at least 2 ** 3")


def test_a_key_that_cannot_be_sent_is_not_quoted(side: Side) -> None:
    with side.server([]) as server:
        error = refusal(side.client(api_key="first\nsecond-line", base_url=server.url), request(side.model))
        assert server.count == 0
    assert "first" not in "".join(traceback.format_exception(error))


def test_a_long_message_of_many_lines_is_cut_to_a_sentence(side: Side) -> None:
    message = str(failed(side, Fails(400, "no\n\tway " * 1000)))
    assert len(message) < 400
    assert "no way no way" in message


def test_terminal_escapes_do_not_come_through(side: Side) -> None:
    message = str(failed(side, Fails(400, "\x1b[31mred\x1b[0m \u202e\x07 end")))
    assert message.isprintable()
    assert message.endswith("end")


def test_an_address_that_is_none_is_said_to_be_so(side: Side) -> None:
    for url in ("http://[", "no address", "http://\x00/"):
        error = refusal(side.client(api_key=KEY, base_url=url), request(side.model))
        assert str(error).startswith(side.model)


@pytest.mark.parametrize(
    "body,kind", [(b"", "text/event-stream"), (b"<html></html>", "text/html"), (b"", "text/html")]
)
def test_a_stream_with_nothing_in_it_cannot_be_read(side: Side, body: bytes, kind: str) -> None:
    error = failed(side, Sends(body, kind), stream=True)
    assert (error.kind, error.may_retry) == ("bad_answer", True)
    assert str(error).endswith("answered something that cannot be read: its stream has nothing in it")


@pytest.mark.parametrize("stream", [False, True])
def test_a_broken_compression_cannot_be_read(side: Side, stream: bool) -> None:
    kind = "text/event-stream" if stream else "application/json"
    answer = Sends(b"\x1f\x8bgarbage", kind, headers={"content-encoding": "gzip"})
    assert failed(side, answer, stream=stream).kind == "bad_answer"


def test_a_port_that_is_none_is_said_to_be_so(side: Side) -> None:
    error = refusal(side.client(api_key=KEY, base_url="http://127.0.0.1:99999"), request(side.model))
    assert str(error) == f"{side.model} cannot be reached, or broke off: connect(): port must be 0-65535"


def raised_from(error: Exception, cause: BaseException | None) -> Exception:
    error.__cause__ = cause
    return error


class ReadError(Exception):
    """Called like the HTTP library's own, which says nothing."""


class APIConnectionError(Exception):
    """Called like the SDKs' own, which says no more than its name."""


@pytest.mark.parametrize(
    "cause,said",
    [
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (None, "the connection was lost"),
        (
            ExceptionGroup("unhandled errors", [OSError(101, "Network is unreachable")]),
            "Network is unreachable",
        ),
    ],
)
def test_what_broke_a_connection_is_said_in_words(cause: BaseException | None, said: str) -> None:
    error = raised_from(APIConnectionError("Connection error."), raised_from(ReadError(), cause))
    failure = provider_failure(error, model="openai/x")
    assert str(failure) == f"openai/x cannot be reached, or broke off: {said}"


def test_a_failure_does_not_spoil_the_next_answer(side: Side) -> None:
    with side.server([Fails(500), Says("hello")]) as server:
        refusal(side.client(api_key=KEY, base_url=server.url), request(side.model))
        assert ask(side.client(api_key=KEY, base_url=server.url), request(side.model)).text == "hello"


def test_a_fault_that_no_one_foresaw_is_still_one_sentence() -> None:
    error = provider_failure(LookupError("two\nlines"), model="openai/x")
    assert str(error) == "openai/x gave no answer: two lines"
    assert (error.kind, error.may_retry) == ("provider", False)
