"""`traced` on functions and methods: what is recorded, and that the function stays what it was."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest

import clew
from clew.testing import FakeClock, Recording


def test_a_call_is_one_execution_with_its_inputs_outputs_and_time(log: Recording, clock: FakeClock) -> None:
    @clew.traced(kind="retrieval")
    def retrieve(query: str, /, limit: int = 3, *more: int, **options: str) -> list[str]:
        clock.advance(ns=1_234_567)
        return [query] * limit

    with clew.run("r"):
        clock.advance(ns=5_000)
        assert retrieve("q", 2, 7, 8, mode="fast") == ["q", "q"]
    (node,) = log.trace().nodes
    assert node.node_id == "retrieve"
    assert node.kind == "retrieval"
    assert node.status == "completed"
    assert node.inputs == {"query": "q", "limit": 2, "args": [7, 8], "mode": "fast"}
    assert node.outputs == ["q", "q"]
    assert node.duration_ns == 1_234_567
    assert node.self_time_ns == 1_234_567
    assert node.parent_id is None
    assert node.error is None
    assert node.started_at is not None
    assert node.started_at.isoformat() == "2026-11-21T00:00:00.000005+00:00"
    assert (node.index, node.seq, node.end_seq, node.writer) == (0, 2, 3, "0" * 15 + "1")


def test_a_call_within_a_call_is_its_child(log: Recording, clock: FakeClock) -> None:
    @clew.traced
    def inner() -> None:
        clock.advance(ns=10_000)

    @clew.traced
    def outer() -> None:
        clock.advance(ns=3_000)
        inner()
        inner()

    with clew.run("r"):
        outer()
        inner()
    nodes = log.trace().nodes
    assert [node.node_id for node in nodes] == ["outer", "inner", "inner", "inner"]
    assert [node.parent_id for node in nodes] == [None, nodes[0].span_id, nodes[0].span_id, None]
    assert [(n.duration_ns, n.self_time_ns) for n in nodes] == [
        (23_000, 3_000),
        (10_000, 10_000),
        (10_000, 10_000),
        (10_000, 10_000),
    ]
    assert len({node.span_id for node in nodes}) == 4


def test_an_exception_is_recorded_and_reaches_the_caller_as_it_was(log: Recording) -> None:
    raised = ValueError("no such city")

    @clew.traced
    def fail() -> None:
        raise raised

    with clew.run("r"), pytest.raises(ValueError, match="no such city") as caught:
        fail()
    assert caught.value is raised
    (node,) = log.trace().nodes
    assert node.status == "failed"
    assert node.outputs is None
    assert node.error is not None
    assert (node.error.error_type, node.error.message) == ("ValueError", "no such city")
    assert node.error.stack is not None
    assert "raise raised" in node.error.stack.splitlines()[-1] or "raise raised" in node.error.stack


def test_a_decorated_function_keeps_its_name_signature_and_documentation() -> None:
    def plain(a: int, *, b: str = "x") -> str:
        """Say b a times."""
        return b * a

    traced = clew.traced(plain)
    assert traced.__name__ == "plain"
    assert traced.__qualname__ == plain.__qualname__
    assert traced.__doc__ == "Say b a times."
    assert inspect.signature(traced) == inspect.signature(plain)
    assert inspect.unwrap(traced) is plain


def test_a_name_and_a_kind_of_ones_own_are_used(log: Recording) -> None:
    @clew.traced(name="the answer", kind="tool")
    def f() -> int:
        return 42

    with clew.run("r"):
        f()
    assert [(n.node_id, n.kind) for n in log.trace().nodes] == [("the answer", "tool")]


class Shop:
    """Something with every kind of method."""

    rate = 2

    @clew.traced
    def method(self, x: int) -> int:
        return x * self.rate

    @clew.traced
    @classmethod
    def outside_class(cls, x: int) -> tuple[type, int]:
        return cls, x

    @classmethod
    @clew.traced
    def inside_class(cls, x: int) -> tuple[type, int]:
        return cls, x

    @clew.traced
    @staticmethod
    def outside_static(x: int) -> int:
        return -x

    @staticmethod
    @clew.traced
    def inside_static(x: int) -> int:
        return -x

    @property
    @clew.traced
    def price(self) -> int:
        return 5

    @clew.traced
    def __call__(self, x: int) -> int:
        return x


class CornerShop(Shop):
    rate = 3


def test_methods_of_every_kind_work_as_before_and_leave_the_object_out_of_the_inputs(log: Recording) -> None:
    with clew.run("r"):
        shop = CornerShop()
        assert shop.method(2) == 6
        assert Shop.method(shop, x=3) == 9
        assert CornerShop.outside_class(1) == shop.outside_class(1) == (CornerShop, 1)
        assert CornerShop.inside_class(1) == shop.inside_class(1) == (CornerShop, 1)
        assert CornerShop.outside_static(1) == shop.outside_static(1) == -1
        assert CornerShop.inside_static(1) == shop.inside_static(1) == -1
        assert shop.price == 5
        assert shop(8) == 8
    nodes = log.trace().nodes
    names = [node.node_id for node in nodes]
    assert names == [
        *["Shop.method"] * 2,
        *["Shop.outside_class"] * 2,
        *["Shop.inside_class"] * 2,
        *["Shop.outside_static"] * 2,
        *["Shop.inside_static"] * 2,
        "Shop.price",
        "Shop.__call__",
    ]
    assert [node.inputs for node in nodes] == [
        {"x": 2},
        {"x": 3},
        *[{"x": 1}] * 8,
        None,
        {"x": 8},
    ]


def test_a_partial_a_lambda_and_a_callable_object_can_be_traced(log: Recording) -> None:
    class Doubler:
        def __call__(self, x: int) -> int:
            return 2 * x

    def add(a: int, b: int) -> int:
        return a + b

    with clew.run("r"):
        assert clew.traced(functools.partial(add, 1), name="add one")(2) == 3
        assert clew.traced(lambda x: x)(4) == 4
        assert clew.traced(Doubler(), name="doubler")(4) == 8
    assert [n.node_id for n in log.trace().nodes] == ["add one", "<lambda>", "doubler"]
    assert [n.outputs for n in log.trace().nodes] == [3, 4, 8]


def test_recursion_gives_one_record_for_each_call_under_its_caller(log: Recording) -> None:
    @clew.traced(name="fib")
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    with clew.run("r"):
        assert fib(4) == 3
    nodes = log.trace().nodes
    by_span = {node.span_id: node for node in nodes}
    assert [node.inputs["n"] for node in nodes] == [4, 3, 2, 1, 0, 1, 2, 1, 0]
    for node in nodes[1:]:
        assert node.parent_id is not None
        assert by_span[node.parent_id].inputs["n"] - node.inputs["n"] in {1, 2}


def test_outside_a_run_a_decorated_function_records_nothing(log: Recording) -> None:
    calls: list[Any] = []
    clew.traced(calls.append)(1)
    assert calls == [1]
    assert log.lines() == []


def test_a_wrong_call_is_the_same_error_as_without_the_decorator(log: Recording) -> None:
    @clew.traced
    def f(a: int) -> int:
        return a

    with clew.run("r"), pytest.raises(TypeError, match="missing 1 required positional argument"):
        f()  # type: ignore[call-arg]
    assert log.trace().nodes[0].error is not None


def test_none_returned_is_an_output_like_any_other(log: Recording) -> None:
    """It cannot be told from no output in a record, but it must not be a fault either."""

    @clew.traced
    def f() -> None:
        return None

    with clew.run("r"):
        assert f() is None
    assert log.trace().nodes[0].status == "completed"
