"""Two fields of which one may name the secret that the other holds leave the quick way, in both of its forms."""

from __future__ import annotations

from typing import Any

import pytest

import clew
from clew.record import hot
from clew.testing import Recording


@pytest.mark.parametrize("held", ["x", ["x"], {"a": "x"}])
def test_a_field_that_may_name_what_another_holds_leaves_the_quick_way(log: Recording, held: Any) -> None:
    recorder = log.recorder
    recorder.learn({"name": 1, "value": 1, "Key": 1, "a": 1, "rows": 1})
    for quick in (hot.REFERENCE_FIELDS, hot.quick_fields):
        for pair in ({"name": "pw", "value": held}, {"value": held, "a": 1, "name": "pw"}):
            assert quick(pair, recorder) is None
            assert quick({"rows": [pair]}, recorder) is None
        for number in (4, 0.5, None, True):
            assert quick({"name": "depth", "value": number}, recorder) is not None
        assert quick({"name": 1, "value": held}, recorder) is not None
        assert quick({"name": "pw", "a": held}, recorder) is not None


def test_a_pair_in_the_arguments_of_an_event_is_told_by_its_name(log: Recording) -> None:
    """The compiled form reads arguments in a place of its own."""
    with clew.run("r"):
        for _ in range(2):  # the names are known the second time
            clew.event("changed", name="pw", value="x1")
            clew.event("changed", name="colour", value="red")
    events = [event.values() for event in log.events("changed")]
    assert events == [{"name": "pw", "value": "[redacted]"}, {"name": "colour", "value": "red"}] * 2
