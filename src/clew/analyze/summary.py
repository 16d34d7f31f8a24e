"""What one run did, in numbers: what failed, where the time and the tokens went, what was still open."""

from __future__ import annotations

import heapq
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.analyze.failures import Failure, find_failures
from clew.analyze.runs_inside import RunInside
from clew.analyze.sampling import is_sampled
from clew.analyze.statistics import NumberSummary, percentile, rounded_mean, summarize_numbers
from clew.analyze.times import LastHeard
from clew.analyze.tree import build_tree
from clew.model.inside import total_cost
from clew.model.usage import Usage, total_usage

if TYPE_CHECKING:
    from clew.analyze.tree import Tree
    from clew.model.records import NodeExecution
    from clew.model.trace import ExecutionTrace

MOST_LISTED: Final = 10
"""Executions and failures that a summary lists by default; how many more there are is always said."""


class NodeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All executions of one node_id. Times are of the executions whose duration is in the log."""

    node_id: str
    """Name of the node in the workflow."""
    kinds: list[str]
    """prompt, tool, simulation ...: each kind that its executions had."""
    count: int
    """Executions, however they ended; skipped ones included."""
    completed: int
    """Those that returned."""
    failed: int
    """Those that raised."""
    running: int
    """Those whose end is not in the log, in a process that was not seen to die."""
    interrupted: int
    """Those that died with their process."""
    skipped: int
    """Those that did not run."""
    timed: int
    """Those whose duration is known: what the times below are of."""
    total_ns: int
    """Sum of durations; parallel executions make it longer than the run."""
    self_ns: int
    """The same less the time in which a child ran."""
    mean_ns: int | None
    """None where nothing ended, as for every time below."""
    min_ns: int | None
    """Shortest duration."""
    p50_ns: int | None
    """Percentiles by linear interpolation, NumPy's default."""
    p95_ns: int | None
    """95 of 100 took no longer."""
    p99_ns: int | None
    """99 of 100 took no longer."""
    max_ns: int | None
    """Longest duration."""
    input_tokens: int | None
    """All tokens sent, cached ones included; None where no execution reported any."""
    output_tokens: int | None
    """All tokens received, reasoning included."""
    cached_tokens: int | None
    """The part of `input_tokens` that was read from a cache."""
    reasoning_tokens: int | None
    """The part of `output_tokens` that was reasoning."""
    cost_usd: float | None
    """Sum of the known prices; None where none is known."""
    metrics: dict[str, NumberSummary]
    """What the executions measured, by name."""


class ListedExecution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution that a summary points at."""

    index: int
    """Position in `ExecutionTrace.nodes`."""
    node_id: str
    """Name of the node in the workflow."""
    kind: str | None
    """prompt, tool, simulation ..."""
    span_id: str | None
    """16 hex digits."""
    path: list[str]
    """Nodes around it, outermost first."""
    status: str
    """running, completed, failed, skipped or interrupted."""
    started_at: datetime | None
    """Wall clock, UTC."""
    duration_ns: int | None
    """Monotonic clock; None where the end is not in the log."""
    self_ns: int | None
    """Duration less the time that at least one child ran."""
    open_ns: int | None
    """For an open one: from its start until now where its process lives, else to the last event of its process,
    or of the run where that is not known."""
    attempt: int | None
    """1 for the first try."""
    iteration: int | None
    """Round of a loop, from 0."""
    attributes: dict[str, Any]
    """Tags."""
    metrics: dict[str, float]
    """Numbers that it measured."""
    inputs: Any
    """What it was given; for open executions only."""
    writer: str | None
    """The process lifetime that wrote its start."""


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did. `msgspec.json.encode` of it is the public form."""

    run_id: str
    name: str | None
    kind: str | None
    status: str
    """running, completed, failed or interrupted."""
    interrupted_by: str | None
    exit_code: int | None
    started_at: datetime | None
    ended_at: datetime | None
    last_event_at: datetime | None
    duration_ns: int | None
    """Monotonic clock; None where the end is not in the log."""
    failures: list[Failure]
    """Causes, those that ended the run first; an error that was only passed on is not one."""
    failures_left_out: int
    """Causes beyond those listed."""
    open: list[ListedExecution]
    """Executions without an end, in start order: what was going on when the run was last heard of."""
    open_left_out: int
    """Open executions beyond those listed."""
    executions: int
    """Executions of all nodes."""
    statuses: dict[str, int]
    """Executions by status."""
    orphans: int
    """Executions whose parent is named but not in the log."""
    usage: Usage | None
    """Tokens of the run; None where nothing was reported."""
    cost_usd: float | None
    """Known prices added up; None where none is known."""
    nodes: list[NodeSummary]
    """By self time, longest first."""
    slowest: list[ListedExecution]
    """Executions with the longest durations."""
    scores: dict[str, NumberSummary]
    """Judgements of the run and its nodes, by name."""
    events: dict[str, int]
    """Events that are not boundaries, by name."""
    lost: int
    """Events that are known to be missing."""
    redacted: int
    """Secrets that were removed before the write."""
    truncated: int
    """Payloads that were too large to keep whole."""
    causal_inversion_ns: int
    """By how much at most a child's clock started before its parent's."""
    writers: list[str]
    """Every process lifetime that wrote to this run."""
    thread_id: str | None
    parent_run_id: str | None
    root_run_id: str | None
    depth: int
    attributes: dict[str, Any]
    params: dict[str, Any] | None
    schema_version: int
    inside: list[RunInside] = []
    """Runs inside this one, at any depth, in start order; a trace alone does not know them."""
    inside_unread: int = 0
    """Of how many of them, the last ones, tokens and costs were not looked up."""
    sampled: bool = True
    """False where sampling kept only the start, the end and the counters of this run."""


def summarize(trace: ExecutionTrace, *, most: int = MOST_LISTED, now: datetime | None = None) -> RunSummary:
    """Return what a run did.

    Args:    most: failures, slowest and open executions to list; the number of those left out is in the result.
             now: until when what still runs was open; the run's last event where it is not given.
    O(n log n) in the number of executions; about 3 us for each.
    """
    tree = build_tree(trace.nodes)
    heard = LastHeard(trace, now=now)
    failures = find_failures(trace, tree)
    is_open = [
        position for position, node in enumerate(trace.nodes) if node.status in ("running", "interrupted")
    ]
    nodes = summarize_nodes(trace.nodes)
    scores: dict[str, list[float]] = {}
    for score in trace.scores:
        if score.value is not None:
            scores.setdefault(score.name or "score", []).append(score.value)
    return RunSummary(
        run_id=trace.run_id,
        name=trace.name,
        kind=trace.kind,
        status=trace.status,
        interrupted_by=trace.interrupted_by,
        exit_code=trace.exit_code,
        started_at=trace.started_at,
        ended_at=trace.ended_at,
        last_event_at=trace.last_event_at,
        duration_ns=trace.duration_ns,
        failures=failures[:most],
        failures_left_out=max(0, len(failures) - most),
        open=[_listed(trace, tree, position, heard=heard) for position in is_open[:most]],
        open_left_out=max(0, len(is_open) - most),
        executions=len(trace.nodes),
        statuses=dict(Counter(node.status for node in trace.nodes)),
        orphans=len(tree.orphans),
        usage=trace.usage,
        cost_usd=trace.cost_usd,
        nodes=nodes,
        slowest=[_listed(trace, tree, position, heard=heard) for position in _slowest(trace.nodes, most)],
        scores={name: summarize_numbers(values) for name, values in scores.items()},
        events=dict(Counter(event.event for event in trace.events)),
        lost=trace.lost,
        redacted=trace.redacted,
        truncated=trace.truncated,
        causal_inversion_ns=trace.causal_inversion_ns,
        writers=trace.writers,
        thread_id=trace.thread_id,
        parent_run_id=trace.parent_run_id,
        root_run_id=trace.root_run_id,
        depth=trace.depth,
        attributes=trace.attributes,
        params=trace.params,
        schema_version=trace.schema_version,
        sampled=is_sampled(trace.boundaries),
    )


def summarize_nodes(nodes: list[NodeExecution]) -> list[NodeSummary]:
    """Return one summary a node_id, by self time, longest first."""
    by_node: dict[str, list[NodeExecution]] = {}
    for node in nodes:
        by_node.setdefault(node.node_id, []).append(node)
    found = [_node(node_id, executions) for node_id, executions in by_node.items()]
    found.sort(key=lambda node: (-node.self_ns, -node.total_ns, node.node_id))
    return found


def _node(node_id: str, executions: list[NodeExecution]) -> NodeSummary:
    statuses = Counter(node.status for node in executions)
    durations = sorted([node.duration_ns for node in executions if node.duration_ns is not None])
    total_ns = sum(durations)
    usage = total_usage(node.usage for node in executions) or Usage()
    metrics: dict[str, list[float]] = {}
    for node in executions:
        for name, value in node.metrics.items():
            metrics.setdefault(name, []).append(value)
    return NodeSummary(
        node_id=node_id,
        kinds=sorted({node.kind for node in executions if node.kind is not None}),
        count=len(executions),
        completed=statuses["completed"],
        failed=statuses["failed"],
        running=statuses["running"],
        interrupted=statuses["interrupted"],
        skipped=statuses["skipped"],
        timed=len(durations),
        total_ns=total_ns,
        self_ns=sum([node.self_time_ns for node in executions if node.self_time_ns is not None]),
        mean_ns=rounded_mean(total_ns, len(durations)),
        min_ns=durations[0] if durations else None,
        p50_ns=percentile(durations, 50),
        p95_ns=percentile(durations, 95),
        p99_ns=percentile(durations, 99),
        max_ns=durations[-1] if durations else None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=total_cost([node.cost_usd for node in executions]),
        metrics={name: summarize_numbers(values) for name, values in metrics.items()},
    )


def _slowest(nodes: list[NodeExecution], most: int) -> list[int]:
    timed = [
        (node.duration_ns, -position) for position, node in enumerate(nodes) if node.duration_ns is not None
    ]
    return [-position for _, position in heapq.nlargest(most, timed)]


def _listed(trace: ExecutionTrace, tree: Tree, position: int, *, heard: LastHeard) -> ListedExecution:
    node = trace.nodes[position]
    is_open = node.status in ("running", "interrupted")
    until = heard.of(node) if is_open else None
    open_ns = None
    if until is not None and node.started_at is not None:
        open_ns = max(0, (until - node.started_at) // timedelta(microseconds=1) * 1000)
    return ListedExecution(
        index=node.index,
        node_id=node.node_id,
        kind=node.kind,
        span_id=node.span_id,
        path=[trace.nodes[around].node_id for around in tree.ancestors(position)],
        status=node.status,
        started_at=node.started_at,
        duration_ns=node.duration_ns,
        self_ns=node.self_time_ns,
        open_ns=open_ns,
        attempt=node.attempt,
        iteration=node.iteration,
        attributes=node.attributes,
        metrics=node.metrics,
        inputs=node.inputs if is_open else None,
        writer=node.writer,
    )
