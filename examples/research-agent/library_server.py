"""A server of the Model Context Protocol on standard input and output: it knows when documents were written."""

from __future__ import annotations

from mcp.server import MCPServer

server = MCPServer("library")


@server.tool()
def dated(name: str) -> str:
    """Say when a document was written."""
    return {"rivers": "1998", "mountains": "2004", "lakes": "2011"}.get(name, "unknown")


if __name__ == "__main__":
    server.run()
