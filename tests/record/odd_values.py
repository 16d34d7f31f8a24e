"""Values that a program may hand over and that JSON, or good manners, do not foresee."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import types
import uuid
from collections import OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from hypothesis import strategies as st


class Raises:
    """Raises at whatever is asked of it."""

    def __repr__(self) -> NoReturn:
        raise RuntimeError("repr")

    def __str__(self) -> NoReturn:
        raise RuntimeError("str")

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(name)

    def __len__(self) -> NoReturn:
        raise RuntimeError("len")

    def __bool__(self) -> NoReturn:
        raise RuntimeError("bool")

    def __eq__(self, other: object) -> NoReturn:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        return 1


def _raise(_self: object) -> NoReturn:
    raise RuntimeError("class")


NoClass = type("NoClass", (), {"__class__": property(_raise)})


class Liar:
    """Says that it is a text."""

    __class__ = str  # type: ignore[assignment]


class RaisingError(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("str")


class WrongRepr:
    def __repr__(self) -> Any:
        return 17


class Text(str):  # noqa: SLOT000
    def __str__(self) -> str:
        return "other"


class TextRepr:
    def __repr__(self) -> str:
        return Text("text")


class Number(int):
    pass


class Fraction(float):
    pass


class Colour(enum.Enum):
    RED = 1


class Mode(enum.StrEnum):
    FAST = "fast"


class Level(enum.IntEnum):
    HIGH = 3


class BadMapping(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        return iter(("a", "b"))


class EndlessList(UserList[int]):
    def __len__(self) -> int:
        return 10**12

    def __iter__(self) -> Iterator[int]:
        raise OSError("remote")


class Array:
    """Like an array of numpy, without numpy."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape
        self.dtype = "float64"
        self.size = 1
        for length in shape:
            self.size *= length

    def tolist(self) -> Any:
        assert self.size <= 1000, "a large array must not be listed"
        return [0.5] * self.size if self.shape else 0.5


class Tensor(Array):
    """Like a tensor of torch: `size` is a method."""

    def __init__(self, *shape: int) -> None:
        super().__init__(*shape)
        self.count = self.size
        self.size = self.count_them  # type: ignore[assignment]

    def count_them(self) -> int:
        return self.count

    def tolist(self) -> Any:
        assert self.count <= 1000, "a large tensor must not be listed"
        return [0.5] * self.count


class Model:
    """Like a model of pydantic."""

    def model_dump(self) -> dict[str, Any]:
        return {"city": "Reims"}


class BrokenModel:
    def model_dump(self, needed: int) -> dict[str, Any]:
        return {"needed": needed}

    def __repr__(self) -> str:
        return "BrokenModel()"


@dataclasses.dataclass
class Node:
    name: str
    next: Any = None


class Struct(msgspec.Struct):
    a: Any
    b: int = 2


Point = namedtuple("Point", "x y")  # noqa: PYI024 - of the untyped kind


def _cyclic() -> list[Any]:
    ring: list[Any] = [1]
    ring.append(ring)
    named: dict[str, Any] = {}
    named["me"] = {"again": [named]}
    node = Node("a")
    node.next = Node("b", node)
    struct = Struct(None)
    struct.a = [struct]
    return [ring, named, node, struct]


def _nested(depth: int) -> Any:
    value: Any = "bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


def _closed_view() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


ODD: list[Any] = [
    *_cyclic(),
    *(float("nan"), float("inf"), -float("inf"), -0.0, 1e308, 5e-324),
    *(2**63, -(2**63) - 1, 10**4299, 10**5000, 2**100_000, Number(2**70), Number(7), True),
    *(Fraction("nan"), Fraction(1.5), complex(1, 2), decimal.Decimal("NaN"), fractions.Fraction(1, 3)),
    *(b"", b"\x00\xff", bytearray(b"x"), memoryview(b"abc"), _closed_view(), memoryview(b"abcdef")[::2]),
    *("\ud800", "a\udfffb", "\x00", "\u2028", "🧵", "\\", '"', "\n\r\t", Text("text"), "\x7f\x1b[31m"),
    *(Raises(), NoClass(), Liar(), RaisingError(), WrongRepr(), TextRepr(), object(), type, Raises),
    *(Colour.RED, Mode.FAST, Level.HIGH, Colour, dt.timedelta(1), dt.date(1, 1, 1)),
    *(dt.datetime.max.replace(tzinfo=dt.UTC), uuid.UUID(int=1), Path("/a/\udcff"), ipaddress.ip_address("::1")),
    *(BadMapping(), EndlessList(), UserDict({"a": 1}), OrderedDict(a=1), defaultdict(list, a=[1]), deque([1, 2])),
    *(types.MappingProxyType({"a": 1}), types.SimpleNamespace(a=1), range(3), range(10**30), {1, "a"}, frozenset()),
    *(Array(), Array(3), Array(1000, 1000), Tensor(2, 2), Tensor(10**6), Model(), BrokenModel(), Point(1, 2)),
    *(Struct([1]), Node("x", {"y": Raises()}), _nested(90), _nested(100_000), iter([1]), (i for i in "ab")),
    *(print, len, lambda: 0, staticmethod(len), types, open, ..., NotImplemented, ExceptionGroup("g", [ValueError(1)])),
    {None: 1, True: 2, 1.5: 3, (1, 2): 4, b"k": 5, Colour.RED: 6, Mode.FAST: 7, Level.HIGH: 8, 10**5000: 9, "": 10},
    {1: "a", "1": "b", "None": 1, None: 2},
    {"\ud800": 1, "a\udfff": 2, "a\x00b": 3, Text("k"): 4, "x" * 10_000: 5},
    {float("nan"): 1, frozenset({1}): 2, Raises(): 3, object(): 4, TextRepr(): 5},
    [[[]], {}, (), set(), ""],
]  # fmt: skip

_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(),
    st.text(alphabet=st.characters(exclude_categories=())),
    st.binary(max_size=20),
    st.complex_numbers(),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.integers(0, len(ODD) - 1).map(lambda n: ODD[n]),  # not sampled_from, which prints them
)
_keys = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=8),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=4),
    st.tuples(st.integers(), st.text(max_size=3)),
    st.sampled_from([Colour.RED, Mode.FAST, Level.HIGH]),
)
any_value: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(_keys, inner, max_size=4),
        st.tuples(inner, inner),
        st.builds(Struct, inner),
        st.builds(Node, st.text(max_size=3), inner),
        st.builds(deque, st.lists(inner, max_size=2)),
    ),
    max_leaves=12,
)
any_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=30)
