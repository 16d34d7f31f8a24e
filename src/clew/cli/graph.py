"""`clew graph`: a workflow as a drawing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from clew.cli.destination import STDOUT, destination
from clew.cli.options import FilePath, json_option
from clew.cli.output import Page, note, print_json, write_bytes
from clew.workflow.drawing import as_data, as_mermaid, as_text
from clew.workflow.manifest import load_project
from clew.workflow.picture import as_svg

OPTION: Final = "--output"


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option(
    "--to",
    "form",
    type=click.Choice(["text", "mermaid", "svg"]),
    default="text",
    show_default=True,
    help="Lines for a terminal, a flowchart for Markdown, or a picture.",
)
@click.option(
    "-o",
    OPTION,
    "file",
    type=FilePath(path_type=Path),
    metavar="FILE",
    help="Where to write it.  [default: -, standard output]",
)
@json_option
def graph(path: Path, *, form: str, file: Path | None, as_json: bool) -> None:
    """Draw a workflow project: as text, Mermaid or SVG.

    PATH is its folder or its manifest. In the text, nodes of one number may run at the same time. With --json, standard
    output has the nodes and edges themselves.
    """
    file = None if str(file) == STDOUT else file
    if as_json and file is not None:
        raise click.UsageError("--json prints the nodes and edges on standard output, so it goes without -o")
    project = load_project(path, environ=os.environ)
    if as_json:
        print_json(as_data(project))
        return
    match form:
        case "text":
            text = as_text(project, encoding=Page().encoding if file is None else "utf-8")
        case "mermaid":
            text = as_mermaid(project)
        case _:
            text = as_svg(project)
    if file is None:
        if form == "text":
            Page().write(text)
        else:
            write_bytes(text.encode(), is_json=False)
        return
    with destination(file, option=OPTION) as out:
        out.write(text.encode())
    note(f"wrote {file}")
