"""The graph of a workflow as text for a terminal, and as Mermaid."""

from __future__ import annotations

import re
from typing import Any, Final

from clew.view.cells import cell_width, harmless
from clew.workflow.layers import levels
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    BranchNode,
    Edge,
    InputNode,
    OutputNode,
    Project,
    PromptNode,
    ToolNode,
    TriggerNode,
)

_LINES: Final = {"more": "├─▶ ", "last": "└─▶ "}
_ASCII_LINES: Final = {"more": "|-> ", "last": "`-> "}
_SHAPES: Final = {
    "input": ("([", "])"),
    "output": ("([", "])"),
    "prompt": ("[", "]"),
    "agent": ("[[", "]]"),
    "branch": ("{{", "}}"),
    "trigger": (">", "]"),
    "tool": ("[/", "/]"),
}
_PLAIN_IN_MERMAID: Final = re.compile(r"[^\w .,:/'()=!+-]|_")


def kind(node: AnyNode) -> str:
    """Return the word for a kind of node, as in the manifest."""
    match node:
        case InputNode():
            return "input"
        case OutputNode():
            return "output"
        case PromptNode():
            return "prompt"
        case AgentNode():
            return "agent"
        case BranchNode():
            return "branch"
        case TriggerNode():
            return "trigger"
    return "tool"


def facts(project: Project, node: AnyNode) -> str:
    """Return in a few words what a node works with: its fields, model, workflow, code or command."""
    match node:
        case InputNode(schema=schema):
            return ", ".join(f"{name}: {field.type}" for name, field in schema.items())
        case PromptNode() | AgentNode():
            prompt = project.prompts.get(node.prompt)
            model = node.model or (prompt.model if prompt else None) or project.defaults.model
            named = [] if node.prompt == node.id else [f"prompt {node.prompt}"]
            tools = [f"tools {', '.join(node.tools)}"] if isinstance(node, AgentNode) and node.tools else []
            return "; ".join([*named, *([model] if model else []), *tools])
        case BranchNode():
            before = [f"if {node.condition}"] if node.condition else []
            rounds = (
                [f"while {node.loop_while}, at most {node.max_iterations} times"] if node.loop_while else []
            )
            return "; ".join([node.workflow, *before, *rounds])
        case TriggerNode():
            return "; ".join(
                [node.workflow, node.mode, *([f"if {node.condition}"] if node.condition else [])]
            )
        case ToolNode(type="python"):
            return f"{node.module}:{node.function}"
        case ToolNode(type="http"):
            return f"{node.method} {node.url}"
        case ToolNode():
            return " ".join(node.command)
    return ""


def as_text(project: Project, *, encoding: str = "utf-8") -> str:
    """Return the graph level by level: each node, and below it what it leads to, with which fields and when.

    Args:
        project: with or without circles.
        encoding: of the terminal; where it has no lines to draw with, these are ASCII.

    Returns: lines without any character that a terminal would obey. Nodes of one level may run at the same time.
    """
    signs = _LINES if harmless("├─▶└", encoding=encoding) == "├─▶└" else _ASCII_LINES
    outgoing: dict[str, list[Edge]] = {name: [] for name in project.nodes}
    for edge in project.edges:
        outgoing[edge.source].append(edge)
    level = levels(list(project.nodes), [(edge.source, edge.target) for edge in project.edges])
    order = sorted(project.nodes, key=lambda name: level[name])
    name_width = max((cell_width(harmless(name)) for name in order), default=0)
    mapped_width = max((cell_width(harmless(mapped(edge))) for edge in project.edges), default=0)
    level_width = len(str(max(level.values(), default=0) + 1))
    lines = [f"{project.name}: {_counted(len(order), 'node')}, {_counted(len(project.edges), 'edge')}", ""]
    previous = -1
    for name in order:
        shown = str(level[name] + 1) if level[name] != previous else ""
        previous = level[name]
        node = project.nodes[name]
        lines.append(
            f"{shown:>{level_width}}  {_padded(name, name_width)}  {kind(node):<7}  {facts(project, node)}"
        )
        for index, edge in enumerate(outgoing[name]):
            sign = signs["last" if index == len(outgoing[name]) - 1 else "more"]
            when = f"if {edge.condition}" if edge.condition else ""
            fields = _padded(mapped(edge), mapped_width)
            lines.append(
                f"{' ' * (level_width + 4)}{sign}{_padded(edge.target, name_width)}  {fields}  {when}"
            )
    return "".join(f"{harmless(line.rstrip(), encoding=encoding)}\n" for line in lines)


def as_data(project: Project) -> dict[str, Any]:
    """Return the graph as plain values: nodes with kind and level, from 1, and edges with mapping and condition."""
    level = levels(list(project.nodes), [(edge.source, edge.target) for edge in project.edges])
    return {
        "name": project.name,
        "nodes": [
            {"id": name, "kind": kind(node), "level": level[name] + 1, "about": facts(project, node)}
            for name, node in project.nodes.items()
        ],
        "edges": [
            {
                "id": edge.id,
                "source": edge.source,
                "target": edge.target,
                "mapping": edge.mapping,
                "condition": edge.condition,
            }
            for edge in project.edges
        ],
    }


def mapped(edge: Edge) -> str:
    """Return which fields go along an edge, as `topic, reply = text`."""
    return ", ".join(name if name == path else f"{name} = {path}" for name, path in edge.mapping.items())


def as_mermaid(project: Project) -> str:
    """Return the graph as a Mermaid flowchart. Names and conditions are escaped, whatever is in them."""
    ids = {name: f"n{index}" for index, name in enumerate(project.nodes)}
    lines = ["flowchart TD"]
    for name, node in project.nodes.items():
        opened, closed = _SHAPES[kind(node)]
        about = "" if isinstance(node, InputNode | OutputNode) else f"<br/>{kind(node)}"
        lines.append(f'    {ids[name]}{opened}"{_mermaid(name)}{about}"{closed}')
    for edge in project.edges:
        label = f'|"{_mermaid(edge.condition)}"|' if edge.condition else ""
        lines.append(f"    {ids[edge.source]} -->{label} {ids[edge.target]}")
    return "\n".join(lines) + "\n"


def _padded(text: str, width: int) -> str:
    """Fill up with spaces to a width in cells of what the terminal will show."""
    return text + " " * max(0, width - cell_width(harmless(text)))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _mermaid(text: str) -> str:
    """Write everything that Mermaid or HTML could read as more than a letter as a numbered character."""
    return _PLAIN_IN_MERMAID.sub(lambda match: f"#{ord(match[0])};", " ".join(text.split()))
