"""The states of a run: a snapshot, then patches, each with the hash of what it must give."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from clew.errors import BrokenStateError, PatchError
from clew.model.patch import Operation, Patch, apply, diff

_HASH_BYTES = 16
_MAX_CHAIN = 64

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
        raise PatchError("A state nests too deep to be written as JSON; record a flatter part of it.") from None
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise PatchError(f"A state cannot be written as JSON: {error}.") from error


def state_hash(state: Any) -> str:
    """Return the blake2b hash of a state's canonical JSON: 32 hexadecimal digits.

    Raises: PatchError: the state cannot be written as JSON.
    """
    return _hash(canonical_json(state))


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=_HASH_BYTES).hexdigest()


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
        """Return the delta to write for a state, which may be changed in place afterwards.

        The delta shares parts with what this writer keeps: encode it, do not change it. Encodes and decodes the state
        once, then costs one comparison with the state before.

        Raises: PatchError: the state cannot be written as JSON; the chain goes on as if it had not been given.
        """
        data = canonical_json(state)
        document = self._decoded(data)
        patch = self._affordable_patch(data, document)
        delta = StateDelta(
            index=self._index,
            snapshot=document if patch is None else msgspec.UNSET,
            patch=patch,
            hash=_hash(data),
        )
        if patch is None:
            self._chain_length = 1
            self._snapshot_bytes = len(data)
            self._patch_bytes = 0
        else:
            self._chain_length += 1
        self._previous, self._previous_hash = document, delta.hash
        self._index += 1
        return delta

    def reset(self) -> None:
        """Make the next state a snapshot, because a delta was lost on its way."""
        self._previous = msgspec.UNSET
