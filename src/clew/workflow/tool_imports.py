"""Which files of a project stand behind a tool: its own, and those that it imports, as their text shows them."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MOST_FILES: Final = 1000


def files_behind(file: Path, *, root: Path) -> list[Path]:
    """Return a tool's file and all files of its folder and of the project's that it imports, at any depth, in order.

    Imports that only running the code would show are not seen. A file that is no Python stands for itself alone.
    """
    folder = file.parent
    found: dict[Path, None] = {}
    waiting = [file]
    while waiting and len(found) < MOST_FILES:
        each = waiting.pop()
        if each not in found:
            found[each] = None
            waiting += _imported(each, places=(folder, root))
    return sorted(found)


def _imported(file: Path, *, places: tuple[Path, ...]) -> Iterator[Path]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for statement in ast.walk(tree):
        match statement:
            case ast.Import(names=names):
                for alias in names:
                    yield from _files_of(alias.name.split("."), places)
            case ast.ImportFrom(module=module, names=names, level=level):
                steps = module.split(".") if module else []
                here = (file.parents[level - 1],) if 0 < level <= len(file.parents) else places
                yield from _files_of(steps, here)
                for alias in names:  # what is imported may be a module itself
                    yield from _files_of([*steps, alias.name], here)


def _files_of(steps: list[str], places: tuple[Path, ...]) -> Iterator[Path]:
    """Return the files that importing a dotted name loads, where they are the project's own."""
    if not steps or steps[0] in sys.stdlib_module_names:
        return
    for place in places:
        for count in range(1, len(steps) + 1):
            path = place.joinpath(*steps[:count])
            for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
                if file.is_file():
                    yield file
