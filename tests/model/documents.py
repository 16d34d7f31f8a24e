"""JSON documents for the tests of patches and states, and how they are compared."""

import copy
import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from clew.model.patch import Patch

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e22, 5e-324])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
keys = st.sampled_from(["", "id", "key", "name", "a", "b", "a/b", "m~n", "~1", "0", "-", "ä"]) | st.text(
    max_size=3
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(keys, inner, max_size=6)
        | st.lists(st.fixed_dictionaries({"id": st.integers(0, 5), "value": inner}), max_size=6)
    ),
    max_leaves=25,
)


@st.composite
def edited(draw: st.DrawFn, document: Any) -> Any:
    """The same document after a few changes, as programs make them."""
    result = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 5))):
        place = result
        while isinstance(place, dict | list) and place and draw(st.booleans()):
            inner = draw(st.sampled_from(list[Any](place.values()) if isinstance(place, dict) else place))
            if not isinstance(inner, dict | list):
                break
            place = inner
        if isinstance(place, dict):
            place[draw(keys)] = draw(documents)
        elif isinstance(place, list):
            place.insert(draw(st.integers(0, len(place))), draw(documents))
            if draw(st.booleans()):
                place.pop(draw(indexes(place)))
            if len(place) > 0 and draw(st.booleans()):
                place.append(place.pop(0))
    return result


def indexes(elements: list[Any]) -> st.SearchStrategy[int]:
    return st.integers(0, len(elements) - 1)


few = st.lists(st.integers(0, 3) | st.just([0]) | st.just({"id": 1}), max_size=9)
tasks = st.lists(
    st.fixed_dictionaries({"id": st.integers(0, 9), "n": few | scalars}),
    max_size=8,
    unique_by=lambda task: str(task["id"]),
)
pairs = (
    st.tuples(documents, documents)
    | documents.flatmap(lambda d: st.tuples(st.just(d), edited(d)))
    | st.tuples(few, few)
    | st.tuples(tasks, tasks)
)


def text(document: Any) -> str:
    """The JSON text, written by the standard library: apart from the code under test, and exact about types."""
    return json.dumps(document, sort_keys=True, allow_nan=False)


def size(patch: Patch) -> int:
    return len(msgspec.json.encode(patch))


def nested(depth: int, leaf: Any, *, kind: type) -> Any:
    document = leaf
    for _ in range(depth):
        document = {"a": document} if kind is dict else [document]
    return document
