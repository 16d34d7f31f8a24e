"""The difference of two JSON documents, as RFC 6902 operations.

A document is what `msgspec.json.decode` returns: dict with str keys, list, str, int, float, bool, None. Two values are
the same here only if their JSON text is the same, so True, 1 and 1.0 are three values, and -0.0 is not 0.0.
"""

import math
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Hashable
from typing import Any, TypeAlias

import msgspec

from clew.errors import PatchError

Operation: TypeAlias = dict[str, Any]
Patch: TypeAlias = list[Operation]

# Above this depth an unchanged branch is skipped by one comparison in C, below it every node is visited once (and a
# changed list is replaced whole): each node is then compared a bounded number of times, however deep a document is.
_SKIPPING_DEPTH = 32
_IDENTITY_FIELDS = ("id", "key", "name")
# An operation costs some 40 bytes and an element of a list at least 2, so a whole value cannot be cheaper than its
# patch before one element in this many has changed; until then nobody needs to weigh the two.
_WEIGH_FROM_SHARE = 16
_SCALARS = (str, int, float, bool, type(None))

_UNWRITABLE = (
    TypeError,
    ValueError,
    RecursionError,
    msgspec.MsgspecError,
)  # what JSON text cannot be made of
_encode = msgspec.json.Encoder(order="deterministic").encode


def diff(before: Any, after: Any) -> Patch:
    """Return operations (add, remove, replace) that turn one document into the other, exactly.

    The values in the operations are parts of `after`, not copies. Lists of objects with a unique `id`, `key` or `name`
    are matched by it, other lists by their equal elements. A part is replaced whole where that takes fewer bytes.
    O(n log n) in the size of the documents; nesting too deep for the interpreter gives one replacement of everything.

    Raises: PatchError: a key is not a string.
    """
    try:
        return _Comparison().run(before, after)
    except RecursionError:
        return [_replace("", after)]


class _Comparison:
    """One run of `diff`: a worklist in place of recursion, since a document may nest as deep as the interpreter."""

    def __init__(self) -> None:
        self._edits: Patch = []
        """Keep every list at its length, so their paths hold as long as no list has been resized."""
        self._resizes: list[Patch] = []
        """One group a list, outer before inner; performed backwards, so that paths through an outer list still hold."""
        self._todo: deque[tuple[str, int, Any, Any]] = deque()

    def run(self, before: Any, after: Any) -> Patch:
        self._todo.append(("", 0, before, after))
        while self._todo:
            path, depth, old, new = self._todo.popleft()
            if not _both_containers(old, new):
                if not _same(old, new):
                    self._edits.append(_replace(path, new))
            elif type(old) is dict:
                self._compare_objects(path, depth, old, new)
            elif depth < _SKIPPING_DEPTH:
                self._compare_lists(path, depth, old, new)
            elif not _same(old, new):
                self._edits.append(_replace(path, new))
        for group in reversed(self._resizes):
            self._edits.extend(group)
        return self._edits

    def _compare_objects(self, path: str, depth: int, old: dict[str, Any], new: dict[str, Any]) -> None:
        edits = [_remove(f"{path}/{_escape(key)}") for key in old if key not in new]
        inner: list[tuple[str, int, Any, Any]] = []
        for key, value in new.items():
            if key not in old:
                edits.append(_add(f"{path}/{_escape(key)}", value))
            elif _both_containers(old[key], value):
                if depth >= _SKIPPING_DEPTH or not _same(old[key], value):
                    inner.append((f"{path}/{_escape(key)}", depth + 1, old[key], value))
            elif not _same(old[key], value):
                edits.append(_replace(f"{path}/{_escape(key)}", value))
        if depth < _SKIPPING_DEPTH and _whole_is_smaller(edits, path, new):
            self._edits.append(_replace(path, new))
            return
        self._edits.extend(edits)
        self._todo.extend(inner)

    def _compare_lists(self, path: str, depth: int, old: list[Any], new: list[Any]) -> None:
        pairs, removed, added, kept = _align(old, new)
        edits: Patch = []
        inner: list[tuple[str, int, Any, Any]] = []
        for i, j in pairs:
            if _same(old[i], new[j]):
                continue
            if _both_containers(old[i], new[j]):
                inner.append((f"{path}/{i}", depth + 1, old[i], new[j]))
            else:
                edits.append(_replace(f"{path}/{i}", new[j]))
        resizes = [_remove(f"{path}/{i}") for i in reversed(removed)]
        resizes += [_add(f"{path}/-" if j >= kept else f"{path}/{j}", new[j]) for j in added]
        if _whole_is_smaller(edits + resizes, path, new):
            self._edits.append(_replace(path, new))
            return
        self._edits.extend(edits)
        if resizes:
            self._resizes.append(resizes)
        self._todo.extend(inner)


def _align(old: list[Any], new: list[Any]) -> tuple[list[tuple[int, int]], list[int], list[int], int]:
    """Return the index pairs to compare, the old indexes to remove, the new ones to add, and the end of what is kept.

    All ascending. Equal elements at both ends are in none of them. New elements from the last on are appended.
    """
    shorter = min(len(old), len(new))
    # A list that only grew is known by one comparison, which is several times faster than one an element.
    start = shorter if _same(old[:shorter], new[:shorter]) else 0
    while start < shorter and _same(old[start], new[start]):
        start += 1
    tail = 0
    while tail < shorter - start and _same(old[-1 - tail], new[-1 - tail]):
        tail += 1
    old_end, new_end = len(old) - tail, len(new) - tail
    pairs: list[tuple[int, int]] = []
    removed: list[int] = []
    added: list[int] = []
    i, j = start, start
    for i_anchor, j_anchor in _anchors(old[start:old_end], new[start:new_end]):
        i_next, j_next = start + i_anchor, start + j_anchor
        # Between two anchors nothing is known to belong together, and position is the best guess left.
        paired = min(i_next - i, j_next - j)
        pairs.extend(zip(range(i, i + paired), range(j, j + paired), strict=True))
        removed.extend(range(i + paired, i_next))
        added.extend(range(j + paired, j_next))
        if i_next < old_end and j_next < new_end:
            pairs.append((i_next, j_next))
        i, j = i_next + 1, j_next + 1
    kept = len(new) if tail else pairs[-1][1] + 1 if pairs else start
    return pairs, removed, added, kept


def _anchors(old: list[Any], new: list[Any]) -> list[tuple[int, int]]:
    """Return ascending index pairs of elements that belong together, closed by the pair of both lengths.

    Elements that occur once on both sides, thinned to the longest run that keeps its order: patience diff, after Bram
    Cohen. O(n log n), where a longest common subsequence is quadratic.
    """
    end = (len(old), len(new))
    if not old or not new or end == (1, 1):
        return [end]
    old_names, new_names = _names(old, new)
    old_counts, new_counts = Counter(old_names), Counter(new_names)
    places = {name: j for j, name in enumerate(new_names) if new_counts[name] == 1}
    pairs = [
        (i, places[name]) for i, name in enumerate(old_names) if old_counts[name] == 1 and name in places
    ]
    return [*_longest_ascent(pairs), end]


def _longest_ascent(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest subsequence of `pairs` whose second members ascend. Patience sorting, O(n log n)."""
    ends: list[int] = []
    end_at: list[int] = []
    previous: list[int] = []
    for at, (_, j) in enumerate(pairs):
        pile = bisect_left(ends, j)
        previous.append(end_at[pile - 1] if pile else -1)
        if pile == len(ends):
            ends.append(j)
            end_at.append(at)
        else:
            ends[pile] = j
            end_at[pile] = at
    ascent: list[tuple[int, int]] = []
    at = end_at[-1] if end_at else -1
    while at >= 0:
        ascent.append(pairs[at])
        at = previous[at]
    return ascent[::-1]


def _names(old: list[Any], new: list[Any]) -> tuple[list[Hashable], list[Hashable]]:
    """Return what each element is recognised by: its identity field where all have one, else its whole value."""
    for field in _IDENTITY_FIELDS:
        old_names = _unique_values(old, field)
        new_names = None if old_names is None else _unique_values(new, field)
        if old_names is not None and new_names is not None:
            return old_names, new_names
    return [_name(element) for element in old], [_name(element) for element in new]


def _unique_values(elements: list[Any], field: str) -> list[Hashable] | None:
    if not all(type(element) is dict and type(element.get(field)) in (str, int) for element in elements):
        return None
    values: list[Hashable] = [element[field] for element in elements]
    return values if len(set(values)) == len(values) else None


def _name(element: Any) -> Hashable:
    """Return a hashable stand-in. That 1, 1.0 and True share one is harmless: pairs are compared exactly later on."""
    if type(element) is dict or type(element) is list:
        try:
            return (_encode(element),)
        except _UNWRITABLE:
            return id(element)
    return element if type(element) in _SCALARS else id(element)


def _whole_is_smaller(operations: Patch, path: str, new: Any) -> bool:
    if len(operations) < 2 or len(operations) * _WEIGH_FROM_SHARE < len(new):
        return False
    try:
        return len(_encode(operations)) > len(_encode([_replace(path, new)]))
    except _UNWRITABLE:
        return False


def _both_containers(one: Any, other: Any) -> bool:
    return type(one) is type(other) and (type(one) is dict or type(one) is list)


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values have the same JSON text but for the order of keys."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is float and math.isnan(one):
        return math.isnan(other)
    # The comparison in C settles nearly every difference; what it calls equal may still mix 1, 1.0 and True, which
    # shows in the text, written by C too and so in half the time of a walk.
    if one != other:
        return False
    if kind is str or kind is int:
        return True
    try:
        return _encode(one) == _encode(other)
    except _UNWRITABLE:
        return same_kinds(one, other)


def same_kinds(one: Any, other: Any, *, numbers_differ: bool = True) -> bool:
    """Tell whether two values that == calls equal have the same type at every place.

    `numbers_differ` tells 1 from 1.0 and 0.0 from -0.0; a bool differs from a number in any case.
    """
    todo: list[tuple[Any, Any]] = [([one], [other])]
    while todo:
        left, right = todo.pop()
        keyed = type(left) is dict
        pairs = zip(
            left.values() if keyed else left, map(right.__getitem__, left) if keyed else right, strict=True
        )
        for a, b in pairs:
            kind = type(a)
            if kind is str:
                continue
            if kind is dict or kind is list:
                todo.append((a, b))
            elif kind is not type(b):
                if numbers_differ or kind is bool or type(b) is bool:
                    return False
            elif (
                kind is float
                and numbers_differ
                and a == 0.0
                and math.copysign(1.0, a) != math.copysign(1.0, b)
            ):
                return False
    return True


def _add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _remove(path: str) -> Operation:
    return {"op": "remove", "path": path}


def _replace(path: str, value: Any) -> Operation:
    return {"op": "replace", "path": path, "value": value}


def _escape(key: str) -> str:
    if not isinstance(key, str):
        raise PatchError(f"A document with the key {key!r} is not JSON: keys are strings.")
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key
