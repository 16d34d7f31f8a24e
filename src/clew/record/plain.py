"""Any value becomes plain JSON data, with secrets removed. Whatever the value does, this never raises.

Cycles, depth, odd keys, numbers that JSON lacks, lone surrogates, objects whose `__repr__` raises: each has a
readable stand-in.
"""

from __future__ import annotations

import binascii
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.journal.signals import Tolerate, let_through
from clew.record.redact import REDACTED
from clew.record.shared import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clew.record.redact import Redactor

_SMALLEST_INT: Final = -(2**63)  # what the encoder takes
_LARGEST_INT: Final = 2**64 - 1
_COLLECTION_COST: Final = 8
"""A small collection takes as long as so many items of a large one."""
_REPR_CHARS: Final = 200
_SEARCHED_BEYOND: Final = 8192
"""A text is searched for secrets this much further than it is kept, so that none hides across the cut."""
_FLAG_CHARS: Final = 64
NAMING: Final = 1
HOLDING: Final = 2
PAIR_PARTS: Final = {
    spelt: part
    for names, part in ((("name", "key", "header", "field"), NAMING), (("value", "values", "val"), HOLDING))
    for name in names
    for spelt in (name, name.title(), name.upper())
}
"""Two fields of which one names what the other holds, as in `{"name": "password", "value": "..."}`."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a value is kept. What is left out is said in its place."""

    text_chars: int
    """Characters of one text."""
    items: int
    """Items of one collection."""
    depth: int
    """Collections within collections."""
    total_items: int
    """Items of the whole value, collections counted as several."""


WHOLE: Final = Limits(text_chars=16 * 1024 * 1024, items=2_000_000, depth=100, total_items=2_000_000)
"""Bounded all the same: what takes longer than that to write down holds up the program."""
NAME: Final = Limits(text_chars=1000, items=0, depth=0, total_items=0)
SUMMARY: Final = Limits(text_chars=200, items=10, depth=4, total_items=500)


class Plain:
    """Turns one value into plain data and counts what it removed on the way."""

    def __init__(self, redactor: Redactor, limits: Limits = WHOLE) -> None:
        self._redactor = redactor
        self._limits = limits
        self._inside: set[int] = set()
        self._items = 0
        self.redacted: list[str] = []
        """Where secrets stood: field names, or `value` for one found by its look."""
        self.left_out = 0
        """Characters and bytes beyond the limit of one text."""

    def fields(self, values: Mapping[str, object], *, told: str | None = None) -> dict[str, Any]:
        """Return named values as plain data, secrets found by their names too.

        told: the name of a secret that a field beside these says a `value` is, see `secret_told`.
        """
        return self._mapping(values, 0, told=told)

    def secret_told(self, entries: Iterable[tuple[object, object]]) -> str | None:
        """Return the secret's name where one field names what another holds: `{"name": "password", "value": ...}`."""
        for key, item in entries:
            if type(key) is str and PAIR_PARTS.get(key) == NAMING and type(item) is str:
                name = self._name_before(item, is_pair=True)
                if name is not None:
                    return name
        return None

    def value(self, value: object, depth: int = 0) -> Any:
        """Return plain data for any value. Never raises."""
        try:
            return self._value(value, depth)
        except (Exception, RecursionError) as error:
            let_through(error)
            return f"<{_type_name(value)}: {_type_name(error)} while it was recorded>"

    def _value(self, value: object, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if _SMALLEST_INT <= value <= _LARGEST_INT else _big(value)  # type: ignore[operator, arg-type]
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
        if isinstance(value, tuple) and kind is not tuple:
            names = getattr(kind, "_fields", None)
            if isinstance(names, tuple) and len(names) == len(
                value
            ):  # a named tuple is an object with fields
                return self._collection(dict(zip(names, value, strict=True)), depth, owner=value)
        if isinstance(value, Mapping | Sequence | AbstractSet):
            return self._collection(value, depth)
        return self._object(value, depth)

    def text(self, value: str, most: int | None = None) -> str:
        """Return a text that JSON can carry: secrets removed, lone surrogates spelt out, shortened if asked."""
        most = self._limits.text_chars if most is None else most
        length = len(value)
        clean, count = self._redactor.clean(value if length <= most else value[: most + _SEARCHED_BEYOND])
        if count:
            self.redacted += ["value"] * count
        if not clean.isascii():
            clean = clean.encode("utf-8", "backslashreplace").decode()
        if length <= most:
            return clean
        clean, note = clean[:most], f"… ({length} characters)"
        self.left_out += length - len(clean) - len(note.encode())
        return clean + note

    def _bytes(self, value: bytes) -> str:
        most = self._limits.text_chars
        if len(value) > most:
            self.left_out += len(value)
            return f"<{len(value)} bytes>"
        if self._redactor.clean(value.decode("latin-1"))[1]:
            return self.text(value.decode("utf-8", "backslashreplace"))
        return f"base64:{binascii.b2a_base64(value, newline=False).decode()}"

    def _collection(
        self,
        value: Mapping[Any, Any] | Sequence[Any] | AbstractSet[Any],
        depth: int,
        *,
        owner: object = None,
    ) -> Any:
        """Return the plain form of a collection, or of an owner's fields."""
        whose = value if owner is None else owner
        length = len(value)  # first of all: a range may have more items than can be counted
        if depth >= self._limits.depth:
            return f"<{_type_name(whose)} of {length}, nested deeper than {self._limits.depth}>"
        if id(whose) in self._inside:
            return f"<{_type_name(whose)}: contains itself>"
        self._items += _COLLECTION_COST
        self._inside.add(id(whose))
        try:
            if isinstance(value, Mapping):
                return self._mapping(value, depth)
            return self._sequence(value, depth)
        finally:
            self._inside.discard(id(whose))

    def _mapping(self, value: Mapping[Any, Any], depth: int, *, told: str | None = None) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        # Taken in one step: another thread may change the mapping meanwhile.
        entries = entries_of(value, self._room())
        self._items += len(entries)
        told = told or self.secret_told(entries)
        for key, item in entries:
            name = self.text(key if type(key) is str else self._key(key))
            if name in plain:
                name = f"{name} #{len(plain)}"  # 1 and "1" are two keys
            if self._redactor.secret_name(name) and not _harmless(name, item):
                self.redacted.append(name)
                plain[name] = REDACTED
            elif (
                told
                and PAIR_PARTS.get(name) == HOLDING
                and not _is_number(item)
                and not _harmless(told, item)
            ):
                self.redacted.append(told)
                plain[name] = REDACTED
            else:
                plain[name] = self.value(item, depth + 1)
        if len(value) > len(entries):
            plain["…"] = f"{len(value) - len(entries)} more"
        return plain

    def _key(self, key: object) -> str:
        if key is None or isinstance(key, bool | int | float):
            return str(self._value(key, 0))
        if isinstance(key, bytes):
            return key.decode("utf-8", "backslashreplace")
        return str.__str__(key) if isinstance(key, str) else self._shown(key)

    def _sequence(self, value: Sequence[Any] | AbstractSet[Any], depth: int) -> list[Any]:
        plain: list[Any] = []
        # Lists stay what they are when another thread appends; what else there is may complain.
        items = value if isinstance(value, list | tuple | range) else list(islice(value, self._room()))
        is_pair = isinstance(value, tuple) and len(value) == 2  # as headers come: ("Authorization", "...")
        secret: str | None = None
        for item in islice(items, self._room()):
            self._items += 1
            if secret is not None and isinstance(item, str | bytes):
                self.redacted.append(secret)
                plain.append(REDACTED)
                secret = None
                continue
            # As JSON has headers, [["Authorization", "..."]]; a list of two texts elsewhere is just a list.
            plain.append(self.value(tuple(item) if _is_listed_pair(item) else item, depth + 1))
            secret = self._name_before(item, is_pair=is_pair) if type(item) in {str, bytes} else None
        if len(value) > len(plain):
            plain.append(f"… {len(value) - len(plain)} more")
        return plain

    def _name_before(self, item: str | bytes, *, is_pair: bool) -> str | None:
        """Return the name, where what follows it in a sequence is its secret: `--token`, `...`."""
        if len(item) > _FLAG_CHARS:
            return None
        name = item.decode("latin-1") if isinstance(item, bytes) else item
        if is_pair and name.lower() == "pass":
            return None  # ("pass", "fail")
        if (is_pair or name.startswith("--")) and self._redactor.secret_name(name):
            return name
        return None

    def _room(self) -> int:
        return max(0, min(self._limits.items, self._limits.total_items - self._items))

    def _object(self, value: object, depth: int) -> Any:
        if isinstance(value, BaseException):
            return self.text(f"{_type_name(value)}: {safe_str(value)}")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return self._collection(fields, depth, owner=value)
        if isinstance(value, msgspec.Struct):
            return self._collection(msgspec.structs.asdict(value), depth, owner=value)
        if isinstance(value, int):
            return self._value(int(value), depth)
        if isinstance(value, float):
            return number(float(value))
        if isinstance(value, os.PathLike):
            return self.value(os.fspath(value), depth)
        if not isinstance(value, type) and depth < self._limits.depth and _small(value):
            for convert in ("model_dump", "tolist", "isoformat"):
                # pydantic, numpy and pandas, dates: known by what they can do, none of them is imported.
                with Tolerate(Exception):
                    method = getattr(value, convert, None)
                    if callable(method):
                        return self.value(method(), depth + 1)
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            return self.text(f"<{_type_name(value)} {'x'.join(map(str, shape))}>", _REPR_CHARS)
        return self._shown(value)

    def _shown(self, value: object) -> str:
        if type(value).__repr__ is object.__repr__:
            return f"<{_type_name(value)}>"  # an address says nothing and differs from run to run
        try:
            text = str.__str__(repr(value))
        except (Exception, SystemExit) as error:
            let_through(error)
            return f"<{_type_name(value)}: {_type_name(error)} in __repr__>"
        return self.text(text, _REPR_CHARS)


def number(value: float) -> float | str:
    """Return a number as JSON can carry it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def safe_str(value: object) -> str:
    """Return `str(value)`, or a stand-in where that raises."""
    try:
        return str.__str__(str(value))
    except (Exception, SystemExit) as error:
        let_through(error)
        return f"<{_type_name(value)}: {_type_name(error)} in __str__>"


def _type_name(value: object) -> str:
    try:
        return str(type(value).__name__)
    except Exception as error:
        let_through(error)
        return "object"  # a metaclass can do anything


def _big(value: int) -> int | str:
    try:
        msgspec.json.encode(value)
    except (OverflowError, ValueError):  # which numbers it takes depends on its version
        bits = value.bit_length()
        return str(value) if bits <= 4096 else f"<int of {bits} bits>"
    return value


def _small(value: object) -> bool:
    """Say whether an array may be listed: it has at most 1000 numbers, or is no array."""
    shape, size = getattr(value, "shape", None), getattr(value, "size", 0)
    if isinstance(shape, tuple):
        return math.prod(shape) <= 1000
    return not isinstance(size, int) or size <= 1000


def _is_number(value: object) -> bool:
    return type(value) in {int, float}


def _is_listed_pair(value: object) -> bool:
    """Say whether a value is a list of two texts, whatever another thread does to it meanwhile."""
    return (
        type(value) is list
        and len(value) == 2
        and all(isinstance(item, str | bytes) for item in tuple(value))
    )


def _harmless(name: str, value: object) -> bool:
    """Nothing is hidden where there is nothing; a number called token is one of tokens, one called pass of successes."""
    if value is None or type(value) is bool or (type(value) in {str, bytes} and not value):
        return True
    lower = name.lower()
    return _is_number(value) and (lower.endswith("token") or lower == "pass")
