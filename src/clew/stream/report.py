"""How the stream tells the person who runs the program that something is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

Report = Callable[[str], None]
"""Is told one sentence; where it goes is the caller's business."""


def tell(report: Report | None, sentence: str) -> None:
    """Report a sentence if anybody listens. Never raises."""
    # A report that fails (stderr is closed too) has nowhere to be reported, and must not stop what goes on.
    with contextlib.suppress(Exception):
        if report is not None:
            report(sentence)
