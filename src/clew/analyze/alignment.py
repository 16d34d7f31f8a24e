"""Which execution of one run is which of another: two runs aligned as trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clew.analyze.run_tree import ROOT, Marks, RunTree, join_runs, mark
from clew.analyze.siblings import Side, match_siblings

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

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
    """Executions of the old run that the new one has none for, ascending."""
    only_new: list[int]
    """Executions of the new run that the old one has none for, ascending."""


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
        only_old=[at for at in range(len(ours.nodes)) if at not in partners[0]],
        only_new=[at for at in range(len(theirs.nodes)) if at not in partners[1]],
    )


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
        """Pair what was left on one side with what lies inside of what was left on the other."""
        olds = [at for at in olds if at not in self.partners[0]]
        news = [at for at in news if at not in self.partners[1]]
        wanted_new = {self._old.tree.nodes[at].node_id for at in olds}
        wanted_old = {self._new.tree.nodes[at].node_id for at in news}
        inside_old = _inside(self._old.tree, olds, wanted=wanted_old, matched=self.partners[0])
        inside_new = _inside(self._new.tree, news, wanted=wanted_new, matched=self.partners[1])
        found: list[tuple[int, int]] = []
        if inside_new:
            found += match_siblings(self._old, self._new, olds=olds, news=inside_new)
        if inside_old:
            found += match_siblings(self._old, self._new, olds=inside_old, news=news)
        self._keep(found)
        return found


def _inside(tree: RunTree, tops: list[int], *, wanted: set[str], matched: Container[int]) -> list[int]:
    """Return the outermost executions with a wanted name that lie in some others, in start order.

    What lies in an execution that is found now, or was before, is left for its own turn: nothing is walked through
    twice, and it does not matter whose turn comes first.
    """
    found: list[int] = []
    waiting = [child for top in tops for child in tree.children[top]]
    while waiting:
        at = waiting.pop()
        if at in matched:
            continue
        if tree.nodes[at].node_id in wanted:
            found.append(at)
        else:
            waiting += tree.children[at]
    return sorted(found)
