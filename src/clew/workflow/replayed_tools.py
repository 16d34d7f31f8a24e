"""The tools of an agent that is replayed: what servers offered is in the log, so none is started to ask it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from clew.workflow.chat import ToolSpec
from clew.workflow.project import McpServer
from clew.workflow.tools.port import Tool, usable_name
from clew.workflow.tools.toolbox import Toolbox, server_and_tool


class ReplayedTools:
    """A `ToolSource`: a project's own tools as they are, those of MCP servers as they were."""

    def __init__(
        self, toolbox: Toolbox, recorded: Sequence[ToolSpec], *, leave: Callable[[str], None]
    ) -> None:
        """Args:
        toolbox: the real tools.
        recorded: what the agent was offered then.
        leave: told what is not in the log, before it is looked up for real; it may raise.
        """
        self._toolbox = toolbox
        self._recorded = recorded
        self._leave = leave

    async def offered(self, allowed: Iterable[str], servers: Iterable[McpServer] = ()) -> Mapping[str, Tool]:
        """Return the tools that an agent may call, by the names that its model is told, in the same order as then.

        Raises: ReplayError: a server was not asked then, and nothing real is wanted; else as `Toolbox.offered`.
        """
        servers = list(servers)
        names = {server.name for server in servers}
        found: dict[str, Tool] = {}
        for name in allowed:
            server, tool = server_and_tool(name)
            specs = self._specs(server, tool) if server in names and not self._toolbox.has(name) else None
            if specs is not None and not specs:
                self._leave(f"what MCP server {server} offers")
                specs = None
            if specs is None:
                found |= await self._toolbox.offered([name], servers)
            else:
                found |= {
                    spec.name: _Later(self._toolbox, name, servers=servers, spec=spec) for spec in specs
                }
        return found

    def _specs(self, server: str, tool: str) -> list[ToolSpec]:
        beginning, whole = usable_name(f"{server}__"), usable_name(f"{server}__{tool}")
        if tool == "*":
            return [spec for spec in self._recorded if spec.name.startswith(beginning)]
        return [spec for spec in self._recorded if spec.name == whole]


class _Later:
    """A tool whose server is started when it is called for real."""

    def __init__(self, toolbox: Toolbox, name: str, *, servers: list[McpServer], spec: ToolSpec) -> None:
        self._toolbox = toolbox
        self._name = name
        self._servers = servers
        self.spec = spec

    async def call(self, arguments: dict[str, Any]) -> Any:
        """As the tool itself. Raises: ToolError: also where its server does not start."""
        tools = await self._toolbox.offered([self._name], self._servers)
        return await tools[self.spec.name].call(arguments)

    async def close(self) -> None:
        """Do nothing: the toolbox closes what it opened."""
