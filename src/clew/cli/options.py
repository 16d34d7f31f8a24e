"""The options that several commands have, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from clew.cli.moments import parse_moment, parse_span
from clew.cli.output import note
from clew.config import load_settings, parse_bytes
from clew.errors import ConfigError
from clew.journal.layout import usable_home

_F = TypeVar("_F", bound=Callable[..., Any])


def json_option(function: _F) -> _F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def home_option(function: _F) -> _F:
    """Add `--home`."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Where the journal lies, instead of the nearest .clew folder.",
    )(function)


def run_argument(function: _F) -> _F:
    """Add RUN, which is the latest run where it is not given."""
    return click.argument("run", default="latest")(function)


def home_to_read(home: Path | None) -> Path:
    """Return the home directory that a command reads: the option's, else the environment's, else the project's.

    Settings of the recording side that cannot be used do not keep anybody from reading.

    Raises: ConfigError: the option names no folder, or the project file cannot be read and may name one.
    """
    place = home_to_write(home)
    if home is not None and not place.is_dir():
        raise ConfigError(f"--home: there is no folder {place}")
    return place


def home_to_write(home: Path | None) -> Path:
    """Return the home directory like `home_to_read`, where it need not exist yet."""
    settings = load_settings({"home": home}, strict=False)
    named = settings.origin("home").startswith(("flag", "environment"))
    for complaint in settings.complaints:
        if complaint.setting == "home" or (complaint.setting is None and not named):
            raise ConfigError(complaint.message)
    if settings.home.exists() and not settings.home.is_dir():
        raise ConfigError(
            f"{settings.home} is not a folder; {settings.origin('home')} says that it is the home"
        )
    home_in_use = usable_home(settings.home)
    if home_in_use != settings.home and home_in_use.is_dir():
        note(
            f"{settings.home} cannot be written, so its runs are recorded to {home_in_use}; that is used here"
        )
        return home_in_use
    return settings.home


def _reader(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    def read(context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None

    return read


def _span_or_error(text: str) -> timedelta:
    return parse_span(text)


read_moment = _reader(lambda text: parse_moment(text, datetime.now(UTC)))
"""Reads an option's text as a point of time."""
read_span = _reader(_span_or_error)
"""Reads an option's text as a span of time."""
read_size = _reader(parse_bytes)
"""Reads an option's text as a number of bytes."""
