"""Which nodes of a workflow run, which are taken from an earlier run, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

from clew.errors import UsageError
from clew.workflow.project import Edge, Project, ToolNode


class Plan(NamedTuple):
    """What one execution of a workflow does."""

    nodes: frozenset[str]
    """Nodes that take part: they run, are kept, or are skipped for a condition."""
    kept: Mapping[str, dict[str, Any]]
    """Outputs of nodes that an earlier run completed, by node, each behind those before it."""
    again: frozenset[str] = frozenset()
    """Nodes that were asked for again, and all behind them: nothing of an earlier run stands for what they do."""


def edges_into(project: Project) -> dict[str, list[Edge]]:
    """Return the edges into each node, in the order of the manifest."""
    found: dict[str, list[Edge]] = {name: [] for name in project.nodes}
    for edge in project.edges:
        found[edge.target].append(edge)
    return found


def edges_out_of(project: Project) -> dict[str, list[Edge]]:
    """Return the edges out of each node, in the order of the manifest."""
    found: dict[str, list[Edge]] = {name: [] for name in project.nodes}
    for edge in project.edges:
        found[edge.source].append(edge)
    return found


def in_order(project: Project) -> list[str]:
    """Return the nodes, each behind those before it: by the longest way to it, and then as in the manifest."""
    into = {name: [edge.source for edge in edges] for name, edges in edges_into(project).items()}
    depth: dict[str, int] = {}
    for name in TopologicalSorter(into).static_order():
        depth[name] = max((depth[source] + 1 for source in into[name]), default=0)
    return sorted(project.nodes, key=depth.__getitem__)


def step_names(project: Project) -> frozenset[str]:
    """Return the nodes that run by themselves: all but tools that no edge touches, which agents call."""
    touched = {name for edge in project.edges for name in (edge.source, edge.target)}
    return frozenset(
        name for name, node in project.nodes.items() if name in touched or not isinstance(node, ToolNode)
    )


def whole(project: Project) -> Plan:
    """Everything runs."""
    return Plan(step_names(project), {})


def from_entrypoint(project: Project, name: str | None) -> frozenset[str]:
    """Return the nodes that run from an entrypoint: what can be reached from it, and what leads to those.

    An entrypoint is one of the manifest's, or any node. Raises: UsageError: there is none of that name.
    """
    if name is None:
        return step_names(project)
    declared = project.entrypoints.get(name)
    begins = declared.nodes if declared is not None and declared.nodes else [name]
    reached = after(project, [known_node(project, node, what="entrypoint") for node in begins])
    return before(project, reached)


def cut(project: Project, nodes: frozenset[str], *, until: str | None) -> frozenset[str]:
    """Return the nodes up to one of them, which runs too.

    Raises: UsageError: there is no such node.
    """
    if until is None:
        return nodes
    return nodes & before(project, [known_node(project, until, what="--until")])


def after(project: Project, begins: Iterable[str]) -> frozenset[str]:
    """Return these nodes and all that edges lead to from them."""
    ways = {name: [edge.target for edge in edges] for name, edges in edges_out_of(project).items()}
    return _reached(begins, ways)


def before(project: Project, ends: Iterable[str]) -> frozenset[str]:
    """Return these nodes and all that lead to them."""
    ways = {name: [edge.source for edge in edges] for name, edges in edges_into(project).items()}
    return _reached(ends, ways)


def known_node(project: Project, name: str, *, what: str) -> str:
    """Return the name of a node.

    Raises: UsageError: there is none of that name.
    """
    if name not in project.nodes:
        close = get_close_matches(name, project.nodes, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(project.nodes)}"
        raise UsageError(f"{what}: {project.name} has no node {name!r}; {hint}")
    return name


def _reached(begins: Iterable[str], ways: Mapping[str, list[str]]) -> frozenset[str]:
    seen: set[str] = set()
    waiting = list(begins)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += ways[node]
    return frozenset(seen)
