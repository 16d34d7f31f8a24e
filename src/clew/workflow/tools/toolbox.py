"""All tools of one workflow, by name."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from clew.errors import ToolError
from clew.workflow.chat import ToolSpec
from clew.workflow.project import McpServer, ToolNode
from clew.workflow.tools.http_tool import HttpTool
from clew.workflow.tools.mcp_tools import McpConnection
from clew.workflow.tools.port import Tool, usable_name
from clew.workflow.tools.python_tool import ModuleFile, PythonTool
from clew.workflow.tools.shell_tool import ShellTool


class Toolbox:
    """Opens a tool when it is first needed, and keeps it until `close`."""

    def __init__(
        self,
        nodes: Mapping[str, ToolNode],
        *,
        root: Path,
        folder: Path,
        environ: Mapping[str, str],
        allow_commands: Iterable[str],
        timeout_s: float | None,
    ) -> None:
        """As `open_toolbox`."""
        self._nodes = nodes
        self._root = root
        self._folder = folder
        self._environ = environ
        self._allow_commands = frozenset(allow_commands)
        self._timeout_s = timeout_s
        self._tools: dict[str, Tool] = {}
        self._files: dict[str, ModuleFile] = {}
        self._servers: dict[bytes, McpConnection] = {}
        self._ended: list[McpConnection] = []

    def get(self, name: str) -> Tool:
        """Return a tool of the project.

        Raises: ToolError: there is none of that name, or it cannot be called at all (no such file ...).
        """
        tool = self._tools.get(name)
        if tool is None:
            tool = self._tools[name] = self._open(self._node(name))
        return tool

    def has(self, name: str) -> bool:
        """Whether the project has a tool of that name."""
        return name in self._nodes

    async def offered(self, allowed: Iterable[str], servers: Iterable[McpServer] = ()) -> dict[str, Tool]:
        """Return the tools that an agent may call, by the names that its model is told.

        Args:
            allowed: `tool` of the project, `server.tool` or `server.*`; also `mcp__server__tool` and `mcp__server`.
            servers: the agent's MCP servers. Those that are named in `allowed` are started, once for all agents; one
                that did not start, or has ended since, is started again.

        Raises: ToolError: a name means nothing, a module cannot be loaded, a server does not start.
            MissingExtraError: a server is wanted, and `mcp` is not installed.
        """
        by_name = {server.name: server for server in servers}
        found: dict[str, Tool] = {}
        for name in allowed:
            server_name, tool_name = server_and_tool(name)
            if name in self._nodes:
                tool = self.get(name)
                if isinstance(tool, PythonTool):
                    await tool.load()
                _offer(found, usable_name(name), tool)
            elif server_name in by_name:
                connection = await self._connect(by_name[server_name])
                for one in connection.tools(tool_name):
                    _offer(found, one.spec.name, one)
            else:
                self._unknown(name, [*self._nodes, *(f"{server}.*" for server in by_name)])
        return found

    async def specs(self, allowed: Iterable[str], servers: Iterable[McpServer] = ()) -> list[ToolSpec]:
        """Return what a model is told about the tools that it may call.

        Raises: as `offered`.
        """
        return [as_offered(name, tool) for name, tool in (await self.offered(allowed, servers)).items()]

    async def close(self) -> None:
        """Close all tools and stop all servers. Never raises."""
        tools, self._tools = list(self._tools.values()), {}
        servers, self._servers, self._ended = [*self._servers.values(), *self._ended], {}, []
        await asyncio.gather(
            *(tool.close() for tool in tools), *(server.close() for server in servers), return_exceptions=True
        )

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    def _node(self, name: str) -> ToolNode:
        node = self._nodes.get(name)
        return node if node is not None else self._unknown(name, list(self._nodes))

    def _open(self, node: ToolNode) -> Tool:
        timeout_s = self._timeout_s if node.timeout_s is None else node.timeout_s
        if node.type == "python":
            return PythonTool(
                node, root=self._root, folder=self._folder, timeout_s=timeout_s, files=self._files
            )
        if node.type == "http":
            return HttpTool(node, environ=self._environ, timeout_s=timeout_s)
        return ShellTool(
            node,
            root=self._root,
            environ=self._environ,
            allow_commands=self._allow_commands,
            timeout_s=timeout_s,
        )

    async def _connect(self, server: McpServer) -> McpConnection:
        key = msgspec.json.encode([server.name, server.command, server.args, server.env])
        connection = self._servers.get(key)
        if connection is None or connection.has_ended:
            ended = connection
            connection = self._servers[key] = McpConnection(  # at once: who else wants it shall find this one
                server, root=self._root, environ=self._environ, timeout_s=self._timeout_s
            )
            if ended is not None:
                self._ended.append(ended)
                await ended.close()
        await connection.start()
        return connection

    def _unknown(self, name: str, names: list[str]) -> Any:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none'}"
        raise ToolError(f"there is no tool {name!r}; {hint}")


def open_toolbox(
    nodes: Mapping[str, ToolNode],
    *,
    root: Path,
    folder: Path,
    environ: Mapping[str, str],
    allow_commands: Iterable[str],
    timeout_s: float | None,
) -> Toolbox:
    """Return the tools of a workflow. Nothing is imported or started before it is needed.

    Args:
        nodes: the tools by name.
        root: of the project: no module and no working directory lies outside of it.
        folder: of the workflow, where `tools/` lies; the root's `tools/` is looked at after it.
        environ: for `${NAME}`, and the environment of programs.
        allow_commands: programs that shell tools may start, each exactly as it is written there.
        timeout_s: of one call, for tools that have none of their own.
    """
    return Toolbox(
        nodes, root=root, folder=folder, environ=environ, allow_commands=allow_commands, timeout_s=timeout_s
    )


def as_offered(name: str, tool: Tool) -> ToolSpec:
    """Return a tool's spec under the name that a model is told."""
    return msgspec.structs.replace(tool.spec, name=name)


def server_and_tool(name: str) -> tuple[str, str]:
    """Return server and tool of `server.tool`, or of the way in which the original's agents name them."""
    if name.startswith("mcp__"):
        server, _, tool = name.removeprefix("mcp__").partition("__")
        return server, tool or "*"
    server, _, tool = name.partition(".")
    return server, tool


def _offer(found: dict[str, Tool], name: str, tool: Tool) -> None:
    if found.setdefault(name, tool) is not tool:
        raise ToolError(f"two tools would both be called {name}; rename one of them")
