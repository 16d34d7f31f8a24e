"""The trace is the checkpoint: what an earlier run completed is kept, as long as nothing that led to it has changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import msgspec

from clew.errors import ClewError, UsageError
from clew.journal.blobs import read_blob
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.record.redact import REDACTED
from clew.store.store import Store
from clew.workflow.definition import Definitions
from clew.workflow.plan import edges_into
from clew.workflow.project import InputNode, Project
from clew.workflow.services import Kept, Round

_LATEST: Final = re.compile(r"^latest(?:~(\d+))?$")
NOT_JSON: Final = "objects"
"""The attribute of a node whose outputs are more than JSON, and so are not whole in the log."""


def run_to_resume(store: Store, project: Project, reference: str, *, dry_run: bool) -> str:
    """Return the id of the run that a person wants to go on with; `latest` is the latest of this project.

    Raises: NoSuchRunError, AmbiguousRunError; UsageError: it is one of another project, runs still, or was a dry run.
    """
    run_id = store.resolve(_own_latest(store, project, reference))
    trace = store.trace(run_id)
    short = run_id[:16]
    if trace.attributes.get("manifest") != str(project.place.path):
        what = f"of the project {trace.name}" if "manifest" in trace.attributes else "not one of a project"
        raise UsageError(f"--resume: run {short} is {what}, and cannot go on as {project.name}")
    row = next((row for row in store.runs() if row.run_id == run_id), None)
    if row is not None and row.status == "running":
        raise UsageError(f"--resume: run {short} is still running; wait for it, or stop it first")
    if trace.attributes.get("dry_run") and not dry_run:
        raise UsageError(
            f"--resume: run {short} was a dry run, whose answers are made up; add --dry-run, or run anew"
        )
    return run_id


def _own_latest(store: Store, project: Project, reference: str) -> str:
    """Read `latest` and `latest~2` among the runs of a project."""
    match = _LATEST.match(reference)
    if match is None:
        return reference
    back = int(match[1] or 0)
    for row in store.runs():
        if row.depth or row.kind != "workflow" or row.name != project.name:
            continue
        if store.trace(row.run_id).attributes.get("manifest") != str(project.place.path):
            continue
        if not back:
            return row.run_id
        back -= 1
    raise UsageError(
        f"--resume: there are no runs of {project.name} in {store.home} that {reference} could be"
    )


def outputs_as_input(store: Store, reference: str) -> dict[str, Any]:
    """Return the outputs of a run, without the names of its output nodes, as the input of another.

    Raises: NoSuchRunError, AmbiguousRunError; UsageError: the log does not have them whole.
    """
    run_id = store.resolve(reference.removeprefix("run:"))
    found = whole(store.trace(run_id).outputs, home=store.home)
    if not isinstance(found, dict):
        why = "has no outputs" if found is None else "gave no JSON object"
        raise UsageError(f"--input-from: run {run_id[:16]} {why} whole in the log")
    return without_nodes(found)


def without_nodes(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return outputs without the names of the output nodes that they came from."""
    if outputs and all(isinstance(value, dict) for value in outputs.values()):
        return {name: value for values in outputs.values() for name, value in values.items()}
    return outputs


def whole(value: Any, *, home: Path) -> Any:
    """Return a payload with what is stored beside the log put back; None where it was cut."""
    if isinstance(value, Mapping):
        if "$cut" in value:
            return None
        if "$blob" in value:
            try:
                return msgspec.json.decode(read_blob(home, str(value["$blob"])))
            except (ClewError, msgspec.DecodeError):
                return None
    return value


class EarlierRuns:
    """What is known of the runs of a home directory: a `clew.workflow.services.Earlier`."""

    def __init__(self, store: Store, definitions: Definitions) -> None:
        self._store = store
        self._definitions = definitions
        self._traces: dict[str, ExecutionTrace] = {}
        self._rounds: dict[str, dict[tuple[str, int], str]] | None = None

    def trace(self, run_id: str) -> ExecutionTrace:
        """Return the trace of a run. Raises: NoSuchRunError."""
        if run_id not in self._traces:
            self._traces[run_id] = self._store.trace(run_id)
        return self._traces[run_id]

    def inputs(self, run_id: str) -> dict[str, Any] | None:
        """Return what a run was given; None where the log does not have it whole."""
        found = self.whole(self.trace(run_id).inputs)
        return found if isinstance(found, dict) else None

    def kept(self, run_id: str, project: Project, *, inputs: dict[str, Any] | None = None) -> Kept:
        """Return what can be kept of a run, and what runs again and why.

        Args:
            run_id: the earlier run.
            project: the workflow as it is now.
            inputs: what it is given now; None for the same as then.
        """
        trace = self.trace(run_id)
        done = {n.node_id: n for n in trace.nodes if n.status == "completed" and n.parent_id is None}
        then = self._hashes(trace)
        into = edges_into(project)
        kept: dict[str, dict[str, Any]] = {}
        changed: dict[str, str] = {}
        again: set[str] = set()
        same_inputs = inputs is None or inputs == self.inputs(run_id)
        for name in _in_order(project):
            node = project.nodes[name]
            before = [edge.source for edge in into[name] if edge.source in again]
            now = self._definitions.of(project, node, incoming=into[name])
            if name not in then:
                again.add(name)  # it was not come to
                continue
            reason = None
            if before:
                reason = f"{before[0]} runs again"
            elif then[name] != now:
                reason = "its definition has changed"
            elif isinstance(node, InputNode) and not same_inputs:
                reason = "the inputs have changed"
            elif name in done:
                outputs, reason = self._outputs(done[name])
                if reason is None:
                    kept[name] = outputs
            if reason is not None:
                again.add(name)
                if name in done:
                    changed[name] = reason
        return Kept(kept, changed)

    def round_of(self, run_id: str, node_id: str, iteration: int) -> Round | None:
        """Return the run that did a round of a branch, or a trigger's run; None where there was none."""
        if self._rounds is None:
            self._rounds = {}
            for row in reversed(self._store.runs()):  # oldest first: the latest of a round counts
                if row.parent_run_id is not None:
                    attributes = self.trace(row.run_id).attributes
                    place = (str(attributes.get("node")), int(attributes.get("iteration") or 0))
                    self._rounds.setdefault(row.parent_run_id, {})[place] = row.run_id
        found = self._rounds.get(run_id, {}).get((node_id, iteration))
        return None if found is None else Round(found, self.inputs(found))

    def _hashes(self, trace: ExecutionTrace) -> dict[str, Any]:
        """Return the definition of every node that was completed or skipped, as it was then."""
        found: dict[str, Any] = {}
        for node in trace.nodes:
            if node.status == "completed":
                found[node.node_id] = node.extra.get("definition")
            elif node.status == "skipped":
                found[node.node_id] = {**node.end_extra, **(node.skip or {})}.get("definition")
        return found

    def _outputs(self, node: NodeExecution) -> tuple[dict[str, Any], str | None]:
        """Return what a node gave, or why that is not in the log."""
        if node.attributes.get(NOT_JSON):
            return {}, "its outputs are Python objects, which the log does not hold"
        found = self.whole(node.outputs)
        if not isinstance(found, dict):
            return {}, "its outputs are not in the log"
        if _holds(found, REDACTED):
            return {}, "secrets were removed from its outputs"
        return found, None

    def whole(self, value: Any) -> Any:
        """Return a payload with what is stored beside the log put back; None where it was cut."""
        return whole(value, home=self._store.home)


def is_json(value: Any) -> bool:
    """Whether a value is the same after it was written as JSON and read again."""
    match value:
        case None | bool() | str():
            return True
        case int():
            return type(value) is int
        case float():
            return type(value) is float and value - value == 0
        case list():
            return all(map(is_json, value))
        case dict():
            return all(type(name) is str and is_json(item) for name, item in value.items())
    return False


def _holds(value: Any, text: str) -> bool:
    match value:
        case str():
            return text in value
        case list():
            return any(_holds(item, text) for item in value)
        case dict():
            return any(_holds(name, text) or _holds(item, text) for name, item in value.items())
    return False


def _in_order(project: Project) -> list[str]:
    """Return the nodes, each behind those before it."""
    into = {name: {edge.source for edge in edges} for name, edges in edges_into(project).items()}

    return list(TopologicalSorter(into).static_order())
