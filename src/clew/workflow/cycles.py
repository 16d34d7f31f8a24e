"""Circles in a graph of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def circles(names: Iterable[str], ways: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return one circle for each part of a graph that goes round, as its nodes in order, without the first again.

    Args:
        names: all nodes.
        ways: where each node leads to; each of these is a node.

    O(nodes + edges). What leads into no circle is taken away first (Kahn, CACM 1962), then what no circle leads to.
    """
    forward = {name: set(ways.get(name, ())) for name in names}
    backward: dict[str, set[str]] = {name: set() for name in forward}
    for name, targets in forward.items():
        for target in targets:
            backward[target].add(name)
    left = _without_ends(_without_ends(set(forward), forward, backward), backward, forward)
    found = []
    for name in forward:
        if name in left:
            circle = _walk(name, forward, left)
            if circle:
                found.append(circle)
    return found


def _without_ends(left: set[str], ways: Mapping[str, set[str]], back: Mapping[str, set[str]]) -> set[str]:
    """Take away, again and again, the nodes that lead nowhere."""
    left = set(left)
    count = {name: len(ways[name] & left) for name in left}
    ends = [name for name, number in count.items() if number == 0]
    while ends:
        end = ends.pop()
        left.discard(end)
        for before in back[end] & left:
            count[before] -= 1
            if count[before] == 0:
                ends.append(before)
    return left


def _walk(start: str, forward: Mapping[str, set[str]], left: set[str]) -> list[str]:
    """Walk on from a node until one comes again; what was walked over is taken out of `left`."""
    path: dict[str, int] = {}
    order: list[str] = []
    name = start
    while name not in path:
        path[name] = len(order)
        order.append(name)
        following = sorted(forward[name] & left)
        if not following:
            break
        name = next((target for target in following if target in path), following[0])
    else:
        left.difference_update(order)
        return order[path[name] :]
    left.difference_update(order)
    return []
