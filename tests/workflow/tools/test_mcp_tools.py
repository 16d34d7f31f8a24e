"""Tools of real servers over real pipes, and servers that are no good."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ToolError
from clew.workflow.project import McpServer, Place
from clew.workflow.tools.mcp_tools import McpConnection
from clew.workflow.tools.toolbox import Toolbox, open_toolbox

pytestmark = pytest.mark.needs_extra("mcp")

HERE = Place(Path("clew.yaml"), 1)
SERVER = Path(__file__).parent.parent / "mcp_server.py"


class Servers:
    """Starts the server of this repository, and reads what it wrote down."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.log = root / "server.log"

    def server(self, *how: str, name: str = "s", env: dict[str, str] | None = None) -> McpServer:
        return McpServer(
            place=HERE,
            name=name,
            command=sys.executable,
            args=[str(SERVER), str(self.log), *how],
            env=env or {},
        )

    def lines(self, word: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [line for line in lines if word in line]

    def run(self, work: Callable[[Toolbox], Awaitable[Any]], *, timeout_s: float = 60, **environ: str) -> Any:
        async def inside() -> Any:
            toolbox = open_toolbox(
                {},
                root=self._root,
                folder=self._root,
                environ=environ,
                allow_commands=[],
                timeout_s=timeout_s,
            )
            async with toolbox:
                return await work(toolbox)

        return asyncio.run(inside())


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_results_are_what_the_server_wrote_down_and_the_server_ends_with_the_toolbox(
    servers: Servers,
) -> None:
    async def work(toolbox: Toolbox) -> list[Any]:
        tools = await toolbox.offered(["s.*"], [servers.server()])
        sums = [tools["s__add"].call({"a": n, "b": 1}) for n in range(20)]
        described = tools["s__describe"].call({"name": "Ada"})
        return [await tools["s__shout"].call({"text": "ho"}), await described, *await asyncio.gather(*sums)]

    shouted, described, *sums = servers.run(work)
    assert shouted == {"output": "HO"}
    assert described == {"name": "Ada", "letters": 3}
    logged = {line["a"]: line["result"] for line in servers.lines("tool") if line["tool"] == "add"}
    assert [one["result"] for one in sums] == [logged[n] for n in range(20)]
    assert len(servers.lines("started")) == len(servers.lines("ended")) == 1


def test_two_agents_share_a_server_and_another_definition_is_another_server(servers: Servers) -> None:
    async def work(toolbox: Toolbox) -> None:
        one = servers.server()
        both = await asyncio.gather(*(toolbox.offered(["s.add"], [one]) for _ in range(2)))
        assert both[0]["s__add"] is both[1]["s__add"]
        other = await toolbox.offered(["s.add"], [servers.server(env={"A": "1"})])
        assert other["s__add"] is not both[0]["s__add"]

    servers.run(work)
    assert len(servers.lines("started")) == len(servers.lines("ended")) == 2


def test_a_model_is_told_what_the_server_says_about_its_tools(servers: Servers) -> None:
    async def work(toolbox: Toolbox) -> Any:
        return await toolbox.specs(["s.add", "mcp__s__shout"], [servers.server()])

    add, shout = servers.run(work)
    assert (add.name, add.description) == ("s__add", "Add two numbers.")
    assert add.parameters["properties"].keys() == {"a", "b"}
    assert add.parameters["required"] == ["a", "b"]
    assert shout.name == "s__shout"


def test_a_server_that_no_agent_names_is_not_started(servers: Servers) -> None:
    async def work(toolbox: Toolbox) -> Any:
        return await toolbox.offered([], [servers.server()])

    assert servers.run(work) == {}
    assert servers.lines("started") == []


@pytest.mark.parametrize(
    "tool, arguments, message",
    [
        ("fail", {"reason": "no luck"}, "no luck"),
        ("add", {"a": "x"}, "tool add of MCP server s failed"),
        ("die", {}, "tool die of MCP server s failed: .*the server ends now"),
    ],
)
def test_an_error_of_the_server_is_the_tool_s_failure(
    servers: Servers, tool: str, arguments: dict[str, Any], message: str
) -> None:
    async def work(toolbox: Toolbox) -> None:
        tools = await toolbox.offered(["s.*"], [servers.server()])
        with pytest.raises(ToolError, match=f"(?s){message}"):
            await tools[f"s__{tool}"].call(arguments)

    servers.run(work)


def test_a_server_that_died_fails_every_later_call(servers: Servers) -> None:
    async def work(toolbox: Toolbox) -> None:
        tools = await toolbox.offered(["s.*"], [servers.server()])
        waiting = asyncio.create_task(tools["s__sleep"].call({"seconds": 60}))
        await asyncio.sleep(0.2)
        os.kill(servers.lines("started")[0]["started"], 9)
        for call in (waiting, tools["s__add"].call({"a": 1, "b": 1})):
            with pytest.raises(ToolError, match="MCP server s"):
                await call

    servers.run(work)


def test_a_call_that_takes_too_long_is_given_up_and_the_server_still_ends(servers: Servers) -> None:
    async def work(toolbox: Toolbox) -> None:
        tools = await toolbox.offered(["s.*"], [servers.server()])
        with pytest.raises(ToolError, match="did not answer within 3 s"):
            await tools["s__sleep"].call({"seconds": 60})

    servers.run(work, timeout_s=3)
    assert not is_running(servers.lines("started")[0]["started"])


@pytest.mark.parametrize(
    "how, message",
    [
        ("dies", r"MCP server s \(.*\) did not start: .*; its last words: cannot open the database"),
        ("silent", r"MCP server s \(.*\) did not start: it did not answer within 2 s"),
        ("garbage", r"MCP server s \(.*\) did not start: it did not answer within 2 s"),
    ],
)
def test_a_server_that_does_not_start_is_told_by_name_with_the_reason(
    servers: Servers, tmp_path: Path, capfd: pytest.CaptureFixture[str], how: str, message: str
) -> None:
    async def work() -> None:
        connection = McpConnection(
            servers.server(how),
            root=tmp_path,
            environ=os.environ,
            timeout_s=60,
            start_s=60 if how == "dies" else 2,
        )
        for _ in range(2):
            with pytest.raises(ToolError, match=message):
                await connection.start()
        await connection.close()

    asyncio.run(work())
    assert capfd.readouterr().err == ""


def test_a_program_that_does_not_exist_is_told_by_name(servers: Servers) -> None:
    async def work(toolbox: Toolbox) -> None:
        server = McpServer(place=HERE, name="s", command="no-such-program")
        with pytest.raises(
            ToolError, match=r"MCP server s \(no-such-program\) did not start: .*No such file"
        ):
            await toolbox.offered(["s.*"], [server])

    servers.run(work)


def test_the_environment_s_variables_reach_the_server_and_no_message(servers: Servers) -> None:
    async def works(toolbox: Toolbox) -> Any:
        tools = await toolbox.offered(["s.environment"], [servers.server(env={"KEY": "k-${SECRET}"})])
        return await tools["s__environment"].call({"name": "KEY"})

    async def fails(toolbox: Toolbox) -> str:
        with pytest.raises(ToolError) as caught:
            await toolbox.offered(["s.*"], [servers.server("dies", env={"KEY": "${SECRET}"})])
        return str(caught.value)

    assert servers.run(works, SECRET="hunter2") == {"result": "k-hunter2"}
    assert "cannot open ***" in servers.run(fails, SECRET="hunter2")
    assert "has no SECRET" in servers.run(fails)


def test_a_tool_that_a_server_does_not_have_is_told_with_the_nearest(servers: Servers) -> None:
    async def work(toolbox: Toolbox) -> None:
        with pytest.raises(ToolError, match=r"no tool 'shaut'; did you mean shout\?"):
            await toolbox.offered(["s.shaut"], [servers.server()])
        with pytest.raises(ToolError, match=r"there is no tool 'ss.add'; there are: s\.\*"):
            await toolbox.offered(["ss.add"], [servers.server()])

    servers.run(work)


def test_a_cancelled_run_leaves_no_server_behind(servers: Servers) -> None:
    async def work() -> None:
        root = servers.log.parent
        toolbox = open_toolbox({}, root=root, folder=root, environ={}, allow_commands=[], timeout_s=60)
        tools = await toolbox.offered(["s.*"], [servers.server()])
        async with asyncio.timeout(0.2):
            await tools["s__sleep"].call({"seconds": 60})  # and nobody closes the toolbox

    with pytest.raises(TimeoutError):
        asyncio.run(work())
    assert not is_running(servers.lines("started")[0]["started"])
