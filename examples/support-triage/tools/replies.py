"""Only one of the answers was written; this takes it."""

from __future__ import annotations


def choose(refund: str = "", technical: str = "", general: str = "") -> dict[str, str]:
    """Return the answer that there is."""
    return {"reply": refund or technical or general}
