"""A server of the Model Context Protocol, written with the official SDK, that keeps a log of its own.

Run as `python mcp_server.py LOG [misbehaviour]`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def log(path: Path, **said: Any) -> None:
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(said) + "\n")


def serve(path: Path) -> None:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    server = MCPServer("testing")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        log(path, tool="add", a=a, b=b, result=a + b)
        return a + b

    @server.tool()
    def describe(name: str) -> dict[str, Any]:
        """Describe somebody."""
        log(path, tool="describe", name=name)
        return {"name": name, "letters": len(name)}

    @server.tool(structured_output=False)
    def shout(text: str) -> str:
        """Say it loudly."""
        log(path, tool="shout", text=text)
        return text.upper()

    @server.tool()
    def fail(reason: str) -> str:
        """Fail."""
        log(path, tool="fail", reason=reason)
        raise ToolError(reason)

    @server.tool()
    def die() -> str:
        """End the server."""
        log(path, tool="die")
        sys.stderr.write("the server ends now\n")
        sys.stderr.flush()
        os._exit(3)

    @server.tool()
    def sleep(seconds: float) -> str:
        """Take long."""
        log(path, tool="sleep", seconds=seconds)
        time.sleep(seconds)
        return "awake"

    @server.tool()
    def environment(name: str) -> str:
        """Return a variable."""
        return os.environ.get(name, "")

    log(path, started=os.getpid())
    server.run("stdio")
    log(path, ended=os.getpid())


def misbehave(how: str) -> None:
    if how == "dies":
        sys.stderr.write(f"cannot open {os.environ.get('KEY', 'the database')}\n")
        raise SystemExit(4)
    if how == "silent":
        time.sleep(600)
    if how == "garbage":
        sys.stdout.write("this is no JSON\n" * 100)
        sys.stdout.flush()
        time.sleep(600)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        misbehave(sys.argv[2])
    serve(Path(sys.argv[1]))
