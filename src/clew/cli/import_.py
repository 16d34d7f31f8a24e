"""`clew import`: runs that other systems recorded, or that came from another machine, into the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
import msgspec

from clew.cli.history import SeenEvents
from clew.cli.options import home_option, home_to_write, json_option
from clew.cli.output import Page, note, plain, print_json
from clew.cli.runs import unique_digits
from clew.cli.table import Cell, Column, print_table
from clew.config import load_settings
from clew.errors import JournalError
from clew.export.formats import IMPORTERS, read
from clew.journal.writer import JournalWriter
from clew.model.events import Event, encode_event
from clew.model.ids import new_run_id, new_span_prefix, new_writer_id
from clew.record.clock import SystemClock
from clew.store.payloads import StoredPayloads
from clew.store.store import Store
from clew.view.durations import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.export.contract import ImportedRun


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one run of a file. `msgspec.json.encode` of it is the public form."""

    path: str
    """The file."""
    format: str
    """What it was read as."""
    run_id: str
    """The run in the journal."""
    original_run_id: str | None
    """What the other system called it."""
    name: str | None
    """Name of the run, where the file has one."""
    events: int
    """Events of the run in the file."""
    new_events: int
    """Those that were not in the journal already."""
    ended: bool
    """Whether the file says how the run ended."""


class _Ids:
    run_id = staticmethod(new_run_id)
    writer_id = staticmethod(new_writer_id)
    span_prefix = staticmethod(new_span_prefix)


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    help=f"What the files are, instead of telling from their content: {', '.join(IMPORTERS)}.",
)
@json_option
@home_option
def import_(paths: tuple[Path, ...], *, form: str | None, as_json: bool, home: Path | None) -> None:
    """Read runs that other systems recorded into the journal.

    Reads the folder that Trident leaves of a run with the runs inside its branches, its trace.json, checkpoint.json or
    metadata.json, its telemetry lines of both kinds, ModelOps' spans.jsonl, and what clew export wrote as jsonl or json.
    Nothing is imported unless every file can be read. A file that was imported before changes nothing; one that has
    grown since brings what is new.
    """
    place = home_to_write(home)
    found = [(path, read(path, format_name=form, anchor=_modified(path))) for path in paths]
    with _Importing(place) as importing:
        receipts = [
            importing.take(path, imported.format, run) for path, imported in found for run in imported.runs
        ]
    for path, imported in found:
        if imported.skipped:
            lines = "line of it was" if imported.skipped == 1 else "lines of it were"
            note(f"{path}: {imported.skipped:,} {lines} not usable")
        if imported.unknown is not None:
            note(f"{path}: {imported.unknown}")
    for path, run_ids in importing.left_out.items():
        what = f"run {run_ids[0]} is" if len(run_ids) == 1 else f"{format_count(len(run_ids))} runs are"
        note(f"{path}: {what} in the journal already, from another source; nothing was added")
    if as_json:
        print_json(receipts)
    else:
        _print_receipts(receipts, digits=unique_digits([row.run_id for row in Store(place).runs()]))
        if not importing.left_out and not any(receipt.new_events for receipt in receipts):
            Page().line("all of it was in the journal already")


class _Importing:
    """Writes what is new into segments of a writer of its own, complete when the block is left."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._store = Store(home)
        self._writer = JournalWriter(home, SystemClock(), ids=_Ids(), report=lambda _: None)
        limit_bytes = load_settings({"home": home}, strict=False).inline_limit_bytes
        self._payloads = StoredPayloads(home, inline_limit_bytes=limit_bytes)
        self._fresh: dict[str, SeenEvents] = {}
        self.left_out: dict[Path, list[str]] = {}
        """By file, the runs that the journal has from another source."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        fault = self._writer.fault
        self._writer.close()
        fault = self._writer.fault or fault
        if fault is not None:
            raise JournalError(f"not everything could be written: {fault}; make room and import again")

    def take(self, path: Path, form: str, run: ImportedRun) -> Receipt:
        """Write the events of a run that the journal does not have."""
        seen = self._seen(run.run_id)
        writers = seen.writers()
        is_known = run.account is not None and bool(writers) and run.account not in writers
        if is_known:
            # Two accounts of one run would give it every node twice.
            self.left_out.setdefault(path, []).append(run.run_id)
        new = 0
        for event in run.events if not is_known else ():
            line = encode_event(event)
            if line not in seen:
                self._writer.append(self._payloads.line(event) + b"\n")
                seen.add(line)
                new += 1
        return Receipt(
            path=plain(path),
            format=form,
            run_id=run.run_id,
            original_run_id=run.original_run_id,
            name=_name(run.events),
            events=len(run.events),
            new_events=new,
            ended=run.ended,
        )

    def _seen(self, run_id: str) -> SeenEvents:
        """Return what the journal has of a run; of two files with the same run the second sees the first."""
        if run_id not in self._fresh:
            seen = self._fresh[run_id] = SeenEvents()
            for line in self._store.lines(run_id):
                seen.add(line)
        return self._fresh[run_id]


def _name(events: Sequence[Event]) -> str | None:
    for event in events:
        if event.event == "workflow_started":
            name = event.values().get("name")
            return name if isinstance(name, str) else None
    return None


def _modified(path: Path) -> datetime | None:
    """Return when a file was last changed: the date of runs whose format has none."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    except (OSError, ValueError, OverflowError):
        return None


def _print_receipts(receipts: Sequence[Receipt], *, digits: int) -> None:
    columns = [
        Column(title="ID"),
        Column(title="NAME", least=12),
        Column(title="EVENTS", right=True),
        Column(title="NEW", right=True),
        Column(title="FORMAT", missable=1),
        Column(title="FILE", least=12, missable=2),
    ]
    rows = [
        [
            Cell(receipt.run_id[:digits]),
            Cell(receipt.name or "-"),
            Cell(format_count(receipt.events)),
            Cell(format_count(receipt.new_events), None if receipt.new_events else "dim"),
            Cell(receipt.format),
            Cell(receipt.path),
        ]
        for receipt in receipts
    ]
    page = Page()
    print_table(page, columns, rows)
