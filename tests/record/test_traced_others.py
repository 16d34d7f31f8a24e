"""`traced` on what is no plain function: the program goes on as it would without a record."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import clew
from clew.testing import Recording, using

Traced = Callable[[Any], Any]


class Point:
    """A class of the program."""

    def __init__(self, x: int) -> None:
        self.x = x


class Model:
    """An object that is called, and has more than its calls."""

    calls = 0

    def __call__(self, x: int) -> int:
        self.calls += 1
        return x


def area_of(traced: Traced) -> list[Any]:
    class Square:
        def __init__(self, side: int) -> None:
            self.side = side

        @traced  # type: ignore[prop-decorator]
        @property
        def area(self) -> int:
            return int(self.side**2)

        @traced  # type: ignore[prop-decorator]
        @functools.cached_property
        def edge(self) -> int:
            return int(4 * self.side)

    square = Square(3)
    return [square.area, square.edge, type(vars(Square)["area"]), type(vars(Square)["edge"])]


def class_of(traced: Traced) -> list[Any]:
    decorated = traced(Point)

    class Deep(decorated):  # type: ignore[misc, valid-type]
        pass

    return [isinstance(Point(1), decorated), Deep(2).x, decorated is Point, decorated(3).x]


def cache_of(traced: Traced) -> list[Any]:
    @traced
    @functools.lru_cache(maxsize=2)
    def double(x: int) -> int:
        return 2 * x

    found = [double(1), double(1), double(2), tuple(double.cache_info()), double.cache_parameters()]
    double.cache_clear()
    return [*found, tuple(double.cache_info())]


def cached_method_of(traced: Traced) -> list[Any]:
    class Shop:
        @traced
        @functools.cache  # noqa: B019 - the shop lives as long as the test
        def price(self, what: str) -> int:
            return len(what)

    shop = Shop()
    return [shop.price("ab"), shop.price("ab"), tuple(Shop.price.cache_info())]


def methods_of(traced: Traced) -> list[Any]:
    class Shop:
        @traced
        @classmethod
        def of(cls, x: int) -> list[Any]:
            return [cls.__name__, x]

        @traced
        @staticmethod
        def plain(x: int) -> int:
            return -x

        @traced
        @classmethod
        @functools.cache
        def cached(cls, x: int) -> int:
            return x

    class Corner(Shop):
        pass

    kinds = [type(vars(Shop)[name]) for name in ("of", "plain", "cached")]
    return [Corner.of(1), Corner().of(2), Shop.plain(1), Shop().plain(2), Shop.cached(1), kinds]


def partial_of(traced: Traced) -> list[Any]:
    add = traced(functools.partial(max, 3, key=abs))

    class Holder:
        biggest = add

    return [add(-4), Holder().biggest(2), add.args, list(add.keywords), type(add)]


def object_of(traced: Traced) -> list[Any]:
    model = traced(Model())
    return [model(5), model.calls, isinstance(model, Model)]


def nonsense_of(traced: Traced) -> list[Any]:
    return [traced("name"), traced(7), type(traced(functools.partialmethod(len)))]


@pytest.mark.parametrize(
    "use",
    [
        area_of,
        class_of,
        cache_of,
        cached_method_of,
        methods_of,
        partial_of,
        object_of,
        nonsense_of,
    ],
)
def test_it_behaves_the_same_with_recording_on_and_off(
    use: Callable[[Traced], list[Any]], log: Recording
) -> None:
    plain = use(lambda thing: thing)
    with clew.run("r"):
        recorded = use(clew.traced)
    with using(None):
        switched_off = use(clew.traced)
    assert recorded == switched_off == plain


def test_every_call_of_a_cache_a_method_and_a_partial_is_recorded(log: Recording) -> None:
    with clew.run("r"):
        cache_of(clew.traced)
        methods_of(clew.traced)
        partial_of(clew.traced)
    names = [node.node_id for node in log.trace().nodes]
    assert names == [*["double"] * 3, *["Shop.of"] * 2, *["Shop.plain"] * 2, "Shop.cached", *["max"] * 2]


def test_the_inputs_of_a_bound_method_have_their_own_names(log: Recording) -> None:
    class Shop:
        def price(self, what: str, count: int) -> int:
            return len(what) * count

    with clew.run("r"):
        assert clew.traced(Shop().price)("ab", 3) == 6
    assert log.trace().nodes[0].inputs == {"what": "ab", "count": 3}


@clew.traced
@functools.cache
def triple(x: int) -> int:
    return 3 * x


def test_a_traced_cache_of_a_module_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(triple)) is triple
