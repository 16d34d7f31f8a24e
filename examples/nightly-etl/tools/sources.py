"""Three sources of measurements. The same day gives the same rows; the one for rain is not there at first."""

from __future__ import annotations

import random
import time

_asked: dict[str, int] = {}


def river(day: str, rows: int) -> dict[str, list[dict[str, object]]]:
    """Return water levels; every fiftieth row is broken."""
    return {"rows": _rows("river", day, rows)}


def rain(day: str, rows: int) -> dict[str, list[dict[str, object]]]:
    """Return rainfall. The first two requests for a day find the source busy.

    Raises: ConnectionError: it is busy.
    """
    _asked[day] = _asked.get(day, 0) + 1
    if _asked[day] < 3:
        raise ConnectionError(f"the rain gauges are busy, request {_asked[day]}")
    return {"rows": _rows("rain", day, rows)}


def wind(day: str, rows: int) -> dict[str, list[dict[str, object]]]:
    """Return wind speeds."""
    time.sleep(0.02)
    return {"rows": _rows("wind", day, rows)}


def _rows(source: str, day: str, rows: int) -> list[dict[str, object]]:
    chance = random.Random(f"{source} {day}")
    return [
        {
            "source": source,
            "at": number,
            "value": None if number % 50 == 49 else round(chance.uniform(0, 10), 3),
        }
        for number in range(rows)
    ]
