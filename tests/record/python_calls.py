"""Which of Clew's Python functions a piece of work calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TESTS = str(Path(__file__).parent)


def python_calls(work: Callable[[], object]) -> list[str]:
    """Names of the Python functions of Clew that were called."""
    seen: list[str] = []

    def note(frame: Any, what: str, _argument: object) -> None:
        if (
            what == "call"
            and "clew" in frame.f_code.co_filename
            and not frame.f_code.co_filename.startswith(_TESTS)
        ):
            seen.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return seen
