import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.errors import PatchError
from clew.model.patch import Operation, Patch, apply
from tests.model.documents import documents, keys, nested, pairs, text


@pytest.mark.needs_extra("dev")
@settings(max_examples=150)
@given(pairs)
def test_we_apply_the_patches_of_another_implementation(pair: tuple[Any, Any]) -> None:
    """It takes 1 and 1.0 for equal, so what it makes of its own patch is the measure, and `after` only by ==."""
    import jsonpatch

    before, after = pair
    patch = jsonpatch.make_patch(before, after).patch
    theirs = jsonpatch.apply_patch(copy.deepcopy(before), copy.deepcopy(patch))
    ours = apply(before, patch)
    assert text(ours) == text(theirs)
    assert ours == after


@given(documents, st.lists(st.dictionaries(st.sampled_from(["op", "path", "from", "value", "x"]), documents)))
def test_a_patch_of_rubbish_is_refused_in_one_way(document: Any, patch: Patch) -> None:
    before = text(document)
    with contextlib.suppress(PatchError):
        apply(document, patch)
    assert text(document) == before


@settings(max_examples=150)
@given(
    documents,
    st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "none"]),
                "path": st.lists(keys, max_size=3).map(lambda parts: "".join("/" + part for part in parts)),
                "from": st.lists(keys, max_size=3).map(lambda parts: "".join("/" + part for part in parts)),
                "value": documents,
            }
        ),
        max_size=4,
    ),
)
def test_any_operation_works_or_is_refused_and_the_input_stays(document: Any, patch: Patch) -> None:
    before, operations = text(document), text(patch)
    with contextlib.suppress(PatchError):
        apply(document, patch)
    assert (text(document), text(patch)) == (before, operations)


# The examples of RFC 6902, appendix A, by their number there.
EXAMPLES: dict[str, tuple[Any, Patch, Any]] = {
    "A.1": ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    "A.2": (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    "A.3": ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    "A.4": ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    "A.5": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    "A.6": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.10": (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    "A.11": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    "A.14": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    "A.16": (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_standard_give_its_results(name: str) -> None:
    before, patch, after = EXAMPLES[name]
    assert text(apply(before, patch)) == text(after)


REFUSED: dict[str, tuple[Any, Any]] = {
    "A.9 a test that fails": ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}]),
    "A.12 a parent that is missing": ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}]),
    "A.13 no such operation": ({"foo": "bar"}, [{"op": "spam", "path": "/foo"}]),
    "A.15 text is not a number": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}]),
    "a bool is not a number": ({"a": [1]}, [{"op": "test", "path": "/a", "value": [True]}]),
    "no value": ([], [{"op": "add", "path": "/0"}]),
    "no path": ([], [{"op": "remove"}]),
    "no from": ([1], [{"op": "move", "path": "/0"}]),
    "a relative pointer": ({"a": 1}, [{"op": "remove", "path": "a"}]),
    "a pointer that is a number": ({"a": 1}, [{"op": "remove", "path": 0}]),
    "a bad escape": ({"a~2": 1}, [{"op": "remove", "path": "/a~2"}]),
    "a tilde at the end": ({"a~": 1}, [{"op": "remove", "path": "/a~"}]),
    "an index past the end": ([1], [{"op": "add", "path": "/2", "value": 1}]),
    "an index that nothing is at": ([1], [{"op": "replace", "path": "/1", "value": 1}]),
    "the end, where nothing is": ([1], [{"op": "remove", "path": "/-"}]),
    "a leading zero": ([1, 2], [{"op": "remove", "path": "/01"}]),
    "a sign": ([1, 2], [{"op": "remove", "path": "/+1"}]),
    "a negative index": ([1, 2], [{"op": "remove", "path": "/-1"}]),
    "a digit of another script": ([1, 2], [{"op": "remove", "path": "/\u0661"}]),
    "an index without end": ([1], [{"op": "remove", "path": "/" + "9" * 5000}]),
    "an empty index": ([1], [{"op": "remove", "path": "/"}]),
    "a member of a text": ({"a": "bc"}, [{"op": "replace", "path": "/a/0", "value": "x"}]),
    "a test below a number": ({"a": 1}, [{"op": "test", "path": "/a/b", "value": 1}]),
    "the whole document removed": ({"a": 1}, [{"op": "remove", "path": ""}]),
    "a move into itself in a list": ([{}, {}], [{"op": "move", "from": "/0", "path": "/0/a"}]),
    "a move into itself": ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}]),
    "an operation that is a list": ({}, [["add", "/a", 1]]),
    "an operation that is a deep list": ({}, [{"op": nested(5000, 0, kind=list), "path": "/a"}]),
    "a patch that is an object": ({}, {"op": "add", "path": "/a", "value": 1}),
    "a patch that is a text": ({}, "add"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_that_cannot_be_done_is_refused(name: str) -> None:
    document, patch = REFUSED[name]
    before = copy.deepcopy(document)
    with pytest.raises(PatchError):
        apply(document, patch)
    assert document == before


def test_a_refusal_says_which_operation_and_why() -> None:
    patch: Patch = [{"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/b"}]
    with pytest.raises(PatchError, match=r"operation 1 \('remove' '/b'\) .* no member 'b'"):
        apply({}, patch)


@pytest.mark.parametrize("number", [1, 1.0])
def test_the_test_operation_compares_numbers_by_value(number: float) -> None:
    assert apply([1], [{"op": "test", "path": "", "value": [number]}]) == [1]


def test_a_copied_value_does_not_change_with_its_original() -> None:
    patch: Patch = [
        {"op": "add", "path": "/a/x", "value": [1]},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/a/x/-", "value": 2},
        {"op": "replace", "path": "/b/x/0", "value": 3},
    ]
    assert apply({"a": {}}, patch) == {"a": {"x": [1, 2]}, "b": {"x": [3]}}


def test_a_value_used_by_two_operations_is_not_changed_through_either() -> None:
    shared: list[int] = []
    patch: Patch = [
        {"op": "add", "path": "/a", "value": shared},
        {"op": "add", "path": "/b", "value": shared},
        {"op": "add", "path": "/a/-", "value": 1},
    ]
    assert apply({}, patch) == {"a": [1], "b": []}
    assert shared == []


def test_a_move_to_its_own_place_needs_something_there() -> None:
    move: Operation = {"op": "move", "from": "/a", "path": "/a"}
    assert apply({"a": 1}, [move]) == {"a": 1}
    assert apply({"a": 1}, [{"op": "move", "from": "", "path": ""}]) == {"a": 1}
    with pytest.raises(PatchError):
        apply({}, [move])


def test_a_test_operation_on_deep_values_is_refused_cleanly() -> None:
    deep = nested(100_000, 1, kind=list)
    with pytest.raises(PatchError, match="too deep"):
        apply(deep, [{"op": "test", "path": "", "value": nested(100_000, 1, kind=list)}])
