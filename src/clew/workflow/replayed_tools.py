"""The tools of an agent that is replayed: what servers offered is in the log, so none is started to ask it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from clew.errors import ToolError
from clew.record.hot import event
from clew.workflow.chat import ToolSpec
from clew.workflow.project import McpServer
from clew.workflow.tools.port import Tool, usable_name
from clew.workflow.tools.toolbox import Toolbox, server_and_tool

if TYPE_CHECKING:
    from clew.workflow.agent_loop import ToolSource  # only agents need it

OFFERED: Final = "agent_tools_offered"
"""The event that holds which tools each entry of an agent's `tools` came to, where that is up to a server."""


class NotedTools:
    """A `ToolSource`: another one, of which is recorded what servers offered."""

    def __init__(self, source: ToolSource) -> None:
        """Args: source: has the tools."""
        self._source = source

    async def offered(self, allowed: Iterable[str], servers: Iterable[McpServer] = ()) -> Mapping[str, Tool]:
        """Return the tools that an agent may call. Raises: as the other one."""
        allowed, servers = list(allowed), list(servers)
        found = await self._source.offered(allowed, servers)
        names = {server.name for server in servers}
        asked = [name for name in allowed if server_and_tool(name)[0] in names]
        if asked:  # again one by one, which starts nothing any more
            event(
                OFFERED, offered={name: list(await self._source.offered([name], servers)) for name in asked}
            )
        return found


@dataclass(frozen=True)
class Offer:
    """What one execution of an agent was offered."""

    specs: Mapping[str, ToolSpec]
    """By the name that the model was told, in order."""
    by_entry: Mapping[str, list[str]] | None = None
    """The names by entry of `tools`; None where the log does not say, as older ones do not."""
    error: str | None = None
    """Why there was nothing to offer: a server did not start."""


class ReplayedTools:
    """A `ToolSource`: a project's own tools as they are, those of MCP servers as they were."""

    def __init__(self, toolbox: Toolbox, recorded: Offer, *, leave: Callable[[str], None]) -> None:
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

        Raises: ToolError: as it was raised then; ReplayError: a server was not asked then, and nothing real is wanted;
            else as `Toolbox.offered`.
        """
        if self._recorded.error is not None:
            raise ToolError(self._recorded.error)
        allowed, servers = list(allowed), list(servers)
        names = {server.name for server in servers}
        found: dict[str, Tool] = {}
        for name in allowed:
            if server_and_tool(name)[0] not in names or self._toolbox.has(name):
                found |= await self._toolbox.offered([name], servers)
                continue
            specs = self._specs(name, allowed, names)
            if specs is None:
                self._leave(f"what MCP server {server_and_tool(name)[0]} offers")
                found |= await self._toolbox.offered([name], servers)
            else:
                found |= {
                    spec.name: _Later(self._toolbox, name, servers=servers, spec=spec) for spec in specs
                }
        return found

    def _specs(self, name: str, allowed: list[str], servers: set[str]) -> list[ToolSpec] | None:
        """Return what an entry came to then; None where the log does not say."""
        specs, by_entry = self._recorded.specs, self._recorded.by_entry
        if by_entry is not None:
            return [specs[each] for each in by_entry[name] if each in specs] if name in by_entry else None
        server, tool = server_and_tool(name)
        if tool != "*":
            whole = usable_name(f"{server}__{tool}")
            return [specs[whole]] if whole in specs else None
        own = {usable_name(each) for each in allowed if self._toolbox.has(each)}
        of_server = [
            spec
            for spec in specs.values()
            if spec.name not in own and _server_of(spec.name, servers) == server
        ]
        return of_server or None


def _server_of(name: str, servers: Iterable[str]) -> str | None:
    """Return the server whose name a tool's name begins with; the longest, for one may begin like another."""
    fitting = [server for server in servers if name.startswith(usable_name(f"{server}__"))]
    return max(fitting, key=len, default=None)


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
