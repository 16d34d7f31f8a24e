"""An error that came of another one: the record says of which, where that was raised, and what notes were added."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import clew
from clew.testing import Recording

Raises = Callable[[], Any]


def inner() -> None:
    raise ValueError("no such city")


def raised_from() -> None:
    try:
        inner()
    except ValueError as error:
        raise RuntimeError("no forecast") from error


def raised_while_handling() -> None:
    try:
        inner()
    except ValueError:
        raise RuntimeError("no forecast")  # noqa: B904 - the point


def raised_from_none() -> None:
    try:
        inner()
    except ValueError:
        raise RuntimeError("no forecast") from None


def raised_from_one_never_raised() -> None:
    raise RuntimeError("no forecast") from KeyError("k")


def raised_from_noted() -> None:
    cause = ValueError("bad")
    cause.add_note("in row 7")
    raise RuntimeError("no forecast") from cause


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise ValueError("deep")


def raised_from_deep() -> None:
    try:
        deep(50)
    except ValueError as error:
        raise RuntimeError("no forecast") from error


def chain_of(length: int) -> None:
    error = ValueError("cause 0")
    for number in range(1, length):
        following = ValueError(f"cause {number}")
        following.__cause__ = error
        error = following
    raise RuntimeError("no forecast") from error


def in_a_circle() -> None:
    one, other = ValueError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    raise other


def recorded(log: Recording, raises: Raises) -> tuple[str, str, BaseException]:
    """Record an error of a node; return its message and stack, and the error itself."""
    with clew.run("r"), pytest.raises((ValueError, RuntimeError)) as caught, clew.span("s"):
        raises()
    (node,) = log.trace().nodes
    assert node.error is not None
    assert node.error.stack is not None
    return node.error.message or "", node.error.stack, caught.value


def of_python(error: BaseException) -> Iterator[str]:
    """Yield the lines that Python prints, without what differs: heads, and marks below a line."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        if not line.startswith("Traceback") and line.strip(" ^~"):
            yield line


@pytest.mark.parametrize(
    "raises",
    [raised_from, raised_while_handling, raised_from_none, raised_from_one_never_raised, raised_from_noted],
)
def test_the_stack_is_what_python_prints_but_for_the_last_line(log: Recording, raises: Raises) -> None:
    message, stack, error = recorded(log, raises)
    assert message == "no forecast"
    *expected, last = of_python(error)
    assert last == "RuntimeError: no forecast"
    assert [line for line in stack.splitlines() if line.strip()] == expected


def test_the_run_says_so_too(log: Recording) -> None:
    with contextlib.suppress(RuntimeError), clew.run("r"):
        raised_from()
    error = log.trace().error
    assert error is not None
    assert "ValueError: no such city" in (error.stack or "")


def test_the_frames_of_all_together_are_bounded_and_the_last_ones_are_kept(log: Recording) -> None:
    _, stack, _ = recorded(log, raised_from_deep)
    frames = [line for line in stack.splitlines() if line.startswith('  File "')]
    assert len(frames) == 30
    assert "in raised_from_deep" in frames[-1]
    assert sum(line.endswith(" in deep") for line in frames) > 15  # the error itself needs few


@pytest.mark.parametrize("length", [5, 6, 100])
def test_at_most_five_causes_are_kept_and_more_are_said_to_be_there(log: Recording, length: int) -> None:
    _, stack, _ = recorded(log, lambda: chain_of(length))
    causes = [line for line in stack.splitlines() if line.startswith("ValueError: ")]
    assert causes == [f"ValueError: cause {number}" for number in range(length - 5, length)]
    assert stack.startswith("… more causes\n") is (length > 5)


def test_a_circle_ends(log: Recording) -> None:
    _, stack, _ = recorded(log, in_a_circle)
    assert [line for line in stack.splitlines() if "Error: " in line] == ["ValueError: one"]


def test_notes_stand_behind_the_message(log: Recording) -> None:
    def raises() -> None:
        error = ValueError("bad")
        error.add_note("in row 7")
        error.add_note("of table x")
        raise error

    assert recorded(log, raises)[0] == "bad\nin row 7\nof table x"


@pytest.mark.parametrize("notes", ["text", 7, None, [1, object], {"a": 1}])
def test_whatever_a_program_has_for_notes_does_no_harm(log: Recording, notes: object) -> None:
    def raises() -> None:
        error = ValueError("bad")
        error.__notes__ = notes  # type: ignore[assignment]
        raise error

    assert recorded(log, raises)[0].startswith("bad")


def test_a_secret_in_a_cause_or_a_note_is_removed(log: Recording) -> None:
    secret = "sk-ant-api03-" + "a1B2" * 20

    def raises() -> None:
        error = RuntimeError("no forecast")
        error.add_note(f"the key is {secret}")
        raise error from ValueError(f"refused: {secret}")

    message, stack, _ = recorded(log, raises)
    assert secret not in message + stack
    assert "ValueError: refused: " in stack
