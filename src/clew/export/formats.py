"""The formats that runs can be written in and read from, by name.

exporter("chrome").write(trace, out)
imported = read(path)                              # the format is told from the content
imported = read(path, format_name="modelops", anchor=modified_at)
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from clew.errors import ImportFormatError, UnknownFormatError
from clew.export import (
    chrome,
    csv_table,
    jsonl,
    modelops,
    modelops_import,
    speedscope,
    trace_json,
    trident,
    trident_folder,
    trident_human,
    trident_import,
    trident_inside,
)
from clew.export.contract import Exporter, Imported, Importer, ImportFile
from clew.export.scan import as_utf8
from clew.export.source import read_source

EXPORTERS: Final[dict[str, Exporter]] = {
    found.name: found
    for found in (
        jsonl.EXPORTER,
        trace_json.EXPORTER,
        csv_table.EXPORTER,
        chrome.EXPORTER,
        speedscope.EXPORTER,
        modelops.EXPORTER,
        msgspec.structs.replace(trident.EXPORTER, write_inside=trident_inside.write_inside),
    )
}
"""Every format that a trace can be written in."""

IMPORTERS: Final[dict[str, Importer]] = {
    "jsonl": jsonl.IMPORTER,
    "clew": jsonl.IMPORTER,
    "json": trace_json.IMPORTER,
    "trident": trident_import.IMPORTER,
    "modelops": modelops_import.IMPORTER,
}
"""Every format that runs can be read from; `clew` is another name for `jsonl`."""

HEAD_BYTES: Final = 1 << 16
"""How much of a file `detect` wants to see."""
_KEY = re.compile(rb'"([A-Za-z_]\w*)"\s*:')
_CANDIDATES: Final = (jsonl.IMPORTER, trident_import.IMPORTER, trace_json.IMPORTER, modelops_import.IMPORTER)
# Where only part of a document can be seen, keys of its inner objects are among those found: outer ones first.
_CANDIDATES_BY_PART: Final = (
    trace_json.IMPORTER,
    trident_import.IMPORTER,
    modelops_import.IMPORTER,
)
_NEIGHBOURS: Final = (
    (frozenset({"job_type", "by_name"}), "it has only ModelOps' totals: import the spans.jsonl beside it"),
)
"""Files beside those that can be imported, with what to do instead."""


def exporter(name: str) -> Exporter:
    """Return the exporter of that name.

    Raises: UnknownFormatError, with the names there are and the one that was probably meant.
    """
    if name not in EXPORTERS:
        raise _unknown("export", name, EXPORTERS)
    return EXPORTERS[name]


def importer(name: str) -> Importer:
    """Return the importer of that name.

    Raises: UnknownFormatError, with the names there are and the one that was probably meant.
    """
    if name not in IMPORTERS:
        raise _unknown("import", name, IMPORTERS)
    return IMPORTERS[name]


def _unknown(what: str, name: str, known: Iterable[str]) -> UnknownFormatError:
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return UnknownFormatError(f"There is no {what} format {name!r}: {meant}choose from {', '.join(names)}.")


def detect(path: Path, head: bytes) -> Importer:
    """Tell the format of a file by its first bytes (HEAD_BYTES are plenty); the name of the file does not count.

    Raises: UnknownFormatError where it is none that can be read.
    """
    text = as_utf8(head)
    for line in text.splitlines():
        if trident_human.is_human(line):
            return trident_import.IMPORTER
        if trident_human.is_ours(line):
            raise UnknownFormatError(
                f"{path} cannot be imported: these are Clew's lines for people, whose ids and values are cut; "
                "export or write the run as jsonl."
            )
        keys = _keys(line)
        for candidate in _CANDIDATES if keys else ():
            if candidate.recognises(keys):
                return candidate
    keys = frozenset(key.decode() for key in _KEY.findall(text))
    for candidate in _CANDIDATES_BY_PART:
        if candidate.recognises(keys):
            return candidate
    if not text.strip():
        raise UnknownFormatError(f"{path} is empty.")
    names = ", ".join(sorted({found.name for found in IMPORTERS.values()}))
    hints = [hint for known, hint in _NEIGHBOURS if keys >= known]
    if path.name == "outputs.json":
        hints.append("outputs say neither of which run nor of when they are: import the folder around it")
    reason = hints[0] if hints else f"it is in none of the formats {names}"
    raise UnknownFormatError(f"{path} cannot be imported: {reason}.")


def _keys(line: bytes) -> frozenset[str]:
    """Return the keys of the object that a line is; none where it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return frozenset()
    if isinstance(value, list) and value:
        value = value[0]
    return frozenset(value) if isinstance(value, dict) else frozenset()


def read(path: Path, *, format_name: str | None = None, anchor: datetime | None = None) -> Imported:
    """Read the runs of a file of another system, or of our own, or of a folder that Trident left of a run.

    `anchor` is the moment given to the first span of a run in formats that have no wall clock (modelops); the date
    of the file is a good one, and None is 1970. The same file gives the same runs, spans, writers and numbers each
    time. Holds the file in memory.

    Raises: UnknownFormatError: there is no such format, or none fits the file.
            ImportFormatError: the file cannot be read, or nothing in it is of the format.
    """
    known = importer(format_name) if format_name is not None else None
    try:
        if path.is_dir():
            return _read_folder(path, known)
        # What it is, its first bytes say: the rest of something else is not read.
        data = read_source(path, begins=lambda head: known or detect(path, head[:HEAD_BYTES]))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImportFormatError(f"{path} cannot be read: {reason}.") from error
    if known is None:
        known = detect(path, data[:HEAD_BYTES])
    return known.read(ImportFile(path=path, data=as_utf8(data), anchor=anchor))


def _read_folder(path: Path, known: Importer | None) -> Imported:
    if known not in (None, trident_import.IMPORTER):
        raise ImportFormatError(f"{path} is a folder; name a file in it, such as spans.jsonl.")
    return trident_folder.read_folder(path)
