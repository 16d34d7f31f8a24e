"""Collections that other threads may change while they are read."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

Item = TypeVar("Item")

_TRIES: Final = 100


def first_of(collection: Iterable[Item], most: int | None = None) -> list[Item]:
    """Return the first items of a collection (None: all) as they are at one moment.

    A garbage collection in the middle of a copy lets another thread run, which may add an item: then it is copied anew.

    RuntimeError: the collection changes faster than it can be copied, or raises that for another reason.
    """
    for _ in range(_TRIES - 1):
        try:
            return list(islice(collection, most))
        except RuntimeError:
            continue
    return list(islice(collection, most))
