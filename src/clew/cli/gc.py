"""`clew gc`: old runs make room for new ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from clew.cli.moments import format_age
from clew.cli.options import home_option, home_to_read, json_option, read_size, read_span
from clew.cli.output import Page, note, print_json
from clew.cli.runs import unique_digits
from clew.cli.table import Cell, Column, print_table
from clew.store.retention import plan, remove
from clew.store.store import Store
from clew.view.durations import format_bytes, format_count

if TYPE_CHECKING:
    from clew.store.retention import Plan, Removed
    from clew.store.rows import RunRow

MOST_LISTED: Final = 20


@click.command()
@click.option(
    "--older-than",
    metavar="AGE",
    callback=read_span,
    help="Delete what was last written longer ago: 12h, 30d, 8w.",
)
@click.option(
    "--keep-bytes",
    metavar="SIZE",
    callback=read_size,
    help="Delete the oldest until the journal takes at most so much: 500MB, 5GB.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@json_option
@home_option
def gc(
    *, older_than: timedelta | None, keep_bytes: int | None, dry_run: bool, as_json: bool, home: Path | None
) -> None:
    """Delete old runs from the journal.

    Needs a limit, because nothing is deleted by default. What a living process writes to is always kept. Whole
    segments are deleted; a segment holds the runs of one process.
    """
    if older_than is None and keep_bytes is None:
        raise click.UsageError(
            "say what may go with --older-than AGE or --keep-bytes SIZE; nothing is deleted by default"
        )
    place = home_to_read(home)
    if not place.is_dir():
        note(f"there is no journal in {place}")
    rows = {row.run_id: row for row in Store(place).runs()}
    chosen = plan(place, older_than=older_than, keep_bytes=keep_bytes)
    removed = None if dry_run or not (chosen.segments or chosen.blobs) else remove(place, chosen)
    if as_json:
        print_json({"home": place, "dry_run": dry_run, "plan": chosen, "removed": removed})
    elif place.is_dir():
        _print_plan(Page(), chosen, rows=rows, removed=removed)
    for fault in removed.faults if removed is not None else ():
        note(fault)
    if removed is not None and removed.faults:
        click.get_current_context().exit(1)


def _print_plan(page: Page, chosen: Plan, *, rows: dict[str, RunRow], removed: Removed | None) -> None:
    if not (chosen.segments or chosen.blobs):
        page.line(f"nothing to delete; {format_bytes(chosen.kept_bytes)} stay")
        return
    if chosen.runs:
        going = [rows[run_id] for run_id in chosen.runs if run_id in rows][::-1]
        _print_runs(page, going, digits=unique_digits(list(rows)))
    did = "would delete" if removed is None else "deleted"
    segments, blobs, freed = len(chosen.segments), len(chosen.blobs), chosen.freed_bytes
    if removed is not None:
        segments, blobs, freed = removed.segments, removed.blobs, removed.freed_bytes
    what = [_counted(len(chosen.runs), "run"), _counted(segments, "segment")]
    if blobs:
        what.append(_counted(blobs, "large payload"))
    page.line(f"{did} {', '.join(what)}: {format_bytes(freed)}; {format_bytes(chosen.kept_bytes)} stay")
    if chosen.cut_runs:
        loses = "loses" if removed is None else "lost"
        page.line(page.paint(f"{_counted(len(chosen.cut_runs), 'run')} {loses} a part", "yellow"))


def _print_runs(page: Page, rows: list[RunRow], *, digits: int) -> None:
    now = datetime.now(UTC)
    columns = [
        Column(title="ID"),
        Column(title="NAME", least=12),
        Column(title="STATUS"),
        Column(title="AGE", right=True),
    ]
    cells = [
        [
            Cell(row.run_id[:digits]),
            Cell(row.name or "-"),
            Cell(row.status),
            Cell(format_age(row.started_at or row.last_event_at, now)),
        ]
        for row in rows[:MOST_LISTED]
    ]
    print_table(page, columns, cells)
    if len(rows) > MOST_LISTED:
        page.line(page.paint(f"and {format_count(len(rows) - MOST_LISTED)} more", "dim"))
    page.line()


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
