"""Settings, and where each value comes from: flag > environment > project file > default.

The project file is the nearest `clew.toml`, or `pyproject.toml` with a table `[tool.clew]`, in the working
directory or above it. This module stands in every program that records, so it loads little, and only opens a
file that is there.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import tomllib  # at once: a signal handler may need it while it is being imported
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from clew.errors import ConfigError
from clew.journal.layout import HOME_NAME
from clew.model.levels import LEVELS, Verbosity

JournalMode = Literal["auto", "mapped", "written", "memory"]
FsyncPolicy = Literal["none", "interval", "checkpoint"]
Capture = Literal["none", "summary", "full"]
TelemetryFormat = Literal["jsonl", "human"]


class Complaint(msgspec.Struct, frozen=True):
    """Something in the settings that cannot be used."""

    setting: str | None
    """The setting that is wrong; None where a whole file cannot be read."""
    message: str
    """What is wrong, where, and what to do: one sentence."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user can choose. Relative paths start at the working directory, those of a project file at its folder."""

    enabled: bool = True
    """Whether anything is recorded at all."""
    home: Path
    """Where the journal lies; by default the nearest `.clew` upward, else `.clew` in the working directory."""
    journal: JournalMode = "auto"
    """How events are kept: `mapped` into memory, `written` by one system call each, in `memory` only, or `auto`: what
    the file system can bear."""
    segment_bytes: int = 32 * 1024 * 1024
    """Size at which a process begins another segment."""
    fsync: FsyncPolicy = "none"
    """When to wait for the disk, which only a power cut makes necessary: never, every second (`interval`), or at every
    checkpoint and end of a run (`checkpoint`)."""
    capture: Capture = "summary"
    """How much of inputs and outputs is kept: nothing, a shortened form, or everything."""
    inline_limit_bytes: int = 16 * 1024
    """A payload up to this size stands in its event; a larger one becomes a file of its own, with a preview in the
    event."""
    max_payload_bytes: int = 16 * 1024 * 1024
    """A payload over this size is cut, and the trace says so."""
    sample_ratio: float = 1.0
    """Share of runs that are recorded whole, 0 to 1; of the others only start and end are kept."""
    redact: tuple[str, ...] = ()
    """Names of fields whose values are secrets, beside the names that always are (password, token, api_key ...);
    found in texts too (`iban=...`)."""
    telemetry: bool = False
    """Whether `clew run` streams events while the program runs."""
    telemetry_format: TelemetryFormat = "jsonl"
    """Form of the stream: JSON lines, or text for people."""
    telemetry_file: Path | None = None
    """File that the stream is appended to, instead of the terminal."""
    telemetry_stdout: bool = False
    """Whether the stream goes to standard output, also beside a file."""
    telemetry_filter: str | None = None
    """Which events are in the stream: names, globs and families with commas between them; `!` takes away."""
    telemetry_level: str = "normal"
    """A level (debug, info, warning, error), or how much to show (minimal, normal, verbose, debug)."""
    telemetry_max_bytes: int = 100 * 1024 * 1024
    """Size at which the stream's file is put aside and another one begun."""
    telemetry_max_files: int = 5
    """How many files of the stream are kept, the current one included."""
    origins: dict[str, str] = {}
    """Where each value comes from that is not a default."""
    complaints: list[Complaint] = []
    """What was wrong; each such value is the default."""

    def origin(self, name: str) -> str:
        """Say where a setting's value comes from: `flag --x`, `environment CLEW_X`, `clew.toml:3` or `default`."""
        return self.origins.get(name, "default")


SETTING_NAMES: Final = tuple(n for n in Settings.__struct_fields__ if n not in {"origins", "complaints"})
ENVIRONMENT: Final = {
    name: (f"CLEW_{name.upper()}", *(("CLEW_TELEMETRY_ENABLED",) if name == "telemetry" else ()))
    for name in SETTING_NAMES
}
"""The variables of each setting; the first that is set counts."""

_OTHER_VARIABLES: Final = frozenset({"CLEW_COMPILED", "CLEW_DEBUG", "CLEW_PRICES"})
_NEAR_VARIABLE: Final = 0.85
"""So near is a misspelling; others may be variables of the user's own."""

_Reader = Callable[[object, Path], object]


def load_settings(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    start: Path | None = None,
    strict: bool = True,
) -> Settings:
    """Return every setting.

    Args:
        flags: values by name of setting, as given on the command line; None is not given.
        environ: environment variables; an empty one is not set.
        start: where the search for a project file and for a home begins; None for the working directory.
        strict: whether a value that cannot be used is an error. Where not, it is in `complaints`.
    Raises: ConfigError where `strict` and a value cannot be used. Unknown names in a project file are complaints
        in either case.
    """
    here = _absolute(Path(start or _working_directory()))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    complaints: list[Complaint] = []

    def take(name: str, value: object, folder: Path, *, origin: str, said: str) -> None:
        try:
            values[name] = _READERS[name](value, folder)
            origins[name] = origin
        except ValueError as problem:
            message = f"{said}: {problem}"
            if strict:
                raise ConfigError(message) from None
            complaints.append(Complaint(name, message))

    path, table, wrong = _project_table(here)
    if wrong is not None:
        if strict:
            raise ConfigError(wrong.message)
        complaints.append(wrong)
    for name, value in table.items():
        assert path is not None
        place = _place(path, name)
        if name in _READERS:
            take(name, value, path.parent, origin=place, said=f"{place}: {name}")
        else:
            complaints.append(Complaint(name, f"{place}: there is no setting {name!r}{_suggestion(name)}"))
    for name, variables in ENVIRONMENT.items():
        variable = next((v for v in variables if environ.get(v)), None)
        if variable is not None:
            said = f"environment variable {variable}"
            take(name, environ[variable], here, origin=f"environment {variable}", said=said)
    complaints += _misspelt(environ)
    for name, value in (flags or {}).items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            take(name, value, here, origin=f"flag {flag}", said=flag)
    values.setdefault("home", _nearest_home(here))
    return Settings(**values, origins=origins, complaints=complaints)


def parse_bytes(text: str) -> int:
    """Return a size such as `5GB`, `512 KiB` or `1000`: KB, MB, GB, TB are powers of 1000, KiB ... of 1024.

    Raises: ValueError where it is not one.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT]?)(I?)B?)?\s*", text.upper())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r} is not a size; write it like 500MB, 5GB or 64KiB")
    unit = 1024 if match[3] else 1000
    return int(float(match[1]) * unit ** " KMGT".index(match[2] or " "))


# --- values ------------------------------------------------------------------------------------------


def _boolean(value: object, _folder: Path) -> bool:
    known = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    word = str(value).strip().lower()
    if word not in known:
        raise ValueError(f"{_shown(value)} is neither true nor false")
    return known[word]


def _size(least: int) -> _Reader:
    def read(value: object, _folder: Path) -> int:
        if isinstance(value, str):
            value = parse_bytes(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{_shown(value)} is not a size; write bytes, or a size like 64KiB")  # noqa: TRY004
        if value < least:
            raise ValueError(f"{value} is too small; the least is {least} bytes")
        return value

    return read


def _count(value: object, _folder: Path) -> int:
    with contextlib.suppress(ValueError):
        if isinstance(value, str):
            value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{_shown(value)} is not a whole number from 1 on")
    return value


def _ratio(value: object, _folder: Path) -> float:
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(f"{_shown(value)} is not a number from 0 to 1")
    return number


def _one_of(words: tuple[str, ...]) -> _Reader:
    def read(value: object, _folder: Path) -> str:
        word = value.strip().lower() if isinstance(value, str) else value
        if word not in words:
            raise ValueError(f"{_shown(value)} is not one of {', '.join(words)}")
        return str(word)

    return read


def _text(value: object, _folder: Path) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not a text")  # noqa: TRY004 - one kind of error for the caller
    return value


def _filter(value: object, folder: Path) -> str:
    return ",".join(_names(value, folder))


def _names(value: object, _folder: Path) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{_shown(value)} is not a list of names")
    return tuple(name.strip() for name in value if name.strip())


def _path(value: object, folder: Path) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{_shown(value)} is not a path")
    with contextlib.suppress(RuntimeError):  # there is no home directory to put in the place of `~`
        value = Path(value).expanduser()
    return _absolute(folder / value)


def _absolute(path: Path) -> Path:
    """Return the path from the root and without `..`; links stay what the user wrote."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_LEVELS: Final = tuple(dict.fromkeys([*(level.lower() for level in LEVELS), *Verbosity]))
_READERS: Final[dict[str, _Reader]] = {
    "enabled": _boolean,
    "home": _path,
    "journal": _one_of(get_args(JournalMode)),
    "segment_bytes": _size(64 * 1024),
    "fsync": _one_of(get_args(FsyncPolicy)),
    "capture": _one_of(get_args(Capture)),
    "inline_limit_bytes": _size(0),
    "max_payload_bytes": _size(0),
    "sample_ratio": _ratio,
    "redact": _names,
    "telemetry": _boolean,
    "telemetry_format": _one_of(get_args(TelemetryFormat)),
    "telemetry_file": _path,
    "telemetry_stdout": _boolean,
    "telemetry_filter": _filter,
    "telemetry_level": _one_of(_LEVELS),
    "telemetry_max_bytes": _size(1024),
    "telemetry_max_files": _count,
}


# --- files -------------------------------------------------------------------------------------------


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd() is the same call
    except OSError:
        return "/"  # somebody deleted it


def _nearest_home(here: Path) -> Path:
    for folder in (here, *here.parents):
        candidate = folder / HOME_NAME
        if candidate.is_dir():
            return candidate
    return here / HOME_NAME


def _project_table(here: Path) -> tuple[Path | None, dict[str, Any], Complaint | None]:
    """Return the nearest file that speaks of Clew, what it says, and why it cannot be read."""
    for folder in (here, *here.parents):
        for name, marker in (("clew.toml", b""), ("pyproject.toml", b"clew")):
            path = folder / name
            try:
                content = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                continue
            except OSError as error:
                return path, {}, Complaint(None, f"{path} cannot be read: {error.strerror or error}")
            if marker not in content:
                continue  # spares most programs the parser
            table, wrong = _parse(path, content)
            if wrong is not None or table is not None:
                return path, table or {}, wrong
    return None, {}, None


def _parse(path: Path, content: bytes) -> tuple[dict[str, Any] | None, Complaint | None]:
    where = _short(path)
    try:
        document: Any = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        return None, Complaint(None, f"{where} is not valid TOML: {error}")
    if path.name == "clew.toml":
        return document, None
    tool = document.get("tool")
    table = tool.get("clew") if isinstance(tool, dict) else None
    if table is None or isinstance(table, dict):
        return table, None
    return None, Complaint(
        None, f"{where}: tool.clew is not a table; write [tool.clew] and the settings below it"
    )


def _place(path: Path, name: str) -> str:
    """Return file and line of a setting; the file alone where the line is written in an unusual way."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        inside = path.name == "clew.toml"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith("["):
                inside = re.sub(r"\s", "", line).startswith("[tool.clew]") or path.name == "clew.toml"
            elif inside and re.match(rf"""\s*["']?{re.escape(name)}["']?\s*[=.]""", line):
                return f"{_short(path)}:{number}"
    return _short(path)


def _short(path: Path) -> str:
    """Return a path as a person would write it from here."""
    here = _working_directory()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)


def _misspelt(environ: Mapping[str, str]) -> list[Complaint]:
    """Find variables that look like one of ours, and would silently do nothing."""
    known = {variable for variables in ENVIRONMENT.values() for variable in variables} | _OTHER_VARIABLES
    unknown = [name for name in environ if name.startswith("CLEW_") and name not in known]
    if not unknown:
        return []
    from difflib import get_close_matches  # only a typo pays for it

    near = {name: get_close_matches(name, known, n=1, cutoff=_NEAR_VARIABLE) for name in unknown}
    return [
        Complaint(name, f"there is no environment variable {name}; did you mean {found[0]}?")
        for name, found in near.items()
        if found
    ]


def _suggestion(name: str) -> str:
    from difflib import get_close_matches  # only a typo pays for it

    near = get_close_matches(name, SETTING_NAMES, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(SETTING_NAMES)}"
