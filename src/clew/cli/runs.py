"""`clew runs`: which runs there are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from clew.analyze.sampling import is_sampled
from clew.cli.moments import format_age
from clew.cli.options import home_option, home_to_read, json_option, read_moment
from clew.cli.output import STATUS_STYLES, Page, note, print_json
from clew.cli.table import Cell, Column, print_table
from clew.model.events import decode_event
from clew.store.store import Store
from clew.view.durations import format_count, format_duration

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from clew.store.index import RunRow

DEFAULT_LIMIT: Final = 20
LEAST_ID_DIGITS: Final = 12
"""The time part of a run id: with fewer digits all runs of one minute look the same."""
STATUSES: Final = ("running", "completed", "failed", "interrupted")


@click.command()
@click.option(
    "--name", metavar="TEXT", help="Only runs of this name: a part of it, or a pattern with * and ?."
)
@click.option("--status", type=click.Choice(STATUSES), help="Only runs that stand or ended so.")
@click.option(
    "--since",
    metavar="WHEN",
    callback=read_moment,
    help="Only runs that began after: so long ago (90s, 2h, 3d) or a date (2026-11-21, 2026-11-21T03:59).",
)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"How many to list, 0 for all.  [default: {DEFAULT_LIMIT}; with --json all]",
)
@click.option(
    "--all", "with_nested", is_flag=True, help="Also runs inside runs, each below the one it is in."
)
@json_option
@home_option
def runs(
    *,
    name: str | None,
    status: str | None,
    since: datetime | None,
    limit: int | None,
    with_nested: bool,
    as_json: bool,
    home: Path | None,
) -> None:
    """List runs, newest first."""
    place = home_to_read(home)
    store = Store(place)
    found = store.runs(name=name, status=status, since=since) if place.is_dir() else []
    families = in_families(found)
    rows = families if with_nested else [(row, level) for row, level in families if level == 0]
    if limit is None and not as_json:
        limit = DEFAULT_LIMIT
    listed = rows[:limit] if limit else rows
    if as_json:
        print_json([row for row, _ in listed])
    elif found:
        page = Page()
        left_out = {row.run_id for row, _ in listed if not row.nodes and _was_left_out(store, row.run_id)}
        _print_rows(page, listed, digits=unique_digits([row.run_id for row in found]), left_out=left_out)
        _print_left_out(page, older=len(rows) - len(listed), inside=len(found) - len(rows))
    elif name or status or since:
        note(f"no run in {place} fits")
    else:
        note(f"there are no runs in {place} yet; record one with: clew run script.py")


def _was_left_out(store: Store, run_id: str) -> bool:
    """Say whether sampling left a run out, of which no execution is in the log: its first line says so."""
    first = next(store.lines(run_id), None)
    event = None if first is None else decode_event(first)
    return event is not None and not is_sampled([event])


def _print_rows(
    page: Page, rows: Sequence[tuple[RunRow, int]], *, digits: int, left_out: Collection[str]
) -> None:
    now = datetime.now(UTC)
    any_failed = any(row.failed_nodes for row, _ in rows)
    any_lost = any(row.lost for row, _ in rows)
    columns = [
        Column(title="ID"),
        Column(title="NAME", least=12),
        Column(title="STATUS"),
        Column(title="AGE", right=True),
        Column(title="DURATION", right=True, missable=1),
        Column(title="EXECS", right=True, missable=2),
    ]
    columns += [Column(title="FAILED", right=True, missable=2)] if any_failed else []
    columns += [Column(title="LOST", right=True, missable=1)] if any_lost else []
    cells = []
    for row, level in rows:
        line = [
            Cell(row.run_id[:digits]),
            Cell("  " * level + (row.name or "-")),
            Cell(row.status, STATUS_STYLES.get(row.status)),
            Cell(format_age(row.started_at or row.last_event_at, now)),
            Cell(format_duration(row.duration_ns)),
            Cell("not sampled" if row.run_id in left_out else format_count(row.nodes)),
        ]
        line += (
            [Cell(format_count(row.failed_nodes), "red" if row.failed_nodes else None)] if any_failed else []
        )
        line += [Cell(format_count(row.lost), "yellow" if row.lost else None)] if any_lost else []
        cells.append(line)
    print_table(page, columns, cells)


def _print_left_out(page: Page, *, older: int, inside: int) -> None:
    if older:
        page.line(page.paint(f"{format_count(older)} older {_runs(older)} not listed; -n 0 lists all", "dim"))
    if inside:
        text = f"{format_count(inside)} {_runs(inside)} inside others and not listed; --all lists them"
        page.line(page.paint(text, "dim"))


def in_families(rows: Sequence[RunRow]) -> list[tuple[RunRow, int]]:
    """Return the runs in their order, but each one below the run that it is in, and how deep it lies.

    A run whose parent is not among them lies at the top.
    """
    known = {row.run_id for row in rows}
    inside: dict[str | None, list[RunRow]] = {}
    for row in rows:
        is_inside = row.parent_run_id in known and row.parent_run_id != row.run_id
        inside.setdefault(row.parent_run_id if is_inside else None, []).append(row)
    ordered: list[tuple[RunRow, int]] = []
    waiting = [(row, 0) for row in reversed(inside.pop(None, []))]
    while waiting:
        row, level = waiting.pop()
        ordered.append((row, level))
        waiting += [(child, level + 1) for child in inside.pop(row.run_id, [])]
    # What is left names each other as parents, which only a damaged log does.
    return ordered + [(row, 0) for family in inside.values() for row in family]


def unique_digits(run_ids: Sequence[str]) -> int:
    """Return how many digits tell these ids apart; at least those of the time."""
    digits = LEAST_ID_DIGITS
    longest = max(map(len, run_ids), default=0)
    while digits < longest and len({run_id[:digits] for run_id in run_ids}) < len(run_ids):
        digits += 1
    return digits


def _runs(count: int) -> str:
    return "run is" if count == 1 else "runs are"
