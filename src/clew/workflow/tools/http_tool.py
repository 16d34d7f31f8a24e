"""An HTTP request as a tool."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import IO, Any, Final

import msgspec

from clew.errors import ToolError
from clew.workflow.chat import ToolSpec
from clew.workflow.project import ToolNode
from clew.workflow.shape import with_defaults
from clew.workflow.tools.daemon_threads import in_daemon_thread
from clew.workflow.tools.placeholders import expand, fill, is_one_variable, variables
from clew.workflow.tools.signature import schema_of_fields

MOST_RESPONSE_BYTES: Final = 5 * 1024 * 1024
_CHUNK_BYTES: Final = 65536
_ERROR_BODY_CHARS: Final = 1000
_SOCKET_TIMEOUT_S: Final = 60.0
"""Of one wait for the server, where the call has no time limit of its own."""
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class HttpTool:
    """Sends one request a call.

    `{{name}}` in the url is percent-encoded, so that an argument cannot change where the request goes; only a url that
    is one variable as a whole is taken as it comes. Arguments that no template uses are the JSON body of POST, PUT and
    PATCH, and are left out of everything else.
    """

    def __init__(self, node: ToolNode, *, environ: Mapping[str, str], timeout_s: float | None) -> None:
        """Args: environ: for `${NAME}` in header values; timeout_s: of one call."""
        self._node = node
        self._environ = environ
        self._timeout_s = timeout_s
        self._used = variables(node.url, *node.headers.values())

    @property
    def spec(self) -> ToolSpec:
        """What the manifest says; without parameters there, the variables of the templates."""
        node = self._node
        parameters = schema_of_fields(node.parameters)
        if not node.parameters:
            names = sorted(self._used)
            parameters = {"type": "object", "properties": {name: {} for name in names}, "required": names}
        return ToolSpec(name=node.id, description=node.description, parameters=parameters)

    async def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return `{"status": 200, "body": ...}`, the body parsed where it is JSON, else text.

        Raises: ToolError: status 400 or above, with the beginning of the body; no connection; over 5 MiB; too slow.
        """
        arguments = with_defaults(arguments, self._node.parameters)
        secrets: set[str] = set()
        request = self._request(arguments, secrets)
        exchange = _Exchange(request, timeout_s=self._timeout_s)
        where = f"{request.get_method()} {_shown(request.full_url)}"
        try:
            return await in_daemon_thread(exchange.run, timeout_s=self._timeout_s)
        except TimeoutError:
            raise ToolError(
                f"tool {self._node.id}: {where} took longer than {exchange.timeout_s:g} s"
            ) from None
        except _RefusedError as error:
            said = str(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            said = (
                f"failed: {type(reason).__name__}: {reason}"
                if isinstance(reason, Exception)
                else f"failed: {reason}"
            )
        finally:
            exchange.is_abandoned.set()
        raise ToolError(f"tool {self._node.id}: {where} {_without(said, secrets)}")

    async def close(self) -> None:
        """Do nothing: each call has its own connection."""

    def _request(self, arguments: dict[str, Any], secrets: set[str]) -> urllib.request.Request:
        node = self._node
        url = fill(
            node.url, arguments, tool=node.id, encode=str if is_one_variable(node.url) else self._quoted
        )
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError as error:
            raise ToolError(f"tool {node.id}: the url cannot be read: {error}") from None
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ToolError(f"tool {node.id}: {_shown(url)} is no http or https address")
        if "@" in parts.netloc:
            raise ToolError(f"tool {node.id}: name and password stand in the url; write them as a header")
        headers = {}
        for name, template in node.headers.items():
            # Variables of the environment first: an argument that says ${SECRET} stays what it is.
            expanded = expand(template, self._environ, tool=node.id, secrets=secrets)
            headers[name] = fill(expanded, arguments, tool=node.id)
            if not headers[name].isprintable():
                raise ToolError(
                    f"tool {node.id}: the header {name} would have a line break or control character"
                )
        method = node.method.upper()
        body = None
        if method in _WITH_BODY:
            rest = {name: value for name, value in arguments.items() if name not in self._used}
            body = msgspec.json.encode(rest, enc_hook=str)
            if "content-type" not in {name.lower() for name in headers}:
                headers["Content-Type"] = "application/json"
        try:
            return urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - looked at above
        except ValueError as error:
            raise ToolError(f"tool {node.id}: {error}") from None

    def _quoted(self, value: str) -> str:
        if value in {".", ".."}:
            raise ToolError(f"tool {self._node.id}: {value!r} in the url would change its path")
        return urllib.parse.quote(value, safe="")


class _RefusedError(Exception):
    """The answer cannot be used; the message goes behind the address."""


class _Exchange:
    """One request and its answer, in a thread."""

    def __init__(self, request: urllib.request.Request, *, timeout_s: float | None) -> None:
        self._request = request
        self.timeout_s = _SOCKET_TIMEOUT_S if timeout_s is None else timeout_s
        self.is_abandoned = threading.Event()

    def run(self) -> dict[str, Any]:
        opener = urllib.request.OpenerDirector()  # without the handlers for file:, ftp: and data:
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _Redirects(),
        ):
            opener.add_handler(handler)
        try:
            with opener.open(self._request, timeout=self.timeout_s) as response:
                return {"status": response.status, "body": _parsed(self._read(response), response.headers)}
        except urllib.error.HTTPError as error:
            with error:
                try:
                    body = error.read(4 * _ERROR_BODY_CHARS)
                except http.client.IncompleteRead as cut:
                    body = cut.partial
            text = body.decode(errors="replace")
            raise _RefusedError(
                f"gave {error.code} {error.reason}: {text[:_ERROR_BODY_CHARS]}".rstrip(": ")
            ) from None

    def _read(self, response: Any) -> bytes:
        deadline = time.monotonic() + self.timeout_s
        parts: list[bytes] = []
        size = 0
        while chunk := self._next(response, size):
            size += len(chunk)
            if size > MOST_RESPONSE_BYTES:
                raise _RefusedError(f"gave more than {MOST_RESPONSE_BYTES} bytes")
            parts.append(chunk)
            if self.is_abandoned.is_set() or time.monotonic() > deadline:
                raise _RefusedError(f"took longer than {self.timeout_s:g} s")
        return b"".join(parts)

    @staticmethod
    def _next(response: Any, size: int) -> bytes:
        """Return some more of the body; nothing where it is whole."""
        try:
            chunk: bytes = response.read1(_CHUNK_BYTES)
            is_cut = not chunk and bool(response.length)  # more was announced, and did not come
        except http.client.IncompleteRead:
            chunk, is_cut = b"", True
        if is_cut:
            raise _RefusedError(f"gave an answer that was cut off after {size} bytes")
        return chunk


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to the same or a safer scheme, and takes no headers of the manifest to another host."""

    def redirect_request(  # noqa: PLR0917 - the parameters are urllib's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if new.scheme not in {old.scheme, "https"}:
            fp.close()
            raise _RefusedError(
                f"was sent on from {old.scheme} to {new.scheme or 'nowhere'}, which is not followed"
            )
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            request.headers.clear()
        return request


def _parsed(body: bytes, headers: Any) -> Any:
    try:
        text = body.decode(headers.get_content_charset() or "utf-8", errors="replace")
    except (LookupError, ValueError):  # nobody knows it, or it is none of text
        text = body.decode(errors="replace")
    if "json" in headers.get_content_type():
        try:
            return json.loads(text)
        except ValueError:
            return text
        except RecursionError:
            raise _RefusedError("gave JSON that is nested too deeply to be read") from None
    return text


def _shown(url: str) -> str:
    """Return an address without what may be secret: the password and the query."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _without(text: str, secrets: set[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
