"""What is printed of a stack, where not the whole of it is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import clew
from clew.cli.stacks import stack_end
from clew.config import load_settings
from clew.session import session
from tests.cli.conftest import Done

ONE = '  File "a.py", line 1, in f\n    g()\n  File "a.py", line 2, in g\n    h()\n  File "a.py", line 3, in h\n    raise E'
DIRECT = "\n\nThe above exception was the direct cause of the following exception:\n\n"
OWN = '  File "b.py", line 9, in top\n    raise F from e'


def test_without_a_cause_it_is_the_last_two_places() -> None:
    assert stack_end(ONE) == ONE.splitlines()[-4:]
    assert stack_end("") == []


def test_the_nearest_cause_is_named_below_it_with_the_place_where_it_was_raised() -> None:
    assert stack_end(f"{ONE}\nValueError: bad\nin row 7{DIRECT}{OWN}") == [
        *OWN.splitlines(),
        "  after ValueError: bad",
        *ONE.splitlines()[-2:],
    ]


def test_how_many_causes_there_are_beside_it_is_said() -> None:
    lines = stack_end(f"KeyError: 'k'{DIRECT}{ONE}\nValueError: bad{DIRECT}{OWN}")
    assert lines[2] == "  after ValueError: bad; --stacks prints 1 more"


def test_show_prints_both(call: Callable[..., Done], tmp_path: Path) -> None:
    session.configure(load_settings({}))  # of this test, whatever the tests before it recorded to
    with contextlib.suppress(RuntimeError), clew.run("chained"), clew.span("forecast"):
        try:
            raise ValueError("no such city")  # noqa: TRY301 - the point
        except ValueError as error:
            raise RuntimeError("no forecast") from error
    short, whole = call("show", "chained").out, call("show", "chained", "--stacks").out
    assert "raise RuntimeError(" in short
    assert "after ValueError: no such city\n" in short
    assert 'raise ValueError("no such city")' in short
    assert "direct cause" not in short
    assert whole.index("ValueError: no such city") < whole.index("direct cause")
