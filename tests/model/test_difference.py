import copy
import math
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from clew.errors import PatchError
from clew.model import difference
from clew.model.patch import Patch, apply, diff
from tests.model.documents import documents, nested, pairs, size, text


@settings(max_examples=300)
@given(pairs)
def test_a_difference_applied_gives_the_same_text(pair: tuple[Any, Any]) -> None:
    before, after = pair
    texts = text(before), text(after)
    assert text(apply(before, diff(before, after))) == texts[1]
    assert (text(before), text(after)) == texts, "an argument was changed"


@settings(max_examples=500)
@given(pairs)
def test_a_difference_is_right_where_nothing_is_replaced_whole(pair: tuple[Any, Any]) -> None:
    """Small documents are mostly replaced whole, which would hide every other fault."""
    before, after = pair
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(difference, "_whole_is_smaller", lambda *_: False)
        assert text(apply(before, diff(before, after))) == text(after)


@settings(max_examples=150)
@given(pairs)
def test_a_difference_survives_being_written_and_read(pair: tuple[Any, Any]) -> None:
    before, after = pair
    assert text(apply(before, msgspec.json.decode(msgspec.json.encode(diff(before, after))))) == text(after)


@settings(max_examples=150)
@given(documents)
def test_equal_documents_have_no_difference(document: Any) -> None:
    assert diff(document, copy.deepcopy(document)) == []


@pytest.mark.needs_extra("dev")
@settings(max_examples=150)
@given(pairs)
def test_another_implementation_applies_our_patches(pair: tuple[Any, Any]) -> None:
    import jsonpatch

    before, after = pair
    theirs = jsonpatch.apply_patch(copy.deepcopy(before), copy.deepcopy(diff(before, after)))
    assert text(theirs) == text(after)


@pytest.mark.parametrize(
    "before,after",
    [
        (1, True),
        (0, False),
        (1, 1.0),
        (1.0, True),
        (0.0, -0.0),
        ([1, 2], [1.0, 2]),
        ({"a": [0]}, {"a": [False]}),
        ([{"id": 1, "on": 1}], [{"id": 1, "on": True}]),
        ([0.0, 5, 0.0], [0.0, 5, -0.0]),
        (None, False),
        ({}, []),
    ],
)
def test_values_that_python_calls_equal_are_told_apart(before: Any, after: Any) -> None:
    assert text(apply(before, diff(before, after))) == text(after)
    assert diff(before, after) != []


@pytest.mark.parametrize(
    "key,token", [("a/b", "a~1b"), ("m~n", "m~0n"), ("~1", "~01"), ("~/", "~0~1"), ("", ""), ("0", "0")]
)
def test_a_key_is_escaped_in_the_path(key: str, token: str) -> None:
    assert diff({key: 1, "x": 0}, {key: 2, "x": 0}) == [{"op": "replace", "path": f"/{token}", "value": 2}]


def test_a_nan_that_stays_is_no_difference() -> None:
    assert diff({"loss": math.nan}, {"loss": float("nan")}) == []


@pytest.mark.parametrize("length", [10, 10_000])
def test_an_append_costs_what_was_appended_however_long_the_list(length: int) -> None:
    message = {"role": "user", "content": "hello"}
    before = {"step": 1, "messages": [{"role": "user", "content": f"message {i}"} for i in range(length)]}
    after = {"step": 1, "messages": [*before["messages"], message, message]}  # type: ignore[misc]
    assert diff(before, after) == [{"op": "add", "path": "/messages/-", "value": message}] * 2


def test_a_message_that_streams_costs_its_own_text() -> None:
    history: list[Any] = [{"role": "user", "content": "x" * 100} for _ in range(1000)]
    before = [*history, {"role": "assistant", "content": "Hel"}]
    after = [*history, {"role": "assistant", "content": "Hello"}]
    assert diff(before, after) == [{"op": "replace", "path": "/1000/content", "value": "Hello"}]


def test_a_window_that_slides_costs_its_two_ends() -> None:
    before, after = list(range(1000)), list(range(3, 1003))
    patch = diff(before, after)
    assert [operation["op"] for operation in patch] == ["remove"] * 3 + ["add"] * 3


def test_a_change_deep_in_a_big_document_costs_its_path() -> None:
    before: dict[str, Any] = {
        f"region {i}": {"cities": [{"name": f"city {j}", "cases": [0] * 9} for j in range(50)]}
        for i in range(50)
    }
    after = copy.deepcopy(before)
    after["region 7"]["cities"][31]["cases"][8] = 1
    assert diff(before, after) == [{"op": "replace", "path": "/region 7/cities/31/cases/8", "value": 1}]


@pytest.mark.parametrize("field", ["id", "key", "name"])
def test_objects_in_a_list_are_matched_by_their_identity(field: str) -> None:
    def task(number: int, status: str) -> dict[str, Any]:
        return {field: f"task-{number}", "status": status, "detail": "d" * 200}

    before = [task(i, "open") for i in range(100)]
    after = [task(i, "done" if i == 50 else "open") for i in range(100) if i not in {20, 49}]
    after.insert(5, task(500, "new"))
    patch = diff(before, after)
    assert text(apply(before, patch)) == text(after)
    assert [(o["op"], o["path"]) for o in patch] == [
        ("replace", "/50/status"),
        ("remove", "/49"),
        ("remove", "/20"),
        ("add", "/5"),
    ]


@pytest.mark.parametrize("start,end", [(99, 0), (0, 99), (60, 40)])
def test_an_element_that_moved_costs_two_operations(start: int, end: int) -> None:
    before = [f"line {i}" for i in range(100)]
    after = before.copy()
    after.insert(end, after.pop(start))
    assert sorted(o["op"] for o in diff(before, after)) == ["add", "remove"]


def test_two_blocks_that_change_places_cost_the_shorter_one() -> None:
    lines = [f"line {i}" for i in range(100)]
    assert len(diff(lines, lines[90:] + lines[:90])) == 20
    assert len(diff(lines, lines[10:] + lines[:10])) == 20


def test_changes_among_elements_that_repeat_cost_those_changes() -> None:
    before = ["idle", "busy"] * 100
    after = before.copy()
    after[20], after[71] = "down", "gone"
    assert [(o["op"], o["path"]) for o in diff(before, after)] == [("replace", "/20"), ("replace", "/71")]


def test_edits_at_several_places_of_a_plain_list_cost_those_edits() -> None:
    before = [f"line {i}" for i in range(1000)]
    after = [line for line in before if line not in {"line 10", "line 500"}]
    after[300:300] = ["new"]
    assert [(o["op"], o["path"]) for o in diff(before, after)] == [
        ("remove", "/500"),
        ("remove", "/10"),
        ("add", "/300"),
    ]


def test_lists_in_a_list_that_shift_and_change_together_keep_their_paths_right() -> None:
    before = [{"id": i, "items": [f"{i}-{j}" * 20 for j in range(20)]} for i in range(20)]
    after = copy.deepcopy(before[3:])
    for entry in after:
        entry["items"] = [*entry["items"][2:], "new"]  # type: ignore[index]
    after.insert(0, {"id": 99, "items": []})
    patch = diff(before, after)
    assert len(patch) > 3 * len(after) - 3, "replaced whole, the paths would not matter"
    assert text(apply(before, patch)) == text(after)


@pytest.mark.parametrize(
    "after",
    [
        list(range(10_000, 0, -1)),
        [i * 7 % 10_007 for i in range(10_000)],
        [i % 2 for i in range(10_000)],
        [i for i in range(10_000) if i % 3],
        [],
    ],
    ids=["reversed", "shuffled", "repeated", "thinned", "emptied"],
)
def test_the_worst_changes_of_a_long_list_cost_no_more_than_the_list(after: list[int]) -> None:
    before = list(range(10_000))
    patch = diff(before, after)
    assert size(patch) <= size([{"op": "replace", "path": "", "value": after}])
    assert apply(before, patch) == after


@pytest.mark.parametrize("element", [str, lambda i: {"id": i, "n": 1}, lambda i: {"n": i}, lambda i: [i % 3]])
def test_twice_as_long_a_list_takes_twice_the_steps(element: Callable[[int], Any]) -> None:
    """Counts calls instead of seconds; a longest common subsequence would take four times as many."""

    def steps(length: int) -> int:
        before = [element(i) for i in range(length)]
        after = [element(i * 7 % (length + 3)) for i in range(length)]
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            diff(before, after)
        finally:
            sys.setprofile(None)
        return calls

    assert steps(5000) < 2.5 * steps(2500) < 2.5 * 100 * 2500


def test_an_object_whose_members_all_change_is_replaced_whole() -> None:
    before = {"metrics": {f"m{i}": i for i in range(1000)}}
    after = {"metrics": {f"m{i}": i + 1 for i in range(1000)}}
    assert diff(before, after) == [{"op": "replace", "path": "/metrics", "value": after["metrics"]}]


def test_a_big_unchanged_neighbour_is_not_written_with_many_small_changes() -> None:
    before: dict[str, Any] = {f"m{i}": i for i in range(100)} | {"log": ["x" * 100] * 1000}
    after = {key: value + 1 if isinstance(value, int) else [*value, "y"] for key, value in before.items()}
    assert size(diff(before, after)) < 6000


@pytest.mark.parametrize("kind", [dict, list])
@pytest.mark.parametrize("depth", [10, 31, 32, 33, 500, 5000, 100_000])
def test_nesting_of_any_depth_is_compared_without_recursion(kind: type, depth: int) -> None:
    before, after = nested(depth, 1, kind=kind), nested(depth, 2, kind=kind)
    result = apply(before, diff(before, after))
    for _ in range(depth):
        result = result["a"] if kind is dict else result[0]
    assert result == 2


def test_a_small_change_five_hundred_objects_deep_costs_its_path() -> None:
    before = nested(500, {"n": 1, "ballast": "b" * 10_000}, kind=dict)
    after = nested(500, {"n": 2, "ballast": "b" * 10_000}, kind=dict)
    assert diff(before, after) == [{"op": "replace", "path": "/a" * 500 + "/n", "value": 2}]


def test_a_comparison_near_the_end_of_the_stack_still_gives_a_patch() -> None:
    before, after = nested(400, 1, kind=list), nested(400, 2, kind=list)

    def descend(levels: int) -> Patch:
        return diff(before, after) if levels == 0 else descend(levels - 1)

    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    assert apply(before, descend(sys.getrecursionlimit() - depth - 100)) == after


def test_keys_that_are_not_text_are_refused() -> None:
    with pytest.raises(PatchError, match="keys are strings"):
        diff({1: "a"}, {2: "a"})


def test_a_document_is_written_a_bounded_number_of_times_however_deep_it_nests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weighing a patch against the whole value on every level would make the cost quadratic in the depth."""

    def layers(count: int, n: int) -> Any:
        document: Any = {}
        for _ in range(count):
            document = {"inner": document, **{f"m{i}": n for i in range(4)}}
        return document

    total = 0
    encode = difference._encode

    def counted(value: Any) -> bytes:
        nonlocal total
        data = encode(value)
        total += len(data)
        return data

    monkeypatch.setattr(difference, "_encode", counted)
    before, after = layers(400, 1), layers(400, 2)
    diff(before, after)
    assert 0 < total < 50 * len(encode(after))
