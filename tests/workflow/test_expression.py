"""Conditions mean what they mean in Python, where both can be written, and end in one sentence where they cannot be."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.errors import ExpressionError
from clew.workflow.expression import parse

VALUES: dict[str, Any] = {
    "count": 3,
    "name": "ada",
    "ok": True,
    "nothing": None,
    "customer": {"is_new": False, "tags": ["a", {"deep": 7}], "odd key": 1},
    "numbers": [1, 2, 3],
}


@pytest.mark.parametrize(
    "text, holds",
    [
        ("count == 3", True),
        ("count != 3", False),
        ("count >= 3 and count <= 3", True),
        ("count < 3 or count > 2.5", True),
        ("not count == 4", True),
        ("not not ok", True),
        ("not not not ok", False),
        ("ok", True),
        ("nothing", False),
        ("nothing == null", True),
        ("name == 'ada' and name != \"bob\"", True),
        ("'d' in name", True),
        ("count in numbers", True),
        ("count not in [1, 2]", True),
        ("name in ['ada', 'bob',]", True),
        ("'is_new' in customer", True),
        ("customer.is_new == false", True),
        ("customer.tags[0] == 'a' and customer.tags[-1].deep == 7", True),
        ("customer['odd key'] == 1", True),
        ("(count == 4 or ok) and ok", True),
        ("count == 4 or ok and nothing", False),
        ("-3 < count", True),
        ("1e2 > count", True),
        (".5 < count", True),
    ],
)
def test_a_condition_holds_as_it_reads(text: str, holds: bool) -> None:
    assert parse(text).evaluate(VALUES) is holds


@pytest.mark.parametrize(
    "text", ["ok == 1", "count == '3'", "nothing == false", "numbers == 'x'", "0 in [false]", "name == null"]
)
def test_values_of_different_types_are_never_equal(text: str) -> None:
    assert parse(text).evaluate(VALUES) is False


@pytest.mark.parametrize(
    "text, said",
    [
        ("count < name", "a number < a string cannot be worked out"),
        ("ok > 0", "a boolean > a number cannot be worked out"),
        ("nothing <= 1", "null <= a number cannot be worked out"),
        ("1 in name", "a number in a string cannot be worked out"),
        ("name in count", "a string in a number cannot be worked out"),
        ("coun == 3", "there is no field 'coun'; did you mean 'count'?"),
        ("customer.is_newer", "there is no field 'customer.is_newer'; did you mean 'is_new'?"),
        ("name.first == 1", "there is no 'name.first', because 'name' is a string"),
        ("numbers[7] == 1", "there is no 'numbers[7]', because 'numbers' is an array"),
    ],
)
def test_what_cannot_be_worked_out_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text).evaluate(VALUES)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "text, position, said",
    [
        ("", 0, "a field or a value should stand here, and the condition ends"),
        ("count =", 6, "'=' compares nothing; use '=='"),
        ("count ==", 8, "a field or a value should stand here, and the condition ends"),
        ("count 3", 6, "'and', 'or' or the end should stand here, not '3'"),
        ("1 < count < 3", 10, "comparisons are not chained; join two with 'and'"),
        ("count + 1 == 4", 6, "there is no arithmetic in conditions, and no '+'"),
        ("ok && ok", 3, "'&' means nothing here; use 'and', 'or' and 'not'"),
        ("name == 'ada", 8, "the string that begins here has no closing '"),
        ("(ok", 3, "')' should stand here, and the condition ends"),
        ("ok)", 2, "'and', 'or' or the end should stand here, not ')'"),
        ("customer.", 9, "the name of a field should follow the dot"),
        ("numbers[ok]", 8, "a position or a quoted key should stand here"),
        ("numbers[1", 9, "']' should stand here, and the condition ends"),
        ("[1, 2", 5, "']' should stand here, and the condition ends"),
        ("and ok", 0, "a field or a value should stand here, not 'and'"),
        ("1e999 == count", 0, "the number is too large"),
        ("9" * 500 + " == count", 0, "the number is too long"),
        ("__import__('os')", 10, "'and', 'or' or the end should stand here, not '('"),
        ("ok; ok", 2, "';' means nothing here"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_position(text: str, position: int, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert (str(caught.value), caught.value.position) == (said, position)


def test_the_right_side_is_looked_at_only_where_it_matters() -> None:
    assert parse("ok or missing").evaluate(VALUES)
    assert not parse("nothing and missing").evaluate(VALUES)
    with pytest.raises(ExpressionError):
        parse("ok and missing").evaluate(VALUES)


def test_the_names_are_those_that_it_speaks_of_and_seen_has_the_values_that_are_there() -> None:
    condition = parse("count > 1 and (customer.tags[1].deep == 7 or missing in [name, null])")
    assert condition.names() == {"count", "customer.tags[1].deep", "missing", "name"}
    assert condition.seen(VALUES) == {"count": 3, "customer.tags[1].deep": 7, "name": "ada"}


def test_a_hundred_parentheses_are_read_and_one_more_is_refused() -> None:
    assert parse("(" * 100 + "ok" + ")" * 100).evaluate(VALUES)
    with pytest.raises(ExpressionError, match="more than 100 nested parentheses"):
        parse("(" * 101 + "ok" + ")" * 101)
    with pytest.raises(ExpressionError, match="more than 100 nested parentheses"):
        parse("[" * 5000)


def test_a_long_chain_needs_no_stack() -> None:
    assert parse(" and ".join(["ok"] * 1000)).evaluate(VALUES)
    assert parse("not " * 2000 + "ok").evaluate(VALUES)
    with pytest.raises(ExpressionError, match="at most 10,000 characters"):
        parse("ok or " * 100_000)


def test_values_that_are_nested_too_deeply_are_an_error_and_no_crash() -> None:
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    other: list[Any] = []
    for _ in range(200_000):
        other = [other]
    with pytest.raises(ExpressionError, match="nested too deeply"):
        parse("one == two").evaluate({"one": deep, "two": other})


# Both languages write these the same; `Known` values have one type, so that Python's idea of equality is ours.
NUMBERS = {"a": 1, "b": -2, "c": 2.5}
NUMBER_TERMS = st.sampled_from([*NUMBERS, "0", "1", "-2", "2.5"])
COMPARISONS = st.builds(
    lambda left, sign, right: f"{left} {sign} {right}",
    NUMBER_TERMS,
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    NUMBER_TERMS,
)
MEMBERSHIPS = st.builds(
    lambda left, sign, members: f"{left} {sign} [{', '.join(members)}]",
    NUMBER_TERMS,
    st.sampled_from(["in", "not in"]),
    st.lists(NUMBER_TERMS, max_size=3),
)
CONDITIONS = st.recursive(
    COMPARISONS | MEMBERSHIPS | NUMBER_TERMS,
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        inner.map(lambda text: f"({text})"),
        st.builds(
            lambda left, word, right: f"{left} {word} {right}", inner, st.sampled_from(["and", "or"]), inner
        ),
    ),
    max_leaves=12,
)


@given(CONDITIONS)
def test_a_condition_comes_to_what_python_makes_of_it(text: str) -> None:
    expected = bool(eval(text, {"__builtins__": {}}, dict(NUMBERS)))  # the oracle, of a text of our own
    assert parse(text).evaluate(NUMBERS) is expected


@given(st.text(max_size=60) | st.text(alphabet="ab1.[]()'\"<>=!, andortin-", max_size=60))
def test_any_text_is_a_condition_or_an_expression_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        parse(text).evaluate({"a": 1, "b": [1]})


class Unwilling:
    """As an array of numpy: neither true nor false, and unequal to nothing."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = object.__hash__


@pytest.mark.parametrize("text", ["x", "not x", "x == y", "x in [y]", "x != y or x"])
def test_a_value_that_will_not_be_judged_is_an_error_of_the_condition(text: str) -> None:
    with pytest.raises(ExpressionError, match="a value cannot be judged: ValueError: ambiguous"):
        parse(text).evaluate({"x": Unwilling(), "y": Unwilling()})
