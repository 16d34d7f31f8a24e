"""The folder of a project as a boundary: what a project names lies below it, whatever links and dots say."""

from __future__ import annotations

import ntpath
import os
from pathlib import Path
from typing import Final

from clew.errors import ProjectError

LONGEST_NAME_BYTES: Final = 255
"""Of one file, on nearly every system."""
_LONGEST_PATH_BYTES: Final = 4_000
_LONGEST_PLAIN_BYTES: Final = 200
"""Of a name that files are called after, each with an ending of its own."""


def confined(root: Path, written: str, *, what: str) -> Path:
    """Return the path below a project's folder that a text names. The file need not exist.

    Args:
        root: the folder of the project.
        written: a relative path.
        what: what the path is, for the message.

    Raises: ProjectError: the path is absolute, leaves the folder by `..` or by a link, is too long, or is no path.
    """
    if not written.strip() or "\0" in written:
        raise ProjectError(f"{what} is no path")
    if written.startswith(("/", "~", "\\")) or ntpath.splitdrive(written)[0]:
        raise ProjectError(f"{what} {written!r} is not relative to the project's folder")
    if ".." in written.replace("\\", "/").split("/"):
        raise ProjectError(f"{what} {written!r} leaves the project's folder; it may not contain '..'")
    if _is_too_long(written):
        raise ProjectError(f"{what} {written[:40]!r}... is longer than the name of a file may be")
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
    """Whether a name can be the name of one file: of plain characters, and not too long."""
    return has_plain_characters(name) and len(_bytes(name)) <= _LONGEST_PLAIN_BYTES


def has_plain_characters(name: str) -> bool:
    """Whether a name has no separator, is not dots alone, and has nothing that a terminal obeys."""
    return name.isprintable() and name.strip(". ") != "" and "/" not in name and "\\" not in name


def is_file(path: Path) -> bool:
    """Whether there is such a file. A path that no system could have leads to none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; as `is_file`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _is_too_long(written: str) -> bool:
    steps = _bytes(written).split(b"/")
    return (
        max(map(len, steps)) > LONGEST_NAME_BYTES or sum(map(len, steps)) + len(steps) > _LONGEST_PATH_BYTES
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
