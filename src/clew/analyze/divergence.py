"""Where two aligned runs differ: which executions, in which fields, and which of it came first."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from clew.analyze.changes import Change, Measure, changes, measure
from clew.analyze.run_tree import ROOT, RunTree, is_kept, run_facts, telling_tags, what_it_did
from clew.analyze.siblings import attempt_of, iteration_of, longest_ascent, overlap
from clew.model.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.analyze.alignment import Alignment
    from clew.model.trace import ExecutionTrace

_AT_THE_START: Final = ("kind", "definition", "params", "inputs", "attributes")
"""Fields that are known when an execution begins. A tag that was set later is taken for one given then."""
_OF_ITS_OWN: Final = frozenset({"inputs", "model", "attributes", "metrics", "tools"})
"""Fields that tell how an execution came to its outputs."""
_STARTED: Final = "workflow_started"
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

Moment = tuple[datetime, str, int, int, int]
"""Time, writer, number, whether it is a start, and depth, so that what lies further in ends first."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field in which two executions differ."""

    field: str
    """status, error, definition, inputs, outputs, model, attributes, metrics, tools, skip, kind; of a run also params,
    exit_code and final_state."""
    changes: list[Change]
    """The places, in the order of the patch."""
    left_out: int
    """Places beyond those listed."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Which execution is meant, in words that a person knows it by."""

    node_id: str
    """Name of the node, or of the run."""
    is_run: bool
    """Whether it is a run, not an execution of a node."""
    iteration: str | None
    """Round of a loop."""
    attempt: str | None
    """1 for the first try."""
    occurrence: int
    """Which of its node's executions under the same parent, from 1."""
    occurrences: int
    """How many those are."""


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """Two executions that correspond and differ, or one that the other run has none for."""

    what: Literal["differs", "missing", "added"]
    """`missing`: only the old run has it; `added`: only the new one."""
    place: Place
    """Which execution it is; where both runs have it, in the new one."""
    path: list[Place]
    """What is around it, outermost first, the run itself left out."""
    executions: int
    """Of a missing or added one: how many are missing or added with it, itself included; else 1."""
    old_run_id: str | None
    """The run that the old one is in; None where there is none, as for the three below."""
    new_run_id: str | None
    old_index: int | None
    """Position in `ExecutionTrace.nodes`; -1 for a run."""
    new_index: int | None
    differences: list[Difference]
    """By field, those that were known when it began first; nothing of a missing or added one."""
    duration_ns: Measure
    """Monotonic clock."""
    input_tokens: Measure
    output_tokens: Measure
    cost_usd: Measure


class Diverging(msgspec.Struct):
    """A divergence before it is described: of thousands a few are."""

    what: Literal["differs", "missing", "added"]
    old: int | None
    new: int | None
    at: tuple[Moment, int, int]
    executions: int = 1
    fields: dict[str, tuple[Any, Any]] = {}


def find_divergences(alignment: Alignment) -> list[Diverging]:
    """Return what differs, in the time of the new run.

    What differs from its start on counts then, and what differs at its end only when it ended: the node that gave
    another answer comes before what it is a part of. What only the old run has comes behind what preceded it there.
    O(n log n), and the size of the payloads that differ.
    """
    found = _differing(alignment) + _Unmatched(alignment).found()
    return sorted(found, key=lambda one: one.at)


def _differing(alignment: Alignment) -> list[Diverging]:
    depths = alignment.new.depths()
    found = []
    for one, other in alignment.pairs:
        if alignment.old_marks.content[one] == alignment.new_marks.content[other]:
            continue
        fields = _fields(alignment, one, other)
        if fields:
            early = _differ_at_the_start(alignment, one, other, fields=fields)
            at = _moment(alignment.new, other, depths[other], is_start=early)
            found.append(Diverging("differs", one, other, (at, 0, other), fields=fields))
    return found


def _fields(alignment: Alignment, one: int, other: int) -> dict[str, tuple[Any, Any]]:
    old, new = what_it_did(alignment.old, one), what_it_did(alignment.new, other)
    if one in alignment.old.runs and other in alignment.new.runs:
        old |= run_facts(alignment.old.runs[one])
        new |= run_facts(alignment.new.runs[other])
    names = sorted(old, key=lambda field: field not in _AT_THE_START)
    if is_kept(alignment.old, one) != is_kept(alignment.new, other):
        names = [field for field in names if field not in _OF_ITS_OWN]
    return {field: (old[field], new[field]) for field in names if changes(old[field], new[field])}


def _differ_at_the_start(
    alignment: Alignment, one: int, other: int, *, fields: dict[str, tuple[Any, Any]]
) -> bool:
    early = [field for field in fields if field in _AT_THE_START]
    if early != ["attributes"] or other not in alignment.new.runs or one not in alignment.old.runs:
        return bool(early)
    # Of a run, but not of a node, the log still tells its tags at the start from those that were set later.
    return bool(changes(_given_tags(alignment.old.runs[one]), _given_tags(alignment.new.runs[other])))


def _given_tags(run: ExecutionTrace) -> dict[str, Any]:
    start = next((event for event in run.boundaries if event.event == _STARTED), None)
    tags = None if start is None else start.values().get("attributes")
    return telling_tags(tags, run) if isinstance(tags, dict) else {}


def _moment(tree: RunTree, position: int, depth: int, *, is_start: bool) -> Moment:
    """Return when an execution began or ended, as something to sort by: time, then writer, then number."""
    node = tree.nodes[position]
    if is_start:
        time = node.started_at or node.ended_at or _LONG_AGO
        return time, node.writer or "", node.seq or 0, 1, depth
    last = tree.run_of[position].last_event_at
    time = node.ended_at or last or node.started_at or _LONG_AGO
    return time, node.end_writer or node.writer or "", node.end_seq or node.seq or 0, 0, -depth


class _Unmatched:
    """What only one of the runs has. What the old one has is placed behind what preceded it there."""

    def __init__(self, alignment: Alignment) -> None:
        self._alignment = alignment
        self._depths = (alignment.old.depths(), alignment.new.depths())

    def found(self) -> list[Diverging]:
        """Return the outermost of them."""
        alignment = self._alignment
        added = [
            Diverging("added", None, at, (self._when(1, at, is_start=True), 0, at), executions=count)
            for at, count in _outermost(alignment.new, alignment.only_new)
        ]
        return added + self._missing()

    def _when(self, side: Literal[0, 1], at: int, *, is_start: bool) -> Moment:
        tree = self._alignment.new if side else self._alignment.old
        return _moment(tree, at, self._depths[side][at], is_start=is_start)

    def _missing(self) -> list[Diverging]:
        alignment = self._alignment
        if not alignment.only_old:
            return []
        known = sorted(
            (self._when(0, one, is_start=is_start), self._when(1, other, is_start=is_start))
            for one, other in alignment.pairs
            for is_start in (True, False)
        )
        olds = [old for old, _ in known]
        found = []
        for at, count in _outermost(alignment.old, alignment.only_old):
            before = bisect_right(olds, self._when(0, at, is_start=True)) - 1
            found.append(Diverging("missing", at, None, (known[max(0, before)][1], 1, at), executions=count))
        return found


def _outermost(tree: RunTree, only: Sequence[int]) -> list[tuple[int, int]]:
    """Return those that lie in none of the others, and of how many each is the outermost."""
    unmatched = set(only)
    top: dict[int, int] = {}
    for at in tree.order:
        if at in unmatched:
            top[at] = top.get(tree.parents[at], at)
    return sorted(Counter(top.values()).items())


def count_reordered(alignment: Alignment) -> int:
    """Return how many executions ran one after the other in both runs, in another order. O(n log n)."""
    old, new = alignment.old, alignment.new
    partners = {other: one for one, other in alignment.pairs}
    count = 0
    for one, other in alignment.pairs:
        news = [at for at in new.children[other] if at in partners and old.parents[partners[at]] == one]
        places = {at: place for place, at in enumerate(old.children[one])}
        order = [places[partners[at]] for at in news]
        if all(before < after for before, after in pairwise(order)):
            continue
        if not overlap(old, old.children[one]) and not overlap(new, new.children[other]):
            count += len(order) - len(longest_ascent(list(enumerate(order))))
    return count


class Describing:
    """Makes the records of a comparison."""

    def __init__(self, alignment: Alignment, *, most_changes: int | None) -> None:
        self._alignment = alignment
        self._most = most_changes
        self._counts: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}

    def __call__(self, found: Diverging) -> Divergence:
        old_tree, new_tree = self._alignment.old, self._alignment.new
        old = None if found.old is None else old_tree.nodes[found.old]
        new = None if found.new is None else new_tree.nodes[found.new]
        tree, position = (new_tree, found.new) if found.new is not None else (old_tree, found.old)
        assert position is not None
        usages = [(None if side is None else side.usage) or Usage() for side in (old, new)]
        return Divergence(
            what=found.what,
            place=self._place(tree, position),
            path=[self._place(tree, around) for around in tree.ancestors(position)],
            executions=found.executions,
            old_run_id=None if found.old is None else old_tree.run_of[found.old].run_id,
            new_run_id=None if found.new is None else new_tree.run_of[found.new].run_id,
            old_index=None if old is None else old.index,
            new_index=None if new is None else new.index,
            differences=[self._difference(field, values) for field, values in found.fields.items()],
            duration_ns=measure(
                None if old is None else old.duration_ns, None if new is None else new.duration_ns
            ),
            input_tokens=measure(usages[0].input_tokens, usages[1].input_tokens),
            output_tokens=measure(usages[0].output_tokens, usages[1].output_tokens),
            cost_usd=measure(None if old is None else old.cost_usd, None if new is None else new.cost_usd),
        )

    def _place(self, tree: RunTree, position: int) -> Place:
        node = tree.nodes[position]
        occurrence, occurrences = (1, 1) if position == ROOT else self._siblings(tree, position)
        return Place(
            node_id=node.node_id,
            is_run=position in tree.runs,
            iteration=iteration_of(node),
            attempt=attempt_of(node),
            occurrence=occurrence,
            occurrences=occurrences,
        )

    def _siblings(self, tree: RunTree, position: int) -> tuple[int, int]:
        """Return which of its node's executions under the same parent it is, from 1, and how many those are."""
        parent = tree.parents[position]
        key = (id(tree), parent)
        if key not in self._counts:
            by_name: dict[str, list[int]] = {}
            for at in tree.children[parent]:
                by_name.setdefault(tree.nodes[at].node_id, []).append(at)
            self._counts[key] = {
                at: (number, len(alike)) for alike in by_name.values() for number, at in enumerate(alike, 1)
            }
        return self._counts[key][position]

    def _difference(self, field: str, values: tuple[Any, Any]) -> Difference:
        every = changes(*values)
        listed = every if self._most is None else every[: self._most]
        return Difference(field=field, changes=listed, left_out=len(every) - len(listed))
