"""Changes of nodes wherever they are, in a workflow or in those that run in it: what a replay applies anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clew.errors import UsageError
from clew.workflow.addresses import Address, find_node
from clew.workflow.changes import with_param
from clew.workflow.project import Project


def with_params_inside(
    project: Project, params: Mapping[str, Any], *, load: Callable[[Path], Project], option: str
) -> tuple[Project, dict[Path, Project]]:
    """Return a project with fields changed, and those of the workflows in it that are changed, by their files.

    Args:
        project: a valid one.
        params: `node.field` or `branch.node.field`, and its value.
        load: reads the workflow of a branch.
        option: how the user gave them, for what is said of a mistake.

    Raises: UsageError, ProjectError: as `with_params`.
    """
    inside: dict[Path, Project] = {}

    def loaded(path: Path) -> Project:
        return inside.get(path.resolve()) or load(path)

    for name, value in params.items():
        place, field = _address(project, name, load=loaded, option=option)
        changed = with_param(place.project, f"{place.node_id}.{field}", value, option=option)
        if changed.place.path == project.place.path:
            project = changed
        else:
            inside[changed.place.path.resolve()] = changed
    return project, inside


def _address(
    project: Project, name: str, *, load: Callable[[Path], Project], option: str
) -> tuple[Address, str]:
    """Return the node and the way into it that a name means: the longest name of a node that there is counts."""
    steps = name.split(".")
    unknown: UsageError | None = None
    for length in range(len(steps) - 1, 0, -1):
        try:
            place = find_node(project, ".".join(steps[:length]), load=load, what=option)
        except UsageError as error:
            unknown = error
        else:
            return place, ".".join(steps[length:])
    raise unknown or UsageError(f"{option}: {name!r} names no field; write NODE.FIELD=VALUE")
