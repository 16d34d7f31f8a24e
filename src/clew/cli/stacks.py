"""What `clew show` prints of the stack of an error: its end, and the end of the one that it came of."""

from __future__ import annotations

from typing import Final

from clew.record.causes import DIRECT, DURING

_LINES: Final = 4
_LINES_OF_CAUSE: Final = 2


def stack_end(stack: str) -> list[str]:
    """Return the last lines of the error's own stack, then its nearest cause and where that was raised."""
    parts: list[list[str]] = [[]]
    for line in stack.splitlines():
        if line in {DIRECT, DURING}:
            parts.append([])
        elif line.strip(" ^~"):  # a line that marks a place in the one above says nothing here
            parts[-1].append(line)
    *causes, own = parts
    if not causes:
        return own[-_LINES:]
    named, frames = _split(causes[-1])
    more = len(causes) - 1
    hint = f"; --stacks prints {more} more" if more else ""
    return [*own[-_LINES:], f"  after {named}{hint}", *frames[-_LINES_OF_CAUSE:]]


def _split(cause: list[str]) -> tuple[str, list[str]]:
    """Return the first line of what a cause says, and its frames, which stand before it."""
    last = max((at for at, line in enumerate(cause) if line.startswith('  File "')), default=-1)
    said = [at for at, line in enumerate(cause) if at > last and not line.startswith(" ")]
    return (cause[said[0]], cause[: said[0]]) if said else ("another error", cause)
