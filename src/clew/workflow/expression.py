"""The small language of conditions: comparisons, `and`, `or`, `not`, `in`, fields and literals. Nothing is executed.

    urgency >= 3 and (topic in ["bill", "refund"] or not customer.is_new)

A string stands between two equal quotes and has no escapes. A field is `name`, `name.field`, `name[0]` or
`name["any key"]`. Comparisons are not chained, and there is no arithmetic.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from clew.errors import ExpressionError
from clew.record.plain import safe_str
from clew.workflow.syntax import (
    Alternatives,
    Comparison,
    Literal,
    Members,
    Name,
    Negation,
    Parser,
    Step,
    Term,
)
from clew.workflow.value_kind import kind_of

_PLAIN: Final = re.compile(r"[^\W\d]\w*")


class Expression:
    """A condition that was read; it may be evaluated any number of times."""

    def __init__(self, text: str, term: Term) -> None:
        self.text = text
        self._term = term

    def names(self) -> set[str]:
        """Return the fields that it speaks of, as `customer.is_new` and `items[0].price`."""
        return set(self.paths())

    def paths(self) -> dict[str, tuple[Step, ...]]:
        """Return the fields that it speaks of with the steps to each."""
        return {path_text(name.steps): name.steps for name in _names(self._term)}

    def against_values(self) -> list[tuple[tuple[Step, ...], str, Any]]:
        """Return the fields that it compares with a value that is written out: steps, operator, value."""
        found: list[tuple[tuple[Step, ...], str, Any]] = []
        for part in _parts(self._term):
            match part:
                case Comparison(operator, Name(steps), Literal(value)) | Comparison(
                    operator, Literal(value), Name(steps)
                ) if "in" not in operator:
                    found.append((steps, operator, value))
        return found

    def evaluate(self, values: Mapping[str, Any]) -> bool:
        """Say whether the condition holds.

        `and` and `or` look at their right side only where it matters. Values of different types are unequal (a
        boolean is no number), and cannot be ordered.

        Raises: ExpressionError: a field is missing, or two values cannot be compared, or a value will not be judged.
        """
        try:
            return bool(_value(self._term, values))
        except RecursionError:
            raise ExpressionError("the values are nested too deeply to be compared") from None
        except ExpressionError:
            raise
        except Exception as error:  # an object of a tool's, asked whether it is true or what it equals
            raise ExpressionError(
                f"a value cannot be judged: {type(error).__name__}: {safe_str(error)}"
            ) from None

    def seen(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that it speaks of with the values that they have; what is missing is left out."""
        found = {}
        for text, steps in self.paths().items():
            try:
                found[text] = look_up(values, steps)
            except ExpressionError:
                continue
        return found


def parse(text: str) -> Expression:
    """Read a condition.

    Raises: ExpressionError with the position of what is wrong.
    """
    parser = Parser(text)
    term = parser.alternatives()
    parser.expect_end()
    return Expression(text, term)


def path_text(steps: tuple[Step, ...]) -> str:
    """Return the path that these steps are written as."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            quote = "'" if '"' in step else '"'
            text += f"[{quote}{step}{quote}]"
    return text


def look_up(values: Mapping[str, Any], steps: tuple[Step, ...], *, position: int | None = None) -> Any:
    """Follow steps into values.

    Raises: ExpressionError: there is no such field.
    """
    value: Any = values
    for count, step in enumerate(steps):
        is_key = isinstance(value, Mapping) and step in value and isinstance(step, str)
        is_index = isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value)
        if not is_key and not is_index:
            raise ExpressionError(_missing(value, steps, count), position=position)
        value = value[step]
    return value


def _missing(value: Any, steps: tuple[Step, ...], count: int) -> str:
    here = path_text(steps[: count + 1])
    if not isinstance(value, Mapping):
        what = kind_of(value)
        return f"there is no {here!r}, because {path_text(steps[:count])!r} is {what}"
    near = difflib.get_close_matches(str(steps[count]), [str(key) for key in value], n=1)
    return f"there is no field {here!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _names(term: Term) -> Iterator[Name]:
    return (part for part in _parts(term) if isinstance(part, Name))


def _parts(term: Term) -> Iterator[Term]:
    """Return a term and all terms in it, from left to right."""
    yield term
    inner: Iterable[Term] = ()
    match term:
        case Negation(negated):
            inner = (negated,)
        case Comparison(left=left, right=right):
            inner = (left, right)
        case Members(members):
            inner = members
        case Alternatives(groups):
            inner = (member for group in groups for member in group)
    for part in inner:
        yield from _parts(part)


def _value(term: Term, values: Mapping[str, Any]) -> Any:
    match term:
        case Literal(value):
            return value
        case Name(steps, position):
            return look_up(values, steps, position=position)
        case Members(members):
            return [_value(member, values) for member in members]
        case Negation(inner):
            return not _value(inner, values)
        case Alternatives(groups):
            return any(all(_value(member, values) for member in group) for group in groups)
        case Comparison(operator, left, right, position):
            compare = _COMPARE[operator]
            return compare(_value(left, values), _value(right, values), position)


def _equal(left: Any, right: Any, position: int) -> bool:
    del position
    return kind_of(left) == kind_of(right) and bool(left == right)


def _unequal(left: Any, right: Any, position: int) -> bool:
    return not _equal(left, right, position)


def _ordered(operator: str) -> Callable[[Any, Any, int], bool]:
    def compare(left: Any, right: Any, position: int) -> bool:
        kinds = (kind_of(left), kind_of(right))
        if kinds not in {("a number", "a number"), ("a string", "a string")}:
            raise ExpressionError(f"{kinds[0]} {operator} {kinds[1]} cannot be worked out", position=position)
        match operator:
            case "<":
                return bool(left < right)
            case "<=":
                return bool(left <= right)
            case ">":
                return bool(left > right)
        return bool(left >= right)

    return compare


def _contained(left: Any, right: Any, position: int) -> bool:
    match right:
        case list() | tuple():
            return any(_equal(left, member, position) for member in right)
        case str() | Mapping() if isinstance(left, str):
            return left in right
    raise ExpressionError(f"{kind_of(left)} in {kind_of(right)} cannot be worked out", position=position)


def _not_contained(left: Any, right: Any, position: int) -> bool:
    return not _contained(left, right, position)


_COMPARE: Final[dict[str, Callable[[Any, Any, int], bool]]] = {
    "==": _equal,
    "!=": _unequal,
    "in": _contained,
    "not in": _not_contained,
    **{operator: _ordered(operator) for operator in ("<", "<=", ">", ">=")},
}
