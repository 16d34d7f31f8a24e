"""`clew timeline`: when each step of a run ran, as bars in the terminal or as a picture."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import click
import msgspec

from clew.analyze.sampling import is_sampled
from clew.analyze.times import as_of, measure_times
from clew.cli.destination import STDOUT, DestinationError, destination
from clew.cli.options import FilePath, home_option, json_option, run_argument
from clew.cli.output import NARROWEST, Page, note, print_json, write_bytes
from clew.cli.reading import read_run
from clew.cli.table import shorten
from clew.view.terminal import timeline_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.cli.runs_inside import RunsInside
    from clew.model.trace import ExecutionTrace

DEFAULT_ROWS: Final = 40
_WIDTH_IN_A_PIPE: Final = 100


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a timeline. `msgspec.json.encode` of it is the public form."""

    index: int
    """Position in `ExecutionTrace.nodes`."""
    node_id: str
    """Name of the node."""
    span_id: str | None
    """16 hex digits."""
    parent_id: str | None
    """The span that it was started in."""
    status: str
    """running, completed, failed, skipped or interrupted."""
    started_at: datetime | None
    """Wall clock, UTC."""
    start_ns: int
    """After the start of the timeline."""
    end_ns: int
    """After the start of the timeline; of an open one now, or when its dead process was last heard of."""


@click.command()
@run_argument
@click.option("--svg", type=FilePath(path_type=Path), metavar="FILE", help="Write a picture as SVG.")
@click.option("--png", type=FilePath(path_type=Path), metavar="FILE", help="Write a picture as PNG.")
@click.option(
    "--html", type=FilePath(path_type=Path), metavar="FILE", help="Write a page that needs no other file."
)
@click.option(
    "--width", type=click.IntRange(min=NARROWEST), metavar="N", help="Columns.  [default: the window's]"
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=DEFAULT_ROWS,
    show_default=True,
    metavar="N",
    help="How many bars to print at most.",
)
@json_option
@home_option
def timeline(
    run: str,
    *,
    svg: Path | None,
    png: Path | None,
    html: Path | None,
    width: int | None,
    rows: int,
    as_json: bool,
    home: Path | None,
) -> None:
    """Draw when each step of a run ran.

    RUN is the start of an id, a name, or latest. Prints bars that fit the window, unless a picture is asked for; of
    those several can be written at once, one of them to standard output, which is named -.
    """
    asked_for = [
        (option, path)
        for option, path in (("--svg", svg), ("--png", png), ("--html", html))
        if path is not None
    ]
    _refuse_output(asked_for, as_json=as_json)
    trace, runs_inside = read_run(run, home)
    trace = as_of(trace, datetime.now(UTC))
    if asked_for:
        _write(trace, asked_for, runs_inside, as_json=as_json)
    elif as_json:
        found = {"executions": _bars(trace), "runs_inside": runs_inside.listed()[0]}
        found |= {"sampled": is_sampled(trace.boundaries)}
        print_json({"run_id": trace.run_id, **found})
    else:
        page = Page()
        columns = width or page.width or _WIDTH_IN_A_PIPE
        page.line(
            timeline_text(trace, width=columns, colour=page.colour, max_rows=rows, encoding=page.encoding)
        )
        inside = runs_inside.line(columns - len("runs inside "))
        if inside is not None:
            text = shorten(page.safe(f"runs inside {inside}"), columns, ellipsis=page.ellipsis)
            page.line()
            page.line(page.paint(text, "dim"))


def _refuse_output(asked_for: Sequence[tuple[str, Path]], *, as_json: bool) -> None:
    """Standard output can be one thing at a time, and a terminal shows no PNG.

    Raises: DestinationError.
    """
    printed = [option for option, path in asked_for if str(path) == STDOUT]
    if len(printed) > 1:
        raise DestinationError(f"{' and '.join(printed)} cannot both be standard output; name a file for one")
    if printed and as_json:
        raise DestinationError(f"--json and {printed[0]} - cannot both be standard output; name a file")
    if printed == ["--png"] and sys.stdout is not None and sys.stdout.isatty():
        raise DestinationError("--png -: standard output is a terminal, which shows no picture; name a file")


def _write(
    trace: ExecutionTrace,
    asked_for: Sequence[tuple[str, Path]],
    runs_inside: RunsInside,
    *,
    as_json: bool,
) -> None:
    """Draw every picture, then write them: where one cannot be drawn, none is written. Each is said as it is there."""
    drawn = [(option, path, _picture(trace, option, runs_inside)) for option, path in asked_for]
    for option, path, content in drawn:
        if str(path) == STDOUT:
            write_bytes(content, is_json=option != "--png")
            continue
        with destination(path, option=option) as out:
            out.write(content)
        if not as_json:
            note(f"wrote {path}")
    inside = runs_inside.line()
    if inside is not None and not as_json:
        note(f"runs inside are pictures of their own: {inside}")
    if as_json:
        print_json({"run_id": trace.run_id, "files": [path for _, path in asked_for]})


def _picture(trace: ExecutionTrace, option: str, runs_inside: RunsInside) -> bytes:
    """Draw before a file is touched; the libraries of one kind of picture are not loaded for another."""
    if option == "--svg":
        from clew.view.svg import timeline_svg

        return timeline_svg(trace).encode()
    if option == "--html":
        from clew.view.html import timeline_html

        return timeline_html(trace, inside=runs_inside.listed()[0]).encode()
    from clew.view.png import timeline_png

    with TemporaryDirectory() as folder:
        path = Path(folder) / "timeline.png"
        timeline_png(trace, path)
        return path.read_bytes()


def _bars(trace: ExecutionTrace) -> list[Bar]:
    times = measure_times(trace)
    return [
        Bar(
            index=node.index,
            node_id=node.node_id,
            span_id=node.span_id,
            parent_id=node.parent_id,
            status=node.status,
            started_at=node.started_at,
            start_ns=start,
            end_ns=end,
        )
        for node, start, end in zip(trace.nodes, times.starts, times.ends, strict=True)
    ]
