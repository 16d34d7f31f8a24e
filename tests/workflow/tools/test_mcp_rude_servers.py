"""Servers that crash, answer with what nobody can read, or leave programs behind; written without the SDK, which does none of it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ToolError
from clew.workflow.project import McpServer, Place
from clew.workflow.tools.toolbox import Toolbox, open_toolbox

pytestmark = pytest.mark.needs_extra("mcp")

SERVER = """
import json, os, subprocess, sys
from pathlib import Path

how = sys.argv[1]
starts = Path("starts")
with starts.open("a") as file:
    file.write("x")
if how == "flaky" and starts.read_text() == "x":
    sys.exit(1)
if how == "binary":
    sys.stdout.buffer.write(bytes(range(128, 256)) + b"\\n")
if how == "child":
    child = subprocess.Popen(["sleep", "600"])
    Path("child").write_text(str(child.pid))

def say(line):
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()

TEXT = {"content": [{"type": "text", "text": "fine"}]}
NESTED = '{"content": [], "structuredContent": {"v": %s}}' % ("[" * 300 + "]" * 300)
RUDE = {
    "deep": '{"jsonrpc": "2.0", "id": ID, "result": %s}' % NESTED,
    "deep with its number last": '{"result": %s, "jsonrpc": "2.0", "id": ID}' % NESTED,
    "half a character": '{"jsonrpc": "2.0", "id": ID, "result": {"content": [{"type": "text", "text": "\\\\ud800"}]}}',
    "neither result nor error": '{"jsonrpc": "2.0", "id": ID}',
}
for line in sys.stdin:
    asked = json.loads(line)
    number, method = asked.get("id"), asked.get("method")
    if number is None:
        continue
    answer = None
    if method == "initialize":
        version = asked["params"]["protocolVersion"]
        answer = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    elif method == "tools/list":
        answer = {"tools": [{"name": "go", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        wanted = asked["params"]["arguments"].get("rude")
        if wanted == "crash":
            os._exit(3)
        if wanted:
            say("a line that is no message")
            say(RUDE[wanted].replace("ID", str(number)))
            continue
        answer = TEXT
    if answer is None:
        say(json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "unknown"}}))
    else:
        say(json.dumps({"jsonrpc": "2.0", "id": number, "result": answer}))
"""


def run(folder: Path, work: Callable[[Toolbox], Awaitable[Any]]) -> Any:
    (folder / "server.py").write_text(SERVER)

    async def inside() -> Any:
        async with open_toolbox(
            {}, root=folder, folder=folder, environ=os.environ, allow_commands=[], timeout_s=60
        ) as toolbox:
            return await work(toolbox)

    return asyncio.run(inside())


def server(how: str = "well") -> McpServer:
    return McpServer(
        place=Place(Path("clew.yaml"), 1), name="s", command=sys.executable, args=["server.py", how]
    )


@pytest.mark.parametrize(
    "rude", ["deep", "deep with its number last", "half a character", "neither result nor error"]
)
def test_a_reply_that_cannot_be_read_fails_its_call_and_no_other(tmp_path: Path, rude: str) -> None:
    async def work(toolbox: Toolbox) -> Any:
        go = (await toolbox.offered(["s.*"], [server()]))["s__go"]
        with pytest.raises(ToolError, match="tool go of MCP server s failed: its reply cannot be read: "):
            await go.call({"rude": rude})
        return await go.call({})

    assert run(tmp_path, work) == {"output": "fine"}


def test_a_server_that_greets_with_bytes_that_are_no_text_is_listened_to(tmp_path: Path) -> None:
    async def work(toolbox: Toolbox) -> Any:
        return await (await toolbox.offered(["s.*"], [server("binary")]))["s__go"].call({})

    assert run(tmp_path, work) == {"output": "fine"}


def test_a_server_that_crashed_is_started_again_once_for_all_who_want_it(tmp_path: Path) -> None:
    async def work(toolbox: Toolbox) -> Any:
        go = (await toolbox.offered(["s.*"], [server()]))["s__go"]
        with pytest.raises(ToolError, match="tool go of MCP server s failed"):
            await go.call({"rude": "crash"})
        found = await asyncio.gather(*(toolbox.offered(["s.*"], [server()]) for _ in range(3)))
        return await asyncio.gather(*(tools["s__go"].call({}) for tools in found))

    assert run(tmp_path, work) == [{"output": "fine"}] * 3
    assert (tmp_path / "starts").read_text() == "xx"


def test_a_server_that_did_not_start_is_started_again(tmp_path: Path) -> None:
    async def work(toolbox: Toolbox) -> Any:
        both = await asyncio.gather(
            *(toolbox.offered(["s.*"], [server("flaky")]) for _ in range(2)), return_exceptions=True
        )
        assert [type(one) for one in both] == [ToolError, ToolError]
        return await (await toolbox.offered(["s.*"], [server("flaky")]))["s__go"].call({})

    assert run(tmp_path, work) == {"output": "fine"}
    assert (tmp_path / "starts").read_text() == "xx"


def test_what_a_server_leaves_running_in_its_group_ends_with_it(tmp_path: Path) -> None:
    async def work(toolbox: Toolbox) -> Any:
        return await toolbox.offered(["s.*"], [server("child")])

    run(tmp_path, work)
    child = Path("/proc") / (tmp_path / "child").read_text()
    deadline = time.monotonic() + 10
    while child.exists() and time.monotonic() < deadline and " Z " not in (child / "stat").read_text():
        time.sleep(0.02)
    assert not child.exists() or " Z " in (child / "stat").read_text()
