"""Nodes, tools and edges as a manifest declares them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from clew.workflow.document import Value
from clew.workflow.fields import read_schema
from clew.workflow.project import (
    MAX_ITERATIONS,
    MAX_TURNS,
    AgentNode,
    AnyNode,
    BranchNode,
    Edge,
    InputNode,
    McpServer,
    OutputNode,
    Problem,
    PromptNode,
    Retry,
    ToolNode,
    TriggerNode,
)
from clew.workflow.table import Table

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_NO_DEFAULTS: Final = Retry()
_TRIDENT_ONLY: Final = ("permission_mode", "execution_mode", "cwd")


def read_retry(table: Table) -> Retry | None:
    """Read how often something is tried again: a number of attempts, or a mapping; None where nothing is said."""
    value = table.value("retry")
    if value is None:
        return None
    if not isinstance(value.data, dict):
        return Retry(attempts=table.whole("retry") or 1)
    retry = Table(value, what="retry", found=table.found, strict=table.strict)
    read = Retry(
        attempts=retry.whole("attempts") or 1,
        delay_s=_or(retry.number("delay_s"), _NO_DEFAULTS.delay_s),
        factor=_or(retry.number("factor", least=1.0), _NO_DEFAULTS.factor),
        max_delay_s=_or(retry.number("max_delay_s"), _NO_DEFAULTS.max_delay_s),
    )
    retry.finish()
    return read


def read_node(name: str, value: Value, *, found: list[Problem], strict: bool) -> AnyNode | None:
    """Read one entry of `nodes`; None where it has no kind that there is."""
    table = Table(value, what=f"node {name!r}", found=found, strict=strict)
    if not isinstance(value.data, dict | None):
        return None
    if table.text("type") == "tool":
        table.wrong(
            table.place_of("type"), f"{name!r} is a tool, and tools stand under 'tools:', not under 'nodes:'"
        )
        return None
    kind = table.word("type", list(_KINDS))
    if kind is None and table.text("type") is not None:
        return None  # nobody knows which fields it should have
    kind = kind or "prompt"
    table.ignore("description")
    node = _KINDS[kind](table, {"id": name, **_shared(table)})
    table.finish()
    return node


def read_tool(name: str, value: Value, *, found: list[Problem], strict: bool) -> ToolNode | None:
    """Read one entry of `tools`."""
    table = Table(value, what=f"tool {name!r}", found=found, strict=strict)
    if not isinstance(value.data, dict):
        if value.data is None:
            table.wrong(value.place, f"tool {name!r} says nothing about itself")
        return None
    kind = table.word("type", ("python", "http", "shell"))
    if kind is None and table.text("type") is not None:
        return None
    kind = kind or "python"
    method = (table.text("method") or "GET").upper()
    if method not in METHODS:
        table.wrong(table.place_of("method"), f"{method[:20]!r} is no HTTP method that tools may use")
    node = ToolNode(
        id=name,
        **_shared(table),
        type="http" if kind == "http" else "shell" if kind == "shell" else "python",
        description=table.text("description") or "",
        parameters=read_schema(
            table.value("parameters"), what=f"the parameters of {name!r}", found=found, strict=strict
        ),
        module=_module(table),
        function=table.text("function") or "",
        method=method,
        url=table.text("url") or "",
        headers=table.named_texts("headers"),
        command=_command(table),
        cwd=table.text("cwd") or ".",
    )
    _require(table, *{"python": ("function",), "http": ("url",), "shell": ("command",)}[kind])
    if kind == "python" and not node.module:
        table.wrong(table.place, f"{table.what} needs a 'module', a file in tools/, or a 'path'")
    table.finish()
    return node


def read_edge(name: str, value: Value, *, found: list[Problem], strict: bool) -> Edge:
    """Read one entry of `edges`; an end that it does not name is empty, and a problem."""
    table = Table(value, what=f"edge {name!r}", found=found, strict=strict)
    if not isinstance(value.data, dict):
        if value.data is None:
            table.wrong(value.place, f"edge {name!r} needs 'from' and 'to'")
        return Edge(place=value.place, id=name, source="", target="")
    source, target = table.text("from"), table.text("to")
    _require(table, "from", "to")
    edge = Edge(
        place=value.place,
        id=name,
        source=source or "",
        target=target or "",
        mapping=table.named_texts("mapping"),
        condition=_condition(table, "condition"),
    )
    table.ignore("description")
    table.finish()
    return edge


def _shared(table: Table) -> dict[str, Any]:
    return {
        "place": table.place,
        "definition": table.plain(),
        "timeout_s": table.number("timeout_s", above=True),
        "retry": read_retry(table),
    }


def _require(table: Table, *keys: str) -> None:
    for key in keys:
        if table.value(key) is None:
            table.wrong(table.place, f"{table.what} needs {key!r}")


def _input(table: Table, shared: dict[str, Any]) -> AnyNode:
    schema = read_schema(
        table.value("schema"), what=f"the input {shared['id']!r}", found=table.found, strict=table.strict
    )
    return InputNode(**shared, schema=schema)


def _output(table: Table, shared: dict[str, Any]) -> AnyNode:
    return OutputNode(**shared, format="text" if table.word("format", ("text", "json")) == "text" else "json")


def _prompt(table: Table, shared: dict[str, Any]) -> AnyNode:
    return PromptNode(**shared, **_asking(table, shared["id"]))


def _agent(table: Table, shared: dict[str, Any]) -> AnyNode:
    table.ignore(*_TRIDENT_ONLY)
    return AgentNode(
        **shared,
        **_asking(table, shared["id"]),
        tools=[*table.texts("tools"), *table.texts("allowed_tools")],
        mcp_servers=_mcp_servers(table),
        max_turns=table.whole("max_turns") or MAX_TURNS,
        token_budget=table.whole("token_budget"),
        cost_budget_usd=table.number("cost_budget_usd", above=True),
    )


def _asking(table: Table, name: str) -> dict[str, Any]:
    """Return what prompt nodes and agents have: the prompt, and settings of the model."""
    return {
        "prompt": table.text("prompt") or name,
        "model": table.text("model"),
        "temperature": table.number("temperature"),
        "max_tokens": table.whole("max_tokens"),
    }


def _branch(table: Table, shared: dict[str, Any]) -> AnyNode:
    _require(table, "workflow")
    return BranchNode(
        **shared,
        workflow=table.text("workflow") or "",
        condition=_condition(table, "condition"),
        loop_while=_condition(table, "loop_while"),
        max_iterations=table.whole("max_iterations") or MAX_ITERATIONS,
    )


def _trigger(table: Table, shared: dict[str, Any]) -> AnyNode:
    _require(table, "workflow")
    mode = table.word("mode", ("fire-and-forget", "wait"))
    return TriggerNode(
        **shared,
        workflow=table.text("workflow") or "",
        mode="wait" if mode == "wait" else "fire-and-forget",
        pass_outputs=table.flag("pass_outputs") is not False,
        emit_signal=table.flag("emit_signal") is True,
        condition=_condition(table, "condition"),
    )


_KINDS: Final[dict[str, Callable[[Table, dict[str, Any]], AnyNode]]] = {
    "input": _input,
    "output": _output,
    "prompt": _prompt,
    "agent": _agent,
    "branch": _branch,
    "trigger": _trigger,
}


def _condition(table: Table, key: str) -> str | None:
    """Return a condition. `true` and `false` alone are conditions too, and an empty one is none."""
    value = table.value(key)
    if value is not None and isinstance(value.data, bool):
        return str(value.data).lower()
    text = table.text(key)
    return text if text and text.strip() else None


def _module(table: Table) -> str:
    """Return the module of a Python tool; a path has a slash, which tells it from a name in `tools/`."""
    module, path = table.text("module") or "", table.text("path") or ""
    return module if not path else path if "/" in path else f"./{path}"


def _command(table: Table) -> list[str]:
    value = table.value("command")
    if value is not None and not isinstance(value.data, list):
        table.wrong(
            value.place,
            f"command of {table.what} is a list, the program and then each argument: no shell reads it",
        )
        return []
    return table.texts("command")


def _mcp_servers(table: Table) -> list[McpServer]:
    servers = []
    for name, value in table.entries("mcp_servers"):
        server = Table(value, what=f"MCP server {name!r}", found=table.found, strict=table.strict)
        _require(server, "command")
        servers.append(
            McpServer(
                place=value.place,
                name=name,
                command=server.text("command") or "",
                args=server.texts("args"),
                env=server.named_texts("env"),
            )
        )
        server.ignore("type", "description")
        server.finish()
    return servers


def _or(number: float | None, default: float) -> float:
    return default if number is None else number
