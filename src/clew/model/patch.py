"""RFC 6902 (JSON Patch): applying a patch to a JSON document; `diff` makes one.

A document is what `msgspec.json.decode` returns: dict with str keys, list, str, int, float, bool, None.
"""

from collections.abc import Sequence
from typing import Any

from clew.errors import PatchError
from clew.model.difference import Operation, Patch, diff, same_kinds

__all__ = ["Operation", "Patch", "apply", "diff"]

_LONGEST_INDEX = 15  # digits; above, an index cannot be in a list, and int() of a very long text is slow
_LONGEST_SHOWN = 120


def apply(document: Any, patch: Sequence[Operation]) -> Any:
    """Return the document that the patch makes of `document`, which stays as it is.

    All six operations of RFC 6902. The result shares its unchanged parts with `document` and `patch`: copy it before
    changing it in place. Costs what the patch touches, not the size of the document.

    Raises: PatchError: an operation is malformed, names a place that does not exist, or its test fails. It names the
            operation by its position, from 0.
    """
    if not isinstance(patch, list | tuple):
        raise PatchError(f"A patch is a list of operations, not {type(patch).__name__}.")
    edit = _Edit(document)
    for position, operation in enumerate(patch):
        try:
            edit.perform(operation)
        except PatchError as error:
            raise PatchError(
                f"Patch operation {position} {_label(operation)} cannot be applied: {error}"
            ) from None
    return edit.root


class _Edit:
    """A document under change: a container is copied when it is first touched, and never twice."""

    def __init__(self, document: Any) -> None:
        self.root = document
        self._owned: dict[int, Any] = {}
        """Containers that this edit made, by id. Holding them keeps an id from being given to another object."""

    def perform(self, operation: Operation) -> None:
        if not isinstance(operation, dict):
            raise PatchError(f"an operation is an object, not {type(operation).__name__}")
        kind = operation.get("op")
        tokens = _tokens(operation, "path")
        if kind == "add":
            self._add(tokens, _member(operation, "value"))
        elif kind == "remove":
            self._remove(tokens)
        elif kind == "replace":
            self._replace(tokens, _member(operation, "value"))
        elif kind == "move":
            source = _tokens(operation, "from")
            if len(source) < len(tokens) and tokens[: len(source)] == source:
                raise PatchError("a value cannot be moved into itself")
            value = self._find(source)
            if source != tokens:
                self._remove(source)
                self._add(tokens, value)
        elif kind == "copy":
            value = self._find(_tokens(operation, "from"))
            # The value now stands in two places, so nothing may be changed in place until it has been copied again.
            self._owned.clear()
            self._add(tokens, value)
        elif kind == "test":
            self._test(tokens, _member(operation, "value"))
        else:
            raise PatchError("there is no such operation")

    def _find(self, tokens: list[str]) -> Any:
        node = self.root
        for token in tokens:
            node = node[_place(node, token)]
        return node

    def _own(self, container: Any) -> Any:
        if type(container) is not dict and type(container) is not list:
            raise PatchError(f"there is nothing below {type(container).__name__}")
        if id(container) in self._owned:
            return container
        mine = container.copy()
        self._owned[id(mine)] = mine
        return mine

    def _open(self, tokens: list[str]) -> Any:
        """Return the container that holds the place, after copying all that has not been copied on the way to it."""
        node = self.root = self._own(self.root)
        for token in tokens[:-1]:
            place = _place(node, token)
            node[place] = self._own(node[place])
            node = node[place]
        return node

    def _add(self, tokens: list[str], value: Any) -> None:
        if not tokens:
            self.root = value
            return
        container = self._open(tokens)
        if type(container) is dict:
            container[tokens[-1]] = value
        else:
            end = len(container)
            container.insert(end if tokens[-1] == "-" else _index(tokens[-1], end + 1), value)

    def _remove(self, tokens: list[str]) -> None:
        if not tokens:
            raise PatchError("the whole document cannot be removed")
        container = self._open(tokens)
        del container[_place(container, tokens[-1])]

    def _replace(self, tokens: list[str], value: Any) -> None:
        if not tokens:
            self.root = value
            return
        container = self._open(tokens)
        container[_place(container, tokens[-1])] = value

    def _test(self, tokens: list[str], expected: Any) -> None:
        found = self._find(tokens)
        try:
            # Numbers are equal by their value here (RFC 6902, section 4.6), where 1 and 1.0 are two states.
            equal = found == expected and same_kinds(found, expected, numbers_differ=False)
        except RecursionError:
            raise PatchError("the value to test nests too deep") from None
        if not equal:
            raise PatchError("the value differs from the one expected")


def _tokens(operation: Operation, member: str) -> list[str]:
    """Return the reference tokens of a JSON pointer (RFC 6901), unescaped; none for the whole document."""
    pointer = _member(operation, member)
    if not isinstance(pointer, str) or (pointer and pointer[0] != "/"):
        raise PatchError(f"its {member} is not a JSON pointer")
    if "~" not in pointer:
        return pointer.split("/")[1:]
    if pointer.count("~") != pointer.count("~0") + pointer.count("~1"):
        raise PatchError(f"its {member} has a ~ that is followed by neither 0 nor 1")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _member(operation: Operation, name: str) -> Any:
    if name not in operation:
        raise PatchError(f"it has no {name}")
    return operation[name]


def _place(container: Any, token: str) -> Any:
    """Return the key or index of something that exists in `container`."""
    if type(container) is dict:
        if token not in container:
            raise PatchError(f"there is no member {token[:_LONGEST_SHOWN]!r}")
        return token
    if type(container) is list:
        return _index(token, len(container))
    raise PatchError(f"there is nothing below {type(container).__name__}, so no {token[:_LONGEST_SHOWN]!r}")


def _index(text: str, length: int) -> int:
    # Leading zeros, signs and the digits of other scripts are no index (RFC 6901, section 4).
    if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
        raise PatchError(f"{text[:_LONGEST_SHOWN]!r} is no index of a list")
    if len(text) > _LONGEST_INDEX or int(text) >= length:
        raise PatchError(f"index {text[:_LONGEST_SHOWN]} is outside the list")
    return int(text)


def _label(operation: Any) -> str:
    """Return what names an operation in a message; it may be anything, so only its texts are shown."""
    members = operation if isinstance(operation, dict) else {}
    shown = [
        repr(part[:_LONGEST_SHOWN]) for part in (members.get("op"), members.get("path")) if type(part) is str
    ]
    return f"({' '.join(shown)})"
