"""Tools of programs that speak the Model Context Protocol on their standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from clew.errors import ToolError
from clew.extras import require
from clew.workflow.chat import ToolSpec
from clew.workflow.project import McpServer
from clew.workflow.tools.children import ending_with_us
from clew.workflow.tools.mcp_pipes import Pipes
from clew.workflow.tools.placeholders import expand
from clew.workflow.tools.port import usable_name

START_S: Final = 60.0
"""How long a server may take to start: some are downloaded first."""
_CLOSE_S: Final = 10.0
"""How long its end may take: the SDK asks it, after two seconds tells it, and after two more kills it."""
_SILENT: Final = logging.NullHandler()
"""What the SDK logs is not written to stderr where the program has set up no logging."""
_MOST_PAGES: Final = 100
_STDERR_BYTES: Final = 4096
_STDERR_LINES: Final = 5


class McpConnection:
    """One running server.

    The SDK wants what it opens to be closed by the same task, so a task of its own holds the connection from start to
    end; calls come from any task of the same event loop.
    """

    def __init__(
        self,
        server: McpServer,
        *,
        root: Path,
        environ: Mapping[str, str],
        timeout_s: float | None,
        start_s: float = START_S,
    ) -> None:
        """Nothing is started.

        Args:
            server: what to start.
            root: its working directory.
            environ: for `${NAME}` in its environment.
            timeout_s: of one call.
            start_s: until the server has said what it offers.
        """
        self._server = server
        self._root = root
        self._environ = environ
        self._timeout_s = timeout_s
        self._start_s = start_s
        self._starting: asyncio.Future[None] | None = None
        self._owner: asyncio.Task[None] | None = None
        self._is_wanted = asyncio.Event()
        self._client: Any = None
        self._pipes: Pipes | None = None
        self._tools: dict[str, McpTool] = {}
        self._secrets: set[str] = set()
        self._stderr = _Stderr()

    @property
    def has_ended(self) -> bool:
        """Whether it is of no use any more: the server did not start, or speaks no longer."""
        starting = self._starting
        if starting is None or not starting.done():
            return False
        return starting.exception() is not None or (self._pipes is not None and self._pipes.has_ended)

    async def start(self) -> None:
        """Start the server and ask what it offers; the second call waits for the first.

        Raises: ToolError: it does not start, or does not answer; MissingExtraError.
        """
        if self._starting is None:
            mcp = require("mcp", extra="mcp")
            logging.getLogger("mcp").addHandler(_SILENT)
            self._starting = asyncio.get_running_loop().create_future()
            self._owner = asyncio.create_task(
                self._hold(mcp, self._starting), name=f"mcp {self._server.name}"
            )
        await asyncio.shield(self._starting)

    def tools(self, pattern: str) -> list[McpTool]:
        """Return one tool by its name, or all for `*`.

        Raises: ToolError: there is none of that name.
        """
        if pattern == "*":
            return list(self._tools.values())
        if pattern in self._tools:
            return [self._tools[pattern]]
        close = difflib.get_close_matches(pattern, self._tools, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has: {', '.join(self._tools) or 'none'}"
        raise ToolError(f"MCP server {self._server.name} has no tool {pattern!r}; {hint}")

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool of the server.

        Raises: ToolError.
        """
        if self._client is None:
            raise ToolError(f"MCP server {self._server.name} is not running{self._last_words()}")
        what = f"tool {name} of MCP server {self._server.name}"
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await self._client.call_tool(name, arguments)
        except TimeoutError:
            raise ToolError(f"{what} did not answer within {self._timeout_s or 0:g} s") from None
        except Exception as error:
            raise ToolError(f"{what} failed: {self._said(error)}{self._last_words()}") from error
        return _result_of(result, what=what)

    async def close(self) -> None:
        """Stop the server, also where it has never answered, and wait until it is gone. Never raises."""
        owner, starting = self._owner, self._starting
        if owner is None or starting is None:
            return
        self._is_wanted.set()
        if not starting.done():
            owner.cancel()
        _, left = await asyncio.wait({owner}, timeout=_CLOSE_S)
        if left:
            if self._pipes is not None:
                self._pipes.kill()
            owner.cancel()

    def _group(self) -> int | None:
        return None if self._pipes is None else self._pipes.group()

    async def _hold(self, mcp: Any, starting: asyncio.Future[None]) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                stack.enter_context(ending_with_us(self._group))
                async with asyncio.timeout(self._start_s):
                    client = await stack.enter_async_context(self._connecting(mcp))
                    self._stderr.close_writing()
                    await self._list(client)
                self._client = client
                starting.set_result(None)
                try:
                    await self._is_wanted.wait()
                finally:
                    self._client = None
        except BaseException as error:
            if starting.done():
                if not isinstance(error, Exception):
                    raise
                return  # a fault in closing: the server is gone all the same
            starting.set_exception(self._not_started(error))
            starting.exception()  # heard, also where nobody waits any more
            if not isinstance(error, Exception):
                raise
        finally:
            self._stderr.close()

    def _connecting(self, mcp: Any) -> Any:
        server = self._server
        variables = {
            name: expand(value, self._environ, tool=f"of MCP server {server.name}", secrets=self._secrets)
            for name, value in server.env.items()
        }
        if "PATH" in self._environ:
            variables.setdefault("PATH", self._environ["PATH"])
        parameters = mcp.StdioServerParameters(
            command=server.command,
            args=server.args,
            env=variables,
            cwd=self._root,
            encoding_error_handler="replace",  # one byte that is no text would be the end of the conversation
        )
        self._pipes = Pipes(mcp.stdio_client(parameters, errlog=self._stderr.open()))
        return mcp.Client(self._pipes)

    async def _list(self, client: Any) -> None:
        cursor = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools:
                spec = ToolSpec(
                    name=usable_name(f"{self._server.name}__{tool.name}"),
                    description=tool.description or "",
                    parameters=tool.input_schema,
                )
                self._tools[tool.name] = McpTool(self, name=tool.name, spec=spec)
            cursor = page.next_cursor
            if cursor is None:
                return

    def _not_started(self, error: BaseException) -> ToolError:
        if isinstance(error, ToolError):
            return error
        reason = (
            f"it did not answer within {self._start_s:g} s"
            if isinstance(error, TimeoutError)
            else self._said(error)
        )
        return ToolError(
            f"MCP server {self._server.name} ({self._server.command}) did not start: {reason}{self._last_words()}"
        )

    def _said(self, error: BaseException) -> str:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return self._without_secrets(str(error) or type(error).__name__)

    def _last_words(self) -> str:
        lines = self._without_secrets(self._stderr.text()).strip().splitlines()[-_STDERR_LINES:]
        return "; its last words: " + " | ".join(lines) if lines else ""

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class McpTool:
    """One tool of a server."""

    def __init__(self, connection: McpConnection, *, name: str, spec: ToolSpec) -> None:
        """Args: name: as the server calls it."""
        self._connection = connection
        self._name = name
        self.spec = spec

    async def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the structured result where there is one, else `{"output": text}`, with other content beside it.

        Raises: ToolError.
        """
        return await self._connection.call(self._name, arguments)

    async def close(self) -> None:
        """Do nothing: the server is closed by whoever opened it."""


class _Stderr:
    """Keeps the end of what a server writes to its standard error."""

    def __init__(self) -> None:
        self._tail = b""
        self._reading: int | None = None
        self._writing: Any = None

    def open(self) -> Any:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._writing = os.fdopen(writing, "w")
        asyncio.get_running_loop().add_reader(self._reading, self._read)
        return self._writing

    def close_writing(self) -> None:
        if self._writing is not None:
            self._writing.close()

    def text(self) -> str:
        if self._reading is not None:
            self._read()
        return self._tail.decode(errors="replace")

    def close(self) -> None:
        self.close_writing()
        reading = self._reading
        if reading is not None:
            self._read()
            asyncio.get_running_loop().remove_reader(reading)
            os.close(reading)
            self._reading = None

    def _read(self) -> None:
        assert self._reading is not None
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._reading, 65536):
                self._tail = (self._tail + chunk)[-_STDERR_BYTES:]
            asyncio.get_running_loop().remove_reader(self._reading)  # the end


def _result_of(result: Any, *, what: str) -> dict[str, Any]:
    texts = [part.text for part in result.content if part.type == "text"]
    text = "\n".join(texts)
    if result.is_error:
        raise ToolError(f"{what} failed: {text or 'it says nothing about why'}")
    if isinstance(result.structured_content, dict):
        return dict(result.structured_content)
    others = [part for part in result.content if part.type != "text"]
    if not others:
        return {"output": text}
    plain = [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in others]
    return {"output": text, "content": plain}
