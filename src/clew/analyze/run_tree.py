"""A run and the runs inside it as one tree of executions, and what an execution of the tree is known by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.analyze.tree import NO_PARENT, build_tree
from clew.model.digest import digest
from clew.model.records import NodeExecution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.model.trace import ExecutionTrace

ROOT: Final = 0
_RUN: Final = "run"
_STARTED: Final = "workflow_started"
_PROJECT: Final = "project_root"
"""A tag that only runs of workflow projects have."""
_KEPT: Final = "kept_from"
"""A tag that only nodes have whose outputs were taken from an earlier run."""
_PROVENANCE: Final = frozenset(
    {_PROJECT, "manifest", "resumed", "start_from", "replay_of", "fork", "changes", _KEPT, "source"}
)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_encode = msgspec.json.Encoder(order="deterministic").encode


class RunTree(msgspec.Struct, frozen=True, kw_only=True):
    """Executions by position: the run itself is the first, and a run inside it is one of the executions too."""

    nodes: list[NodeExecution]
    """(n,) executions; one that stands for a run has the run's name and the kind `run`."""
    run_of: list[ExecutionTrace]
    """(n,) the run that each one belongs to, or stands for."""
    runs: dict[int, ExecutionTrace]
    """The runs by the position of what stands for them."""
    parents: list[int]
    """(n,) position of each one's parent, -1 of the first."""
    children: list[list[int]]
    """(n,) positions of the children in start order."""
    order: list[int]
    """(n,) every position, parents before their children."""

    def ancestors(self, position: int) -> list[int]:
        """Return what is around an execution, outermost first, the run itself left out."""
        found: list[int] = []
        parent = self.parents[position]
        while parent > ROOT:
            found.append(parent)
            parent = self.parents[parent]
        return found[::-1]

    def depths(self) -> list[int]:
        """Return how many executions each one lies in."""
        depths = [0] * len(self.nodes)
        for position in self.order[1:]:
            depths[position] = depths[self.parents[position]] + 1
        return depths


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """What executions are known by, by position: hashes that say nothing of when they ran or for how long."""

    given: list[str]
    """(n,) hash of kind, inputs and attributes."""
    content: list[str]
    """(n,) hash of everything that one execution did, its children excluded."""
    whole: list[str]
    """(n,) hash of the execution and all below it, in whatever order the children started."""


def join_runs(run: ExecutionTrace, inner: Sequence[ExecutionTrace] = ()) -> RunTree:
    """Return the tree of a run and of the runs inside it, which may be given in any order.

    A nested run stands below the span that started it, where the log names one, else below the run around it, else
    below the run itself. O(n log n).
    """
    nodes: list[NodeExecution] = []
    run_of: list[ExecutionTrace] = []
    parents: list[int] = []
    children: list[list[int]] = []
    positions: dict[str, int] = {}
    for trace in [run, *sorted(inner, key=_begin)]:
        if trace.run_id in positions:
            continue
        base = positions[trace.run_id] = len(nodes)
        tree = build_tree(trace.nodes)
        nodes += [_as_node(trace), *trace.nodes]
        run_of += [trace] * (len(trace.nodes) + 1)
        parents += [NO_PARENT, *(base + 1 + parent for parent in tree.parents)]
        children += [
            [base + 1 + child for child in tree.children.get(parent, ())]
            for parent in range(NO_PARENT, len(trace.nodes))
        ]
    runs = {position: run_of[position] for position in positions.values()}
    _place_inner(runs, positions, nodes=nodes, parents=parents, children=children)
    return RunTree(
        nodes=nodes,
        run_of=run_of,
        runs=runs,
        parents=parents,
        children=children,
        order=_walk(children),
    )


def _place_inner(
    runs: dict[int, ExecutionTrace],
    positions: dict[str, int],
    *,
    nodes: list[NodeExecution],
    parents: list[int],
    children: list[list[int]],
) -> None:
    """Hang every run but the first below what started it."""
    outer = {at: positions.get(trace.parent_run_id or "", ROOT) for at, trace in runs.items() if at != ROOT}
    named = {outer[at] for at, trace in runs.items() if at != ROOT and _starting_span(trace) is not None}
    spans = {
        (base, nodes[at].span_id): at
        for base in named
        for at in range(base + 1, base + 1 + len(runs[base].nodes))
        if nodes[at].span_id is not None
    }
    widened: set[int] = set()
    for at, trace in runs.items():
        if at == ROOT:
            continue
        parent = outer[at]
        seen = {at}
        while parent not in seen and parent != ROOT:
            seen.add(parent)
            parent = outer[parent]
        if parent != ROOT:
            outer[at] = ROOT  # runs that claim to have started each other
        # In the run around it: a span id is only known to be its own there.
        parents[at] = spans.get((outer[at], _starting_span(trace)), outer[at])
        children[parents[at]].append(at)
        widened.add(parents[at])
    for at in widened:
        children[at].sort(key=lambda child: nodes[child].started_at or nodes[child].ended_at or _LONG_AGO)


def _starting_span(inner: ExecutionTrace) -> str | None:
    return next((event.parent_id for event in inner.boundaries if event.event == _STARTED), None)


def _as_node(trace: ExecutionTrace) -> NodeExecution:
    start = next((event for event in trace.boundaries if event.event == _STARTED), None)
    end = next((event for event in trace.boundaries if event is not start), None)
    return NodeExecution(
        index=-1,
        node_id=trace.name or trace.kind or _RUN,
        kind=_RUN,
        started_at=trace.started_at,
        ended_at=trace.ended_at,
        duration_ns=trace.duration_ns,
        status=trace.status,
        error=trace.error,
        inputs=trace.inputs,
        outputs=trace.outputs,
        attributes=trace.attributes,
        writer=None if start is None else start.writer,
        seq=None if start is None else start.seq,
        end_writer=None if end is None else end.writer,
        end_seq=None if end is None else end.seq,
    )


def _begin(trace: ExecutionTrace) -> tuple[datetime, str]:
    return trace.started_at or trace.last_event_at or _LONG_AGO, trace.run_id


def _walk(children: list[list[int]]) -> list[int]:
    order: list[int] = []
    waiting = [ROOT]
    while waiting:
        position = waiting.pop()
        order.append(position)
        waiting.extend(reversed(children[position]))
    return order


# --- what an execution is known by -------------------------------------------------------------------


def mark(tree: RunTree) -> Marks:
    """Return what the executions of a tree are known by. O(n) and the size of the payloads."""
    count = len(tree.nodes)
    given = [
        _hash([node.kind, node.inputs, telling_tags(node.attributes, tree.run_of[at])])
        for at, node in enumerate(tree.nodes)
    ]
    content = [_hash([given[at], *_done(tree, at)]) for at in range(count)]
    whole = [""] * count
    for at in reversed(tree.order):
        below = tree.children[at]
        whole[at] = (
            digest("".join([content[at], *sorted([whole[child] for child in below])]).encode())
            if below
            else content[at]
        )
    return Marks(given=given, content=content, whole=whole)


def run_facts(trace: ExecutionTrace) -> dict[str, Any]:
    """Return what can differ of a run and what no node has: params, exit code, final state."""
    return {"params": trace.params, "exit_code": trace.exit_code, "final_state": trace.final_state}


def what_it_did(tree: RunTree, at: int) -> dict[str, Any]:
    """Return what can differ of an execution as plain data, by field; times, tokens and costs are measures."""
    node = tree.nodes[at]
    error = node.error
    return {
        "status": node.status,
        "error": None if error is None else {"type": error.error_type, "message": error.message},
        "definition": node.extra.get("definition"),
        "inputs": node.inputs,
        "outputs": node.outputs,
        "model": node.model,
        "attributes": telling_tags(node.attributes, tree.run_of[at]),
        "metrics": {name: _number(value) for name, value in node.metrics.items()},
        "tools": node.tools_called,
        "skip": node.skip,
        "kind": node.kind,
    }


def _done(tree: RunTree, at: int) -> list[Any]:
    node = tree.nodes[at]
    done = what_it_did(tree, at)
    # What it was given is in the hash already, and may be large.
    del done["inputs"], done["attributes"], done["kind"]
    facts = run_facts(tree.runs[at]) if at in tree.runs else None
    name = "" if at == ROOT else node.node_id  # two runs may be compared whatever they are called
    return [name, node.iteration, node.attempt, done, facts]


def is_kept(tree: RunTree, at: int) -> bool:
    """Whether an execution only hands on what an earlier run came to. It holds nothing of how that came about."""
    return _KEPT in tree.nodes[at].attributes and _PROJECT in tree.run_of[at].attributes


def telling_tags(tags: dict[str, Any], run: ExecutionTrace) -> dict[str, Any]:
    """Return tags of a run or in it, without those that say where its project lies and whose answers it was given.

    A replay of a run is a run of its own for them, and did the same for everybody else.
    """
    if _PROJECT not in run.attributes or _PROVENANCE.isdisjoint(tags):
        return tags
    return {name: value for name, value in tags.items() if name not in _PROVENANCE}


def _number(value: float) -> float | str:
    return value if value - value == 0 else repr(value)  # JSON has no NaN and no infinities


def _hash(value: Any) -> str:
    try:
        text = _encode(value)
    except RecursionError:
        text = _flat(value).encode("utf-8", "surrogatepass")
    return digest(text)


def _flat(value: Any) -> str:
    """Return a text for what nests too deep to be encoded."""
    parts: list[str] = []
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            parts.append(f"object {len(part)}")
            for key in sorted(part):
                waiting += [part[key], key]
        elif isinstance(part, list):
            parts.append(f"list {len(part)}")
            waiting += part
        else:
            parts.append(repr(part))
    return "\n".join(parts)
