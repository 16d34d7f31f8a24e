"""Which execution of one run is which of another: two runs aligned as trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clew.analyze.run_tree import ROOT, Marks, RunTree, is_kept, join_runs, mark
from clew.analyze.siblings import Side, match_siblings

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from clew.model.trace import ExecutionTrace


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs as trees, and what corresponds to what. Executions are named by their position in their tree."""

    old: RunTree
    new: RunTree
    old_marks: Marks
    new_marks: Marks
    pairs: list[tuple[int, int]]
    """Positions in the old tree and in the new one, ascending in the new one. The first is of the runs themselves."""
    only_old: list[int]
    """Executions of the old run that the new one has none for, ascending. What lies in one is not counted whose outputs
    the other run kept of an earlier run."""
    only_new: list[int]
    """Executions of the new run that the old one has none for, ascending, likewise."""


def align(
    old: ExecutionTrace,
    new: ExecutionTrace,
    *,
    old_inner: Sequence[ExecutionTrace] = (),
    new_inner: Sequence[ExecutionTrace] = (),
) -> Alignment:
    """Align the executions of two runs from the top down: siblings of one name are paired by what they are and did.

    More rounds of a loop, further attempts, what was left out or added, and parallel branches that started in another
    order leave the rest aligned. So does a span that was put around others or taken away: its contents are looked for
    one level further in. A pair says that two executions correspond, not that they did the same.

    Args:    old_inner, new_inner: the runs inside each, at any depth.
    Returns: the same pairs, turned round, for `align(new, old)`.
    Linear where the runs are equal; otherwise as in `match_siblings`, for each group of siblings.
    """
    ours, theirs = join_runs(old, old_inner), join_runs(new, new_inner)
    sides = Side(ours, mark(ours)), Side(theirs, mark(theirs))
    matching = _Matching(*sides)
    matching.run()
    partners = matching.partners
    return Alignment(
        old=ours,
        new=theirs,
        old_marks=sides[0].marks,
        new_marks=sides[1].marks,
        pairs=sorted(partners[0].items(), key=lambda pair: pair[1]),
        only_old=_only(ours, theirs, partners[0]),
        only_new=_only(theirs, ours, partners[1]),
    )


def _only(tree: RunTree, other: RunTree, partners: Mapping[int, int]) -> list[int]:
    """Return what has no partner, without what led to outputs that the other run kept: that has nothing to compare."""
    passed = {at for at, partner in partners.items() if is_kept(other, partner) and not is_kept(tree, at)}
    # The runs of a branch lie beside its node, which they name.
    branches = {(tree.parents[at], tree.nodes[at].node_id) for at in passed}
    for at in tree.order:
        if at in partners:
            continue
        of_branch = at in tree.runs and (tree.parents[at], tree.runs[at].attributes.get("node")) in branches
        if of_branch or tree.parents[at] in passed:
            passed.add(at)
    return [at for at in range(len(tree.nodes)) if at not in partners and at not in passed]


class _Matching:
    """The pairs found so far. A worklist in place of recursion, since runs nest as deep as they like."""

    def __init__(self, old: Side, new: Side) -> None:
        self._old = old
        self._new = new
        self.partners: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """Of each matched execution the one of the other side."""

    def run(self) -> None:
        """Match everything, beginning with the runs themselves."""
        self._keep([(ROOT, ROOT)])
        waiting = [(ROOT, ROOT)]
        while waiting:
            one, other = waiting.pop()
            olds = [at for at in self._old.tree.children[one] if at not in self.partners[0]]
            news = [at for at in self._new.tree.children[other] if at not in self.partners[1]]
            if not olds or not news:
                continue
            found = match_siblings(self._old, self._new, olds=olds, news=news)
            self._keep(found)
            if len(found) < len(olds) and len(found) < len(news):
                found += self._further_in(olds, news)
            waiting += found

    def _keep(self, pairs: Sequence[tuple[int, int]]) -> None:
        self.partners[0].update(pairs)
        self.partners[1].update((other, one) for one, other in pairs)

    def _further_in(self, olds: list[int], news: list[int]) -> list[tuple[int, int]]:
        """Pair what was left on one side with what lies inside of what was left on the other.

        Where both ways round something is found, as where two spans changed places, the second way is only looked
        for in what the first has not touched. Which is the first depends on what the executions hold, not on the side.
        """
        olds = [at for at in olds if at not in self.partners[0]]
        news = [at for at in news if at not in self.partners[1]]
        names = [
            sorted(side.marks.whole[at] for at in tops)
            for side, tops in ((self._old, olds), (self._new, news))
        ]
        found: list[tuple[int, int]] = []
        for inside_new in (True, False) if names[0] <= names[1] else (False, True):
            if inside_new:
                inside = _inside(self._new, news, named_as=(self._old, olds), matched=self.partners[1])
                pairs = match_siblings(self._old, self._new, olds=olds, news=sorted(inside))
                touched = {inside[other] for _, other in pairs}
            else:
                inside = _inside(self._old, olds, named_as=(self._new, news), matched=self.partners[0])
                pairs = match_siblings(self._old, self._new, olds=sorted(inside), news=news)
                touched = {inside[one] for one, _ in pairs}
            self._keep(pairs)
            found += pairs
            olds = [at for at in olds if at not in self.partners[0] and (inside_new or at not in touched)]
            news = [at for at in news if at not in self.partners[1] and (not inside_new or at not in touched)]
        return found


def _inside(
    side: Side, tops: list[int], *, named_as: tuple[Side, list[int]], matched: Container[int]
) -> dict[int, int]:
    """Return the outermost executions in some others that have a name of the other side's, each with its outermost.

    What lies in an execution that is found now, or was before, is left for its own turn: nothing is walked through
    twice, and it does not matter whose turn comes first.
    """
    wanted = {named_as[0].tree.nodes[at].node_id for at in named_as[1]}
    tree = side.tree
    found: dict[int, int] = {}
    waiting = [(child, top) for top in tops for child in tree.children[top]]
    while wanted and waiting:
        at, top = waiting.pop()
        if at in matched:
            continue
        if tree.nodes[at].node_id in wanted:
            found[at] = top
        else:
            waiting += [(child, top) for child in tree.children[at]]
    return found
