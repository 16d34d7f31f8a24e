"""The file `.env` of a project: variables of the environment, for keys above all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clew.errors import ProjectError
from clew.workflow.boundary import confined, is_file
from clew.workflow.document import read_text
from clew.workflow.project import Place, Problem

_QUOTED: Final = re.compile(r"""(["'])((?:\\.|(?!\1).)*)\1(.*)""", re.DOTALL)
_COMMENT: Final = re.compile(r"(?:^|\s)#.*", re.DOTALL)


def read_env(path: Path, *, environ: Mapping[str, str], found: list[Problem]) -> dict[str, str]:
    """Return the variables of a `.env` file that are not set already.

    Lines are `NAME=value`. A value in quotes ends at the second one, which a backslash makes a part of it; any other
    ends at the end of its line, or before a `#` with a blank in front of it. Comments may stand behind both.
    """
    if not is_file(path):
        return {}
    try:
        confined(path.parent, path.name, what="the file")
    except ProjectError as error:
        found.append(Problem(Place(path, 1), str(error)))
        return {}
    variables: dict[str, str] = {}
    for number, line in enumerate((read_text(path, found=found) or "").split("\n"), 1):
        name, equals, written = line.strip().removeprefix("export ").partition("=")
        name = name.strip()
        if not equals or not name or name.startswith("#") or name in environ:
            continue
        try:
            variables[name] = _value(name, written.strip())
        except ValueError as error:
            found.append(Problem(Place(path, number), str(error)))
    return variables


def _value(name: str, written: str) -> str:
    """Return the value that is written behind the sign. Raises: ValueError: it can be none, with the reason."""
    if "\0" in name + written:
        raise ValueError(f"the variable {name[:40]!r} has a NUL character, which no variable can hold")
    if not written.startswith(('"', "'")):
        return _COMMENT.sub("", written)
    quoted = _QUOTED.fullmatch(written)
    if quoted is None:
        raise ValueError(f"the value of {name!r} begins with a quote, and no second one ends it")
    quote, value, behind = quoted.groups()
    behind = behind.strip()
    if behind and not behind.startswith("#"):
        raise ValueError(f"behind the quotes of {name!r} stands more; only a comment with # may")
    return value.replace(f"\\{quote}", quote)
