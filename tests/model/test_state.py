import contextlib
import copy
import json
import math
from enum import Enum
from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.errors import BrokenStateError, PatchError
from clew.model.state import StateChain, StateDelta, StateWriter, canonical_json, state_hash
from tests.model.documents import documents, edited, nested, text

histories = st.lists(documents, min_size=1, max_size=6) | documents.flatmap(
    lambda first: st.lists(edited(first), min_size=1, max_size=6)
)


def written(delta: StateDelta) -> bytes:
    return msgspec.json.encode(delta)


def read(data: bytes) -> StateDelta:
    return msgspec.json.decode(data, type=StateDelta)


def chain_of(states: list[Any], *, max_chain: int = 64) -> StateChain:
    """What a reader has after the deltas went through JSON."""
    writer = StateWriter(max_chain=max_chain)
    return StateChain([read(written(writer.record(state))) for state in states])


def growing(count: int) -> list[Any]:
    """The states of a conversation, the first one big enough that patches are worth their bytes."""
    first = [{"role": "system", "content": "s" * 2000}]
    return [
        {"step": i, "messages": first + [{"role": "user", "content": f"message {j}"} for j in range(i)]}
        for i in range(count)
    ]


def is_snapshot(delta: StateDelta) -> bool:
    return delta.snapshot is not msgspec.UNSET


@settings(max_examples=200)
@given(histories, st.integers(1, 4), st.randoms(use_true_random=False))
def test_every_state_is_read_back_exactly_in_any_order(
    states: list[Any], max_chain: int, random: Any
) -> None:
    chain = chain_of(states, max_chain=max_chain)
    order = [*range(len(states)), *random.sample(range(len(states)), len(states))]
    assert [text(chain.at(index)) for index in order] == [text(states[index]) for index in order]


@settings(max_examples=100)
@given(documents)
def test_a_hash_is_that_of_sorted_json_without_white_space(document: Any) -> None:
    """The standard library writes floats another way, so its text is read and written once more."""
    independent = msgspec.json.decode(json.dumps(document, sort_keys=True))
    assert state_hash(document) == state_hash(independent)
    assert state_hash(document) == blake2b(canonical_json(document), digest_size=16).hexdigest()


def test_the_hash_of_a_known_state_does_not_change_between_versions() -> None:
    assert canonical_json({"b": [1, 1.0, True, None], "a": "ä"}) == '{"a":"ä","b":[1,1.0,true,null]}'.encode()
    assert state_hash({"b": [1, 1.0, True, None], "a": "ä"}) == "ff4fd156241412da98e0738e1a6a3e8a"


def test_the_order_of_keys_does_not_change_the_hash_and_the_type_of_a_number_does() -> None:
    assert state_hash({"a": 1, "b": 2}) == state_hash({"b": 2, "a": 1})
    assert len({state_hash([value]) for value in (1, 1.0, True, "1", 0, 0.0, -0.0, False, None)}) == 9


def test_what_json_has_no_form_for_is_written_in_its_nearest_form() -> None:
    class Colour(Enum):
        RED = "red"

    state = {1: "a", "x": {2: (Colour.RED, {3})}, "nan": math.nan, "inf": -math.inf}
    assert json.loads(canonical_json(state)) == {"1": "a", "x": {"2": ["red", [3]]}, "nan": None, "inf": None}


@pytest.mark.parametrize(
    "state",
    [
        object(),
        {"a": {"b": object()}},
        "\ud800",
        {"\ud800": 1},
        10**5000,
        {(1, 2): 3},
        nested(100_000, 1, kind=list),
    ],
    ids=["object", "inner object", "surrogate", "surrogate key", "huge int", "tuple key", "deep"],
)
def test_a_state_that_is_not_json_is_refused_and_the_chain_goes_on(state: Any) -> None:
    writer = StateWriter()
    first = writer.record({"n": 1})
    with pytest.raises(PatchError, match="written as JSON"):
        writer.record(state)
    second = writer.record({"n": 2})
    assert second.index == 1
    assert StateChain([first, second]).at(1) == {"n": 2}


def test_a_cycle_is_refused() -> None:
    state: dict[str, Any] = {}
    state["me"] = state
    with pytest.raises(PatchError, match="too deep"):
        StateWriter().record(state)


def test_the_first_state_is_a_snapshot_and_the_next_a_patch() -> None:
    chain = chain_of(growing(3))
    assert [is_snapshot(delta) for delta in chain.deltas] == [True, False, False]
    assert chain.deltas[1].patch == [
        {"op": "replace", "path": "/step", "value": 1},
        {"op": "add", "path": "/messages/-", "value": {"content": "message 0", "role": "user"}},
    ]
    assert [delta.index for delta in chain.deltas] == [0, 1, 2]


def test_none_is_a_state_and_not_the_lack_of_one() -> None:
    chain = chain_of([None, {"a": 1}, None])
    assert [chain.at(index) for index in range(3)] == [None, {"a": 1}, None]


def test_a_state_that_is_changed_in_place_is_recorded_as_it_was() -> None:
    state: dict[str, Any] = growing(1)[0]
    expected = []
    writer, chain = StateWriter(), StateChain()
    for step in range(20):
        state["step"] = step
        state["messages"].append({"role": "user", "content": [step]})
        state["messages"][-2]["seen"] = True
        chain.add(writer.record(state))
        expected.append(copy.deepcopy(state))
    assert sum(is_snapshot(delta) for delta in chain.deltas) < 5
    assert [chain.at(index) for index in range(20)] == expected


def test_a_rebuilt_state_may_be_changed_without_changing_the_chain() -> None:
    states = growing(4)
    chain = chain_of(states)
    for index in (0, 1, 2, 3, 3, 0):
        state = chain.at(index)
        assert state == states[index]
        state["messages"].clear()
        state["step"] = "changed"


def test_a_state_that_did_not_change_is_an_empty_patch() -> None:
    state = growing(2)[1]
    chain = chain_of([state, dict(reversed(state.items())), state])
    assert [delta.patch for delta in chain.deltas] == [None, [], []]
    assert chain.at(2) == state


def test_a_list_that_only_grows_costs_a_constant_times_what_was_appended() -> None:
    """Snapshots included: doubling the number of steps must not quadruple the bytes."""
    message = {"role": "user", "content": "x" * 100}

    def recorded_bytes(steps: int) -> int:
        writer, messages, total = StateWriter(max_chain=10**9), [], 0
        for _ in range(steps):
            messages.append(message)
            total += len(written(writer.record({"messages": messages})))
        return total

    appended = len(msgspec.json.encode(message))
    assert recorded_bytes(400) < 5 * 400 * appended
    assert recorded_bytes(800) < 5 * 800 * appended


def test_a_patch_in_a_long_list_is_as_small_as_in_a_short_one() -> None:
    sizes = []
    for length in (100, 10_000):
        writer, items = StateWriter(), list(range(length))
        writer.record(items)
        items.append(7)
        sizes.append(len(msgspec.json.encode(writer.record(items).patch)))
    assert sizes[0] == sizes[1] < 50


@pytest.mark.parametrize("max_chain", [1, 2, 5])
def test_a_snapshot_comes_after_the_longest_chain(max_chain: int) -> None:
    chain = chain_of(growing(12), max_chain=max_chain)
    assert [delta.index for delta in chain.deltas if is_snapshot(delta)] == list(range(0, 12, max_chain))


def test_a_snapshot_comes_before_patches_take_more_than_the_last_one() -> None:
    patch_bytes = snapshot_bytes = snapshots = 0
    for delta in chain_of([{"n": i, "text": "x" * 50} for i in range(100)], max_chain=1000).deltas:
        if is_snapshot(delta):
            snapshots, patch_bytes, snapshot_bytes = snapshots + 1, 0, len(canonical_json(delta.snapshot))
        else:
            patch_bytes += len(msgspec.json.encode(delta.patch))
        assert patch_bytes <= snapshot_bytes
    assert 2 <= snapshots < 100


def test_a_state_that_changed_altogether_is_a_snapshot() -> None:
    chain = chain_of([{"a": "x" * 100}, {"b": ["y" * 100]}, {"b": "z"}])
    assert [is_snapshot(delta) for delta in chain.deltas] == [True, True, True]


def test_after_a_loss_the_next_state_is_a_snapshot_and_is_read() -> None:
    states = growing(6)
    writer, chain = StateWriter(), StateChain()
    for index, state in enumerate(states):
        delta = writer.record(state)
        if index == 2:
            writer.reset()
        else:
            chain.add(delta)
    assert [is_snapshot(delta) for delta in chain.deltas] == [True, False, True, False, False]
    assert [chain.at(index) for index in (0, 1, 3, 4, 5)] == [states[index] for index in (0, 1, 3, 4, 5)]
    with pytest.raises(BrokenStateError, match=r"State 2 .* delta of state 2 was lost"):
        chain.at(2)


def test_a_lost_delta_breaks_the_states_up_to_the_next_snapshot_only() -> None:
    states = growing(9)
    deltas = [delta for delta in chain_of(states, max_chain=4).deltas if delta.index != 2]
    chain = StateChain(deltas)
    for index in (8, 3, 2, 1, 3, 7, 4, 0):
        if index in {2, 3}:
            with pytest.raises(BrokenStateError, match=f"State {index} .* delta of state 2 was lost"):
                chain.at(index)
        else:
            assert chain.at(index) == states[index]


def test_a_state_rebuilt_before_lets_no_later_one_skip_a_lost_delta() -> None:
    chain = StateChain(delta for delta in chain_of(growing(4)).deltas if delta.index != 2)
    chain.at(1)
    with pytest.raises(BrokenStateError):
        chain.at(3)


@pytest.mark.parametrize("index", [-1, 3, 10**9])
def test_a_position_that_was_never_recorded_is_named(index: int) -> None:
    with pytest.raises(BrokenStateError, match=f"State {index} "):
        chain_of(growing(3)).at(index)


@pytest.mark.parametrize(
    "patch",
    [
        [],
        [{"op": "add", "path": "/messages/-", "value": "forged"}],
        [{"op": "remove", "path": "/nowhere"}],
        [{"op": "add"}],
        [{}],
    ],
    ids=["emptied", "forged", "not applicable", "incomplete", "empty operation"],
)
def test_a_damaged_patch_is_found_and_named(patch: Any) -> None:
    states = growing(9)
    deltas = chain_of(states, max_chain=4).deltas
    deltas[2] = msgspec.structs.replace(deltas[2], patch=patch)
    chain = StateChain(deltas)
    for index in (2, 3):
        with pytest.raises(BrokenStateError, match=f"State {index} "):
            chain.at(index)
    assert [chain.at(index) for index in (0, 1, 4, 8)] == [states[index] for index in (0, 1, 4, 8)]


def test_a_snapshot_with_another_type_of_number_is_found() -> None:
    delta = StateWriter().record({"n": 1})
    with pytest.raises(BrokenStateError, match="hash"):
        StateChain([msgspec.structs.replace(delta, snapshot={"n": 1.0})]).at(0)


def test_a_delta_with_neither_snapshot_nor_patch_counts_as_lost() -> None:
    with pytest.raises(BrokenStateError, match="State 0 "):
        StateChain([read(b'{"index":0,"hash":"00"}')]).at(0)


def test_a_delta_is_read_with_fields_that_a_newer_version_added() -> None:
    delta = read(b'{"index":0,"snapshot":null,"hash":"' + state_hash(None).encode() + b'","later":[1]}')
    assert StateChain([delta]).at(0) is None


def test_deltas_may_come_twice_and_in_any_order() -> None:
    states = growing(6)
    deltas = chain_of(states, max_chain=3).deltas
    chain = StateChain(reversed(deltas + deltas))
    assert (len(chain), chain.deltas, chain) == (6, deltas, StateChain(deltas))
    assert [chain.at(index) for index in range(6)] == states


def test_chains_are_equal_when_their_deltas_are() -> None:
    states = growing(3)
    chain, other = chain_of(states), chain_of(states)
    chain.at(2)
    assert chain == other
    other.add(StateDelta(index=3, patch=[], hash=state_hash(states[2])))
    assert chain != other
    assert chain != states
    assert len(StateChain()) == 0


def test_reading_in_order_applies_every_patch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(list[Any]):
        """A patch that counts how often it is read."""

        reads = 0

        def __iter__(self) -> Any:
            Counted.reads += 1
            return super().__iter__()

    deltas = [
        delta if delta.patch is None else msgspec.structs.replace(delta, patch=Counted(delta.patch))
        for delta in chain_of(growing(50)).deltas
    ]
    chain = StateChain(deltas)
    for index in range(50):
        chain.at(index)
    assert 0 < Counted.reads <= 50


@pytest.mark.parametrize("kind", [dict, list])
def test_states_nested_five_hundred_deep_are_recorded_and_read(kind: type) -> None:
    states = [nested(500, {"n": n, "ballast": "b" * 5000}, kind=kind) for n in range(3)]
    chain = chain_of(states)
    assert [canonical_json(chain.at(index)) for index in range(3)] == [
        canonical_json(state) for state in states
    ]


def test_states_as_deep_as_the_interpreter_allows_are_recorded_or_refused() -> None:
    refused = 0
    for depth in range(800, 1000):
        writer, chain = StateWriter(), StateChain()
        for n in range(3):
            ballast = "b" * 5000
            with contextlib.suppress(PatchError):
                chain.add(writer.record({"ballast": ballast, "deep": nested(depth, n, kind=list)}))
        refused += not len(chain)
        for delta in chain.deltas:
            with contextlib.suppress(BrokenStateError):
                chain.at(delta.index)
    assert refused < 200
