"""HTTP tools against a real server on loopback, which writes down what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ToolError
from clew.workflow.project import Place, ToolNode
from clew.workflow.tools.http_tool import MOST_RESPONSE_BYTES, HttpTool

HERE = Place(Path("clew.yaml"), 1)
CUT_OFF = {
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
    "/cut-at-once": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    "/cut-in-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n64\r\nde",
    "/cut-between-chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "/cut-404": b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n64\r\nde",
}


class Server(ThreadingHTTPServer):
    """Answers by path, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.elsewhere = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is part of the test."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def answer(
        self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8", **headers: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        self.server.asked.append(asked)
        path = self.path.partition("?")[0]
        if path.startswith("/json"):
            self.answer(200, json.dumps({"n": 1, "path": self.path}).encode(), "application/json")
        elif path == "/broken":
            self.answer(200, b"{not json", "application/json")
        elif path == "/latin":
            self.answer(200, "é".encode("latin-1"), "text/plain; charset=iso-8859-1")
        elif path == "/404":
            self.answer(404, b"no such thing " * 1000)
        elif path == "/echo-secret":
            self.answer(403, f"bad key {self.headers['X-Key']}".encode())
        elif path == "/large":
            with contextlib.suppress(OSError):
                self.answer(200, b"x" * (MOST_RESPONSE_BYTES + 1))
        elif path == "/slow":
            time.sleep(20)
        elif path == "/drip":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(400):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
        elif path in CUT_OFF:
            self.wfile.write(CUT_OFF[path])
            self.close_connection = True
        elif path.startswith("/charset/"):
            self.answer(200, "é".encode(), f"text/plain; charset={path.removeprefix('/charset/')}")
        elif path == "/deep":
            self.answer(200, b"[" * 50_000 + b"]" * 50_000, "application/json")
        elif path == "/hang-up":
            self.close_connection = True
            self.connection.close()
        elif path == "/to-file":
            self.answer(302, b"", Location="file:///etc/passwd")
        elif path == "/to-ftp":
            self.answer(302, b"", Location="ftp://127.0.0.1/x")
        elif path == "/to-json":
            self.answer(302, b"", Location="/json")
        elif path == "/to-elsewhere":
            self.answer(302, b"", Location=self.server.elsewhere + "/json")
        else:
            self.answer(200, b"plain")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = serve  # noqa: N815 - http.server looks for these


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def call(
    url: str,
    *,
    arguments: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    timeout_s: float | None = 15,
    **node: Any,
) -> dict[str, Any]:
    made = ToolNode(place=HERE, id="h", type="http", url=url, **node)
    tool = HttpTool(made, environ=environ or {}, timeout_s=timeout_s)
    return asyncio.run(tool.call(arguments or {}))


def failure(url: str, **more: Any) -> str:
    with pytest.raises(ToolError) as caught:
        call(url, **more)
    return str(caught.value)


def test_json_is_parsed_and_text_is_text(server: Server) -> None:
    assert call(server.url + "/json") == {"status": 200, "body": {"n": 1, "path": "/json"}}
    assert call(server.url + "/text") == {"status": 200, "body": "plain"}
    assert call(server.url + "/latin") == {"status": 200, "body": "é"}
    assert call(server.url + "/broken") == {"status": 200, "body": "{not json"}


@pytest.mark.parametrize("charset", ["klingon", "hex", "zip", "base64", "undefined", "idna"])
def test_text_in_a_charset_that_is_none_is_read_as_utf_8(server: Server, charset: str) -> None:
    assert call(f"{server.url}/charset/{charset}") == {"status": 200, "body": "é"}


def test_json_that_is_nested_too_deeply_is_a_failure_of_the_tool(server: Server) -> None:
    assert failure(server.url + "/deep").endswith("/deep gave JSON that is nested too deeply to be read")


@pytest.mark.parametrize("path, size", [("cut", 3), ("cut-at-once", 0), ("cut-between-chunks", 3)])
def test_an_answer_that_was_cut_off_is_not_taken_for_a_whole_one(
    server: Server, path: str, size: int
) -> None:
    assert failure(f"{server.url}/{path}").endswith(f"gave an answer that was cut off after {size} bytes")


def test_a_cut_in_a_chunk_is_one_too_and_hides_no_status(server: Server) -> None:
    assert "gave an answer that was cut off after" in failure(server.url + "/cut-in-chunk")
    assert "gave 404 Not Found: abc" in failure(server.url + "/cut-404")


def test_an_argument_in_the_url_cannot_lead_it_elsewhere(server: Server) -> None:
    url = server.url + "/json/{{ name }}?q={{q.deep}}&n={{n}}"
    call(url, arguments={"name": "a/../b?c#d e", "q": {"deep": "x&admin=1"}, "n": 3})
    assert server.asked[0]["path"] == "/json/a%2F..%2Fb%3Fc%23d%20e?q=x%26admin%3D1&n=3"
    assert "would change its path" in failure(url, arguments={"name": "..", "q": {"deep": ""}, "n": 1})
    assert len(server.asked) == 1


def test_a_missing_argument_is_told_by_name(server: Server) -> None:
    assert failure(server.url + "/{{city}}", arguments={"town": "x"}) == (
        "tool h: the argument city is missing; it got town"
    )


def test_arguments_that_no_template_uses_are_the_body_of_a_post(server: Server) -> None:
    arguments = {"id": 7, "title": "é", "tags": [1, None]}
    call(server.url + "/json/{{id}}", method="post", arguments=arguments)
    call(server.url + "/json/{{id}}", method="DELETE", arguments=arguments)
    post, delete = server.asked
    assert (post["method"], post["path"]) == ("POST", "/json/7")
    assert post["headers"]["Content-Type"] == "application/json"
    assert json.loads(post["body"]) == {"title": "é", "tags": [1, None]}
    assert (delete["method"], delete["body"]) == ("DELETE", "")


def test_headers_take_variables_of_the_environment_and_arguments_but_never_one_inside_the_other(
    server: Server,
) -> None:
    headers = {"X-Key": "Bearer ${KEY}", "X-Who": "{{who}}"}
    call(server.url + "/text", headers=headers, environ={"KEY": "hunter2"}, arguments={"who": "${KEY}"})
    asked = server.asked[0]["headers"]
    assert (asked["X-Key"], asked["X-Who"]) == ("Bearer hunter2", "${KEY}")
    assert "the environment has no KEY" in failure(server.url, headers=headers, arguments={"who": "x"})
    split = failure(server.url, headers={"X-Who": "{{who}}"}, arguments={"who": "a\r\nX-Evil: 1"})
    assert "the header X-Who would have a line break" in split
    assert len(server.asked) == 1


def test_a_status_of_400_or_above_is_a_failure_with_the_beginning_of_the_body(server: Server) -> None:
    message = failure(server.url + "/404?key=hunter2")
    assert message.startswith(f"tool h: GET {server.url}/404 gave 404 Not Found: no such thing no such")
    assert len(message) < 1200
    assert "hunter2" not in message


def test_a_secret_that_the_server_repeats_is_not_in_the_error(server: Server) -> None:
    message = failure(server.url + "/echo-secret", headers={"X-Key": "${KEY}"}, environ={"KEY": "hunter2"})
    assert message.endswith("gave 403 Forbidden: bad key ***")


def test_an_answer_of_more_than_five_mebibytes_is_refused(server: Server) -> None:
    assert "gave more than 5242880 bytes" in failure(server.url + "/large")


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_a_server_that_takes_too_long_is_left(server: Server, path: str) -> None:
    before = time.monotonic()
    assert "took longer than 0.5 s" in failure(server.url + path, timeout_s=0.5)
    assert time.monotonic() - before < 5


def test_a_server_that_hangs_up_or_is_not_there_is_told_as_such(server: Server) -> None:
    assert "failed: RemoteDisconnected" in failure(server.url + "/hang-up")
    with serving() as other:
        gone = other.url
    assert "failed: ConnectionRefusedError" in failure(gone)
    assert "failed: " in failure("http://no-such-host.invalid/x")


def test_a_password_in_the_url_is_refused_and_not_repeated(server: Server) -> None:
    message = failure(server.url.replace("//", "//user:hunter2@") + "/text")
    assert message == "tool h: name and password stand in the url; write them as a header"
    assert server.asked == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "/etc/passwd", "", "http:", "http://[x"]
)
def test_only_http_and_https_are_asked(url: str) -> None:
    assert failure(url).startswith("tool h: ")
    assert failure("{{url}}", arguments={"url": url}).startswith("tool h: ")


def test_a_url_that_is_one_variable_is_taken_as_it_comes(server: Server) -> None:
    given = call("{{url}}", arguments={"url": server.url + "/json?a=b"})
    assert given["body"]["path"] == "/json?a=b"


def test_a_redirect_is_followed_but_not_to_another_scheme(server: Server) -> None:
    assert call(server.url + "/to-json")["body"]["path"] == "/json"
    assert "is not allowed" in failure(server.url + "/to-file")
    assert "sent on from http to ftp, which is not followed" in failure(server.url + "/to-ftp")


def test_a_redirect_to_another_host_takes_no_headers_with_it(server: Server) -> None:
    headers = {"Authorization": "Bearer ${KEY}", "X-Key": "${KEY}"}
    with serving() as other:
        server.elsewhere = other.url
        call(server.url + "/to-elsewhere", headers=headers, environ={"KEY": "hunter2"})
        call(server.url + "/to-json", headers=headers, environ={"KEY": "hunter2"})
        assert "hunter2" not in json.dumps(other.asked)
    assert server.asked[0]["headers"]["X-Key"] == "hunter2"
    assert server.asked[2]["headers"]["X-Key"] == "hunter2"


def test_a_model_is_told_the_variables_of_the_templates() -> None:
    node = ToolNode(
        place=HERE,
        id="h",
        type="http",
        description="Look",
        url="http://x/{{b}}/{{a.deep}}",
        headers={"X": "{{c}}"},
    )
    spec = HttpTool(node, environ={}, timeout_s=1).spec
    assert spec.description == "Look"
    assert spec.parameters == {
        "type": "object",
        "properties": {"a": {}, "b": {}, "c": {}},
        "required": ["a", "b", "c"],
    }
