"""How a node and a run can end badly, and what the record says of each."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any, NoReturn

import pytest

import clew
from clew.testing import FakeClock, Recording
from tests.record.odd_values import RaisingError
from tests.record.reading import check_lines


class Custom(BaseException):
    """Of nobody's family."""


class Odd(Exception):  # noqa: N818 - its name is not the point
    """Lies about its name."""

    __name__ = "Other"


def end_in(error: BaseException) -> None:
    """Let an error leave a span and a run."""
    with contextlib.suppress(BaseException), clew.run("r"), clew.span("s"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("k"),
        Custom("own"),
        Odd("x"),
        OSError(2, "No such file", "/x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        AssertionError(),
        MemoryError(),
        RecursionError("deep"),
        StopIteration(3),
        asyncio.CancelledError(),
        Exception(),
        Exception("lone \ud800 surrogate", 17),
        SystemError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_fails_the_node_and_the_run_with_its_type_and_message(
    log: Recording, error: BaseException
) -> None:
    end_in(error)
    trace = log.trace()
    (node,) = trace.nodes
    message = str(error).encode("utf-8", "backslashreplace").decode()
    assert node.error is not None
    assert trace.error is not None
    for record in (node.error, trace.error):
        assert (record.error_type, record.message) == (type(error).__name__, message)
        assert record.stack is not None
        assert record.stack.splitlines()[-1].strip() == "raise error"
        assert "in end_in" in record.stack.splitlines()[-2]
    assert (node.status, trace.status) == ("failed", "failed")
    assert (node.error.node_id, node.error.span_id) == ("s", node.span_id)
    assert trace.errors == [node.error]  # the run failed with the same, which is told once
    assert [e.level for e in log.events() if e.event.endswith("_failed")] == ["ERROR", "ERROR"]
    check_lines(log.lines())


def test_an_exception_that_cannot_say_what_it_is_still_fails_the_node(log: Recording) -> None:
    end_in(RaisingError())
    (node,) = log.trace().nodes
    assert node.error is not None
    assert node.error.error_type == "RaisingError"
    assert node.error.message == "<RaisingError: RuntimeError in __str__>"
    assert log.trace().lost == 0


def test_a_group_of_exceptions_says_what_each_of_them_is(log: Recording) -> None:
    inner = ExceptionGroup("inner", [ValueError("a"), RaisingError()])
    end_in(BaseExceptionGroup("outer", [inner, Custom("b"), *(KeyError(n) for n in range(20))]))
    (node,) = log.trace().nodes
    assert node.error is not None
    assert node.error.error_type == "BaseExceptionGroup"
    assert node.error.message == (
        "outer (22 sub-exceptions): ExceptionGroup: inner (2 sub-exceptions): ValueError: a; "
        "RaisingError: <RaisingError: RuntimeError in __str__>; Custom: b; "
        + "; ".join(f"KeyError: {n}" for n in range(8))
        + "; … 12 more"
    )


def test_a_group_within_a_group_without_end_is_no_fault(log: Recording) -> None:
    group: Exception = ValueError("innermost")
    for level in range(500):
        group = ExceptionGroup(f"level {level}", [group])
    end_in(group)
    assert log.trace().lost == 0
    assert log.trace().nodes[0].status == "failed"


def test_ctrl_c_interrupts_the_run_and_fails_the_node(log: Recording) -> None:
    end_in(KeyboardInterrupt())
    trace = log.trace()
    assert trace.status == "interrupted"
    assert trace.interrupted_by == "KeyboardInterrupt"
    assert trace.nodes[0].status == "failed"
    assert trace.duration_ns is not None
    (event,) = log.events("run_interrupted")
    assert event.level == "WARNING"


@pytest.mark.parametrize(
    "code, status, exit_code, message",
    [
        (None, "completed", 0, None),
        (0, "completed", 0, None),
        (False, "completed", 0, None),
        (3, "failed", 3, "exit code 3"),
        (-1, "failed", -1, "exit code -1"),
        (True, "failed", 1, "exit code 1"),
        ("cannot open the file", "failed", 1, "cannot open the file"),
        ([1], "failed", 1, "exit code 1"),
    ],
)
def test_leaving_by_system_exit_is_judged_by_its_code(
    log: Recording, code: Any, status: str, exit_code: int, message: str | None
) -> None:
    with pytest.raises(SystemExit), clew.run("r"), clew.span("s"):
        sys.exit(code)
    trace = log.trace()
    assert (trace.status, trace.exit_code) == (status, exit_code)
    assert (trace.error.message if trace.error else None) == message
    assert trace.nodes[0].status == status


def test_a_stack_has_the_innermost_calls_last_and_is_bounded(log: Recording) -> None:
    def dig(level: int) -> NoReturn:
        if level == 0:
            raise ValueError("deep")
        dig(level - 1)

    with pytest.raises(ValueError, match="deep"), clew.run("r"), clew.span("s"):
        dig(100)
    (node,) = log.trace().nodes
    assert node.error is not None
    assert node.error.stack is not None
    lines = node.error.stack.splitlines()
    assert lines[-1].strip() == 'raise ValueError("deep")'
    assert len(lines) == 60  # thirty frames


def test_a_failure_that_a_host_reports_without_an_exception_fails_the_node(
    log: Recording, clock: FakeClock
) -> None:
    with clew.run("r"):
        with clew.span("text") as span:
            clock.advance(ns=500)
            span.fail("rate limited", error_type="RateLimit", retried=True)
            span.output("partial")
        with clew.span("exception") as span:
            span.fail(ValueError("never raised"))
        with clew.span("after all") as span:
            span.fail("first")
            span.fail("second", error_type="Second")
    first, second, third = log.trace().nodes
    assert [n.status for n in log.trace().nodes] == ["failed"] * 3
    assert first.error is not None
    assert (first.error.message, first.error.error_type, first.error.retried) == (
        "rate limited",
        "RateLimit",
        True,
    )
    assert first.outputs == "partial"
    assert first.duration_ns == 500
    assert second.error is not None
    assert (second.error.error_type, second.error.stack) == ("ValueError", None)
    assert third.error is not None
    assert (third.error.message, third.error.error_type) == ("second", "Second")
    assert log.trace().status == "completed"


def test_an_exception_after_a_reported_failure_is_what_the_node_failed_with(log: Recording) -> None:
    def report_and_raise() -> None:
        with clew.span("s") as span:
            span.fail("reported", error_type="Reported", retried=False)
            raise KeyError("raised")

    with clew.run("r"), pytest.raises(KeyError):
        report_and_raise()
    (node,) = log.trace().nodes
    assert node.error is not None
    assert (node.error.error_type, node.error.message, node.error.retried) == ("KeyError", "'raised'", False)


def test_a_skipped_node_says_why_and_what_it_saw(log: Recording) -> None:
    with clew.run("r"), clew.span("s") as span:
        span.skip("condition is false", condition="n > 3", values={"n": 2})
    (node,) = log.trace().nodes
    assert node.status == "skipped"
    assert node.skip == {"reason": "condition is false", "condition": "n > 3", "values": {"n": 2}}
    assert node.error is None


def test_a_retry_is_an_execution_of_its_own(log: Recording, clock: FakeClock) -> None:
    mine = []
    with clew.run("r"):
        for attempt in (1, 2, 3):
            with contextlib.suppress(OSError), clew.span("fetch", attempt=attempt) as span:
                clock.advance(ns=attempt * 1000)
                mine.append((attempt, attempt * 1000, "failed" if attempt < 3 else "completed"))
                if attempt < 3:
                    span.fail("reset", retried=True)
                    raise OSError("reset")
    nodes = log.trace().nodes
    assert [(n.attributes["attempt"], n.duration_ns, n.status) for n in nodes] == mine
    assert [e.retried for e in log.trace().errors] == [True, True]


def test_an_error_raised_with_no_traceback_of_its_own_has_no_stack(log: Recording) -> None:
    with clew.run("r"), clew.span("s") as span:
        span.fail(RaisingError())
    error = log.trace().nodes[0].error
    assert error is not None
    assert error.stack is None


def test_a_run_says_its_own_exit_code_and_outputs(log: Recording) -> None:
    with clew.run("r", kind="script") as run:
        run.exit_code = 4
        run.output({"answer": 42})
        run.set(note="done")
    trace = log.trace()
    assert (trace.exit_code, trace.outputs, trace.attributes) == (4, {"answer": 42}, {"note": "done"})
    assert trace.status == "completed"
