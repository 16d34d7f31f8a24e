"""What the night's report says."""

from __future__ import annotations


def write(day: str, total: float, mean: float) -> dict[str, str]:
    """Return the report's one sentence."""
    return {"text": f"{day}: {total:g} in all, {mean:g} on average"}
