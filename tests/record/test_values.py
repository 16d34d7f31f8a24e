"""Whatever a program hands over becomes lines of valid JSON, in bounded time, and never an exception."""

from __future__ import annotations

import contextlib
import gc
import math
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

import clew
from clew.testing import Recording, recording
from tests.record.odd_values import (
    ODD,
    Array,
    BrokenModel,
    Colour,
    Level,
    Mode,
    Model,
    Node,
    Number,
    Point,
    Raises,
    RaisingError,
    Struct,
    Tensor,
    Text,
    any_text,
    any_value,
)
from tests.record.reading import check_lines, strict


@clew.traced
def echo(*args: Any, **options: Any) -> Any:
    """Take and give back anything."""
    return args


def hand_over(value: Any) -> None:
    """Put a value everywhere a value can go."""
    with clew.run("r", thread_id=value, params=value, inputs=value, anything=value) as run:
        with clew.span("s", a=value, b=[value]) as span:
            span.metrics["m"] = value
            span.set(c=value)
            span.output(value)
            clew.event("x", value=value, again=(value,))
            clew.add_metric("m", value)
        with clew.span("f") as span:
            span.fail(value, error_type=value, retried=value)
        with clew.span("u") as span:
            span.usage(input_tokens=value, output_tokens=value, cost_usd=value, model=value)
        with clew.span("k") as span:
            span.skip(value, condition=value, values=value)
        assert echo(value, again=value)[0] is value
        run.set(d=value)
        run.output(value)
        run.exit_code = value


@pytest.mark.parametrize("capture", ["full", "summary", "none"])
@pytest.mark.parametrize("index", range(len(ODD)))
def test_no_odd_value_breaks_a_line_or_the_program(index: int, capture: Any) -> None:
    with recording(capture=capture) as log:
        hand_over(ODD[index])
        check_lines(log.lines())
        trace = log.trace()
    assert trace.lost == 0
    assert trace.status == "completed"
    assert [(n.node_id, n.status) for n in trace.nodes] == [
        ("s", "completed"),
        ("f", "failed"),
        ("u", "completed"),
        ("k", "skipped"),
        ("echo", "completed"),
    ]


@given(any_value)
def test_no_value_at_all_breaks_a_line_or_the_program(value: Any) -> None:
    with recording(capture="full") as log:
        hand_over(value)
        check_lines(log.lines())
        assert log.trace().lost == 0


@given(any_text)
def test_no_text_used_as_a_name_breaks_a_line(text: str) -> None:
    with recording() as log:
        with clew.run(text, kind=text, **{text: text} if text not in {"name", "kind"} else {}):
            with clew.span(text, kind=text) as span:
                span.metrics[text] = 1.0
                span.tags[text] = text
                clew.event(text, level=text, node=text)
                clew.event(text)
                clew.add_metric(text, 1.0)
            with contextlib.suppress(ValueError), clew.span("x"):
                raise ValueError(text)
        check_lines(log.lines())
        trace = log.trace()
    assert trace.lost == 0
    assert trace.nodes[0].status == "completed"


def recorded(log: Recording, value: Any) -> Any:
    """What the log has of a value."""
    log.recorder.event(clew.current_span(), "probe", {"value": value})  # type: ignore[arg-type]
    return log.events("probe")[-1].values()["value"]


def test_what_stands_in_for_a_value_can_be_read() -> None:
    cases: list[tuple[Any, Any]] = [
        (float("nan"), "NaN"),
        (-math.inf, "-Infinity"),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (10**5000, "<int of 16610 bits>"),
        (Number(7), 7),
        (b"abc", "base64:YWJj"),
        ("a\ud800b", "a\\ud800b"),
        (Colour.RED, 1),
        (Mode.FAST, "fast"),
        (Level.HIGH, 3),
        (Text("text"), "text"),
        (Raises(), "<Raises: RuntimeError while it was recorded>"),
        (object(), "<object>"),
        (RaisingError(), "RaisingError: <RaisingError: RuntimeError in __str__>"),
        (ValueError("x"), "ValueError: x"),
        (Array(3), [0.5, 0.5, 0.5]),
        (Array(), 0.5),
        (Array(1000, 1000), "<Array 1000x1000>"),
        (Tensor(2), [0.5, 0.5]),
        (Tensor(10**6), "<Tensor 1000000>"),
        (Model(), {"city": "Reims"}),
        (BrokenModel(), "BrokenModel()"),
        (Node("a", Node("b")), {"name": "a", "next": {"name": "b", "next": None}}),
        (Struct([1]), {"a": [1], "b": 2}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (frozenset({1}), [1]),
        (range(3), [0, 1, 2]),
        ({1: "a", "1": "b"}, {"1": "a", "1 #1": "b"}),
        ({None: 1, True: 2, (1, 2): 3, b"k": 4, Colour.RED: 5}, {"None": 1, "True": 2, "(1, 2)": 3, "k": 4, "<Colour.RED: 1>": 5}),
    ]  # fmt: skip
    with recording() as log, clew.run("r"), clew.span("s"):
        for value, expected in cases:
            assert recorded(log, value) == expected


@pytest.mark.parametrize("number", [2**64, -(2**64), 2**70, 10**400, Number(2**70)])
def test_a_number_that_other_readers_may_round_loses_no_digit(number: int) -> None:
    """As a number or as text, depending on the version of the encoder; the same by both ways through Clew."""
    with recording() as log, clew.run("r"), clew.span("s"):
        first, second = recorded(log, number), recorded(log, number)
    assert first == second
    assert int(first) == number


def test_the_quick_way_takes_no_value_that_breaks_a_line(log: Recording) -> None:
    """Once a field's name is known to be harmless, plain values go straight to the encoder."""
    odd = [10**5000, -(10**5000), float("nan"), "\ud800", "a\udfff", 2**64, math.inf, "pwd=abcd"]
    with clew.run("r"), clew.span("s", value=1):
        for value in odd:
            clew.event("x", value=value)
            with clew.span("t", value=value) as span:
                span.metrics["value"] = value
    check_lines(log.lines())
    assert log.trace().lost == 0
    assert len(log.events("x")) == len(odd)
    assert b"abcd" not in b"".join(log.lines())


def test_a_cycle_is_named_where_it_closes() -> None:
    ring: list[Any] = [1]
    ring.append({"back": ring})
    node = Node("a")
    node.next = node
    with recording() as log, clew.run("r"), clew.span("s"):
        assert recorded(log, ring) == [1, {"back": "<list: contains itself>"}]
        assert recorded(log, node) == {"name": "a", "next": "<Node: contains itself>"}
        twice = [1]
        assert recorded(log, [twice, twice]) == [[1], [1]]  # the same, but not in itself


def test_what_lies_too_deep_is_named() -> None:
    value: Any = "bottom"
    for _ in range(101):
        value = [value]
    with recording() as log, clew.run("r"), clew.span("s"):
        found = recorded(log, value)
    for _ in range(99):
        (found,) = found
    assert found == "<list of 1, nested deeper than 100>"  # the fields of the event are the first level


def test_recording_works_at_the_end_of_the_stack() -> None:
    """A recursion that went too far is recorded, with the error that it ended with."""

    @clew.traced(name="dig")
    def dig(level: int) -> int:
        with clew.span("deeper", level=level, values=[1, {"a": 2}]):
            return dig(level + 1)

    with recording(capture="full") as log:
        with clew.run("r"), pytest.raises(RecursionError):
            dig(0)
        for line in log.lines():
            strict(line)  # some may be missing: there is no stack left to write them
    assert clew.current_span() is clew.NOOP_SPAN
    trace = log.trace()
    assert trace.nodes[0].status == "failed"
    assert trace.nodes[0].error is not None
    assert trace.nodes[0].error.error_type == "RecursionError"
    assert len(trace.nodes) > 50
    assert trace.status == "completed"


@pytest.mark.parametrize("capture", ["full", "summary"])
@pytest.mark.parametrize(
    "huge",
    [
        "x" * 100_000_000,
        "token: " * 14_000_000,
        "ü\n" * 20_000_000,
        b"x" * 100_000_000,
        ["y" * 1000] * 30_000,
        {str(n): n for n in range(100_000)},
    ],
    ids=["letters", "hints", "umlauts", "bytes", "list", "dict"],
)
def test_a_huge_value_takes_bounded_time_and_room(huge: Any, capture: Any) -> None:
    began = time.perf_counter()
    with recording(capture=capture) as log:
        with clew.run("r"), clew.span("s", value=huge) as span:
            span.output(huge)
            clew.event("x", value=huge)
        lines = log.lines()
    assert time.perf_counter() - began < 60
    assert max(map(len, lines)) < 20_000
    check_lines(lines)
    trace = log.trace()
    assert trace.truncated >= 2
    assert trace.lost == 0
    if isinstance(huge, str | bytes) and not isinstance(huge, bytes):
        cuts = [event.values() for event in log.events("payload_truncated")]
        assert all(cut["original_bytes"] >= len(huge) for cut in cuts)


def test_a_huge_name_is_cut_and_says_so(log: Recording) -> None:
    with clew.run("n" * 10_000_000), clew.span("m" * 10_000_000):
        clew.event("e" * 10_000_000)
    assert max(map(len, log.lines())) < 20_000
    trace = log.trace()
    assert trace.nodes[0].node_id == "m" * 1000 + "… (10000000 characters)"
    assert trace.name is not None
    assert trace.name.endswith("… (10000000 characters)")


def test_a_structure_with_shared_parts_does_not_explode(log: Recording) -> None:
    """Thirty lists of two: written out, a billion items."""
    value: Any = "leaf"
    for _ in range(30):
        value = [value, value]
    began = time.perf_counter()
    with clew.run("r"), clew.span("s") as span:
        span.output(value)
    assert time.perf_counter() - began < 60
    check_lines(log.lines())


@pytest.fixture
def eager_collector() -> Iterator[None]:
    """Collect garbage all the time, each time with Python code in which other threads get their turn."""

    def let_others_run(*_: object) -> None:
        time.sleep(1e-5)

    thresholds = gc.get_threshold()
    gc.callbacks.append(let_others_run)
    gc.set_threshold(100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(let_others_run)


@pytest.mark.usefixtures("eager_collector")
def test_values_that_other_threads_change_meanwhile_are_recorded(log: Recording) -> None:
    shared: dict[str, Any] = {f"k{n}": n for n in range(200)}
    pool: set[int] = set(range(200))
    changing: list[dict[str, Any]] = [shared]
    done = threading.Event()

    def change() -> None:
        n = 0
        while not done.is_set():
            n += 1
            for mapping in changing[-3:]:
                mapping[f"n{n % 500}"] = n
                mapping.pop(f"n{(n * 7) % 500}", None)
            pool.add(n % 999)
            pool.discard((n * 7) % 999)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        with clew.run("r"):
            for _ in range(300):
                with clew.span("s", shared=shared, pool=pool) as span:
                    changing[1:] = [span.metrics, span.attributes]
                    span.metrics.update(shared.copy())
                    span.output(shared)
                    clew.event("x", shared=shared)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
    check_lines(log.lines())
    trace = log.trace()
    assert trace.lost == 0
    assert len(trace.nodes) == 300
    assert {n.status for n in trace.nodes} == {"completed"}
    assert not any(b"RuntimeError" in line for line in log.lines())
