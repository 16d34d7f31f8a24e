"""Two runs side by side: what they did differently, and what that came to in time, tokens and money."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from clew.analyze.changes import Measure, measure
from clew.analyze.divergence import Describing, Divergence, Diverging, count_reordered, find_divergences
from clew.analyze.run_tree import ROOT, RunTree
from clew.model.inside import total_cost
from clew.model.usage import Usage, total_usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clew.analyze.alignment import Alignment
    from clew.model.records import NodeExecution

MOST_DIVERGENCES: Final = 10
MOST_CHANGES: Final = 8
"""What a comparison lists by default; how much more there is is always said."""


class NodeComparison(msgspec.Struct, frozen=True, kw_only=True):
    """All executions of one node, or all runs inside of one name. Numbers are sums of what is known."""

    node_id: str
    old_executions: int
    new_executions: int
    differing: int
    """Pairs that differ."""
    missing: int
    """Executions that only the old run has."""
    added: int
    """Executions that only the new run has."""
    fields: list[str]
    """In what the pairs differ."""
    duration_ns: Measure
    input_tokens: Measure
    output_tokens: Measure
    cost_usd: Measure

    @property
    def differs(self) -> bool:
        """Whether anything but the measures differs."""
        return bool(self.differing or self.missing or self.added)


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a comparison."""

    run_id: str
    name: str | None
    status: str
    started_at: datetime | None
    duration_ns: int | None
    inner_runs: int
    """Runs inside it that were compared too."""
    executions: int
    """Executions of nodes, those in the runs inside included."""
    lost: int
    """Events that are known to be missing from the log."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs did differently. `msgspec.json.encode` of it is the public form."""

    same: bool
    """Whether there is no divergence. Times, tokens and costs may differ, and so may the order of starts."""
    first: Divergence | None
    """The first in the time of the new run."""
    old: ComparedRun
    new: ComparedRun
    paired: int
    """Executions of nodes that correspond."""
    differing: int
    """Pairs that differ, the runs themselves included."""
    missing: int
    """Executions that only the old run has."""
    added: int
    """Executions that only the new run has."""
    reordered: int
    """Executions that ran one after the other in both runs, in another order."""
    fields: dict[str, int]
    """In how many pairs each field differs."""
    divergences: list[Divergence]
    """In the time of the new run; what lies in a missing or added execution is not listed on its own."""
    divergences_left_out: int
    """Divergences beyond those listed."""
    nodes: list[NodeComparison]
    """Every node of both runs: those of the new one in order of their first start, then those of runs inside, then
    those that only the old run has."""
    duration_ns: Measure
    """Of the runs as a whole."""
    input_tokens: Measure
    """Runs inside included, as for the costs."""
    output_tokens: Measure
    cost_usd: Measure


def compare(alignment: Alignment, *, most: int | None = MOST_DIVERGENCES) -> Comparison:
    """Return what two aligned runs did differently.

    Args: most: divergences to describe, and places to list for each field in proportion; None for all.
    O(n log n), and the size of the payloads that differ.
    """
    found = find_divergences(alignment)
    differing = [one for one in found if one.what == "differs"]
    describe = Describing(alignment, most_changes=None if most is None else MOST_CHANGES)
    listed = [describe(one) for one in (found if most is None else found[:most])]
    old, new = alignment.old, alignment.new
    usages = [total_usage(run.usage for run in tree.runs.values()) or Usage() for tree in (old, new)]
    costs = [total_cost([run.cost_usd for run in tree.runs.values()]) for tree in (old, new)]
    return Comparison(
        same=not found,
        first=listed[0] if listed else describe(found[0]) if found else None,
        old=_compared_run(old),
        new=_compared_run(new),
        paired=len(alignment.pairs) - sum(other in new.runs for _, other in alignment.pairs),
        differing=len(differing),
        missing=len(alignment.only_old),
        added=len(alignment.only_new),
        reordered=count_reordered(alignment),
        fields=dict(Counter(field for one in differing for field in one.fields)),
        divergences=listed,
        divergences_left_out=len(found) - len(listed),
        nodes=_nodes(alignment, differing),
        duration_ns=measure(old.nodes[ROOT].duration_ns, new.nodes[ROOT].duration_ns),
        input_tokens=measure(usages[0].input_tokens, usages[1].input_tokens),
        output_tokens=measure(usages[0].output_tokens, usages[1].output_tokens),
        cost_usd=measure(costs[0], costs[1]),
    )


def _compared_run(tree: RunTree) -> ComparedRun:
    run = tree.runs[ROOT]
    return ComparedRun(
        run_id=run.run_id,
        name=run.name,
        status=run.status,
        started_at=run.started_at,
        duration_ns=run.duration_ns,
        inner_runs=len(tree.runs) - 1,
        executions=len(tree.nodes) - len(tree.runs),
        # A loss is known of a process, not of a run: those that it recorded together count it each.
        lost=max(inner.lost for inner in tree.runs.values()),
    )


def _nodes(alignment: Alignment, differing: Iterable[Diverging]) -> list[NodeComparison]:
    sides: tuple[dict[str, list[NodeExecution]], dict[str, list[NodeExecution]]] = ({}, {})
    for side, tree in zip(sides, (alignment.old, alignment.new), strict=True):
        for node in tree.nodes[1:]:
            side.setdefault(node.node_id, []).append(node)
    missing = Counter(alignment.old.nodes[at].node_id for at in alignment.only_old)
    added = Counter(alignment.new.nodes[at].node_id for at in alignment.only_new)
    pairs: Counter[str] = Counter()
    fields: dict[str, dict[str, None]] = {}
    for one in differing:
        if one.new:  # the runs themselves are no node
            name = alignment.new.nodes[one.new].node_id
            pairs[name] += 1
            fields.setdefault(name, {}).update(dict.fromkeys(one.fields))
    found = []
    for name in [*sides[1], *(name for name in sides[0] if name not in sides[1])]:
        old, new = sides[0].get(name, []), sides[1].get(name, [])
        usages = [total_usage(node.usage for node in nodes) or Usage() for nodes in (old, new)]
        found.append(
            NodeComparison(
                node_id=name,
                old_executions=len(old),
                new_executions=len(new),
                differing=pairs[name],
                missing=missing[name],
                added=added[name],
                fields=list(fields.get(name, ())),
                duration_ns=measure(_duration(old), _duration(new)),
                input_tokens=measure(usages[0].input_tokens, usages[1].input_tokens),
                output_tokens=measure(usages[0].output_tokens, usages[1].output_tokens),
                cost_usd=measure(
                    total_cost([node.cost_usd for node in old]), total_cost([node.cost_usd for node in new])
                ),
            )
        )
    return found


def _duration(nodes: Sequence[NodeExecution]) -> int | None:
    known = [node.duration_ns for node in nodes if node.duration_ns is not None]
    return sum(known) if known else None
