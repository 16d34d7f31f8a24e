"""`clew show`: what one run did, failures first."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from clew.analyze.summary import MOST_LISTED, summarize
from clew.cli.options import home_option, json_option, run_argument
from clew.cli.output import Page, print_json
from clew.cli.reading import read_run
from clew.cli.summary import LABEL_COLUMNS, print_summary

DEFAULT_SLOWEST: Final = 5
DEFAULT_NODES: Final = 20


@click.command()
@run_argument
@click.option(
    "--slowest",
    type=click.IntRange(min=0),
    default=DEFAULT_SLOWEST,
    show_default=True,
    metavar="N",
    help="How many of the slowest executions to list.",
)
@click.option(
    "--nodes",
    type=click.IntRange(min=0),
    default=DEFAULT_NODES,
    show_default=True,
    metavar="N",
    help="How many nodes to list, 0 for all; --json has all.",
)
@click.option("--stacks", is_flag=True, help="Print whole stacks of failures, not only their ends.")
@json_option
@home_option
def show(run: str, *, slowest: int, nodes: int, stacks: bool, as_json: bool, home: Path | None) -> None:
    """Show what a run did: failures first, then times, tokens and costs.

    RUN is the start of an id, a name, or latest, latest~1 (the one before) and so on.
    """
    trace, runs_inside = read_run(run, home)
    inside, unread = runs_inside.listed()
    summary = summarize(trace, most=max(slowest, MOST_LISTED), now=datetime.now(UTC))
    summary = msgspec.structs.replace(summary, inside=inside, inside_unread=unread)
    if as_json:
        print_json(summary)
        return
    page = Page()
    room = None if page.width is None else page.width - LABEL_COLUMNS
    print_summary(
        page,
        summary,
        inside=runs_inside.line(room),
        slowest=slowest,
        nodes=nodes or len(summary.nodes),
        stacks=stacks,
    )
