"""What is known of a piece of work while it is in progress."""

from __future__ import annotations

from typing import Any

from clew.record.context import Scope


class Work(Scope):
    """The state of a span. What can be done with one is in `clew.record.span`."""

    __slots__ = ("_attributes", "_duration_ns", "_extra", "_ids", "_name", "_outer", "_parent", "_start", "_started_ns", "_tail", "_where")  # fmt: skip

    _name: str | tuple[str, str]
    _attributes: dict[str, Any]
    _start: dict[str, Any] | None
    _extra: dict[str, Any] | None
    _parent: Scope
    _outer: Scope | None
    _duration_ns: int | None
    _started_ns: int
    _ids: str
    _tail: str
    _where: str

    @property
    def duration_ns(self) -> int | None:
        """How long it took, on the monotonic clock; None until it ends."""
        return getattr(self, "_duration_ns", None)

    def _more(self) -> dict[str, Any]:
        if self._extra is None:
            self._extra = {}
        return self._extra

    def _later(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._more().setdefault(name, {})
        return found
