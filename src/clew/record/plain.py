"""Any value becomes plain JSON data, with secrets removed. Whatever the value does, this never raises.

Cycles, depth, odd keys, numbers that JSON lacks, lone surrogates, objects whose `__repr__` raises: each has a
readable stand-in.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.record.redact import REDACTED

if TYPE_CHECKING:
    from clew.record.redact import Redactor

_LARGEST_INT: Final = 2**63 - 1
_REPR_CHARS: Final = 200


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a value is kept. What is left out is said in its place."""

    text_chars: int
    """Characters of one text."""
    items: int
    """Items of one collection."""
    depth: int
    """Collections within collections."""
    total_items: int
    """Items of the whole value."""


WHOLE: Final = Limits(text_chars=256 * 1024 * 1024, items=10_000_000, depth=100, total_items=10_000_000)
SUMMARY: Final = Limits(text_chars=200, items=10, depth=4, total_items=200)


class Plain:
    """Turns one value into plain data and counts what it removed on the way."""

    def __init__(self, redactor: Redactor, limits: Limits = WHOLE) -> None:
        self._redactor = redactor
        self._limits = limits
        self._inside: set[int] = set()
        self._items = 0
        self.redacted: list[str] = []
        """Where secrets stood: field names, or `value` for one found by its look."""

    def fields(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Return named values as plain data, secrets found by their names too."""
        return self._mapping(values, 0)

    def value(self, value: object, depth: int = 0) -> Any:
        """Return plain data for any value. Never raises."""
        try:
            return self._value(value, depth)
        except (Exception, RecursionError) as error:
            return f"<{_type_name(value)}: {type(error).__name__} while it was recorded>"

    def _value(self, value: object, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -_LARGEST_INT <= value <= _LARGEST_INT else _big(value)  # type: ignore[operator, arg-type]
        if kind is float:
            return number(value)  # type: ignore[arg-type]
        if kind is str:
            return self.text(value)  # type: ignore[arg-type]
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._bytes(bytes(value))
        if isinstance(value, Enum):
            return self.value(value.value, depth)
        if isinstance(value, Mapping):
            return self._collection(value, depth)
        if isinstance(value, Sequence | AbstractSet):
            return self._collection(value, depth)
        return self._object(value, depth)

    def text(self, value: str) -> str:
        """Return a text that JSON can carry: secrets removed, lone surrogates spelt out, shortened if asked."""
        clean, count = self._redactor.clean(value)
        if count:
            self.redacted += ["value"] * count
        if not clean.isascii():
            clean = clean.encode("utf-8", "backslashreplace").decode()
        most = self._limits.text_chars
        if len(clean) > most:
            return f"{clean[:most]}… ({len(clean)} characters)"
        return clean

    def _bytes(self, value: bytes) -> str:
        most = self._limits.text_chars
        if len(value) > most:
            return f"<{len(value)} bytes>"
        return f"base64:{base64.b64encode(value).decode()}"

    def _collection(self, value: Mapping[Any, Any] | Sequence[Any] | AbstractSet[Any], depth: int) -> Any:
        if depth >= self._limits.depth:
            return f"<{_type_name(value)} of {len(value)}, nested deeper than {self._limits.depth}>"
        if id(value) in self._inside:
            return f"<{_type_name(value)}: contains itself>"
        self._inside.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._mapping(value, depth)
            return self._sequence(value, depth)
        finally:
            self._inside.discard(id(value))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for count, (key, item) in enumerate(value.items()):
            if count >= self._limits.items or self._items > self._limits.total_items:
                plain["…"] = f"{len(value) - count} more"
                break
            self._items += 1
            name = self.text(key if type(key) is str else self._key(key))
            if self._redactor.secret_name(name) and not _harmless(name, item):
                self.redacted.append(name)
                plain[name] = REDACTED
            else:
                plain[name] = self.value(item, depth + 1)
        return plain

    def _key(self, key: object) -> str:
        if key is None or isinstance(key, bool | int | float):
            return str(self._value(key, 0))
        return key if isinstance(key, str) else _safe_repr(key)

    def _sequence(self, value: Sequence[Any] | AbstractSet[Any], depth: int) -> list[Any]:
        plain: list[Any] = []
        for count, item in enumerate(value):
            if count >= self._limits.items or self._items > self._limits.total_items:
                plain.append(f"… {len(value) - count} more")
                break
            self._items += 1
            plain.append(self.value(item, depth + 1))
        return plain

    def _object(self, value: object, depth: int) -> Any:
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {safe_str(value)}")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._collection(
                {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, depth
            )
        if isinstance(value, msgspec.Struct):
            return self._collection(msgspec.structs.asdict(value), depth)
        for convert in ("model_dump", "tolist", "isoformat", "item"):
            # pydantic, numpy and pandas, dates: known by what they can do, none of them is imported.
            method = getattr(value, convert, None)
            if callable(method) and not isinstance(value, type) and _small(value):
                return self.value(method(), depth + 1) if depth < self._limits.depth else _safe_repr(value)
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            return f"<{_type_name(value)} {'x'.join(map(str, shape))}>"
        if isinstance(value, int):
            return int(value)
        return self.text(_safe_repr(value))


def number(value: float) -> float | str:
    """Return a number as JSON can carry it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def safe_str(value: object) -> str:
    """Return `str(value)`, or a stand-in where that raises."""
    try:
        return str(value)
    except Exception as error:
        return f"<{_type_name(value)}: {type(error).__name__} in __str__>"


def _safe_repr(value: object) -> str:
    if type(value).__repr__ is object.__repr__:
        return f"<{_type_name(value)}>"  # an address says nothing and differs from run to run
    try:
        text = repr(value)
    except Exception as error:
        return f"<{_type_name(value)}: {type(error).__name__} in __repr__>"
    return text if len(text) <= _REPR_CHARS else f"{text[:_REPR_CHARS]}… ({len(text)} characters)"


def _type_name(value: object) -> str:
    return type(value).__name__


def _big(value: int) -> str:
    bits = value.bit_length()
    return str(value) if bits <= 4096 else f"<int of {bits} bits>"


def _small(value: object) -> bool:
    size = getattr(value, "size", 0)
    return not isinstance(size, int) or size <= 1000


def _harmless(name: str, value: object) -> bool:
    """Nothing is hidden where there is nothing, and a number called token is a number of tokens."""
    if value is None or isinstance(value, bool):
        return True
    return isinstance(value, int | float) and name.lower().endswith("token")
