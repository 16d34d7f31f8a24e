"""Who called whom: the executions of a run as a tree, whatever the log has lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.model.records import NodeExecution

NO_PARENT: Final = -1


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """Executions by position in the sequence that `build_tree` was given."""

    parents: list[int]
    """(n,) position of each execution's parent, -1 at the top."""
    children: dict[int, list[int]]
    """Positions of the children, in the order given; -1 has those at the top; who has none is not a key."""
    order: list[int]
    """(n,) every position, parents before their children."""
    orphans: frozenset[int]
    """Those at the top whose parent is named but is not among the executions."""

    def depths(self) -> list[int]:
        """Return how many executions each one lies in."""
        depths = [0] * len(self.parents)
        for position in self.order:
            parent = self.parents[position]
            if parent != NO_PARENT:
                depths[position] = depths[parent] + 1
        return depths

    def ancestors(self, position: int) -> list[int]:
        """Return the executions around one, outermost first."""
        chain: list[int] = []
        parent = self.parents[position]
        while parent != NO_PARENT:
            chain.append(parent)
            parent = self.parents[parent]
        return chain[::-1]


def build_tree(nodes: Sequence[NodeExecution]) -> Tree:
    """Return the tree of some executions.

    An execution whose parent is missing stands at the top as an orphan. So does the first of a circle, which only
    a foreign or damaged log has. O(n).
    """
    by_span: dict[str, int] = {}
    for position, node in enumerate(nodes):
        if node.span_id is not None:
            by_span.setdefault(node.span_id, position)
    parents = [NO_PARENT] * len(nodes)
    children: dict[int, list[int]] = {}
    orphans: set[int] = set()
    for position, node in enumerate(nodes):
        if node.parent_id is None:
            parent = NO_PARENT
        else:
            parent = by_span.get(node.parent_id, NO_PARENT)
            if parent in (NO_PARENT, position):
                parent = NO_PARENT
                orphans.add(position)
        parents[position] = parent
        children.setdefault(parent, []).append(position)
    order = _walk(children.get(NO_PARENT, []), children)
    if len(order) < len(nodes):
        orphans |= _cut_circles(parents, children, order)
    return Tree(parents=parents, children=children, order=order, orphans=frozenset(orphans))


def _walk(tops: list[int], children: dict[int, list[int]]) -> list[int]:
    order: list[int] = []
    waiting = tops[::-1]
    while waiting:
        position = waiting.pop()
        order.append(position)
        below = children.get(position)
        if below:
            waiting.extend(reversed(below))
    return order


def _cut_circles(parents: list[int], children: dict[int, list[int]], order: list[int]) -> set[int]:
    """Put one execution of each circle at the top; `parents`, `children` and `order` are completed in place."""
    reached = set(order)
    cut: set[int] = set()
    for position in range(len(parents)):
        if position in reached:
            continue
        first = _member_of_circle(position, parents)
        children[parents[first]].remove(first)
        parents[first] = NO_PARENT
        children.setdefault(NO_PARENT, []).append(first)
        found = _walk([first], children)
        order.extend(found)
        reached.update(found)
        cut.add(first)
    return cut


def _member_of_circle(position: int, parents: list[int]) -> int:
    """Return the earliest execution of the circle that `position` hangs on."""
    seen: set[int] = set()
    while position not in seen:
        seen.add(position)
        position = parents[position]
    members = [position]
    following = parents[position]
    while following != position:
        members.append(following)
        following = parents[following]
    return min(members)
