"""Whether a node is still what it was: a hash of all that decides about its outputs besides its inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from clew.model.digest import digest
from clew.workflow.plan import edges_into
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    BranchNode,
    Edge,
    Project,
    PromptNode,
    ToolNode,
    TriggerNode,
)

_canonical = msgspec.json.Encoder(order="deterministic", enc_hook=str)


class Definitions:
    """The hashes of definitions, each worked out once."""

    def __init__(self, load: Callable[[Path], Project]) -> None:
        """Args: load: reads the workflow of a branch or trigger."""
        self._load = load
        self._known: dict[tuple[Path, str], str] = {}
        self._sources: dict[Path, str | None] = {}

    def of(self, project: Project, node: AnyNode, *, incoming: list[Edge]) -> str:
        """Return the hash of a node: of its entry, its prompt, its tools' files, its workflow, and the edges into it."""
        key = (project.place.path, node.id)
        found = self._known.get(key)
        if found is None:
            self._known[key] = ""  # a workflow in itself is not looked into again
            found = self._known[key] = digest(_canonical.encode(self._parts(project, node, incoming)))
        return found

    def _parts(self, project: Project, node: AnyNode, incoming: list[Edge]) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "definition": node.definition,
            "edges": [(edge.source, edge.mapping, edge.condition) for edge in incoming],
        }
        if isinstance(node, PromptNode | AgentNode):
            prompt = project.prompts.get(node.prompt)
            parts["prompt"] = (
                None if prompt is None else _without_places(msgspec.to_builtins(prompt, enc_hook=str))
            )
            defaults = project.defaults
            parts["defaults"] = (defaults.model, defaults.temperature, defaults.max_tokens)
        if isinstance(node, ToolNode):
            parts["source"] = self._source(project, node)
        if isinstance(node, AgentNode):
            tools = [found for name in node.tools if isinstance(found := project.nodes.get(name), ToolNode)]
            parts["tools"] = [(tool.definition, self._source(project, tool)) for tool in tools]
        if isinstance(node, BranchNode | TriggerNode) and node.workflow != "self":
            parts["workflow"] = self._workflow(self._load(workflow_path(project, node.workflow)))
        return parts

    def _source(self, project: Project, node: ToolNode) -> str | None:
        if node.type != "python":
            return None
        path = tool_file(project, node)
        if path not in self._sources:
            try:
                self._sources[path] = digest(path.read_bytes())
            except OSError:
                self._sources[path] = None
        return self._sources[path]

    def _workflow(self, project: Project) -> list[str]:
        into = edges_into(project)
        return [self.of(project, node, incoming=into[name]) for name, node in project.nodes.items()]


def workflow_path(project: Project, workflow: str) -> Path:
    """Return the file of a workflow that a branch or trigger names."""
    if workflow == "self":
        return project.place.path
    return project.place.path.parent / workflow


def tool_file(project: Project, node: ToolNode) -> Path:
    """Return the file of a Python tool: a name in `tools/`, or a path below the project."""
    name = node.module if node.module.endswith(".py") else f"{node.module}.py"
    is_path = "/" in node.module
    return project.place.path.parent / (name if is_path else f"tools/{name}")


def _without_places(value: Any) -> Any:
    """Lines move when something above them changes, which changes nothing in what they say."""
    if isinstance(value, dict):
        return {name: _without_places(item) for name, item in value.items() if name != "place"}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    return value
