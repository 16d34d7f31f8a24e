"""What lies inside a run's nodes: every event that is not a boundary, and what it says of its node."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

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
from clew.model.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clew.model.node_lines import NodeLine
    from clew.model.records import NodeExecution


def order(event: Event | NodeLine) -> tuple[datetime, str, int]:
    """Sort key of events: time, then writer, then number."""
    return event.timestamp, event.writer or "", event.seq or 0


def number(value: object) -> float | None:
    """Read a metric's value as the log has it; None where it is not a number."""
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:  # an integer of hundreds of digits
            return None
    # The one `math.nan`, so that two traces with a NaN in them still compare as equal.
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(str(value))


def total_cost(costs: list[float | None]) -> float | None:
    """Add dollars up; None where no price is known."""
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if known else None


class _Said:
    """What the events inside one span, or inside the run but no span, say of it."""

    __slots__ = ("after_index", "costs", "inputs", "metrics", "outputs", "tools", "usage")

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.usage: Usage | None = None
        self.costs: list[float | None] = []
        self.tools: list[tuple[int, int, str]] = []
        """Of each call the turn, its position there, and the name."""
        self.inputs: Any = None
        self.outputs: Any = None
        self.after_index: int | None = None


class Inside:
    """The events of one run that are not boundaries. The order of arrival does not matter."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._numbered = True
        """Whether every event has a writer and a number."""
        self._forget()

    def add(self, event: Event) -> None:
        """Keep an event; one that comes twice counts once."""
        if event.seq is None or event.writer is None:
            self._numbered = False
        self._events.append(event)

    def ordered(self) -> list[Event]:
        """Return the events in order, and get ready to answer for single nodes."""
        self._forget()
        if self._numbered:
            self._events.sort(key=_QUICK_ORDER)
        else:
            self._events.sort(key=order)
        self._events = events = _each_once(self._events)
        by_span, said = self._by_span, self._said
        for event in events:
            span = event.span_id
            if span in by_span:
                by_span[span].append(event)
            else:
                by_span[span] = [event]
            listen = _LISTENERS.get(event.event)
            if listen is not None:
                if span not in said:
                    said[span] = _Said()
                listen(self, said[span], event)
        return events.copy()

    def usage_of(self, span_id: str | None) -> Usage | None:
        """Return the tokens that events of a span reported (of the run itself: None)."""
        return self._said[span_id].usage if span_id in self._said else None

    def cost_of(self, span_id: str | None) -> float | None:
        """Return the dollars that events of a span reported (of the run itself: None)."""
        return total_cost(self._said[span_id].costs) if span_id in self._said else None

    def additions(self, node: NodeExecution) -> dict[str, Any] | None:
        """Return the fields of a node that the events inside it say, where its own end does not; None for none."""
        span = node.span_id
        within = None if span is None else self._by_span.get(span)
        if within is None and not self._states:
            return None
        changes: dict[str, Any] = {} if within is None else {"events": within}
        if self._states and node.started_at is not None:
            key = (node.started_at, node.writer or "", node.seq or 0)
            place = bisect_right(self._states, key, key=lambda state: state[0])
            changes["state_before_index"] = self._states[place - 1][1] if place else None
        said = None if span is None else self._said.get(span)
        if said is None:
            return changes
        changes["state_after_index"] = said.after_index
        if said.metrics:
            changes["metrics"] = {**said.metrics, **node.metrics}
        if node.usage is None:
            changes["usage"] = said.usage
        if node.cost_usd is None:
            changes["cost_usd"] = total_cost(said.costs)
        if said.tools and not node.tools_called:
            # As the model wanted them: calls of one turn end in any order.
            changes["tools_called"] = [name for *_, name in sorted(said.tools, key=itemgetter(0, 1))]
        if node.inputs is None:
            changes["inputs"] = said.inputs
        if node.outputs is None:
            changes["outputs"] = said.outputs
        return changes

    def _forget(self) -> None:
        self._by_span: dict[str | None, list[Event]] = {}
        self._said: dict[str | None, _Said] = {}
        self._states: list[tuple[tuple[datetime, str, int], int]] = []
        self.scores: list[Event] = []
        """The `score_recorded` events, in order."""
        self.lost = 0
        """Events that the log says are lost."""
        self.redacted = 0
        """Secrets that were removed."""
        self.truncated = 0
        """Payloads that were cut."""

    # --- what single kinds of events say -------------------------------------------------------------

    def _hear_metric(self, said: _Said, event: Event) -> None:
        metric = decode_payload(MetricRecorded, event.data)[0]
        value = number(metric.value)
        if metric.name is not None and value is not None:
            said.metrics[metric.name] = value

    def _hear_tokens(self, said: _Said, event: Event) -> None:
        try:
            usage = _decode_usage(event.data)
        except (msgspec.DecodeError, RecursionError):
            tokens = decode_payload(TokenUsage, event.data)[0]
            usage = Usage(
                input_tokens=tokens.input_tokens,
                output_tokens=tokens.output_tokens,
                cached_tokens=tokens.cached_tokens,
                reasoning_tokens=tokens.reasoning_tokens,
            )
        said.usage = usage if said.usage is None else said.usage + usage

    def _hear_cost(self, said: _Said, event: Event) -> None:
        said.costs.append(decode_payload(CostIncurred, event.data)[0].cost_usd)

    def _hear_tool(self, said: _Said, event: Event) -> None:
        call = decode_payload(AgentToolCalled, event.data)[0]
        if call.tool_name is not None:
            said.tools.append((call.turn_number or 0, call.position or 0, call.tool_name))

    def _hear_inputs(self, said: _Said, event: Event) -> None:
        said.inputs = decode_payload(InputReceived, event.data)[0].inputs

    def _hear_outputs(self, said: _Said, event: Event) -> None:
        said.outputs = decode_payload(OutputProduced, event.data)[0].outputs

    def _hear_state(self, said: _Said, event: Event) -> None:
        index = decode_payload(StateChanged, event.data)[0].index
        said.after_index = index
        if index is not None:
            self._states.append((order(event), index))

    def _hear_score(self, _: _Said, event: Event) -> None:
        self.scores.append(event)

    def _hear_loss(self, _: _Said, event: Event) -> None:
        self.lost += decode_payload(EventsLost, event.data)[0].count or 0

    def _hear_redaction(self, _: _Said, event: Event) -> None:
        self.redacted += decode_payload(Redacted, event.data)[0].count or 0

    def _hear_cut(self, _: _Said, event: Event) -> None:
        del event
        self.truncated += 1


_LISTENERS: Final[dict[str, Callable[[Inside, _Said, Event], None]]] = {
    "metric_recorded": Inside._hear_metric,
    "token_usage": Inside._hear_tokens,
    "cost_incurred": Inside._hear_cost,
    "agent_tool_called": Inside._hear_tool,
    "input_received": Inside._hear_inputs,
    "output_produced": Inside._hear_outputs,
    "state_changed": Inside._hear_state,
    "score_recorded": Inside._hear_score,
    "events_lost": Inside._hear_loss,
    "redacted": Inside._hear_redaction,
    "payload_truncated": Inside._hear_cut,
}
"""What the fold reads from the payloads of events inside nodes, by event name."""

_decode_usage: Final = msgspec.json.Decoder(Usage).decode
"""Its fields are those of `TokenUsage` but one."""
_QUICK_ORDER: Final = attrgetter("timestamp", "writer", "seq")
"""`order` for events that all have a writer and a number."""


def _each_once(events: list[Event]) -> list[Event]:
    """Return ordered events without those that came twice."""
    for one, other in pairwise(events):
        if one.seq == other.seq and _is_repeated(one, other):
            break
    else:
        return events
    return events[:1] + [other for one, other in pairwise(events) if not _is_repeated(one, other)]


def _is_repeated(one: Event, other: Event) -> bool:
    return one.seq is not None and order(one) == order(other)
