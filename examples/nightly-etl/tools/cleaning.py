"""Sorting rows into good and broken ones, and adding the good ones up."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def clean(river: list[Row], rain: list[Row], wind: list[Row]) -> dict[str, Any]:
    """Part rows with a value from rows without."""
    rows = [*river, *rain, *wind]
    good = [row for row in rows if row["value"] is not None]
    bad = [row for row in rows if row["value"] is None]
    return {"good": good, "bad": bad, "bad_count": len(bad)}


def add_up(rows: list[Row]) -> dict[str, float]:
    """Return the sum and the mean of all values."""
    values = [row["value"] for row in rows]
    return {"total": round(sum(values), 3), "mean": round(sum(values) / len(values), 3) if values else 0.0}


def set_aside(rows: list[Row]) -> dict[str, int]:
    """Count what somebody has to look at."""
    return {"count": len(rows)}
