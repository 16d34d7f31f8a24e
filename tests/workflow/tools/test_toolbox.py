"""All tools by name, and what every kind of tool has in common."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clew.errors import ToolError
from clew.workflow.project import McpServer, Place, ToolNode
from clew.workflow.tools.port import Tool
from clew.workflow.tools.toolbox import Toolbox, open_toolbox
from tests.workflow.tools.test_http_tool import serving

HERE = Place(Path("clew.yaml"), 1)
MCP_SERVER = Path(__file__).parent.parent / "mcp_server.py"


def python(name: str, **more: Any) -> ToolNode:
    return ToolNode(place=HERE, id=name, type="python", module="t", function="describe", **more)


def opened(root: Path, nodes: dict[str, ToolNode], *, timeout_s: float | None = 20) -> Toolbox:
    (root / "tools").mkdir(exist_ok=True)
    (root / "tools" / "t.py").write_text("def describe(name: str): return {'name': name}")
    return open_toolbox(
        nodes,
        root=root,
        folder=root,
        environ=os.environ,
        allow_commands=["cat", "sleep"],
        timeout_s=timeout_s,
    )


def inside(toolbox: Toolbox, work: Callable[[Toolbox], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with toolbox:
            return await work(toolbox)

    return asyncio.run(run())


class ToolContract:
    """What holds for a tool of any kind that takes `name`, and fails without it."""

    async def open(self, toolbox: Toolbox) -> Tool:
        return toolbox.get("one")

    @pytest.fixture
    def toolbox(self, tmp_path: Path) -> Toolbox:
        raise NotImplementedError

    def test_its_spec_says_what_it_takes(self, toolbox: Toolbox) -> None:
        async def work(toolbox: Toolbox) -> Any:
            await toolbox.offered(toolbox._nodes)  # what is imported late is imported now
            return (await self.open(toolbox)).spec

        spec = inside(toolbox, work)
        assert spec.name
        assert spec.parameters["type"] == "object"
        assert "name" in spec.parameters["required"]
        msgspec.json.encode(spec)

    def test_many_calls_at_the_same_time_give_each_its_own_result(self, toolbox: Toolbox) -> None:
        async def work(toolbox: Toolbox) -> Any:
            tool = await self.open(toolbox)
            return await asyncio.gather(*(tool.call({"name": f"tools/t{n}"}) for n in range(5)))

        (toolbox._root / "tools").mkdir(exist_ok=True)
        for n in range(5):
            (toolbox._root / f"tools/t{n}").write_text(f"t{n}")
        for n, result in enumerate(inside(toolbox, work)):
            assert isinstance(result, dict)
            assert f"t{n}" in str(result)

    def test_a_call_without_its_argument_is_a_failure_that_names_it(self, toolbox: Toolbox) -> None:
        async def work(toolbox: Toolbox) -> None:
            with pytest.raises(ToolError, match="name"):
                await (await self.open(toolbox)).call({})

        inside(toolbox, work)

    def test_it_may_be_closed_twice(self, toolbox: Toolbox) -> None:
        async def work(toolbox: Toolbox) -> None:
            tool = await self.open(toolbox)
            await tool.call({"name": "tools/t.py"})
            await tool.close()
            await tool.close()
            await toolbox.close()

        inside(toolbox, work)


class TestPythonTool(ToolContract):
    @pytest.fixture
    def toolbox(self, tmp_path: Path) -> Toolbox:
        return opened(tmp_path, {"one": python("one")})


class TestShellTool(ToolContract):
    @pytest.fixture
    def toolbox(self, tmp_path: Path) -> Toolbox:
        node = ToolNode(place=HERE, id="one", type="shell", command=["cat", "{{name}}"])
        return opened(tmp_path, {"one": node})


class TestHttpTool(ToolContract):
    @pytest.fixture
    def toolbox(self, tmp_path: Path) -> Any:
        with serving() as server:
            node = ToolNode(place=HERE, id="one", type="http", url=server.url + "/json/{{name}}")
            yield opened(tmp_path, {"one": node})


@pytest.mark.needs_extra("mcp")
class TestMcpTool(ToolContract):
    async def open(self, toolbox: Toolbox) -> Tool:
        args = [str(MCP_SERVER), str(toolbox._root / "server.log")]
        server = McpServer(place=HERE, name="s", command=sys.executable, args=args)
        return (await toolbox.offered(["s.describe"], [server]))["s__describe"]

    @pytest.fixture
    def toolbox(self, tmp_path: Path) -> Toolbox:
        return opened(tmp_path, {})


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    toolbox = opened(tmp_path, {"search": python("search"), "fetch": python("fetch")})
    with pytest.raises(ToolError, match=r"^there is no tool 'serch'; did you mean search\?$"):
        toolbox.get("serch")
    with pytest.raises(ToolError, match=r"^there is no tool 'x'; there are: search, fetch$"):
        toolbox.get("x")
    with pytest.raises(ToolError, match=r"^there is no tool 'x'; there are: none$"):
        opened(tmp_path, {}).get("x")


def test_a_name_is_offered_in_the_form_that_providers_take_and_no_two_are_the_same(tmp_path: Path) -> None:
    nodes = {"web search": python("web search"), "web.search": python("web.search")}

    async def work(toolbox: Toolbox) -> None:
        assert [spec.name for spec in await toolbox.specs(["web search", "web search"])] == ["web_search"]
        with pytest.raises(ToolError, match="two tools would both be called web_search; rename one of them"):
            await toolbox.offered(["web search", "web.search"])

    inside(opened(tmp_path, nodes), work)


def test_nothing_is_imported_before_it_is_called(tmp_path: Path) -> None:
    toolbox = opened(tmp_path, {"one": python("one")})
    (tmp_path / "tools" / "t.py").write_text("raise SystemExit")
    assert toolbox.get("one") is toolbox.get("one")
    asyncio.run(toolbox.close())


def test_a_tool_s_own_time_limit_comes_before_that_of_all(tmp_path: Path) -> None:
    nodes = {
        "own": ToolNode(place=HERE, id="own", type="shell", command=["sleep", "60"], timeout_s=0.2),
        "all": ToolNode(place=HERE, id="all", type="shell", command=["sleep", "60"]),
    }

    async def work(toolbox: Toolbox) -> None:
        for name, limit in (("own", "0.2"), ("all", "0.4")):
            with pytest.raises(ToolError, match=f"longer than {limit} s"):
                await toolbox.get(name).call({})

    inside(opened(tmp_path, nodes, timeout_s=0.4), work)
