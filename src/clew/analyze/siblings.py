"""Which executions of one node, under one parent, correspond to which of another run."""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from clew.analyze.run_tree import Marks, RunTree
    from clew.model.records import NodeExecution

Pair = tuple[int, int]

_FEW_CELLS: Final = 2_000
_CELLS_AN_EXECUTION: Final = 16
"""Bounds on weighing every execution against every other: what is larger is paired in order."""
_DESCENDANTS_WEIGHED: Final = 64


class Side(msgspec.Struct, frozen=True):
    """One of the two runs."""

    tree: RunTree
    marks: Marks


def match_siblings(old: Side, new: Side, *, olds: Sequence[int], news: Sequence[int]) -> list[Pair]:
    """Return pairs of positions that correspond: those of one node_id, each at most once.

    Equal subtrees first, in whatever order they started, then those with the same round and attempt, then those that
    were given the same, then by likeness in order. The result is the same when the sides are exchanged.

    Args: olds, news: positions of siblings in start order.
    Linear where the two are equal, else O(n log n); likeness costs O(n * m) within bounds.
    """
    if _names(old, olds) == _names(new, news):
        return list(zip(olds, news, strict=True))
    groups: dict[str, tuple[list[int], list[int]]] = {}
    for number, (side, positions) in enumerate(((old, olds), (new, news))):
        for at in positions:
            groups.setdefault(side.tree.nodes[at].node_id, ([], []))[number].append(at)
    pairs: list[Pair] = []
    for of_old, of_new in groups.values():
        if not of_old or not of_new:
            continue
        # A choice between equals depends on which side comes first. So that is settled by what they hold.
        if (len(of_old), _names(old, of_old)) <= (len(of_new), _names(new, of_new)):
            pairs += _Group(old, new).match(of_old, of_new)
        else:
            pairs += [(one, other) for other, one in _Group(new, old).match(of_new, of_old)]
    return pairs


def _names(side: Side, positions: Sequence[int]) -> list[str]:
    return [side.marks.whole[at] for at in positions]


class _Group:
    """The executions of one node under one parent, on both sides. The first side has no more than the second."""

    def __init__(self, first: Side, second: Side) -> None:
        self._first = first
        self._second = second

    def match(self, few: list[int], many: list[int]) -> list[Pair]:
        """Return the pairs."""
        found, few, many = self._equal_ends(few, many)
        if not few or not many:
            return found
        in_turn = not (overlap(self._first.tree, few) or overlap(self._second.tree, many))
        places = ({at: n for n, at in enumerate(few)}, {at: n for n, at in enumerate(many)})
        for names, only_single in (
            (_whole, False),
            (_round, True),
            (_given, True),
        ):
            pairs = self._by_name(few, many, names=names, only_single=only_single)
            found += pairs
            few, many = _without(few, many, pairs)
        if not in_turn:
            return found + self._by_likeness(few, many)
        # What ran one after the other keeps its place between those that are known to belong together.
        anchors = sorted(
            (places[0][one], places[1][other])
            for one, other in found
            if one in places[0] and other in places[1]
        )
        for part in _between(few, many, places=places, anchors=longest_ascent(anchors)):
            found += self._by_likeness(*part)
        return found

    def _equal_ends(self, few: list[int], many: list[int]) -> tuple[list[Pair], list[int], list[int]]:
        ours, theirs = self._first.marks.whole, self._second.marks.whole
        start, shorter = 0, min(len(few), len(many))
        while start < shorter and ours[few[start]] == theirs[many[start]]:
            start += 1
        tail = 0
        while tail < shorter - start and ours[few[-1 - tail]] == theirs[many[-1 - tail]]:
            tail += 1
        ends = (len(few) - tail, len(many) - tail)
        pairs = list(zip(few[:start] + few[ends[0] :], many[:start] + many[ends[1] :], strict=True))
        return pairs, few[start : ends[0]], many[start : ends[1]]

    def _by_name(
        self,
        few: list[int],
        many: list[int],
        *,
        names: Callable[[Side, int], Hashable],
        only_single: bool,
    ) -> list[Pair]:
        """Pair executions of one name, the first with the first; `only_single`: names that one on each side has."""
        ours: dict[Hashable, list[int]] = {}
        theirs: dict[Hashable, list[int]] = {}
        for side, positions, by_name in ((self._first, few, ours), (self._second, many, theirs)):
            for at in positions:
                by_name.setdefault(names(side, at), []).append(at)
        ours.pop(None, None)
        return [
            pair
            for name, found in ours.items()
            if name in theirs and not (only_single and len(found) + len(theirs[name]) > 2)
            for pair in zip(found, theirs[name], strict=False)
        ]

    def _by_likeness(self, few: list[int], many: list[int]) -> list[Pair]:
        """Pair all of the smaller side with some of the other, in order, so that as much as possible is alike.

        The edit distance without deletions on the smaller side: O(few * (many - few)), and linear where there are as
        many on both sides.
        """
        if len(few) > len(many):
            return [(one, other) for other, one in _Group(self._second, self._first)._by_likeness(many, few)]
        spare = len(many) - len(few)
        cells = len(few) * (spare + 1)
        if not spare or not few or cells > max(_FEW_CELLS, _CELLS_AN_EXECUTION * (len(few) + len(many))):
            return list(zip(few, many, strict=False))
        likeness = _Likeness(self._first, self._second)
        best = [0] * (spare + 1)
        ways: list[list[bool]] = []
        for row, one in enumerate(few):
            # best[gap]: of the first `row` on one side, and the first `row + gap` on the other.
            taken = [best[gap] + likeness(one, many[row + gap]) for gap in range(spare + 1)]
            way = [True] * (spare + 1)
            for gap in range(1, spare + 1):
                if taken[gap - 1] >= taken[gap]:  # of equals the later is the one too many
                    taken[gap] = taken[gap - 1]
                    way[gap] = False
            best = taken
            ways.append(way)
        pairs: list[Pair] = []
        gap = spare
        for row in range(len(few) - 1, -1, -1):
            while not ways[row][gap]:
                gap -= 1
            pairs.append((few[row], many[row + gap]))
        return pairs


class _Likeness:
    """How much two executions have in common, as a number that is only good for comparing."""

    def __init__(self, first: Side, second: Side) -> None:
        self._first = first
        self._second = second
        self._below: tuple[dict[int, frozenset[str]], dict[int, frozenset[str]]] = ({}, {})

    def __call__(self, one: int, other: int) -> int:
        first, second = self._first, self._second
        points = 8 * (first.marks.given[one] == second.marks.given[other])
        points += 4 * (first.marks.content[one] == second.marks.content[other])
        points += first.tree.nodes[one].status == second.tree.nodes[other].status
        ours = self._descendants(0, first, one)
        theirs = self._descendants(1, second, other)
        if ours or theirs:
            points += 16 * len(ours & theirs) // max(len(ours), len(theirs))
        return points

    def _descendants(self, number: int, side: Side, at: int) -> frozenset[str]:
        found = self._below[number].get(at)
        if found is None:
            found = frozenset(islice(_contents_below(side, at), _DESCENDANTS_WEIGHED))
            self._below[number][at] = found
        return found


def _contents_below(side: Side, at: int) -> Iterable[str]:
    waiting = list(side.tree.children[at])
    for position in waiting:
        yield side.marks.content[position]
        waiting += side.tree.children[position]


def _whole(side: Side, at: int) -> Hashable:
    return side.marks.whole[at]


def _given(side: Side, at: int) -> Hashable:
    node = side.tree.nodes[at]
    return side.marks.given[at] if node.inputs is not None or node.attributes else None


def _round(side: Side, at: int) -> Hashable:
    node = side.tree.nodes[at]
    found = (iteration_of(node), attempt_of(node))
    return None if found == (None, None) else found


def iteration_of(node: NodeExecution) -> str | None:
    """Return the round of a loop that an execution is of, from its record or its tags."""
    return _text(node.attributes.get("iteration") if node.iteration is None else node.iteration)


def attempt_of(node: NodeExecution) -> str | None:
    """Return which try an execution is, from its record or its tags."""
    return _text(node.attributes.get("attempt") if node.attempt is None else node.attempt)


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int | float) else None


def overlap(tree: RunTree, positions: Sequence[int]) -> bool:
    """Tell whether some of these ran at the same time."""
    times = [_times(tree.nodes[at]) for at in positions]
    known = sorted(time for time in times if time is not None)
    return any(start < end for (_, end), (start, _) in pairwise(known))


def _times(node: NodeExecution) -> tuple[datetime, datetime] | None:
    if node.started_at is None or node.ended_at is None:
        return None
    return node.started_at, node.ended_at


def _without(few: list[int], many: list[int], pairs: list[Pair]) -> tuple[list[int], list[int]]:
    ours, theirs = {one for one, _ in pairs}, {other for _, other in pairs}
    return [at for at in few if at not in ours], [at for at in many if at not in theirs]


def _between(
    few: list[int],
    many: list[int],
    *,
    places: tuple[dict[int, int], dict[int, int]],
    anchors: list[Pair],
) -> list[tuple[list[int], list[int]]]:
    """Return what lies between the anchors on both sides, where there is something on both."""
    parts: dict[int, tuple[list[int], list[int]]] = {}
    for number, positions in enumerate((few, many)):
        starts = [anchor[number] for anchor in anchors]
        for at in positions:
            parts.setdefault(bisect_left(starts, places[number][at]), ([], []))[number].append(at)
    return [part for part in parts.values() if part[0] and part[1]]


def longest_ascent(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the longest subsequence whose second members ascend. Patience sorting, O(n log n)."""
    ends: list[int] = []
    end_at: list[int] = []
    previous: list[int] = []
    for at, (_, value) in enumerate(pairs):
        pile = bisect_left(ends, value)
        previous.append(end_at[pile - 1] if pile else -1)
        ends[pile : pile + 1] = [value]
        end_at[pile : pile + 1] = [at]
    ascent: list[Pair] = []
    at = end_at[-1] if end_at else -1
    while at >= 0:
        ascent.append(pairs[at])
        at = previous[at]
    return ascent[::-1]
