"""What lies inside a run's nodes: every event that is not a boundary, and what it says of its node."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, TypeVar

from clew.model.events import Event, decode_payload
from clew.model.payloads import (
    AgentToolCalled,
    CostIncurred,
    EventsLost,
    InputReceived,
    MetricRecorded,
    OutputProduced,
    Redacted,
    StateChanged,
    TokenUsage,
)
from clew.model.usage import Usage, total_usage

if TYPE_CHECKING:
    from datetime import datetime

    from clew.model.boundaries import Payload
    from clew.model.records import NodeExecution

_P = TypeVar("_P", bound="Payload")


def order(event: Event) -> tuple[datetime, str, int]:
    """Sort key of events: time, then writer, then number."""
    return event.timestamp, event.writer or "", event.seq or 0


def number(value: object) -> float | None:
    """Read a metric's value as the log has it; None where it is not a number."""
    if isinstance(value, int | float):
        return float(value)
    # The one `math.nan`, so that two traces with a NaN in them still compare as equal.
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(str(value))


def total_cost(costs: list[float | None]) -> float | None:
    """Add dollars up; None where no price is known."""
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if known else None


class Inside:
    """The events of one run that are not boundaries. The order of arrival does not matter."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._seen: set[tuple[str, int]] = set()
        self._by_span: dict[str | None, list[Event]] = {}
        self._states: list[tuple[tuple[datetime, str, int], int]] = []

    def add(self, event: Event) -> None:
        """Keep an event, once."""
        if event.writer is not None and event.seq is not None:
            key = (event.writer, event.seq)
            if key in self._seen:
                return
            self._seen.add(key)
        self._events.append(event)

    def ordered(self) -> list[Event]:
        """Return the events in order, and get ready to answer for single nodes."""
        self._events.sort(key=order)
        self._by_span = {}
        self._states = []
        for event in self._events:
            self._by_span.setdefault(event.span_id, []).append(event)
            if event.event == "state_changed":
                index = decode_payload(StateChanged, event.data)[0].index
                if index is not None:
                    self._states.append((order(event), index))
        return list(self._events)

    def total(self, kind: type[EventsLost | Redacted], name: str) -> int:
        """Return the summed `count` of the events of one kind."""
        return sum(
            decode_payload(kind, event.data)[0].count or 0 for event in self._events if event.event == name
        )

    def count(self, name: str) -> int:
        """Return how many events have that name."""
        return sum(event.event == name for event in self._events)

    def usage_of(self, span_id: str | None) -> Usage | None:
        """Return the tokens that events of a span reported (of the run itself: None)."""
        return total_usage(
            Usage(
                input_tokens=tokens.input_tokens,
                output_tokens=tokens.output_tokens,
                cached_tokens=tokens.cached_tokens,
                reasoning_tokens=tokens.reasoning_tokens,
            )
            for tokens in self._payloads(span_id, "token_usage", TokenUsage)
        )

    def cost_of(self, span_id: str | None) -> float | None:
        """Return the dollars that events of a span reported (of the run itself: None)."""
        return total_cost([c.cost_usd for c in self._payloads(span_id, "cost_incurred", CostIncurred)])

    def complete(self, node: NodeExecution, changes: dict[str, Any]) -> None:
        """Add to `changes` what the events inside a node say of it, where its own end does not."""
        if self._states:
            self._place_states(node, changes)
        span = node.span_id
        if span is None or span not in self._by_span:
            return
        changes["events"] = self._by_span[span]
        measured = {
            metric.name: value
            for metric in self._payloads(span, "metric_recorded", MetricRecorded)
            if metric.name is not None and (value := number(metric.value)) is not None
        }
        if measured:
            changes["metrics"] = {**measured, **node.metrics}
        if node.usage is None:
            changes["usage"] = self.usage_of(span)
        if node.cost_usd is None:
            changes["cost_usd"] = self.cost_of(span)
        if not node.tools_called:
            calls = self._payloads(span, "agent_tool_called", AgentToolCalled)
            changes["tools_called"] = [call.tool_name for call in calls if call.tool_name is not None]
        if node.inputs is None:
            for received in self._payloads(span, "input_received", InputReceived):
                changes["inputs"] = received.inputs
        if node.outputs is None:
            for produced in self._payloads(span, "output_produced", OutputProduced):
                changes["outputs"] = produced.outputs

    def _place_states(self, node: NodeExecution, changes: dict[str, Any]) -> None:
        if node.started_at is not None:
            key = (node.started_at, node.writer or "", node.seq or 0)
            place = bisect_right(self._states, key, key=lambda state: state[0])
            changes["state_before_index"] = self._states[place - 1][1] if place else None
        for change in self._payloads(node.span_id, "state_changed", StateChanged):
            changes["state_after_index"] = change.index

    def _payloads(self, span_id: str | None, name: str, kind: type[_P]) -> list[_P]:
        return [
            decode_payload(kind, event.data)[0]
            for event in self._by_span.get(span_id, ())
            if event.event == name
        ]
