"""Metrics are numbers in the trace, of whatever type they were when they were measured."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest

import clew
from clew.testing import Recording


class Size(IntEnum):
    LARGE = 3


NUMBERS: list[tuple[Any, float]] = [
    (Decimal("1.25"), 1.25),
    (Decimal("NaN"), float("nan")),
    (Fraction(1, 4), 0.25),
    (Size.LARGE, 3.0),
    (2**70, float(2**70)),
]


def numpy_numbers() -> list[tuple[Any, float]]:
    import numpy as np

    made = [(np.dtype(kind).type(2), 2.0) for kind in ("int8", "uint64", "float16", "float64", "longdouble")]
    return [*made, (np.array(1.5), 1.5), (np.float32("inf"), float("inf"))]


def check(log: Recording, numbers: list[tuple[Any, float]]) -> None:
    with clew.run("r"), clew.span("s") as span:
        for place, (value, _) in enumerate(numbers):
            span.metrics[f"m{place}"] = value
            clew.add_metric(f"a{place}", value)
    trace = log.trace()
    (node,) = trace.nodes
    expected = {f"{letter}{place}": repr(want) for place, (_, want) in enumerate(numbers) for letter in "am"}
    assert {name: repr(value) for name, value in node.metrics.items()} == expected
    assert node.attributes == {}


def test_numbers_of_the_standard_library_arrive_as_numbers(log: Recording) -> None:
    check(log, NUMBERS)


@pytest.mark.needs_extra("optuna")
def test_numbers_of_numpy_arrive_as_numbers(log: Recording) -> None:
    check(log, numpy_numbers())


def test_what_is_no_number_is_kept_as_an_attribute_of_the_node(log: Recording) -> None:
    with clew.run("r"), clew.span("s", first=1) as span:
        span.metrics.update(
            {"verdict": "good", "nothing": None, "wave": 1j, "odd": Decimal("sNaN"), "loss": 0.5}
        )
    trace = log.trace()
    assert trace.nodes[0].metrics == {"loss": 0.5}
    assert trace.nodes[0].attributes == {
        "first": 1,
        "verdict": "good",
        "nothing": None,
        "wave": "1j",
        "odd": "Decimal('sNaN')",
    }


@pytest.mark.needs_extra("optuna")
def test_a_complex_number_keeps_both_its_halves(log: Recording) -> None:
    import numpy as np

    with clew.run("r"), clew.span("s") as span:
        span.metrics["plain"] = 1 + 2j
        span.metrics["numpy"] = np.complex128(1 + 2j)
    (node,) = log.trace().nodes
    assert node.metrics == {}
    assert all("2j" in str(node.attributes[name]) for name in ("plain", "numpy"))
