"""Mappings that other threads may change while they are read."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def entries_of(mapping: Mapping[Any, Any], most: int | None = None) -> list[tuple[Any, Any]]:
    """Return the first entries of a mapping (None: all) as they are at one moment.

    A list of entries makes a tuple for each, so garbage may be collected in the middle, which lets another thread run; the
    copy of a dict makes none.
    """
    if type(mapping) is dict and (most is None or len(mapping) <= most):
        mapping = mapping.copy()
    return list(islice(mapping.items(), most))
