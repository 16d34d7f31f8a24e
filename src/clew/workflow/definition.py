"""Whether a node is still what it was: a hash of all that decides about its outputs besides its inputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from clew.errors import ProjectError
from clew.model.digest import digest
from clew.workflow.boundary import tool_files
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
from clew.workflow.tool_imports import files_behind

_canonical = msgspec.json.Encoder(order="deterministic", enc_hook=str)


class Definitions:
    """The hashes of definitions, each worked out once."""

    def __init__(self, load: Callable[[Path], Project]) -> None:
        """Args: load: reads the workflow of a branch or trigger."""
        self._load = load
        self._known: dict[tuple[str, str], str] = {}
        self._flat: dict[Path, str] = {}
        self._sources: dict[tuple[str, str], str | None] = {}

    def of(self, project: Project, node: AnyNode, *, incoming: list[Edge]) -> str:
        """Return the hash of a node: of its entry, its prompt, its tools' files with what they import, its workflows, and the edges."""
        key = (str(project.place.path), node.id)
        found = self._known.get(key)
        if found is None:
            parts = self._parts(project, node, incoming)
            if isinstance(node, BranchNode | TriggerNode):
                parts["workflows"] = self._workflows(project, node)
            found = self._known[key] = digest(_canonical.encode(parts))
        return found

    def _parts(self, project: Project, node: AnyNode, incoming: list[Edge]) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "definition": node.definition,
            "edges": [(edge.source, edge.mapping, edge.condition) for edge in incoming],
        }
        match node:
            case ToolNode():
                parts["source"] = self._source(project, node)
            case PromptNode() | AgentNode():
                prompt = project.prompts.get(node.prompt)
                parts["prompt"] = (
                    None if prompt is None else _without_places(msgspec.to_builtins(prompt, enc_hook=str))
                )
                defaults = project.defaults
                parts["defaults"] = (defaults.model, defaults.temperature, defaults.max_tokens)
        if isinstance(node, AgentNode):
            tools = [found for name in node.tools if isinstance(found := project.nodes.get(name), ToolNode)]
            parts["tools"] = [(tool.definition, self._source(project, tool)) for tool in tools]
        return parts

    def _source(self, project: Project, node: ToolNode) -> str | None:
        """Return the hash of a Python tool's file and of the project's files that it imports; None where there is none."""
        if node.type != "python":
            return None
        key = (str(project.place.path), node.module)
        if key not in self._sources:
            self._sources[key] = _hash_of_module(project, node.module)
        return self._sources[key]

    def _workflows(self, project: Project, node: BranchNode | TriggerNode) -> list[tuple[str, str]]:
        """Return the file and the hash of every workflow that a node leads to, through whatever number of others.

        Each is hashed without those in it, for workflows may lead to one another, and to themselves.
        """
        waiting = [workflow_path(project, node.workflow).resolve()]
        found: dict[Path, str] = {}
        while waiting:
            path = waiting.pop()
            if path not in found:
                inner = self._load(path)
                found[path] = self._hash_of_workflow(path, inner)
                waiting += [
                    workflow_path(inner, each.workflow).resolve()
                    for each in inner.nodes.values()
                    if isinstance(each, BranchNode | TriggerNode)
                ]
        folder = project.place.path.resolve().parent
        return sorted((os.path.relpath(path, folder), hashed) for path, hashed in found.items())

    def _hash_of_workflow(self, path: Path, project: Project) -> str:
        if path not in self._flat:
            into = edges_into(project)
            parts = [self._parts(project, node, into[name]) for name, node in project.nodes.items()]
            self._flat[path] = digest(_canonical.encode(parts))
        return self._flat[path]


def workflow_path(project: Project, workflow: str) -> Path:
    """Return the file of a workflow that a branch or trigger names."""
    if workflow == "self":
        return project.place.path
    return project.place.path.parent / workflow


def _hash_of_module(project: Project, module: str) -> str | None:
    try:
        files = tool_files(project.root, project.place.path.parent, module)
    except ProjectError:
        return None
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return None
    behind = files_behind(file, root=project.root)
    return digest(b"".join(digest(_content(each)).encode() for each in behind))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _without_places(value: Any) -> Any:
    """Lines move when something above them changes, which changes nothing in what they say."""
    if isinstance(value, dict):
        return {name: _without_places(item) for name, item in value.items() if name != "place"}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    return value
