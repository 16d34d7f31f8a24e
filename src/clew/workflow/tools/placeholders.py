"""`{{name}}` in the url, the headers and the command line of a tool.

Written as in prompts (`clew.workflow.template`), but each value can be encoded for its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from clew.errors import ToolError

_VARIABLE: Final = re.compile(r"\{\{\s*([^\W\d]\w*(?:\.\w+)*)\s*\}\}")
_SECRET: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill(template: str, values: Mapping[str, Any], *, tool: str, encode: Callable[[str], str] = str) -> str:
    """Put values in, dotted names into what is nested. What was put in is not looked at again.

    Raises: ToolError: a value is not there.
    """

    def value(found: re.Match[str]) -> str:
        return encode(as_text(_look_up(found[1], values, tool=tool)))

    return _VARIABLE.sub(value, template)


def is_one_variable(template: str) -> bool:
    """Whether a template is one variable and nothing else."""
    return _VARIABLE.fullmatch(template.strip()) is not None


def begins_with_variable(template: str) -> bool:
    """Whether what a template gives begins with what somebody else chose."""
    return _VARIABLE.match(template) is not None


def variables(*templates: str) -> set[str]:
    """Return the names of the arguments that templates use."""
    return {name.partition(".")[0] for template in templates for name in _VARIABLE.findall(template)}


def expand(text: str, environ: Mapping[str, str], *, tool: str, secrets: set[str] | None = None) -> str:
    """Put variables of the environment in for `${NAME}`, and note their values in `secrets`.

    Raises: ToolError: one is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in environ:
            raise ToolError(f"tool {tool}: the environment has no {name}; set it, or write it into .env")
        if secrets is not None and environ[name]:
            secrets.add(environ[name])
        return environ[name]

    return _SECRET.sub(value, text)


def as_text(value: Any) -> str:
    """Return a value as text: strings as they are, nothing for None, everything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value, enc_hook=str).decode()


def _look_up(path: str, values: Mapping[str, Any], *, tool: str) -> Any:
    here: Any = values
    for part in path.split("."):
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            raise ToolError(
                f"tool {tool}: the argument {path} is missing; it got {', '.join(values) or 'none'}"
            )
    return here
