"""The states of a run: a snapshot, then patches, each with the hash of what it must give."""

from collections.abc import Iterable
from typing import Any

import msgspec

from clew.errors import BrokenStateError, PatchError
from clew.model.digest import digest
from clew.model.patch import Operation, Patch, apply, diff

_HASH_BYTES = 16
# Snapshots of a list that grew by 5,000 messages to 1.3 MB took 54 MB with 64 here, 15 MB with 256; a longer chain costs
# a reader little, but a lost line costs it more states.
_MAX_CHAIN = 256

_canonical = msgspec.json.Encoder(order="deterministic")
_plain = msgspec.json.Encoder()
_decode = msgspec.json.Decoder().decode


def canonical_json(state: Any) -> bytes:
    """Return a state as JSON with sorted keys and no white space: equal states give equal bytes.

    Numbers keep their JSON text, so 1 and 1.0 differ; NaN and the infinities are null; keys that are not strings
    become strings.

    Raises: PatchError: something in it cannot be written as JSON, or it nests too deep.
    """
    try:
        try:
            return _canonical.encode(state)
        except TypeError:
            # Keys that are not strings cannot be sorted before they have become strings.
            return _canonical.encode(_decode(_plain.encode(state)))
    except RecursionError:
        raise PatchError(
            "A state nests too deep to be written as JSON; record a flatter part of it."
        ) from None
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise PatchError(f"A state cannot be written as JSON: {error}.") from error


def state_hash(state: Any) -> str:
    """Return the blake2b hash of a state's canonical JSON: 32 hexadecimal digits.

    Raises: PatchError: the state cannot be written as JSON.
    """
    return _hash(canonical_json(state))


def _hash(data: bytes) -> str:
    return digest(data)


class StateDelta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recorded state: all of it, or what changed since the one before."""

    index: int
    """Position in the chain, from 0, without gaps where nothing was lost."""
    snapshot: Any | msgspec.UnsetType = msgspec.UNSET
    """The whole state; unset where `patch` makes it from the state before. None is a state like any other."""
    patch: list[Operation] | None = None
    """RFC 6902 operations that make this state from the one at `index - 1`; empty where nothing changed."""
    hash: str
    """`state_hash` of this state, so that a reader can prove that it rebuilt the right one."""


class StateWriter:
    """Turns the states of one run, in order, into deltas. Not for several threads at once.

    A state is a snapshot when it is the first, when `max_chain` deltas have passed since the last snapshot, after
    `reset`, and where the patches since the last snapshot would take more bytes than that snapshot did: so a reader
    never reads more than twice a snapshot, and a list that only grows costs O(what was appended).
    """

    def __init__(self, *, max_chain: int = _MAX_CHAIN) -> None:
        self._max_chain = max_chain
        self._index = 0
        self._previous: Any = msgspec.UNSET
        self._previous_hash = ""
        self._chain_length = 0
        self._snapshot_bytes = 0
        self._patch_bytes = 0

    def record(self, state: Any) -> StateDelta:
        """Return the delta to write for a state, which its owner may go on changing in place.

        The delta shares parts with what this writer keeps: encode it, do not change it. Encodes and decodes the state
        once, then costs one comparison with the state before.

        Raises: PatchError: the state cannot be written as JSON; the chain goes on as if it had not been given.
        """
        data = canonical_json(state)
        digest = _hash(data)
        document = _decode(data)
        patch = self._affordable_patch(document, digest, whole_bytes=len(data))
        if patch is None:
            delta = StateDelta(index=self._index, snapshot=document, hash=digest)
            self._chain_length, self._snapshot_bytes, self._patch_bytes = 1, len(data), 0
        else:
            delta = StateDelta(index=self._index, patch=patch, hash=digest)
            self._chain_length += 1
        self._previous, self._previous_hash = document, digest
        self._index += 1
        return delta

    def reset(self) -> None:
        """Make the next state a snapshot, because a delta was lost on its way. Its index is not given again."""
        self._previous = msgspec.UNSET

    def _affordable_patch(self, document: Any, digest: str, *, whole_bytes: int) -> Patch | None:
        if self._previous is msgspec.UNSET or self._chain_length >= self._max_chain:
            return None
        if digest == self._previous_hash:
            return []
        patch = diff(self._previous, document)
        try:
            patch_bytes = len(_plain.encode(patch))
        except RecursionError:  # a patch nests its values two levels deeper than the state does
            return None
        if patch_bytes >= whole_bytes or self._patch_bytes + patch_bytes > self._snapshot_bytes:
            return None
        self._patch_bytes += patch_bytes
        return patch


class StateChain:
    """The recorded states of one run, each rebuilt when it is asked for. Not for several threads at once.

    Deltas may be added in any order and more than once; of two with the same index the first stays.
    """

    def __init__(self, deltas: Iterable[StateDelta] = ()) -> None:
        self._by_index: dict[int, StateDelta] = {}
        self._rebuilt: tuple[int, Any] | None = None
        for delta in deltas:
            self.add(delta)

    def add(self, delta: StateDelta) -> None:
        """Take one delta into the chain."""
        self._by_index.setdefault(delta.index, delta)

    @property
    def deltas(self) -> list[StateDelta]:
        """The deltas by their index, without those that were lost."""
        return [self._by_index[index] for index in sorted(self._by_index)]

    def at(self, index: int) -> Any:
        """Return the state at a position, as a copy of the caller's own with sorted keys.

        Costs reading the state, plus the patches since the nearest snapshot or since the state rebuilt last, so that
        reading every state in order applies every patch once.

        Raises: BrokenStateError: this state or one that it is made from was lost or does not apply, or the hash
                differs. States from the next snapshot on stay readable.
        """
        try:
            document = self._rebuild(index)
            data = canonical_json(document)
        except PatchError as error:
            raise BrokenStateError(f"State {index} cannot be rebuilt: {error}") from error
        digest, expected = _hash(data), self._by_index[index].hash
        if digest != expected:
            raise BrokenStateError(
                f"State {index} was rebuilt with the hash {digest}, but recorded with {expected}: a delta is damaged."
            )
        self._rebuilt = (index, document)
        return _decode(data)

    def _rebuild(self, index: int) -> Any:
        """Return the state, which shares its parts with the deltas."""
        patches: list[Patch] = []
        document: Any = msgspec.UNSET
        at = index
        while document is msgspec.UNSET:
            delta = self._by_index.get(at)
            if self._rebuilt is not None and self._rebuilt[0] == at:
                document = self._rebuilt[1]
            elif delta is not None and delta.snapshot is not msgspec.UNSET:
                document = delta.snapshot
            elif delta is not None and delta.patch is not None:
                patches.append(delta.patch)
                at -= 1
            else:
                raise BrokenStateError(f"State {index} cannot be rebuilt: the delta of state {at} was lost.")
        # One call for all patches: a container that several of them touch is copied once.
        return apply(document, [operation for patch in reversed(patches) for operation in patch])

    def __len__(self) -> int:
        return len(self._by_index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StateChain):
            return NotImplemented
        return self._by_index == other._by_index

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"StateChain({len(self)} states)"
