"""`clew export`: a run in a format that other programs read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import click

from clew.cli.destination import STDOUT, DestinationError, destination, refusals_named
from clew.cli.options import FilePath, home_option, json_option
from clew.cli.output import TerminalStream, note, print_json
from clew.cli.reading import read_whole_run
from clew.export.formats import EXPORTERS, exporter
from clew.view.durations import format_bytes, format_count
from clew.workflow.boundary import is_file, is_folder

if TYPE_CHECKING:
    from clew.cli.runs_inside import RunsInside
    from clew.export.contract import Exporter
    from clew.model.trace import ExecutionTrace

OPTION: Final = "--output"


@click.command()
@click.argument("run")
@click.option("--to", "form", required=True, metavar="FORMAT", help=f"One of {', '.join(EXPORTERS)}.")
@click.option(
    "-o",
    OPTION,
    "given",
    type=FilePath(path_type=str),  # a Path would lose the slash at the end
    metavar="PATH",
    help="A file, or a folder for all files of the format and for a file named after the run; with a slash at its end it is made.  [default: -, standard output]",
)
@json_option
@home_option
def export(run: str, *, form: str, given: str | None, as_json: bool, home: Path | None) -> None:
    """Write a run in a format that other programs read.

    RUN is the start of an id, a name, or latest. A file takes its place only when it is complete. With --json, which
    needs -o, standard output says what was written. jsonl, json, trident and modelops hold large payloads whole.
    """
    path = None if given in {None, STDOUT} else Path(str(given))
    if as_json and path is None:
        raise click.UsageError(
            "--json says what was written, so it needs -o PATH: without that the export itself is printed"
        )
    chosen = exporter(form)
    trace, runs_inside, missing = read_whole_run(run, home, with_payloads=chosen.has_payloads)
    if path is None:
        _print(chosen, trace)
        _note_missing(runs_inside, missing)
        return
    if given is not None and given.endswith(os.sep):
        _make_folder(path)
    written = _write(chosen, trace, path)
    below: list[Path] = []
    left_out = 1
    if chosen.write_inside is not None and path.is_dir():
        with refusals_named(OPTION, path):
            below, left_out = chosen.write_inside(
                trace, runs_inside.traces(with_payloads=chosen.has_payloads), path
            )
    sizes = [file.stat().st_size if file.is_file() else None for file in (*written, *below)]
    if as_json:
        files = [{"path": file, "bytes": size} for file, size in zip((*written, *below), sizes, strict=True)]
        print_json({"run_id": trace.run_id, "format": chosen.name, "files": files})
    else:
        for file, size in zip(written, sizes, strict=False):
            note(f"wrote {file}{f', {format_bytes(size)}' if size is not None else ''}")
        if below:
            note(f"wrote {format_count(len(below))} files of the runs inside it below {path}")
    _note_missing(runs_inside if left_out else None, missing)


def _note_missing(runs_inside: RunsInside | None, missing: str | None) -> None:
    if missing is not None:
        note(f"not in it {'is' if missing.startswith('1 ') else 'are'} {missing}")
    inside = None if runs_inside is None else runs_inside.line()
    if inside is not None:
        note(f"not in it are the runs inside {inside}")


def _print(chosen: Exporter, trace: ExecutionTrace) -> None:
    if sys.stdout is None:
        return
    sys.stdout.flush()
    raw = cast("BinaryIO", sys.stdout.buffer)
    chosen.write(trace, cast("BinaryIO", TerminalStream(raw)) if sys.stdout.isatty() else raw)


def _make_folder(path: Path) -> None:
    with refusals_named(OPTION, path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise DestinationError(f"{OPTION}: {path} is a file and no folder") from None


def _write(chosen: Exporter, trace: ExecutionTrace, path: Path) -> list[Path]:
    """Write a file or a folder, whichever the path and the format ask for, and return the files."""
    if chosen.write_directory is not None and (is_folder(path) or not path.suffix) and not is_file(path):
        with refusals_named(OPTION, path):
            return chosen.write_directory(trace, path)
    if is_folder(path):
        path /= f"{trace.run_id}{chosen.suffix}"  # whole: runs of other homes may come to lie beside it
    with destination(path, option=OPTION) as out:
        chosen.write(trace, out)
    return [path]
