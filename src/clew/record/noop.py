"""What stands in for a span where nothing is recorded: one shared object that takes everything and keeps nothing."""

from __future__ import annotations

import itertools
from typing import Any, Final, Self


class _Discarding(dict[str, Any]):
    """A dictionary that stays empty whatever is put into it."""

    __slots__ = ()

    def __setitem__(self, key: str, value: object) -> None:
        return

    def setdefault(self, key: str, default: Any = None) -> Any:  # noqa: ARG002
        """Give the default back."""
        return default

    def update(self, *values: Any, **more: Any) -> None:
        """Do nothing."""

    def __ior__(self, other: object) -> Self:  # type: ignore[override, misc]
        return self


_NOTHING: Final = _Discarding()


class NoopSpan:
    """A span that is not recorded. Has every attribute and method of a span; none does anything."""

    __slots__ = ()

    span_id: Final = None
    run_id: Final = None
    node_id: Final = None
    duration_ns: Final = None
    metrics: Final[dict[str, Any]] = _NOTHING
    attributes: Final[dict[str, Any]] = _NOTHING
    tags: Final[dict[str, Any]] = _NOTHING

    def __enter__(self) -> Self:
        return self

    # Takes whatever it is given and returns a text that is false. Like `__enter__` below it is a callable of C: a
    # program that is not recorded comes by here with every `with`, and a method would cost twice as much.
    __exit__ = "".format

    def set(self, **attributes: object) -> None:
        """Do nothing."""

    def output(self, value: object) -> None:
        """Do nothing."""

    def usage(self, **fields: object) -> None:
        """Do nothing."""

    def fail(self, error: object, **details: object) -> None:
        """Do nothing."""

    def note_stack(self, stack: str) -> None:
        """Do nothing."""

    def skip(self, reason: str, **details: object) -> None:
        """Do nothing."""

    def __repr__(self) -> str:
        return "NOOP_SPAN"

    def __reduce__(self) -> str:
        return "NOOP_SPAN"  # copied or sent to another process, it is still the one


NOOP_SPAN: Final = NoopSpan()
NoopSpan.__enter__ = itertools.repeat(NOOP_SPAN).__next__  # type: ignore[method-assign, assignment]
