"""How a person names a run: by the start of its id, as `latest` or `latest~2`, or by its name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from clew.errors import AmbiguousRunError, NoSuchRunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clew.store.rows import RunRow

_LATEST: Final = re.compile(r"^latest(?:~(\d{1,9}))?$")
_ID_START: Final = re.compile(r"^[0-9a-f]+$")
_MOST_CANDIDATES: Final = 5


def resolve(reference: str, rows: Sequence[RunRow], *, home: Path) -> str:
    """Return the id of the run that a reference names.

    An id comes before everything else; `latest` and `latest~N` count runs that are not part of another run in
    the journal; a name that several runs have is the newest of them, for people run the same thing again, and so is
    what another system called an imported run; what is left may be the beginning of one id, or of one such name.

    Args:
        reference: what the person gave.
        rows: every run, newest first.
        home: where they come from, for the message.
    Raises: NoSuchRunError, AmbiguousRunError.
    """
    if not rows:
        raise NoSuchRunError(
            f"There are no runs in {home}; record one with `clew run SCRIPT`, or name another place with CLEW_HOME."
        )
    ids = {row.run_id for row in rows}
    if reference in ids:
        return reference
    match = _LATEST.match(reference)
    if match is not None:
        return _latest(int(match[1] or 0), rows, reference=reference, home=home)
    for row in rows:
        if row.name == reference:
            return row.run_id
    for row in rows:
        if row.original_run_id == reference:
            return row.run_id
    fits = [row for row in rows if row.run_id.startswith(reference.lower())] if reference else []
    if len(fits) > 1:
        raise AmbiguousRunError(_several(reference, fits))
    if fits:
        return fits[0].run_id
    if reference:
        fits = _begin_elsewhere(reference, rows)
        if len(fits) > 1:
            raise AmbiguousRunError(_several(reference, fits))
        if fits:
            return fits[0].run_id
    raise NoSuchRunError(
        f"There is no run {reference!r} in {home}{_hint(reference, rows)}; `clew runs` lists them."
    )


def _begin_elsewhere(reference: str, rows: Sequence[RunRow]) -> list[RunRow]:
    """Return the runs whose id in another system begins so, of those with the same id there the newest."""
    found: dict[str, RunRow] = {}
    for row in rows:
        if row.original_run_id is not None and row.original_run_id.lower().startswith(reference.lower()):
            found.setdefault(row.original_run_id, row)
    return list(found.values())


def _latest(position: int, rows: Sequence[RunRow], *, reference: str, home: Path) -> str:
    ids = {row.run_id for row in rows}
    outermost = [row for row in rows if row.parent_run_id not in ids or row.parent_run_id == row.run_id]
    if position < len(outermost):
        return outermost[position].run_id
    count = len(outermost)
    raise NoSuchRunError(
        f"There is no run {reference!r} in {home}: it has {count} run{'' if count == 1 else 's'},"
        f" so {'latest' if count <= 1 else f'latest~{count - 1}'} is the oldest."
    )


def _several(reference: str, fits: Sequence[RunRow]) -> str:
    shown = [f"{row.run_id} ({_called(row)}, {_age(row)})" for row in fits[:_MOST_CANDIDATES]]
    more = len(fits) - len(shown)
    rest = f" and {more} more" if more else ""
    return (
        f"{reference!r} is the beginning of {len(fits)} run ids: {', '.join(shown)}{rest}; give more digits."
    )


def _called(row: RunRow) -> str:
    name = row.name or "no name"
    return name if row.original_run_id is None else f"{name}, imported as {row.original_run_id}"


def _hint(reference: str, rows: Sequence[RunRow]) -> str:
    """Return names that contain what was given, for somebody who remembered half of one."""
    if not reference or _ID_START.match(reference):
        return ""
    names = list(
        dict.fromkeys(row.name for row in rows if row.name and reference.lower() in row.name.lower())
    )
    return f" (did you mean {' or '.join(repr(name) for name in names[:3])}?)" if names else ""


def _age(row: RunRow) -> str:
    moment = row.started_at or row.last_event_at
    if moment is None:
        return "age unknown"
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
