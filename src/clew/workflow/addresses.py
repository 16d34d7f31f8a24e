"""The address of a node, also of one in the workflow of a branch: `ask`, `review.ask`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from clew.errors import UsageError
from clew.workflow.definition import workflow_path
from clew.workflow.project import BranchNode, Project, TriggerNode


class Address(NamedTuple):
    """Where a node is."""

    project: Project
    """The workflow that it is a node of."""
    node_id: str


def find_node(project: Project, name: str, *, load: Callable[[Path], Project], what: str) -> Address:
    """Return a node of a workflow, or of one that runs in it.

    Args:
        project: the workflow.
        name: of a node of it; of a branch and a node in its workflow, `branch.node`; or of a node that only one of the
            workflows in it has.
        load: reads the workflow of a branch.
        what: the option that named it, for what is said of a mistake.

    Raises: UsageError: there is none of that name, or several.
    """
    found = _exactly(project, name, load)
    if found is not None:
        return found
    known = dict(_all(project, load))
    named = [full for full, address in known.items() if address.node_id == name]
    if len(named) == 1:
        return known[named[0]]
    if named:
        raise UsageError(f"{what}: several workflows have a node {name!r}; name one of {', '.join(named)}")
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
    raise UsageError(f"{what}: {project.name} has no node {name!r}; {hint}")


def _exactly(project: Project, name: str, load: Callable[[Path], Project]) -> Address | None:
    """Return the node that a whole address names."""
    if name in project.nodes:
        return Address(project, name)
    first, _, rest = name.partition(".")
    inner = _inner(project, first, load) if rest else None
    return None if inner is None else _exactly(inner, rest, load)


def _all(project: Project, load: Callable[[Path], Project]) -> Iterator[tuple[str, Address]]:
    """Go through the nodes of a workflow and of all that run in it, each workflow once, the nearest first."""
    waiting = deque([("", project)])
    seen = {project.place.path}
    while waiting:
        before, each = waiting.popleft()
        for node_id in each.nodes:
            yield before + node_id, Address(each, node_id)
            inner = _inner(each, node_id, load)
            if inner is not None and inner.place.path not in seen:
                seen.add(inner.place.path)
                waiting.append((f"{before}{node_id}.", inner))


def _inner(project: Project, node_id: str, load: Callable[[Path], Project]) -> Project | None:
    """Return the workflow that a node runs in this run."""
    node = project.nodes.get(node_id)
    if isinstance(node, BranchNode) or (isinstance(node, TriggerNode) and node.mode == "wait"):
        path = workflow_path(project, node.workflow)
        return project if path == project.place.path else load(path)
    return None
