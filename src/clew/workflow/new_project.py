"""A new workflow project that runs at once: its files, written where none of them is yet."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from clew.errors import ProjectError
from clew.workflow.boundary import is_plain_name
from clew.workflow.manifest_names import MANIFESTS
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
        ProjectError: one of the files is there already, or another manifest, or there can be no such folder; then
            nothing is written.
        OSError: the disk does not take them; then nothing is left of what was written.
    """
    texts = {folder / name: text for name, text in skeleton().items()}
    _refuse_what_is_there(folder, texts)
    name = folder.resolve().name
    shown = _written(name if is_plain_name(name) else _NAME.strip().partition(": ")[2])
    made: list[Path] = []
    try:
        for path, text in texts.items():
            made += _make_folders(path.parent)
            with path.open("x", encoding="utf-8") as file:  # "x": also what came there just now stays
                made.append(path)
                file.write(text.replace(_NAME, f"name: {shown}\n", 1))
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise
    return list(texts)


def _refuse_what_is_there(folder: Path, files: Iterable[Path]) -> None:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise ProjectError(f"{folder} cannot be a folder: {error}") from None
    for above in (folder, *folder.parents):
        if (above.exists() and not above.is_dir()) or (above.is_symlink() and not above.exists()):
            what = "a link that leads nowhere" if above.is_symlink() else "a file"
            raise ProjectError(f"{above} is {what}; a project is a folder")
    there = [path for path in (*files, *(folder / name for name in MANIFESTS[1:])) if _is_there(path)]
    there += {path.parent for path in files if _is_there(path.parent) and not path.parent.is_dir()}
    if there:
        names = listed(str(path.relative_to(folder)) for path in there).replace(" or ", " and ")
        raise ProjectError(f"{folder} has {names} already, and nothing is overwritten; name another folder")


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder with those above it, and return the ones that were not there."""
    missing = [above for above in (folder, *folder.parents) if not above.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _written(name: str) -> str:
    """Return the name of a folder as YAML that reads as this name again."""
    if _PLAIN.fullmatch(name) and name.lower() not in _WORDS:
        return name
    # JSON is YAML; what is no text at all in a name becomes question marks.
    return json.dumps(name.encode("utf-8", "replace").decode(), ensure_ascii=False)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
