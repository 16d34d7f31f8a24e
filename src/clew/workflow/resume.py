"""The trace is the checkpoint: what an earlier run completed is kept, as long as nothing that led to it has changed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from clew.errors import NoSuchRunError, UsageError
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.record.redact import REDACTED
from clew.store.store import Store
from clew.workflow import places
from clew.workflow.definition import Definitions
from clew.workflow.plan import after, edges_into, in_order
from clew.workflow.project import InputNode, Project
from clew.workflow.services import Kept
from clew.workflow.wholeness import OBJECTS, Payload, Payloads, holds

START_FROM: Final = "start_from"
"""The attribute of a run: the node from which on everything was to run again."""
_LATEST: Final = re.compile(r"^latest(?:~(\d+))?$")


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
        if row.depth or row.kind != "workflow":
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
    payloads = Payloads(store.trace(run_id), home=store.home)
    found, lack = payloads.outputs()
    if lack is None and payloads.with_objects():
        lack = OBJECTS
    if lack is not None:
        raise UsageError(f"--input-from: the outputs of run {run_id[:16]} are not whole in the log ({lack})")
    if not isinstance(found, dict):
        why = "has no outputs" if found is None else "gave no JSON object"
        raise UsageError(f"--input-from: run {run_id[:16]} {why} in the log")
    return without_nodes(found)


def without_nodes(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return outputs without the names of the output nodes that they came from."""
    if outputs and all(isinstance(value, dict) for value in outputs.values()):
        return {name: value for values in outputs.values() for name, value in values.items()}
    return outputs


@dataclass(frozen=True)
class Answered:
    """Nodes of a run whose answers a replay uses."""

    trace: ExecutionTrace
    payloads: Payloads
    path: places.Path
    """Of the run in the outermost one."""
    nodes: frozenset[str]
    only_completed: bool = False
    """Whether the executions of these nodes that failed are left out."""

    def counts(self, node: NodeExecution) -> bool:
        """Whether an execution is one of those."""
        return node.node_id in self.nodes and (not self.only_completed or node.status == "completed")


class EarlierRuns:
    """What is known of the runs of a home directory: a `clew.workflow.services.Earlier`."""

    def __init__(self, store: Store, definitions: Definitions) -> None:
        self._store = store
        self._definitions = definitions
        self._traces: dict[str, ExecutionTrace] = {}
        self._inside: dict[str, list[str]] | None = None
        self._rounds: dict[str, dict[tuple[str, int], str]] = {}

    def trace(self, run_id: str) -> ExecutionTrace:
        """Return the trace of a run. Raises: NoSuchRunError."""
        if run_id not in self._traces:
            self._traces[run_id] = self._store.trace(run_id)
        return self._traces[run_id]

    def inputs(self, run_id: str) -> dict[str, Any] | None:
        """Return what a run was given; None where the log does not have it whole."""
        found, lack = self.payloads(run_id).inputs()
        return found if lack is None and isinstance(found, dict) else None

    def inputs_given(self, run_id: str, given: dict[str, Any], *, again: str) -> dict[str, Any]:
        """Return what a run was given, with what is given anew.

        Args:
            run_id: the run.
            given: fields of the input that are given anew.
            again: how a person gives them, for what is said where they are needed.

        Raises: UsageError: the log does not have the rest whole.
        """
        found, lack = self.payloads(run_id).inputs()
        then = found if isinstance(found, dict) else {}
        kept = {name: value for name, value in then.items() if name not in given}
        lacking = [name for name, value in kept.items() if holds([name, value], REDACTED)]
        if lack is not None and (lacking or not given):
            which = f" ({', '.join(lacking)})" if lacking else ""
            raise UsageError(
                f"the input of run {run_id[:16]}{which} is not whole in the log: {lack}; give it again with {again}"
            )
        return {**kept, **given}

    def chain(self, run_id: str) -> list[str]:
        """Return a run, the one that it went on with, the one that that went on with ..., as far as the log has them.

        Raises: NoSuchRunError: there is no such run.
        """
        found = [run_id]
        before = self.trace(run_id).attributes.get("resumed")
        while isinstance(before, str) and before not in found:
            try:
                trace = self.trace(before)
            except NoSuchRunError:
                break
            found.append(before)
            before = trace.attributes.get("resumed")
        return found

    def kept(self, run_id: str, project: Project, *, inputs: dict[str, Any] | None = None) -> Kept:
        """Return what can be kept of a run and of those that it went on with, and what runs again and why.

        Args:
            run_id: the earlier run.
            project: the workflow as it is now.
            inputs: what it is given now; None for the same as then.
        """
        found = Kept({}, {}, frozenset(project.nodes))
        for each in reversed(self.chain(run_id)):
            found = self._kept(each, project, inputs=inputs, before=found)
        return found

    def _kept(self, run_id: str, project: Project, *, inputs: dict[str, Any] | None, before: Kept) -> Kept:
        """Return what can be kept of one run, where `before` is what could be kept of those that it went on with.

        What it came to itself decides. It may have been ended before it came to say what it kept.
        """
        trace = self.trace(run_id)
        done = {n.node_id: n for n in trace.nodes if n.status == "completed" and n.parent_id is None}
        then = self._hashes(trace)
        anew = frozenset(name for name, node in done.items() if "kept_from" not in node.attributes)
        stale = after(project, (anew | _asked_for(trace)) & project.nodes.keys())
        into = edges_into(project)
        other_inputs = self._other_inputs(run_id, inputs)
        kept: dict[str, dict[str, Any]] = {}
        changed: dict[str, str] = {}
        again: set[str] = set()
        for name in in_order(project):
            node = project.nodes[name]
            sources = [edge.source for edge in into[name] if edge.source in again]
            reason = None
            if name not in then and (name in stale or name in before.again):
                again.add(name)  # it was not come to
                if name not in stale and name in before.changed:
                    changed[name] = before.changed[name]
                continue
            if sources:
                reason = f"{sources[0]} runs again"
            elif name not in then:
                if name in before.outputs:
                    kept[name] = before.outputs[name]
            elif then[name] != self._definitions.of(project, node, incoming=into[name]):
                reason = "its definition has changed"
            elif isinstance(node, InputNode) and other_inputs is not None:
                reason = other_inputs
            elif name in done:
                outputs, reason = _outputs(self.payloads(run_id).outputs_of(done[name]))
                if reason is None:
                    kept[name] = outputs
            if reason is not None:
                again.add(name)
                if name in done or name in before.outputs:
                    changed[name] = reason
        return Kept(kept, changed, frozenset(again))

    def _other_inputs(self, run_id: str, inputs: dict[str, Any] | None) -> str | None:
        """Return why an input node of a run has to run again; None where it need not."""
        given, lack = self.payloads(run_id).inputs()
        if inputs is not None and lack is not None:
            return f"its inputs of then are not whole in the log ({lack})"
        return None if inputs is None or inputs == given else "the inputs have changed"

    def round_of(
        self, run_id: str, project: Project, node_id: str, *, iteration: int, inputs: dict[str, Any]
    ) -> str | None:
        """Return the run that did a round of a branch, or a trigger's run, for the same inputs; None: there was none.

        Args:
            run_id: the run that it was a part of, or a run that went on with that one.
            project: the workflow of that run as it is now.
            node_id: the branch or trigger.
            iteration: of the branch, from 0; 0 for a trigger.
            inputs: what the round is given now.
        """
        for each in self.chain(run_id):
            found = self._rounds_in(each).get((node_id, iteration))
            if found is not None and self.inputs(found) == inputs:
                return found
            if node_id in after(project, _asked_for(self.trace(each)) & project.nodes.keys()):
                return None
        return None

    def _rounds_in(self, run_id: str) -> dict[tuple[str, int], str]:
        """Return the runs directly in a run, by node and iteration."""
        if run_id not in self._rounds:
            found = self._rounds[run_id] = {}
            for each in self._children().get(run_id, []):  # the latest of a round counts
                attributes = self.trace(each).attributes
                found[str(attributes.get("node")), int(attributes.get("iteration") or 0)] = each
        return self._rounds[run_id]

    def runs_in(self, run_id: str) -> Iterator[tuple[ExecutionTrace, Payloads, places.Path]]:
        """Yield a run and all runs in it, each with its payloads and path; those of a level as they began."""
        waiting: deque[tuple[str, places.Path]] = deque([(run_id, ())])
        while waiting:
            each, path = waiting.popleft()
            yield self.trace(each), self.payloads(each), path
            for child in self._children().get(each, []):
                waiting.append((child, (*path, self._step(child))))

    def answered(self, run_id: str) -> Iterator[Answered]:
        """Yield what a run and all runs in it were answered; of what they kept, what was answered where it was done.

        What happened at one place, in the attempts of a branch, comes as it happened. Of earlier runs there is nothing
        but what was kept: what the run did itself, it did not do as they did.
        """
        waiting: deque[tuple[str, places.Path]] = deque([(run_id, ())])
        while waiting:
            each, path = waiting.popleft()
            trace = self.trace(each)
            kept = {node.node_id for node in trace.nodes if "kept_from" in node.attributes}
            yield from self._kept_answers(each, kept, path)
            yield Answered(trace, self.payloads(each), path, frozenset(n.node_id for n in trace.nodes) - kept)
            waiting += [(child, (*path, self._step(child))) for child in self._children().get(each, [])]

    def _kept_answers(self, run_id: str, names: set[str], path: places.Path) -> Iterator[Answered]:
        """Yield what nodes were answered that a run kept, of the run before it that did them."""
        for each in self.chain(run_id)[1:] if names else []:
            trace = self.trace(each)
            done = {
                node.node_id
                for node in trace.nodes
                if node.node_id in names and node.status == "completed" and "kept_from" not in node.attributes
            }
            yield Answered(trace, self.payloads(each), path, frozenset(done), only_completed=True)
            for (node_id, _), child in self._rounds_in(each).items():
                if node_id in done:
                    yield from self._kept_round(child, (*path, self._step(child)))
            names = names - done

    def _kept_round(self, run_id: str, path: places.Path) -> Iterator[Answered]:
        """Yield what a run was answered that a kept branch or trigger came to, and the runs in it."""
        trace = self.trace(run_id)
        kept = {node.node_id for node in trace.nodes if "kept_from" in node.attributes}
        yield from self._kept_answers(run_id, kept, path)
        done = frozenset(node.node_id for node in trace.nodes) - kept
        yield Answered(trace, self.payloads(run_id), path, done, only_completed=True)
        for child in self._rounds_in(run_id).values():
            yield from self._kept_round(child, (*path, self._step(child)))

    def _step(self, run_id: str) -> tuple[str, int | None]:
        """Return the node whose workflow a run is, and the round."""
        attributes = self.trace(run_id).attributes
        return str(attributes.get("node")), attributes.get("iteration")

    def _children(self) -> dict[str, list[str]]:
        """Return the runs directly in each run, oldest first."""
        if self._inside is None:
            self._inside = {}
            for row in reversed(self._store.runs()):
                if row.parent_run_id is not None:
                    self._inside.setdefault(row.parent_run_id, []).append(row.run_id)
        return self._inside

    def _hashes(self, trace: ExecutionTrace) -> dict[str, Any]:
        """Return the definition of every node that was completed or skipped, as it was then."""
        found: dict[str, Any] = {}
        for node in trace.nodes:
            if node.status == "completed":
                found[node.node_id] = node.extra.get("definition")
            elif node.status == "skipped":
                found[node.node_id] = {**node.end_extra, **(node.skip or {})}.get("definition")
        return found

    def payloads(self, run_id: str) -> Payloads:
        """Return what reads the payloads of a run. Raises: NoSuchRunError."""
        return Payloads(self.trace(run_id), home=self._store.home)


def _asked_for(trace: ExecutionTrace) -> frozenset[str]:
    """Return the node from which on a run was to do everything again."""
    start_from = trace.attributes.get(START_FROM)
    return frozenset([start_from] if isinstance(start_from, str) else [])


def _outputs(found: Payload) -> tuple[dict[str, Any], str | None]:
    """Return what a node gave, or why that cannot be kept."""
    if found.lack is not None:
        return {}, f"its outputs are not whole in the log ({found.lack})"
    if not isinstance(found.value, dict):
        return {}, "its outputs are not in the log"
    return found.value, None
