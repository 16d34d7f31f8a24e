"""Where recorded work happens: one context variable holds the innermost open span or run."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from clew.model.ids import NO_SPAN, TraceParent

if TYPE_CHECKING:
    from clew.record.recorder import Recorder, Template


class RunScope:
    """What all spans of one run share. Made for a run of this process, and for one of another process."""

    __slots__ = (
        "depth",
        "ended",
        "events",
        "handle",
        "recorder",
        "root_run_id",
        "run_id",
        "sampled",
        "templates",
    )

    def __init__(
        self, recorder: Recorder, run_id: str, *, root_run_id: str, depth: int, sampled: bool
    ) -> None:
        self.recorder = recorder
        self.run_id = run_id
        self.root_run_id = root_run_id
        self.depth = depth
        self.sampled = sampled
        self.ended = False
        self.handle: object = None
        """The run that the program holds; None where it was begun in another process."""
        self.templates: dict[object, Template] = {}
        self.events: dict[tuple[str, str], str] = {}


class Scope:
    """A place in a run: children of what is current are opened under it."""

    __slots__ = ("run", "span_id")

    def __init__(self, run: RunScope, span_id: str = NO_SPAN) -> None:
        self.run = run
        self.span_id = span_id

    @property
    def node_id(self) -> str | None:
        """Name of the node, where the place is one of this process."""
        return None

    def where(self) -> str:
        """Return the part of an event's line that says where it happened: nothing, for the run itself."""
        return "" if self.span_id == NO_SPAN else f'","span_id":"{self.span_id}'

    def traceparent(self) -> str:
        """Return this place as a W3C `traceparent`. The run itself stands under the end of its own id."""
        span_id = self.run.run_id[16:] if self.span_id == NO_SPAN else self.span_id
        return TraceParent(self.run.run_id, span_id, self.run.sampled).header()


current: Final[ContextVar[Scope | None]] = ContextVar("clew_current", default=None)
get_current: Final = current.get
set_current: Final = current.set


class Ambient:
    """What work belongs to whose own context knows of no run: the run of this process, if there is one."""

    __slots__ = ("_runs", "inherited")

    def __init__(self) -> None:
        self._runs: list[Scope] = []
        self.inherited: Scope | None = None
        """The place in another process that started this one."""

    def enter(self, scope: Scope) -> None:
        """A run of this process began."""
        self._runs.append(scope)

    def leave(self, scope: Scope) -> None:
        """A run of this process ended."""
        if scope in self._runs:
            self._runs.remove(scope)

    def find(self) -> Scope | None:
        """Return the outermost open run of this process, else the place that this process was started from."""
        runs = self._runs
        return runs[0] if runs else self.inherited

    def open_runs(self) -> list[Scope]:
        """Return the open runs of this process, outermost first."""
        return list(self._runs)

    def forget(self) -> None:
        """Forget everything; for tests."""
        self._runs.clear()
        self.inherited = None


ambient: Final = Ambient()
