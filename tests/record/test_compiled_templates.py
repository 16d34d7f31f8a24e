"""The fixed parts of a node's lines are made by the compiled module as Python makes them."""

from __future__ import annotations

import shutil

import pytest

import clew
from clew.record import hot
from clew.record.clock import SystemClock
from clew.record.context import current
from clew.record.recorder import Template
from clew.record.span import open_span
from clew.testing import recording
from tests.record.python_calls import python_calls

pytestmark = pytest.mark.skipif(
    not hot.IS_COMPILED and shutil.which("cc") is None,
    reason="there is no C compiler, so there is no compiled module",
)


def test_a_new_plain_name_takes_no_python_and_has_the_template_that_python_makes() -> None:
    names: list[str | tuple[str, str]] = ["n", "a name with blanks", ("n", "tool"), ("x" * 1000, "k"), ""]
    odd: list[str | tuple[str, str]] = [
        "é",
        'quote"',
        "x" * 1001,
        "sk-ant-" + "a1B2" * 12,
        ("n", "\n"),
        "\x7f",
    ]
    with recording(clock=SystemClock()), clew.run("r"):
        run = current.get().run  # type: ignore[union-attr]
        recorder = run.recorder
        for name in [*names, *odd]:
            calls = python_calls(lambda name=name: open_span(name, {}).__enter__())  # type: ignore[misc]
            made = run.templates.pop(name)
            assert made == recorder.make_template(run, name)
            assert type(made) is Template
            assert ("make_template" in calls) == (name in odd)
