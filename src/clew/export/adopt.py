"""Events from elsewhere become runs of ours: ids that are the same at every import, and nothing else changed.

- A run is what shares a run id. A second `workflow_started` under the same id, as after a second start with a fixed
  id, begins another run; the same lines once more, as in a file that was appended to itself, do not.
- A run id that is not 32 hex digits is replaced by a hash of it and the run's start, and kept as `original_run_id`
  in the run's attributes.
- A node's execution gets a span id from its run, its name and its count. An end belongs to the open start of its
  node whose duration fits best.
- Each event without a writer gets one, the same for the whole run, and a number, in the order of the file, so that a
  file that has grown since keeps the numbers of what was there.
- A run whose start is not in the file gets one, at the time of its first event, with `start_recorded: false` in its
  attributes, because there is no other place for them. An end is never made up.

Events that have all this already, as Clew's own, pass unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from clew.export.contract import ImportedRun
from clew.export.foreign import derived_id, finite, is_run_id, nanoseconds, raw
from clew.export.subruns import Outline, place_sub_runs
from clew.model.events import Event

_RUN_ENDS: Final = frozenset({"workflow_completed", "workflow_failed", "run_interrupted"})
_NODE_ENDS: Final = frozenset({"node_completed", "node_failed", "node_skipped"})
_CALLING_KINDS: Final = ("branch", "trigger")


def adopt(events: Iterable[Event], *, source: str, account: str = "") -> list[ImportedRun]:
    """Group events by run, in the order of their first lines, and complete their ids. Changes the events.

    `source` is the name of the format, for the attribute `imported_from`. `account` tells files apart that tell of one
    run in different events: each account has a writer of its own, so that its numbers mean its events only.
    """
    adoptions = [_Adoption(group, source=source, account=account) for group in _grouped(events)]
    place_sub_runs([adoption.outline for adoption in adoptions])
    return [adoption.finish() for adoption in adoptions]


def adopted_run_id(foreign_id: str, start: datetime) -> str:
    """Return the id that a run gets here, where it is the first of that id in its file."""
    return foreign_id if is_run_id(foreign_id) else derived_run_id(foreign_id, start)


def derived_run_id(foreign_id: str, start: datetime) -> str:
    """Return an id of ours for another system's id of a run."""
    return derived_id("run", foreign_id, start.isoformat(), digits=32)


class _Group:
    """The events of one run as the file has them."""

    def __init__(self, first: Event, *, is_repeated: bool) -> None:
        self.foreign_id = first.run_id
        self.is_repeated = is_repeated
        """Whether an earlier run in the file has the same id."""
        self.events: list[Event] = []
        self.begun_at: datetime | None = None
        """When it says that it began."""
        self._replayed: set[tuple[object, ...]] | None = None
        """What not to take again, since the file has the run's beginning once more."""

    def take(self, event: Event) -> None:
        if self._replayed is None and self.events and _is_same(event, self.events[0]):
            self._replayed = {_identity(known) for known in self.events}
        if self._replayed is not None and _identity(event) in self._replayed:
            return
        self.events.append(event)
        if _is_start(event):
            self.begun_at = event.timestamp


def _identity(event: Event) -> tuple[object, ...]:
    return (
        event.timestamp,
        event.event,
        event.node_id,
        event.span_id,
        event.writer,
        event.seq,
        bytes(event.data),
    )


def _is_same(event: Event, other: Event) -> bool:
    return event.timestamp == other.timestamp and _identity(event) == _identity(other)


def _is_start(event: Event) -> bool:
    return event.event == "workflow_started"


def _grouped(events: Iterable[Event]) -> list[_Group]:
    groups: list[_Group] = []
    current: dict[str, _Group] = {}
    begun: dict[tuple[str, datetime], _Group] = {}
    for event in events:
        group = current.get(event.run_id)
        begins = _is_start(event) and event.writer is None
        if group is not None and begins and group.begun_at not in (None, event.timestamp):
            group = begun.get((event.run_id, event.timestamp))
        if group is None:
            group = _Group(event, is_repeated=event.run_id in current)
            groups.append(group)
        group.take(event)
        current[event.run_id] = group
        if begins:
            begun[event.run_id, event.timestamp] = group
    return groups


class _Open(msgspec.Struct):
    """An execution whose end has not been seen."""

    span_id: str
    started_at: datetime
    call: int | None
    """Where it stands among the outline's calls."""


class _Adoption:
    """One run on its way to us."""

    def __init__(self, group: _Group, *, source: str, account: str) -> None:
        self._source = source
        self._events = group.events
        first = min(event.timestamp for event in group.events)
        start = group.begun_at or group.events[0].timestamp
        is_ours = is_run_id(group.foreign_id) and not group.is_repeated
        self._original = None if is_ours else group.foreign_id
        run_id = group.foreign_id if is_ours else derived_run_id(group.foreign_id, start)
        self._writer = derived_id("writer", run_id, *([account] if account else []), digits=16)
        self._is_account = not any(event.writer is not None for event in group.events)
        self._is_foreign = not is_ours or any(event.writer is None for event in group.events)
        self._needs_start = self._is_foreign and group.begun_at is None
        self._open: dict[str, list[_Open]] = {}
        self._counts: dict[str, int] = {}
        self.outline = Outline(
            run_id=run_id,
            is_placeable=self._needs_start,
            first=first,
            last=max(event.timestamp for event in group.events),
        )
        if self._is_foreign:
            self._complete()

    def finish(self) -> ImportedRun:
        """Return the run, once every run of the file has its place."""
        if self._needs_start:
            self._events.insert(0, self._made_start())
        return ImportedRun(
            run_id=self.outline.run_id,
            original_run_id=self._original,
            events=self._events,
            ended=any(event.event in _RUN_ENDS for event in self._events),
            account=self._writer if self._is_account else None,
        )

    def _complete(self) -> None:
        number = 2 if self._needs_start else 1
        for event in self._events:
            event.run_id = self.outline.run_id
            if event.span_id is None and event.node_id is not None:
                self._place(event, event.node_id)
            if event.writer is None:
                event.writer, event.seq = self._writer, number
                number += 1
            if _is_start(event):
                self._mark_start(event)

    def _mark_start(self, event: Event) -> None:
        data = event.values()
        attributes = data.get("attributes")
        if attributes is not None and not isinstance(attributes, dict):
            attributes = {"attributes": attributes}
        event.data = raw({**data, "attributes": {**(attributes or {}), **self._marks()}})

    def _made_start(self) -> Event:
        outline = self.outline
        data: dict[str, Any] = {"attributes": {**self._marks(), "start_recorded": False}}
        around = outline.ancestors()
        if around:
            data |= {
                "parent_run_id": around[0].run_id,
                "root_run_id": around[-1].run_id,
                "depth": len(around),
            }
            data["attributes"]["parent_run"] = "derived from time"
        return Event(
            timestamp=outline.first,
            run_id=outline.run_id,
            event="workflow_started",
            writer=self._writer,
            seq=1,
            data=raw(data),
        )

    def _marks(self) -> dict[str, str]:
        marks = {"imported_from": self._source}
        if self._original is not None:
            marks["original_run_id"] = self._original
        return marks

    def _place(self, event: Event, node_id: str) -> None:
        """Find the execution that an event belongs to."""
        waiting = self._open.setdefault(node_id, [])
        if event.event == "node_started":
            opened = _Open(self._new_span(node_id), event.timestamp, self._call(event))
            waiting.append(opened)
            event.span_id = opened.span_id
        elif event.event in _NODE_ENDS:
            if not waiting:
                event.span_id = self._new_span(node_id)
                return
            opened = waiting.pop(_fitting(waiting, event))
            event.span_id = opened.span_id
            if opened.call is not None:
                self.outline.calls[opened.call] = (opened.started_at, event.timestamp)
        elif len(waiting) == 1:
            event.span_id = waiting[0].span_id

    def _call(self, event: Event) -> int | None:
        if event.values().get("type") not in _CALLING_KINDS:
            return None
        self.outline.calls.append((event.timestamp, None))
        return len(self.outline.calls) - 1

    def _new_span(self, node_id: str) -> str:
        count = self._counts[node_id] = self._counts.get(node_id, 0) + 1
        return derived_id("span", self.outline.run_id, node_id, str(count), digits=16)


def _fitting(waiting: list[_Open], end: Event) -> int:
    """Return the position of the open execution whose time since its start comes nearest to the end's duration.

    Without a duration it is the latest.
    """
    duration_ms = finite(end.values().get("duration_ms")) if len(waiting) > 1 else None
    if duration_ms is None:
        return len(waiting) - 1
    gaps = [abs(nanoseconds(end.timestamp - opened.started_at) / 1e6 - duration_ms) for opened in waiting]
    return min(range(len(waiting)), key=lambda index: (gaps[index], -index))
