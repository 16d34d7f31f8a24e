"""Servers on the loopback that speak like OpenAI and like Anthropic, for the real SDKs to talk to.

    with OpenAIServer([Fails(429, headers={"retry-after": "1"}), Says("hello")]) as server:
        ...                       # base URL: server.url
    assert server.count == 2      # requests that came in, their bodies in server.requests

Instead of a list, a function from a request's body to an answer can be given; it is called in the server's threads.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.workflow.model_answers import Answer, Body, Call, Drops, Fails, Hangs, Says, Sends

LONGEST_S = 30.0
"""After this even a server that hangs lets go."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = (
        256  # connections that nobody has accepted yet; more are asked to come back in a second
    )


class ModelServer:
    """What both servers have in common: answers in order, or from a function, and a record of what was asked."""

    path = "/"

    def __init__(self, answers: Sequence[Answer] | Callable[[Body], Answer]) -> None:
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self._answers = answers
        self._lock = threading.Condition()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._server = _Listener(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def count(self) -> int:
        """Requests so far."""
        return len(self.requests)

    def wait_for(self, count: int, *, timeout_s: float = LONGEST_S) -> None:
        """Wait until so many requests have come."""
        with self._lock:
            assert self._lock.wait_for(lambda: len(self.requests) >= count, timeout_s)

    def close(self) -> None:
        """Stop, and let go of everything that hangs."""
        self._closing.set()
        self._server.shutdown()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join(LONGEST_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def whole(self, answer: Says, body: Body) -> Body:
        """Return the answer to a request that wants no stream."""
        raise NotImplementedError

    def events(self, answer: Says, body: Body) -> Iterator[str]:
        """Yield the events of a stream; those with text in them are its pieces."""
        raise NotImplementedError

    def error(self, answer: Fails) -> Body:
        """Return the body of an error."""
        raise NotImplementedError

    def error_event(self, answer: Fails) -> str:
        """Return an error in the middle of a stream."""
        raise NotImplementedError

    def is_piece(self, event: str) -> bool:
        """Whether an event of a stream has text in it."""
        raise NotImplementedError

    def _next(self, body: Body, headers: dict[str, str]) -> Answer:
        with self._lock:
            number = len(self.requests)
            self.requests.append(body)
            self.headers.append(headers)
            self._lock.notify_all()
        if callable(self._answers):
            return self._answers(body)
        if number < len(self._answers):
            return self._answers[number]
        return Fails(400, f"the test has no answer for request {number + 1}")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = LONGEST_S
            disable_nagle_algorithm = True  # or each piece waits 40 ms for the one before it to be confirmed

            def setup(self) -> None:
                super().setup()
                with server._lock:
                    server._connections.add(self.connection)

            def finish(self) -> None:
                with server._lock:
                    server._connections.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                try:
                    if self.path != server.path:
                        server._send(self, Sends(b"{}", status=404), body)
                    else:
                        server._send(self, server._next(body, headers), body)
                except OSError:  # who asked has gone
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer, body: Body) -> None:
        match answer:
            case Hangs():
                self._closing.wait(LONGEST_S)
                handler.close_connection = True
            case Drops():
                handler.connection.shutdown(socket.SHUT_RDWR)
                handler.close_connection = True
            case Sends():
                headers = {"content-type": answer.content_type, **answer.headers}
                _respond(handler, answer.status, answer.body, headers)
            case Fails():
                headers = {"content-type": "application/json", **answer.headers}
                _respond(handler, answer.status, json.dumps(self.error(answer)).encode(), headers)
            case Says():
                self._closing.wait(answer.delay_s)
                if body.get("stream"):
                    self._stream(handler, answer, body)
                else:
                    content = json.dumps(self.whole(answer, body)).encode()
                    _respond(handler, 200, content, {"content-type": "application/json"})

    def _stream(self, handler: BaseHTTPRequestHandler, answer: Says, body: Body) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        sent = 0
        for event in self.events(answer, body):
            if self.is_piece(event):
                if sent == answer.hangs_after:
                    self._closing.wait(LONGEST_S)
                    handler.close_connection = True
                    return
                if sent == answer.breaks_after:
                    handler.connection.shutdown(socket.SHUT_RDWR)
                    handler.close_connection = True
                    return
                if sent == answer.ends_after:
                    break
                if answer.fails_after is not None and sent == answer.fails_after[0]:
                    _write_chunk(handler, self.error_event(answer.fails_after[1]).encode())
                    break
                sent += 1
            _write_chunk(handler, event.encode())
        _write_chunk(handler, b"")


def _respond(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def _write_chunk(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    handler.wfile.flush()


class OpenAIServer(ModelServer):
    """Speaks `/v1/chat/completions`."""

    path = "/v1/chat/completions"

    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def whole(self, answer: Says, body: Body) -> Body:
        message: Body = {"role": "assistant", "content": answer.text or None}
        if answer.calls:
            message["tool_calls"] = [_openai_call(call) for call in answer.calls]
        choice = {"index": 0, "message": message, "finish_reason": _openai_finish(answer)}
        return self._frame(body, "chat.completion") | {"choices": [choice], "usage": _openai_usage(answer)}

    def events(self, answer: Says, body: Body) -> Iterator[str]:
        frame = self._frame(body, "chat.completion.chunk")

        def chunk(delta: Body, finish: str | None = None) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return f"data: {json.dumps({**frame, 'choices': [choice]})}\n\n"

        yield chunk({"role": "assistant", "content": ""})
        for piece in answer.text_pieces():
            yield chunk({"content": piece})
        for index, call in enumerate(answer.calls):
            first = {**_openai_call(call), "index": index}
            yield chunk({"tool_calls": [{**first, "function": {"name": call.name, "arguments": ""}}]})
            for part in (call.raw[:5], call.raw[5:]):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
        yield chunk({}, _openai_finish(answer))
        if body.get("stream_options", {}).get("include_usage"):
            yield f"data: {json.dumps({**frame, 'choices': [], 'usage': _openai_usage(answer)})}\n\n"
        yield "data: [DONE]\n\n"

    def error(self, answer: Fails) -> Body:
        return {"error": {"message": answer.message, "type": answer.type, "param": None, "code": answer.code}}

    def error_event(self, answer: Fails) -> str:
        return f"data: {json.dumps(self.error(answer))}\n\n"

    def is_piece(self, event: str) -> bool:
        return '"delta": {"content"' in event

    @staticmethod
    def _frame(body: Body, kind: str) -> Body:
        return {"id": "chatcmpl-1", "object": kind, "created": 1_790_000_000, "model": body["model"]}


def _openai_call(call: Call) -> Body:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.raw}}


def _openai_finish(answer: Says) -> str:
    return answer.finish_reason or ("tool_calls" if answer.calls else "stop")


def _openai_usage(answer: Says) -> Body:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_write_tokens": answer.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }


class AnthropicServer(ModelServer):
    """Speaks `/v1/messages`."""

    path = "/v1/messages"

    def whole(self, answer: Says, body: Body) -> Body:
        content: list[Body] = [{"type": "text", "text": answer.text}] if answer.text else []
        content += [
            {
                "type": "tool_use",
                "id": call.id,
                "name": call.name,
                "input": call.arguments if isinstance(call.arguments, dict) else {},
            }
            for call in answer.calls
        ]
        frame = self._frame(answer, body)
        return {**frame, "content": content, "stop_reason": _stop_reason(answer)}

    def events(self, answer: Says, body: Body) -> Iterator[str]:
        start = self._frame(answer, body)
        start["usage"] |= {"output_tokens": 1, "output_tokens_details": None}
        yield _event("message_start", message=start)
        index = 0
        if answer.text:
            yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
            yield _event("ping")
            for piece in answer.text_pieces():
                yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
            yield _event("content_block_stop", index=0)
            index = 1
        for call in answer.calls:
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            yield _event("content_block_start", index=index, content_block=block)
            for part in (call.raw[:5], call.raw[5:]):
                delta = {"type": "input_json_delta", "partial_json": part}
                yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
            index += 1
        usage = {
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"thinking_tokens": answer.reasoning_tokens},
        }
        yield _event(
            "message_delta", delta={"stop_reason": _stop_reason(answer), "stop_sequence": None}, usage=usage
        )
        yield _event("message_stop")

    def error(self, answer: Fails) -> Body:
        return {"type": "error", "error": {"type": answer.type, "message": answer.message}}

    def error_event(self, answer: Fails) -> str:
        return f"event: error\ndata: {json.dumps(self.error(answer))}\n\n"

    def is_piece(self, event: str) -> bool:
        return '"text_delta"' in event

    @staticmethod
    def _frame(answer: Says, body: Body) -> Body:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": answer.input_tokens - answer.cached_tokens - answer.cache_write_tokens,
                "cache_read_input_tokens": answer.cached_tokens,
                "cache_creation_input_tokens": answer.cache_write_tokens,
                "output_tokens": answer.output_tokens,
                "output_tokens_details": {"thinking_tokens": answer.reasoning_tokens},
            },
        }


def _event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"


def _stop_reason(answer: Says) -> str:
    return answer.finish_reason or ("tool_use" if answer.calls else "end_turn")
