"""Where the nodes of a graph stand when it is drawn in levels, and how the edges go between them.

After Sugiyama, Tagawa & Toda, IEEE Trans. SMC 1981: levels by longest path, waypoints for edges that pass levels,
rows ordered by the mean place of their neighbours, then moved as near to these as the widths allow.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

SWEEPS: Final = 8
MOST_WAYPOINTS: Final = 5_000
"""Beyond this, edges go straight: a drawing of that size is read by nobody."""
_WAYPOINT_WIDTH: Final = 12.0

Item = str | tuple[int, int]
"""A node, or a waypoint: the number of its edge and the level."""
Pair = tuple[str, str]


class Point(NamedTuple):
    """A place in the drawing."""

    x: float
    """Of the middle."""
    level: int


class Layout(NamedTuple):
    """Where everything is."""

    spots: dict[str, Point]
    routes: list[list[Point]]
    """For each edge, from its source to its target."""
    width: float
    level_count: int


def levels(names: Sequence[str], pairs: Sequence[Pair]) -> dict[str, int]:
    """Return for each node the length of the longest way to it; an edge that closes a circle does not count."""
    after: dict[str, list[str]] = {name: [] for name in names}
    waiting_for = dict.fromkeys(names, 0)
    for source, target in pairs:
        if source != target:
            after[source].append(target)
            waiting_for[target] += 1
    found = dict.fromkeys(names, 0)
    ready = [name for name in names if waiting_for[name] == 0]
    left = dict.fromkeys(names)
    while left:
        if not ready:
            ready.append(next(iter(left)))  # the first of a circle
        following = []
        for name in ready:
            if name not in left:
                continue
            del left[name]
            for target in after[name]:
                if target in left:
                    found[target] = max(found[target], found[name] + 1)
                    waiting_for[target] -= 1
                    if waiting_for[target] == 0:
                        following.append(target)
        ready = following
    return found


def lay_out(
    names: Sequence[str], pairs: Sequence[Pair], *, widths: Mapping[str, float], gap: float
) -> Layout:
    """Return where nodes and edges go.

    Args:
        names: all nodes.
        pairs: source and target of each edge.
        widths: of each node.
        gap: between two nodes of a row.
    """
    level = levels(names, pairs)
    level_count = max(level.values(), default=0) + 1
    rows: list[list[Item]] = [[] for _ in range(level_count)]
    for name in names:
        rows[level[name]].append(name)
    chains = _chains(pairs, level)
    for chain in chains:
        for item in chain:
            if isinstance(item, tuple):
                rows[item[1]].append(item)
    neighbours: dict[Item, list[Item]] = {item: [] for row in rows for item in row}
    for chain in chains:
        for one, other in itertools.pairwise(chain):
            if one != other:
                neighbours[one].append(other)
                neighbours[other].append(one)
    rank = {item: index for index, row in enumerate(rows) for item in row}
    _order(rows, neighbours, rank)
    x = _places(
        rows,
        neighbours,
        {item: widths.get(item, 0.0) if isinstance(item, str) else _WAYPOINT_WIDTH for item in rank},
        gap,
    )
    left = min((x[name] - widths[name] / 2 for name in names), default=0.0)
    right = max((x[name] + widths[name] / 2 for name in names), default=0.0)
    left = min([left, *x.values()], default=0.0)
    right = max([right, *x.values()], default=0.0)
    spot = {item: Point(x[item] - left, rank[item]) for item in rank}
    return Layout(
        {name: spot[name] for name in names},
        [[spot[item] for item in chain] for chain in chains],
        right - left,
        level_count,
    )


def _chains(pairs: Sequence[Pair], level: Mapping[str, int]) -> list[list[Item]]:
    """Return for each edge its source, its waypoints on the levels between, and its target."""
    passed = sum(max(0, level[target] - level[source] - 1) for source, target in pairs)
    chains: list[list[Item]] = []
    for index, (source, target) in enumerate(pairs):
        between = range(level[source] + 1, level[target]) if passed <= MOST_WAYPOINTS else ()
        chains.append([source, *((index, step) for step in between), target])
    return chains


def _order(rows: list[list[Item]], neighbours: Mapping[Item, list[Item]], rank: Mapping[Item, int]) -> None:
    """Sort every row by the mean place of what it is joined to in the row before, downwards and upwards in turn."""
    place = {item: float(index) for row in rows for index, item in enumerate(row)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            step = -1 if down else 1

            def wanted(item: Item, step: int = step) -> float:
                near = [place[other] for other in neighbours[item] if rank[other] == rank[item] + step]
                return sum(near) / len(near) if near else place[item]

            row.sort(key=wanted)
            place.update({item: float(index) for index, item in enumerate(row)})


def _places(
    rows: list[list[Item]], neighbours: Mapping[Item, list[Item]], widths: Mapping[Item, float], gap: float
) -> dict[Item, float]:
    """Return the middle of every item: near the mean of its neighbours, in the order of the row, without touching."""
    x: dict[Item, float] = {}
    for row in rows:
        edge = -(sum(widths[item] for item in row) + gap * (len(row) - 1)) / 2
        for item in row:
            x[item] = edge + widths[item] / 2
            edge += widths[item] + gap
    for _ in range(SWEEPS):
        for row in rows:
            near = [[x[other] for other in neighbours[item]] for item in row]
            wanted = [sum(xs) / len(xs) if xs else x[item] for item, xs in zip(row, near, strict=True)]
            apart = [(widths[one] + widths[other]) / 2 + gap for one, other in itertools.pairwise(row)]
            from_left, from_right = list(wanted), list(wanted)
            for index, distance in enumerate(apart):
                from_left[index + 1] = max(wanted[index + 1], from_left[index] + distance)
            for index in reversed(range(len(apart))):
                from_right[index] = min(wanted[index], from_right[index + 1] - apart[index])
            for item, one, other in zip(row, from_left, from_right, strict=True):
                x[item] = (one + other) / 2
    return x
