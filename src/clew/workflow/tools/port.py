"""What every tool is, whatever stands behind it."""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

from clew.workflow.chat import ToolSpec

_UNUSABLE: Final = re.compile(r"[^a-zA-Z0-9_-]")
_NAME_CHARS: Final = 64


class Tool(Protocol):
    """Something that a workflow or a model can call by name. One object serves many calls at the same time."""

    @property
    def spec(self) -> ToolSpec:
        """Name, description and parameters, as a model is told them."""
        ...

    async def call(self, arguments: dict[str, Any]) -> Any:
        """Call it and return what it gives: a dict, except where the tool says otherwise.

        Raises: ToolError: it failed, took too long, or does not take these arguments; asyncio.CancelledError.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds. Never raises; may be called twice."""
        ...


def usable_name(name: str) -> str:
    """Return a name in the form that all providers take: letters, digits, `_` and `-`, at most 64 of them."""
    return _UNUSABLE.sub("_", name)[:_NAME_CHARS]
