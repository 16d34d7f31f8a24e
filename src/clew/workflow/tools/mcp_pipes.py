"""The pipes to an MCP server: which processes are behind them, whether it still speaks, and replies that nobody can read."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from typing import Any, Final, Self

from clew.extras import require
from clew.workflow.tools.children import STARTING

_PARSE_ERROR: Final = -32700
"""Of JSON-RPC."""
_END_CHARS: Final = 1000
"""So much at either end of a line is looked at for the number of the request that it answers."""
_NUMBER_FIRST: Final = re.compile(r'\s*\{[^{\[]*?"id"\s*:\s*(\d+)')
_NUMBER_LAST: Final = re.compile(r'"id"\s*:\s*(\d+)[^{}\[\]]*\}\s*\Z')
_IS_REPLY: Final = re.compile(r'"(result|error)"\s*:')


class Pipes:
    """What the SDK opens to a program, given back to the SDK as a transport: entered once, and left by the same task."""

    def __init__(self, transport: Any) -> None:
        """Args: transport: of the SDK, for one program that it starts."""
        self._transport = transport
        self._pid: int | None = None
        self.has_ended = False
        """The server says nothing more, or nobody listens."""

    def group(self) -> int | None:
        """Return the process group of the server, which may outlive it; None where there is none, and after the end."""
        if self._pid is None:
            # The SDK tells nobody, and keeps it there.
            frame = getattr(getattr(self._transport, "gen", None), "ag_frame", None)
            if frame is None:
                return None
            if "process" not in frame.f_locals:
                return STARTING
            self._pid = frame.f_locals["process"].pid
        return self._pid

    def kill(self) -> None:
        """End what is left of the group."""
        group = self.group()
        if group:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)

    async def __aenter__(self) -> tuple[Any, Any]:
        """Start the program and return what to read from and what to write to."""
        reading, writing = await self._transport.__aenter__()
        self.group()  # it cannot be asked for any more when the server has ended
        return _Replies(reading, self), writing

    async def __aexit__(self, *how: object) -> Any:
        """Have the SDK end the server, and then end what the server leaves behind in its group."""
        self.has_ended = True
        try:
            return await self._transport.__aexit__(*how)
        finally:
            self.kill()
            self._pid = None


class _Replies:
    """What the server says, message by message. A reply that cannot be read is one that says so.

    The SDK would go on waiting for it. Lines that are no replies at all, such as a greeting, are left to the SDK.
    """

    def __init__(self, stream: Any, pipes: Pipes) -> None:
        self._stream = stream
        self._pipes = pipes

    async def receive(self) -> Any:
        return _as_message(await self._stream.receive())

    async def aclose(self) -> None:
        self._pipes.has_ended = True
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return _as_message(await self._stream.__anext__())

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *how: object) -> Any:
        self._pipes.has_ended = True  # the SDK listens until there is nothing more
        return await self._stream.__aexit__(*how)


def _as_message(item: Any) -> Any:
    if not isinstance(item, ValueError) or not hasattr(item, "errors"):
        return item
    errors = item.errors(include_url=False)
    numbers = [number for error in errors if (number := _answered(error["input"])) is not None]
    if not numbers:
        return item
    types = require("mcp_types", extra="mcp")
    said = types.ErrorData(code=_PARSE_ERROR, message=f"its reply cannot be read: {errors[0]['msg']}")
    message = types.JSONRPCError(jsonrpc="2.0", id=numbers[0], error=said)
    return require("mcp.shared.message", extra="mcp").SessionMessage(message)


def _answered(line: Any) -> int | None:
    """Return the number of the request that a line answers; None where it is no reply."""
    if isinstance(line, dict):
        number = line.get("id")
        return number if isinstance(number, int) and "method" not in line else None
    if not isinstance(line, str) or not _IS_REPLY.search(line):
        return None
    found = _NUMBER_FIRST.match(line[:_END_CHARS]) or _NUMBER_LAST.search(line[-_END_CHARS:])
    return None if found is None else int(found[1])
