"""`clew config`: every setting and where its value comes from."""

from __future__ import annotations

from pathlib import Path

import click

from clew.cli.options import home_option, json_option
from clew.cli.output import Page, note, print_json
from clew.cli.table import Cell, Column, print_table
from clew.config import SETTING_NAMES, load_settings
from clew.journal.layout import usable_home
from clew.record.hot import IS_COMPILED, compiled_origin


@click.command()
@json_option
@home_option
def config(*, as_json: bool, home: Path | None) -> None:
    """Show every setting and where its value comes from.

    A flag beats the environment, which beats the project file (the nearest clew.toml, or pyproject.toml with a table
    [tool.clew]), which beats the default.
    """
    settings = load_settings({"home": home})
    if usable_home(settings.home) != settings.home:
        note(f"{settings.home} cannot be written: {usable_home(settings.home)} stands in for it")
    for complaint in settings.complaints:
        note(complaint.message)
    if as_json:
        print_json(
            {
                name: {"value": getattr(settings, name), "origin": settings.origin(name)}
                for name in SETTING_NAMES
            }
            | {"compiled": {"value": IS_COMPILED, "origin": compiled_origin()}}
        )
        return
    rows = []
    for name in SETTING_NAMES:
        origin = settings.origin(name)
        style = "dim" if origin == "default" else "cyan"
        rows.append([Cell(name), Cell(_shown(getattr(settings, name)), "bold"), Cell(origin, style)])
    rows.append([Cell("compiled"), Cell(_shown(IS_COMPILED), "bold"), Cell(compiled_origin(), "dim")])
    columns = [
        Column(title="SETTING"),
        Column(title="VALUE", least=12),
        Column(title="FROM", least=12),
    ]
    print_table(Page(), columns, rows)


def _shown(value: object) -> str:
    """Return a value as it would be written in a variable."""
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(value) or "-"
    return str(value)
