"""The folder that Trident leaves of a run, `.trident/runs/<id>`: one run, and those inside its branches and triggers.

    trace.json checkpoint.json metadata.json outputs.json *.jsonl
    branches/<node>/iteration_<n>.json
    branches/<node>/iter_<n>/runs/<id>/...      a run of a branch
    triggers/<node>/runs/<id>/...               a run that a trigger waited for

trace.json says most. Where it is missing, as after a crash, the checkpoint stands for it, and else the metadata. What
the telemetry in the folder adds are the kinds of nodes, why nodes were skipped, and what happened inside nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from clew.errors import ImportFormatError
from clew.export.adopt import adopt, adopted_run_id
from clew.export.contract import Imported
from clew.export.event_lines import scan_events
from clew.export.foreign import loads, moment, raw
from clew.export.scan import as_utf8
from clew.export.source import read_source
from clew.export.trident_import import CHECKPOINT_UNKNOWN, METADATA_UNKNOWN, is_document, unfinished
from clew.export.trident_trace import Beside, TraceEvents, of_checkpoint, traces
from clew.model.events import Event

RUN_FILES: Final = ("trace.json", "checkpoint.json", "metadata.json")
"""A folder with one of them is a run's."""
_ROUND: Final = re.compile(r"iteration_(\d+)\.json")
_ROUND_FOLDER: Final = re.compile(r"iter_(\d+)")


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """A run's folder, and the run around it."""

    folder: Path
    around: tuple[str, ...] = ()
    """Ids of the runs around it, the outermost first."""
    attributes: dict[str, Any] = {}
    """Which node, and which round of it, it is a run of."""


class _Told(msgspec.Struct, kw_only=True):
    """What came of all folders."""

    events: dict[str, list[Event]] = {}
    """By what files the run was read from."""
    skipped: int = 0
    unknown: list[str] = []


def run_folders(folder: Path) -> list[Path]:
    """Return the folders of runs that a folder is or holds: a run's own, `runs`, `.trident`, or a project."""
    if _is_run(folder):
        return [folder]
    for pattern in ("*", "runs/*", ".trident/runs/*"):
        found = sorted(path for path in folder.glob(pattern) if _is_run(path))
        if found:
            return found
    return []


def read_folder(folder: Path) -> Imported:
    """Read the runs of a folder.

    Raises: ImportFormatError: it is no run's folder and holds none, or one of the files in it cannot be read.
    """
    folders = run_folders(folder)
    if not folders:
        raise ImportFormatError(
            f"{folder} is a folder without {', '.join(RUN_FILES[:-1])} or {RUN_FILES[-1]}; "
            "name a run's folder, or a file such as spans.jsonl."
        )
    told = _Told()
    waiting = [_Place(folder=found) for found in folders]
    seen: set[Path] = set()
    for place in waiting:  # grows while it is walked
        real = place.folder.resolve()
        if real not in seen:  # a link may lead back
            seen.add(real)
            waiting += _read_run(place, told)
    runs = [
        run
        for account, events in told.events.items()
        for run in adopt(events, source="trident", account=account)
    ]
    return Imported(
        format="trident",
        runs=runs,
        skipped=told.skipped,
        unknown="; ".join(dict.fromkeys(told.unknown)) or None,
    )


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in RUN_FILES)


def _read_run(place: _Place, told: _Told) -> list[_Place]:
    """Read one run and return the folders of the runs inside it."""
    folder = place.folder
    documents = {name: found for name in RUN_FILES if (found := _document(folder / name)) is not None}
    trace, run_id = _main(folder, documents, told)
    for name, other in list(documents.items()):
        if (
            other.get("run_id") != run_id
        ):  # a resumed run's checkpoint is that of the run that it goes on from
            told.unknown.append(f"{name} is of another run, {other.get('run_id')}, and was left out")
            del documents[name]
    checkpoint = documents.get("checkpoint.json", {})
    outputs = _document(folder / "outputs.json")
    lines = _telemetry(folder, run_id)
    if not any(event.event == "branch_iteration" for event in lines):
        lines += _rounds(folder, run_id)
    start: dict[str, Any] = {}
    if place.around:
        start = {
            "parent_run_id": place.around[-1],
            "root_run_id": place.around[0],
            "depth": len(place.around),
        }
    made = TraceEvents(
        trace,
        Beside(
            metadata=documents.get("metadata.json", {}),
            checkpoint=checkpoint,
            outputs=outputs,
            lines=lines,
            start=start,
            attributes={**place.attributes, **({} if "trace.json" in documents else unfinished(checkpoint))},
        ),
    )
    account = "folder " + "+".join((*documents, *(["outputs.json"] if outputs is not None else [])))
    told.events.setdefault(account, []).extend(made.events())
    told.skipped += made.unusable_nodes
    return list(_inside(place, adopted_run_id(run_id, made.start)))


def _main(folder: Path, documents: dict[str, dict[str, Any]], told: _Told) -> tuple[dict[str, Any], str]:
    """Return what the fullest of the files says, as a trace, and its run's id."""
    if "trace.json" in documents:
        found = traces(documents["trace.json"])
        if len(found) != 1:
            raise ImportFormatError(
                f"{folder / 'trace.json'}: expected run_id, start_time and nodes, found none."
            )
        return found[0], found[0]["run_id"]
    name = "checkpoint.json" if "checkpoint.json" in documents else "metadata.json"
    document = documents[name]
    if not is_document(document):
        raise ImportFormatError(f"{folder / name}: expected run_id and started_at, found none.")
    told.unknown.append(CHECKPOINT_UNKNOWN if name == "checkpoint.json" else METADATA_UNKNOWN)
    return of_checkpoint(document), document["run_id"]


def _document(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None where there is no such file. Raises: ImportFormatError: it is something else."""
    try:
        value = loads(as_utf8(read_source(path)))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ImportFormatError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ImportFormatError(f"{path} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ImportFormatError(f"{path}: expected an object, found a {type(value).__name__}.")
    return value


def _telemetry(folder: Path, run_id: str) -> list[Event]:
    """Return what the telemetry in the folder says of the run; nothing where it cannot be read."""
    events: list[Event] = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            data = as_utf8(read_source(path))
        except OSError:
            continue
        events += [event for event in scan_events(data) if event.run_id == run_id and event.writer is None]
        if events:
            break  # the same run once more
    return events


def _rounds(folder: Path, run_id: str) -> Iterator[Event]:
    """Give the rounds of the run's branches, for which Trident has an event that it never emits."""
    for path in sorted(folder.glob("branches/*/iteration_*.json")):
        number = _ROUND.fullmatch(path.name)
        document = _document(path) if number is not None else None
        at = None if document is None else moment(document.get("started_at"))
        if document is None or at is None:
            continue
        node_id = document.pop("branch_id", None)
        yield Event(
            timestamp=at,
            run_id=run_id,
            event="branch_iteration",
            node_id=node_id if isinstance(node_id, str) else path.parent.name,
            data=raw({name: value for name, value in document.items() if value is not None}),
        )


def _inside(place: _Place, run_id: str) -> Iterator[_Place]:
    around = (*place.around, run_id)
    patterns = ("branches/*/iter_*/runs/*", "triggers/*/runs/*")
    found = {path for pattern in patterns for path in place.folder.glob(pattern) if _is_run(path)}
    for folder in sorted(found, key=_in_order):
        parts = folder.relative_to(place.folder).parts
        attributes: dict[str, Any] = {"node": parts[1]}
        number = _ROUND_FOLDER.fullmatch(parts[2])
        if number is not None:
            attributes["iteration"] = int(number[1])
        yield _Place(folder=folder, around=around, attributes=attributes)


def _in_order(folder: Path) -> tuple[str, int, str]:
    number = _ROUND_FOLDER.fullmatch(folder.parts[-3])
    return (folder.parts[-4], int(number[1]), folder.name) if number else ("", 0, str(folder))
