"""Metrics are numbers: those of other types than Python's own become some, where they can."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsFloat

from clew.journal.signals import Tolerate
from clew.record.shared import entries_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def as_number(value: object) -> object:
    """Return a decimal number, a fraction or a number of numpy's as a float or int; anything else as it is."""
    with Tolerate(Exception):
        from numbers import Complex, Integral, Number, Real  # abstract classes, which few metrics need

        if isinstance(value, Integral):
            return int(value)
        if isinstance(value, Complex) and not isinstance(value, Real):
            return value  # numpy's would give a float, with half of it gone
        if isinstance(value, Number) and isinstance(value, SupportsFloat):
            return float(value)
    return value


def as_numbers(metrics: Mapping[str, object]) -> dict[str, object]:
    """Return metrics with numbers of other types as Python's own."""
    return {name: as_number(value) for name, value in entries_of(metrics)}
