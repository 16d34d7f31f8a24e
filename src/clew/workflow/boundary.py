"""The folder of a project as a boundary: what a project names lies below it, whatever links and dots say."""

from __future__ import annotations

import ntpath
import os
from pathlib import Path

from clew.errors import ProjectError


def confined(root: Path, written: str, *, what: str) -> Path:
    """Return the path below a project's folder that a text names. The file need not exist.

    Args:
        root: the folder of the project.
        written: a relative path.
        what: what the path is, for the message.

    Raises: ProjectError: the path is absolute, leaves the folder by `..` or by a link, or is no path.
    """
    if not written.strip() or "\0" in written:
        raise ProjectError(f"{what} is no path")
    if written.startswith(("/", "~", "\\")) or ntpath.splitdrive(written)[0]:
        raise ProjectError(f"{what} {written!r} is not relative to the project's folder")
    if ".." in written.replace("\\", "/").split("/"):
        raise ProjectError(f"{what} {written!r} leaves the project's folder; it may not contain '..'")
    try:
        inside = Path(os.path.realpath(root))
        if _may_be_link(inside, written):
            target = (inside / written).resolve()
            if target != inside and inside not in target.parents:
                raise ProjectError(f"{what} {written!r} is a link that leaves the project's folder")
    except (OSError, RuntimeError, ValueError) as error:
        raise ProjectError(f"{what} {written!r} cannot be followed: {error}") from None
    return inside / written


def _may_be_link(folder: Path, written: str) -> bool:
    """Whether a link may be on the way down. A project of thousands of tools asks often, and there hardly ever is one."""
    if "\\" in written:
        return True  # what parts it depends on the system
    place = str(folder)
    for step in written.split("/"):
        place = f"{place}/{step}"
        if os.path.islink(place):  # noqa: PTH114 - several times as fast as Path's
            return True
    return False


def tool_file(root: Path, module: str) -> Path:
    """Return the file of a Python tool: `name` is tools/name.py, `a/b` the file a/b.py below the project's folder.

    Raises: ProjectError: the path leaves the folder.
    """
    name = module if module.endswith(".py") else f"{module}.py"
    return confined(root, name if "/" in module else f"tools/{name}", what="the tool's file")


def tool_files(root: Path, folder: Path, module: str) -> list[Path]:
    """Return where the file of a workflow's tool may be: below the workflow's folder, then below the project's.

    Raises: ProjectError: the path leaves the folder.
    """
    files = [tool_file(root, module)]
    inside, below = os.path.realpath(root), os.path.realpath(folder)
    if below != inside and Path(below).is_relative_to(inside):
        files.insert(0, tool_file(folder, module))
    return files


def is_plain_name(name: str) -> bool:
    """Whether a name can be the name of one file: no separator, no dots alone, nothing that a terminal obeys."""
    return name.isprintable() and name.strip(". ") != "" and "/" not in name and "\\" not in name
