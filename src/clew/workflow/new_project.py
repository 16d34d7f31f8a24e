"""A new workflow project that runs at once: its files, written where none of them is yet."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from clew.errors import ProjectError
from clew.workflow.manifest import MANIFESTS
from clew.workflow.table import listed

_NAME: Final = "name: my-workflow\n"
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORDS: Final = frozenset({"yes", "no", "on", "off", "y", "n", "true", "false", "null"})
"""What YAML takes for something else than text."""


def skeleton() -> dict[str, str]:
    """Return the files of a new project by their paths below its folder."""
    found: dict[str, str] = {}
    waiting: list[tuple[str, Traversable]] = [("", files("clew.workflow") / "skeleton")]
    while waiting:
        path, place = waiting.pop()
        if place.is_dir():
            waiting += [
                (f"{path}/{child.name}".lstrip("/"), child)
                for child in place.iterdir()
                if child.name != "__pycache__"
            ]
        else:
            found[path] = place.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


def write_new_project(folder: Path) -> list[Path]:
    """Write a new project, named after its folder, and return its files.

    Raises:
        ProjectError: one of the files is there already, or another manifest; then nothing is written.
        OSError: the disk does not take them.
    """
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is a file; a project is a folder")
    texts = {folder / name: text for name, text in skeleton().items()}
    there = [path for path in (*texts, *(folder / name for name in MANIFESTS[1:])) if _is_there(path)]
    if there:
        names = listed(str(path.relative_to(folder)) for path in there).replace(" or ", " and ")
        raise ProjectError(f"{folder} has {names} already, and nothing is overwritten; name another folder")
    shown = _written(folder.resolve().name or "my-workflow")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # "x": also what came there just now stays
            file.write(text.replace(_NAME, f"name: {shown}\n", 1))
    return list(texts)


def _written(name: str) -> str:
    """Return the name of a folder as YAML that reads as this name again."""
    if _PLAIN.fullmatch(name) and name.lower() not in _WORDS:
        return name
    # JSON is YAML; what is no text at all in a name becomes question marks.
    return json.dumps(name.encode("utf-8", "replace").decode(), ensure_ascii=False)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
