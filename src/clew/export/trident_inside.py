"""The runs inside a run's branches and triggers, in the folders in which Trident has them.

    branches/<node>/iteration_<n>.json          a round: what went in, what came out, when
    branches/<node>/iter_<n>/runs/<id>/...      its run, with all the files of a run
    triggers/<node>/runs/<id>/...               the run of a trigger
    .../runs/manifest.json                      what runs lie there

A run that no node of a workflow started, and one whose node has a name that is no file name, has no place there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from clew.export.folder import whole_file
from clew.export.trident import time_of, write_directory
from clew.export.trident_lines import dumps, entrypoint, original_run_id
from clew.model.trace import ExecutionTrace

_FILE_NAME: Final = re.compile(r"\w[\w.-]{0,200}")


def write_inside(
    trace: ExecutionTrace, inside: Iterable[ExecutionTrace], folder: Path
) -> tuple[list[Path], int]:
    """Write the runs inside a run below the folder of its own files.

    Args: inside: at any depth, each after the run that it lies in; one at a time is held.
    Returns: the files, and how many of the runs have no place.
    """
    written: list[Path] = []
    left_out = 0
    places = {trace.run_id: (folder, _kinds(trace))}
    manifests: dict[Path, list[dict[str, Any]]] = {}
    for run in inside:
        above, kinds = places.get(run.parent_run_id or "", (None, {}))
        node = run.attributes.get("node")
        if above is None or not isinstance(node, str) or _FILE_NAME.fullmatch(node) is None:
            left_out += 1
            continue
        if kinds.get(node) == "trigger":
            runs = above / "triggers" / node / "runs"
        else:
            number = run.attributes.get("iteration")
            number = number if isinstance(number, int) else 0
            runs = above / "branches" / node / f"iter_{number}" / "runs"
            written.append(_write(runs.parents[1] / f"iteration_{number}.json", _round(run, node, number)))
        run_id = original_run_id(run)
        place = runs / (run_id if _FILE_NAME.fullmatch(run_id) else run.run_id)
        written += write_directory(run, place)
        places[run.run_id] = (place, _kinds(run))
        manifests.setdefault(runs / "manifest.json", []).append(_entry(run))
    written += [_write(path, {"version": "1", "runs": entries}) for path, entries in manifests.items()]
    return written, left_out


def _kinds(trace: ExecutionTrace) -> dict[str, str | None]:
    return {node.node_id: node.kind for node in trace.nodes if node.kind == "trigger"}


def _write(path: Path, document: dict[str, Any]) -> Path:
    with whole_file(path) as out:
        out.write(dumps(document, indent=2))
    return path


def _round(run: ExecutionTrace, node: str, number: int) -> dict[str, Any]:
    return {
        "branch_id": node,
        "iteration": number,
        "inputs": run.inputs,
        "outputs": run.outputs,
        "started_at": time_of(run.started_at),
        "ended_at": time_of(run.ended_at),
        "success": run.status == "completed",
        "error": None if run.error is None else run.error.message,
    }


def _entry(run: ExecutionTrace) -> dict[str, Any]:
    return {
        "run_id": original_run_id(run),
        "project_name": run.name,
        "entrypoint": entrypoint(run),
        "status": run.status,
        "started_at": time_of(run.started_at),
        "ended_at": time_of(run.ended_at),
        "success": None if run.ended_at is None else run.status == "completed",
        "error_summary": None if run.error is None else run.error.message,
    }
