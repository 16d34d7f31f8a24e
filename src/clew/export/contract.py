"""What an exporter and an importer are, and what an import gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec

from clew.errors import ImportFormatError
from clew.model.events import Event
from clew.model.trace import ExecutionTrace

Write: TypeAlias = Callable[[ExecutionTrace, BinaryIO], None]
WriteDirectory: TypeAlias = Callable[[ExecutionTrace, Path], list[Path]]
WriteInside: TypeAlias = Callable[[ExecutionTrace, Iterable[ExecutionTrace], Path], tuple[list[Path], int]]


class Exporter(msgspec.Struct, frozen=True, kw_only=True):
    """One format that a trace can be written in."""

    name: str
    """What a user calls it."""
    description: str
    """What it is and what reads it, in one line."""
    suffix: str
    """How the name of such a file ends, dot included."""
    write: Write
    """Write one trace to a binary stream, piece by piece; the stream stays open."""
    write_directory: WriteDirectory | None = None
    """Write all files of the format into a folder, each complete or not at all, and return their paths.

    None where the format is a single file.
    """
    write_inside: WriteInside | None = None
    """Write the runs inside a run into its folder too; return their paths, and how many of the runs have no place there.

    None where the format has no place for them.
    """
    has_payloads: bool = False
    """Whether payloads are in it whole, also those that are stored beside the log."""


class ImportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that was found in a file."""

    run_id: str
    """32 hex digits; the same at every import of the same file."""
    original_run_id: str | None = None
    """What the other system called it; None where that is `run_id` or where it had no id."""
    events: list[Event]
    """In the order of the file. Each has a run id, a writer and a number, so that a second import can be told."""
    ended: bool
    """Whether the file says how the run ended. Where it does not, nothing was made up: the trace is `running`."""
    account: str | None = None
    """The writer that every event got, where none had one: the file is one of several accounts that there may be of
    the run, and what two of them tell cannot be told apart. None where the events are Clew's own."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an importer found in a file."""

    format: str
    """Name of the importer."""
    runs: list[ImportedRun]
    """At least one, in the order of their first lines."""
    skipped: int
    """Lines of the file that were, at least in part, not usable."""
    unknown: str | None = None
    """What such a file does not say of a run, in one line; None where it is a whole account."""


class ImportFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to import, read into memory."""

    path: Path
    """Where it lies; its neighbours may say more of the run."""
    data: bytes
    """Its content, UTF-8, without a byte order mark."""
    anchor: datetime | None = None
    """The moment given to the first span of a run in formats that have no wall clock; None: 1970."""


class Importer(msgspec.Struct, frozen=True, kw_only=True):
    """One format that runs can be read from."""

    name: str
    """What a user calls it."""
    description: str
    """What writes it, in one line."""
    expected: str
    """What a line of it is, as the end of `expected ...`."""
    recognises: Callable[[frozenset[str]], bool]
    """Whether an object with these keys may be of this format."""
    read: Callable[[ImportFile], Imported]
    """Read a whole file. Raises ImportFormatError where nothing in it is of this format, and nothing else."""


def nothing_found(file: ImportFile, fault: tuple[int, str] | None, *, expected: str) -> ImportFormatError:
    """Return the error of a file in which nothing parses. fault: the first bad line's number and what is there."""
    line, found = fault or (1, "nothing")
    return ImportFormatError(f"{file.path}, line {line}: expected {expected}, found {found}.")
