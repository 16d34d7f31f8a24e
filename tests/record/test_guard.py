"""A fault in Clew itself: contained, counted as lost, told once, and never the program's."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

import clew
from clew.record.guard import Guard
from clew.testing import Recording
from tests.record.reading import strict


class Broken(RuntimeError):  # noqa: N818 - a name for the tests
    """What is thrown where Clew does its work."""


def work() -> list[str]:
    """Everything that a program can do with Clew; what it saw must not depend on Clew."""
    seen = []

    @clew.traced
    def double(x: int) -> int:
        return 2 * x

    with clew.run("r", job="a") as run:
        with clew.span("a", tag="x" * 20, n=1) as span:
            span.metrics["m"] = 1
            span.set(b=[2])
            span.output({"c": 3})
            clew.event("x", d=4)
            clew.event("x", e=["f"])
            clew.add_metric("m", 5)
            seen.append(f"doubled {double(4)}")
        with (
            contextlib.suppress(ValueError),
            clew.span("bé"),
        ):  # a name that the compiled form leaves to Python
            seen.append("raising")
            raise ValueError("the program's own")
        run.output(6)
        run.set(g=7)
    seen.append(type(clew.current_span()).__name__)
    return seen


EXPECTED = ["doubled 8", "raising", "NoopSpan"]


def failing(after: int = 0) -> Callable[..., Any]:
    """A stand-in that fails at every call, or at every call from a certain one on."""
    calls = 0

    def fail(*args: object, **options: object) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Broken("broken")
        return 1

    return fail


PARTS: dict[str, tuple[Callable[[Recording], object], str]] = {
    "the writer": (lambda log: log.recorder.writer, "write"),
    "the writer's rescue": (lambda log: log.recorder.writer, "append"),
    "the numbers": (lambda log: log.recorder.writer, "next_seq"),
    "the clock": (lambda log: log.recorder, "now"),
    "the encoder of fields": (lambda log: log.recorder.values, "fields"),
    "the encoder of payloads": (lambda log: log.recorder.values, "payload"),
    "the encoder of texts": (lambda log: log.recorder.values, "texts"),
    "names": (lambda log: log.recorder, "text"),
    "learning": (lambda log: log.recorder, "learn_names"),
    "templates": (lambda log: log.recorder, "make_template"),
    "time stamps": (lambda log: log.recorder.stamper, "advance"),
    "notes": (lambda log: log.recorder, "write_pending"),
}


@pytest.mark.parametrize("part", PARTS)
def test_whatever_part_breaks_the_program_does_what_it_would_have_done(
    part: str, log: Recording, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    owner, name = PARTS[part]
    if part == "time stamps":
        log.recorder.stamper.second = (-(10**12), "")
    monkeypatch.setattr(owner(log), name, failing())
    assert work() == EXPECTED
    told = capsys.readouterr().err
    assert told == "clew: a fault in recording was contained: Broken: broken\n"
    assert log.recorder.guard.faults >= 1
    check_json(log)


def check_json(log: Recording) -> None:
    """What was written nevertheless is valid, though numbers may be missing."""
    for line in log.lines():
        assert strict(line)["data"] is not None


def test_lost_events_are_counted_in_the_trace_as_soon_as_the_writer_works_again(
    log: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clew.run("r"):
        with clew.span("kept"):
            pass
        with monkeypatch.context() as broken:
            broken.setattr(log.recorder.writer, "write", failing())
            for _ in range(3):
                clew.event("lost")
            with clew.span("lost too"):
                pass
        with clew.span("kept"):
            pass
    trace = log.trace()
    assert [n.node_id for n in trace.nodes] == ["kept", "kept"]
    assert trace.lost == 4  # three events and a start; a node that did not begin does not end
    (event,) = log.events("events_lost")
    assert event.level == "WARNING"
    assert event.values()["reason"] == "a fault in recording"


def test_a_start_that_could_not_be_written_has_no_end_in_the_log(
    log: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clew.run("r"):
        with monkeypatch.context() as broken:
            broken.setattr(log.recorder.writer, "write", failing())
            span = clew.span("s")
            span.__enter__()
        with clew.span("inner"):
            pass
        span.__exit__(None, None, None)
    assert [e.node_id for e in log.events() if e.event.startswith("node_")] == ["inner", "inner"]
    assert log.trace().lost == 1


def test_a_count_that_cannot_be_written_at_the_end_is_kept_for_later(
    log: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clew.run("r"):
        clew.event("kept")
        monkeypatch.setattr(log.recorder.writer, "write", failing())
        clew.event("lost")
        clew.event("lost")
    run_id = log.run_ids()[0]
    assert log.recorder.guard.unwritten[run_id] >= 3


def test_the_fault_is_told_once_whatever_number_there_are(
    log: Recording, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log.recorder.values, "fields", failing())
    for _ in range(3):
        work()
    assert capsys.readouterr().err.count("\n") == 1


def test_a_closed_stderr_is_no_reason_to_disturb_the_program(
    log: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stderr in (None, type("Closed", (), {"write": failing()})()):
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setattr(log.recorder, "guard", Guard())
        monkeypatch.setattr(log.recorder.values, "fields", failing())
        assert work() == EXPECTED


def test_ctrl_c_inside_clew_reaches_the_program(log: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing that is not contained: the person wants out."""

    def interrupt(*args: object) -> Any:
        raise KeyboardInterrupt

    with clew.run("r"):
        with monkeypatch.context() as broken:
            broken.setattr(log.recorder.values, "fields", interrupt)
            with pytest.raises(KeyboardInterrupt):
                clew.event("x", a=[1])
        clew.event("y")
    assert log.trace().status == "completed"


def test_a_fault_with_a_message_that_raises_is_contained_too(log: Recording) -> None:
    class Worse(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise Broken("worse")

    log.recorder.guard.caught(Worse(), run_id="x")
    assert log.recorder.guard.take("x") == 1
    assert log.recorder.guard.take("x") == 0
