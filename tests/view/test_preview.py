"""A recorded value in one short line."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clew.view.preview import preview

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@ANY_SPEED
@given(VALUES)
def test_a_value_that_is_short_enough_is_its_json(value: Any) -> None:
    text = preview(value, 10_000)
    if "…" not in text:
        assert json.loads(text) == value


@ANY_SPEED
@given(VALUES, st.integers(1, 60))
def test_no_value_is_longer_than_was_asked_for(value: Any, most: int) -> None:
    assert len(preview(value, most)) <= most


def test_a_hundred_megabytes_cost_no_more_than_a_line() -> None:
    value = {"a": ["x" * 100_000_000] * 1000, "b": list(range(1_000_000))}
    begin = time.process_time()
    text = preview(value, 200)
    assert time.process_time() - begin < 0.2
    assert len(text) == 200
    assert text.startswith('{"a": ["xxx')
    assert text.endswith("…")


def test_what_is_nested_deeper_than_anyone_reads_is_an_ellipsis() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    assert preview(value) == "[[[[[[[[[…]]]]]]]]]"


def test_numbers_that_json_does_not_have_are_shown() -> None:
    assert preview([float("nan"), float("inf")]) == "[NaN, Infinity]"
    assert preview(10**5000) == "integer of 16610 bits"
