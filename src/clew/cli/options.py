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
from clew.journal.layout import journal_folder, stand_in, usable_home


class FilePath(click.Path):
    """The value of an option that names a file or folder. Another option is none: then the name was forgotten."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises: click.BadParameter: it begins with a dash.
        """
        if isinstance(value, str) and value.startswith("-") and value != "-":
            self.fail(f"{value!r} is an option; a file of that name is ./{value}", param, ctx)
        return super().convert(value, param, ctx)


_F = TypeVar("_F", bound=Callable[..., Any])


def json_option(function: _F) -> _F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def home_option(function: _F) -> _F:
    """Add `--home`."""
    return click.option(
        "--home",
        type=FilePath(path_type=Path),
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
    place = _named_home(home)
    if home is not None:
        if not place.is_dir():
            raise ConfigError(f"--home: there is no folder {place}")
        return place
    spare = stand_in(place)
    if usable_home(place) != place and (spare is not None or not journal_folder(place).is_dir()):
        return _told(place)
    _refuse_file(place)
    if spare is not None:
        note(f"{place} could not be written at times: further runs lie in {spare}; --home shows them")
    return place


def home_to_write(home: Path | None) -> Path:
    """Return the home directory like `home_to_read`, where it need not exist yet."""
    place = _named_home(home)
    if usable_home(place) != place:
        return _told(place)
    _refuse_file(place)
    return place


def _named_home(home: Path | None) -> Path:
    settings = load_settings({"home": home}, strict=False)
    named = settings.origin("home").startswith(("flag", "environment"))
    for complaint in settings.complaints:
        if complaint.setting == "home" or (complaint.setting is None and not named):
            raise ConfigError(complaint.message)
    return settings.home


def _told(place: Path) -> Path:
    spare = usable_home(place)
    note(f"{place} cannot be written, so {spare} stands in for it; --home reads what was there before")
    return spare


def _refuse_file(place: Path) -> None:
    if place.exists() and not place.is_dir():
        origin = load_settings({}, strict=False).origin("home")
        raise ConfigError(f"{place} is not a folder; {origin} says that it is the home")


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
