"""`clew init`: a new workflow project."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from clew.cli.options import json_option
from clew.cli.output import Page, print_json
from clew.workflow.new_project import write_new_project


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@json_option
def init(path: Path, *, as_json: bool) -> None:
    """Write a new workflow project that runs at once.

    PATH is a folder, which is made where it is missing. The project needs no key: its model answers from a file.
    Nothing that is there already is overwritten.
    """
    written = write_new_project(path)
    if as_json:
        print_json({"path": path, "files": written})
        return
    page = Page()
    for file in written:
        page.line(page.safe(str(file)))
    place = shlex.quote(str(path))
    page.line()
    page.line(page.safe(f"clew graph {place}     draws it"))
    page.line(page.safe(f"clew run {place}       runs it, with the answers of answers.yaml"))
    page.line(page.safe(f"clew validate {place}  says what is wrong after a change"))
