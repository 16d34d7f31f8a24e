"""What recording costs where there is none: the same function, one shared span, and no state."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import clew
from clew.record.run import NoopRun
from clew.testing import Recording, recording, using
from tests.record.reading import run_program


@pytest.fixture
def switched_off() -> Iterator[None]:
    with using(None):
        yield


def test_a_function_decorated_while_recording_is_off_is_the_function_itself(switched_off: None) -> None:
    def plain() -> None: ...

    async def coroutine() -> None: ...

    static = staticmethod(plain)
    assert clew.traced(plain) is plain
    assert clew.traced(kind="tool", name="x")(plain) is plain
    assert clew.traced(coroutine) is coroutine
    assert clew.traced(static) is static


def test_the_environment_switches_recording_off() -> None:
    """In a process of its own, because a program reads its settings once."""
    done = run_program(
        """
        import os, sys, clew
        def f(): return 7
        assert clew.traced(f) is f
        with clew.run("r") as run, clew.span("s") as span:
            clew.event("x"); clew.add_metric("m", 1)
            assert span is clew.NOOP_SPAN and run.trace.nodes == [] and run.run_id is None
            run.set(a=1); run.output(2)
        assert not os.path.exists(os.environ["CLEW_HOME"])
        assert "TRACEPARENT" not in os.environ
        print("fine")
        """,
        CLEW_ENABLED="false",
    )
    assert done.stdout == "fine\n"


def test_outside_a_run_every_span_is_the_one_noop_span(log: Recording) -> None:
    assert clew.span("x") is clew.NOOP_SPAN
    assert clew.span("y", kind="tool", a=1) is clew.NOOP_SPAN
    assert clew.current_span() is clew.NOOP_SPAN
    assert clew.current_run() is None
    assert clew.traceparent() is None
    clew.event("nothing", a=1)
    clew.add_metric("m", 1.0)
    assert log.lines() == []


def test_the_noop_span_takes_everything_and_keeps_nothing() -> None:
    span = clew.NOOP_SPAN
    with span as entered:
        assert entered is span
        span.metrics["a"] = 1.0
        span.attributes["b"] = "secret of somebody else"
        span.tags.update(c=3)
        mapping = span.attributes
        mapping |= {"d": 4}
        span.set(e=5)
        span.output({"f": 6})
        span.usage(input_tokens=1, cost_usd=2.0)
        span.fail("no", error_type="X", retried=True)
        span.skip("not needed", condition="a", values={})
    for mapping in (span.metrics, span.attributes, span.tags):
        assert dict(mapping) == {}
        assert "a" not in mapping
        assert mapping.get("b") is None
        assert mapping.setdefault("c", 5) == 5
        assert mapping.pop("c", None) is None
        assert len(mapping) == 0
        assert mapping.copy() == mapping | {} == {}
        assert isinstance(mapping, dict)
    assert (span.span_id, span.run_id, span.node_id, span.duration_ns) == (None, None, None, None)
    with pytest.raises(AttributeError):
        span.something = 1  # type: ignore[attr-defined]


def test_the_noop_span_has_every_public_part_of_a_span(log: Recording) -> None:
    with clew.run("r"), clew.span("x") as real:
        parts = {name for name in dir(real) if not name.startswith("_")}
    missing = parts - set(dir(clew.NOOP_SPAN)) - {"run", "where", "traceparent"}  # not for users
    assert missing == set()


def test_the_noop_span_does_not_swallow_exceptions() -> None:
    with pytest.raises(KeyError), clew.span("x"):
        raise KeyError


def test_the_noop_span_is_one_also_when_copied_sent_and_nested(switched_off: None) -> None:
    assert copy.deepcopy(clew.NOOP_SPAN) is copy.copy(clew.NOOP_SPAN) is clew.NOOP_SPAN
    assert pickle.loads(pickle.dumps(clew.NOOP_SPAN)) is clew.NOOP_SPAN
    span: Any = clew.NOOP_SPAN
    with span, span, clew.span("nested") as inner:
        assert inner is span
    assert repr(span) == "NOOP_SPAN"


def test_a_span_that_is_not_recorded_leaves_no_object_behind(switched_off: None) -> None:
    def work() -> None:
        with clew.span("x", a=1):
            pass

    work()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1000):
        work()
    assert sys.getallocatedblocks() - before < 50


def test_a_run_that_is_not_recorded_has_every_public_part_of_a_run(
    log: Recording, switched_off: None
) -> None:
    with using(log.recorder), clew.run("r") as real:
        parts = {name for name in dir(real) if not name.startswith("_")}
    assert parts - set(dir(NoopRun())) - {"outer", "sampled"} == set()
    assert isinstance(clew.run("x"), NoopRun)


def test_a_function_decorated_while_recording_is_on_can_be_switched_off_later(log: Recording) -> None:
    @clew.traced
    def f() -> int:
        return 1

    with using(None):
        assert f() == 1
        with clew.run("r"):
            assert f() == 1
    assert log.lines() == []


def test_a_program_that_reads_its_own_trace_runs_the_same_where_nothing_is_recorded() -> None:
    program = """
        import clew
        with clew.run("r") as run:
            with clew.span("s"):
                pass
        print(run.trace.status, len(run.trace.nodes), run.trace.time_breakdown())
        """
    assert run_program(program, CLEW_ENABLED="false").stdout == "completed 0 {}\n"


@pytest.mark.parametrize(
    "error,status",
    [
        (None, "completed"),
        (SystemExit(0), "completed"),
        (SystemExit(3), "failed"),
        (ValueError("no"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_a_run_ends_as_it_would_if_it_were_recorded(error: BaseException | None, status: str) -> None:
    def ends() -> list[str]:
        run = clew.run("r")
        with contextlib.suppress(BaseException), run:
            found = [run.trace.status]
            if error is not None:
                raise error
        return [*found, run.trace.status]

    with using(None):
        switched_off = ends()
    assert switched_off == ["running", status]
    with recording():
        assert ends() == switched_off
