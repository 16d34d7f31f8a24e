"""A mapping of a project file while it is read: hands out its entries as what they should be, and says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from clew.workflow.document import Value
from clew.workflow.nearness import nearest
from clew.workflow.project import Place, Problem

_LONGEST_SHOWN: Final = 40


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing where no known name is near."""
    near = near_name(name, known)
    return "" if near is None else f"; did you mean {near!r}?"


def near_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like a name; None where none is."""
    names = {candidate.lower(): candidate for candidate in known}
    near = nearest(name.lower(), names)
    return None if near is None else names[near]


def described(value: Value) -> str:
    """Return what kind of value this is, in words."""
    match value.data:
        case None:
            return "nothing"
        case bool():
            return str(value.data).lower()
        case int() | float():
            return f"the number {str(value.data)[:_LONGEST_SHOWN]}"
        case str():
            return f"the text {value.data[:_LONGEST_SHOWN]!r}"
        case list():
            return "a list"
    return "a mapping"


class Table:
    """The entries of one mapping. `finish` tells of those that nobody asked for."""

    def __init__(self, value: Value, *, what: str, found: list[Problem], strict: bool = True) -> None:
        """Begin to read.

        Args:
            value: the mapping; anything else is a problem, and reads as an empty one.
            what: what the mapping describes, as the messages call it.
            found: gets the problems.
            strict: whether unknown keys are errors; else they are warnings.
        """
        self.place = value.place
        self.what = what
        self.found = found
        self.strict = strict
        self.meant: set[str] = set()
        """Keys that are there, but are misspelt or no value of their kind: what their absence leads to is no news."""
        self._asked: set[str] = set()
        self._entries: dict[str, Value] = {}
        if isinstance(value.data, dict):
            self._entries = value.data
        elif value.data is not None:
            self.wrong(value.place, f"{what} should be a mapping, not {described(value)}")

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def wrong(self, place: Place, message: str, *, is_error: bool = True) -> None:
        """Note a problem."""
        self.found.append(Problem(place, message, is_error))

    def ignore(self, *keys: str) -> None:
        """Take keys as known that mean nothing here."""
        self._asked.update(keys)

    def value(self, key: str) -> Value | None:
        """Return an entry as it is; None where it is not there or empty."""
        self._asked.add(key)
        entry = self._entries.get(key)
        return None if entry is None or entry.data is None else entry

    def any_value(self, key: str) -> Value | None:
        """Return an entry as it is; None where it is not there. An empty one is a value."""
        self._asked.add(key)
        return self._entries.get(key)

    def text(self, key: str) -> str | None:
        """Return a text; a number that stands for one is taken as written."""
        entry = self.value(key)
        match entry:
            case None:
                return None
            case Value(data=str() as text):
                return text
            case Value(data=int() | float() as number) if not isinstance(number, bool):
                return str(number)
        self._mismatch(key, entry, "a text")
        return None

    def word(self, key: str, choices: Collection[str]) -> str | None:
        """Return one of several words."""
        text = self.text(key)
        if text is None or text in choices:
            return text
        self.wrong(
            self.place_of(key),
            f"{key} of {self.what} is {text!r}, and may be {listed(choices)}{suggestion(text, choices)}",
        )
        return None

    def flag(self, key: str) -> bool | None:
        """Return true or false."""
        entry = self.value(key)
        if entry is None or isinstance(entry.data, bool):
            return None if entry is None else bool(entry.data)
        self._mismatch(key, entry, "true or false")
        return None

    def number(self, key: str, *, least: float = 0.0, above: bool = False) -> float | None:
        """Return a finite number that is not below (with `above`: is above) the least."""
        entry = self.value(key)
        if entry is None:
            return None
        if isinstance(entry.data, (int, float)) and not isinstance(entry.data, bool):
            number = _finite(entry.data)
            if number is not None and (number > least if above else number >= least):
                return number
        self._mismatch(key, entry, f"a number {'above' if above else 'of at least'} {least:g}")
        return None

    def whole(self, key: str, *, least: int = 1) -> int | None:
        """Return a whole number that is not below the least."""
        entry = self.value(key)
        if entry is None:
            return None
        if isinstance(entry.data, int) and not isinstance(entry.data, bool) and least <= entry.data < 2**63:
            return entry.data
        self._mismatch(key, entry, f"a whole number of at least {least}")
        return None

    def texts(self, key: str) -> list[str]:
        """Return a list of texts; one text alone is a list of one."""
        entry = self.value(key)
        if entry is None:
            return []
        members = entry.data if isinstance(entry.data, list) else [entry]
        read_otherwise = [member for member in members if isinstance(member.data, bool | None)]
        if read_otherwise and self.strict:
            self.meant.add(key)
            for member in read_otherwise:  # a program `yes` would be one called True
                self.wrong(
                    member.place,
                    f"{key} of {self.what} has a word that YAML reads as {described(member)}; write it in quotes",
                )
            return []
        if all(isinstance(member.data, (str, int, float)) and member.data is not None for member in members):
            return [str(member.data) for member in members]
        self._mismatch(key, entry, "a list of texts")
        return []

    def named_texts(self, key: str) -> dict[str, str]:
        """Return a mapping of texts."""
        texts = {}
        for name, entry in self.entries(key):
            if isinstance(entry.data, (str, int, float)) and not isinstance(entry.data, bool):
                texts[name] = str(entry.data)
            elif isinstance(entry.data, bool):
                texts[name] = str(entry.data).lower()
            else:
                self.wrong(
                    entry.place, f"{key} of {self.what}: {name!r} should be a text, not {described(entry)}"
                )
        return texts

    def entries(self, key: str) -> Iterator[tuple[str, Value]]:
        """Return the entries of a mapping inside this one."""
        entry = self.value(key)
        if entry is None:
            return
        if isinstance(entry.data, dict):
            yield from entry.data.items()
        else:
            self._mismatch(key, entry, "a mapping")

    def place_of(self, key: str) -> Place:
        """Return where a key stands."""
        entry = self._entries.get(key)
        return self.place if entry is None else entry.place

    def plain(self) -> dict[str, Any]:
        """Return all entries without their places."""
        return {key: entry.plain() for key, entry in self._entries.items()}

    def finish(self) -> None:
        """Tell of the keys that nobody asked for."""
        for key, entry in self._entries.items():
            if key in self._asked:
                continue
            near = near_name(key, self._asked)
            if near is not None and self.strict:
                self.meant.add(near)
            hint = "" if near is None else f"; did you mean {near!r}?"
            self.wrong(entry.place, f"{self.what} has no {key!r}{hint}", is_error=self.strict)

    def _mismatch(self, key: str, entry: Value, wanted: str) -> None:
        self.meant.add(key)
        self.wrong(entry.place, f"{key} of {self.what} should be {wanted}, not {described(entry)}")


def listed(choices: Iterable[str], *, most: int | None = None) -> str:
    """Return `a, b or c`; where there are more than the most, how many are left out."""
    *others, last = choices
    if most is not None and len(others) >= most:
        left = len(others) + 1 - most
        others, last = others[:most], f"{left:,} more"
    return f"{', '.join(others)} or {last}" if others else last


def _finite(number: float) -> float | None:
    try:
        converted = float(number)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None
