"""Where in a run something is asked or called: what tells equal requests apart that were answered differently."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

Path = tuple[tuple[str, int | None], ...]
"""From the outside in: the branches and triggers whose workflows run, each with the round of its loop."""
_T = TypeVar("_T")
_path: ContextVar[Path] = ContextVar("path of workflows", default=())


def path_here() -> Path:
    """Return the path of the workflow that runs here; empty in the outermost one."""
    return _path.get()


@contextmanager
def inside(node_id: str, iteration: int | None) -> Iterator[None]:
    """Be in the workflow of a node, in a round of its loop."""
    token = _path.set((*_path.get(), (node_id, iteration)))
    try:
        yield
    finally:
        _path.reset(token)


class _Entry(Generic[_T]):
    __slots__ = ("is_taken", "value")

    def __init__(self, value: _T) -> None:
        self.value = value
        self.is_taken = False


class Recorded(Generic[_T]):
    """What was answered to requests. Each answer is taken once, equal ones in the order of the record.

    What was recorded in the same attempt comes first, then what was recorded in the same node. A node that was not there
    then, because it has another name now, gets what was recorded anywhere; any other would take what is another one's.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._waiting: dict[Hashable, deque[_Entry[_T]]] = {}
        self._nodes: set[tuple[Path, str]] = set()

    def add_node(self, *, path: Path, node_id: str) -> None:
        """Know a node that was there, whether it was answered or not."""
        self._nodes.add((path, node_id))

    def add(
        self,
        request: str,
        value: _T,
        *,
        path: Path,
        node_id: str,
        attempt: int | None = None,
        call: Any = None,
    ) -> None:
        """Take an answer in.

        Args:
            request: its hash.
            value: the answer.
            path: of the workflow that the node is in.
            node_id: the node that asked.
            attempt: which attempt at it did, where that is known.
            call: which of the node's calls it was, where that is known.
        """
        entry = _Entry(value)
        for key in [*_own_keys(request, path, node_id, attempt, call), *_keys(request, path, node_id, call)]:
            self._waiting.setdefault(key, deque()).append(entry)

    def take(
        self,
        request: str,
        *,
        path: Path,
        node_id: str,
        attempt: int | None = None,
        only_own: bool = False,
        call: Any = None,
    ) -> _T | None:
        """Return the next answer to a request, the nearest to the place; None where there is none left.

        Args: as for `add`, and only_own: whether what was recorded elsewhere than in this attempt does not count.
        """
        keys = _keys(request, path, node_id, call)
        if (path, node_id) in self._nodes:
            keys.pop()
        for key in [*_own_keys(request, path, node_id, attempt, call), *([] if only_own else keys)]:
            waiting = self._waiting.get(key)
            while waiting:
                entry = waiting.popleft()
                if not entry.is_taken:
                    entry.is_taken = True
                    return entry.value
        return None


def _own_keys(request: str, path: Path, node_id: str, attempt: int | None, call: Any) -> list[Hashable]:
    if attempt is None:
        return []
    own = ("attempt", request, path, node_id, attempt)
    return [own] if call is None else [(*own, call), own]


def _keys(request: str, path: Path, node_id: str, call: Any) -> list[Hashable]:
    node = (request, path, node_id)
    return [node, request] if call is None else [(*node, call), node, request]
