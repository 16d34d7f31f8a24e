"""The records that a trace is made of: node executions, errors, scores."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from clew.model.events import Event
from clew.model.usage import Usage

CANCELLED_BY: Final = "cancelled_by"
"""Attribute of a node that was cancelled because another one, which it names, failed: a consequence, not a cause."""
NodeStatus = Literal["running", "completed", "failed", "skipped", "interrupted"]


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something went wrong in a node, or in the run outside any node."""

    error_type: str | None = None
    """The exception's class name."""
    message: str | None = None
    """The exception's message, secrets removed."""
    stack: str | None = None
    """Where it was raised, innermost call last."""
    retried: bool | None = None
    """Whether another attempt followed; None where that is not known."""
    node_id: str | None = None
    """The node that failed; None for the run itself."""
    span_id: str | None = None
    """The execution of that node."""
    at: datetime | None = None
    """When it was recorded."""


class Score(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A judgement of a run or a node, with a number."""

    name: str | None = None
    """What was judged."""
    value: float | None = None
    """The number."""
    feedback: str | None = None
    """Why, in words."""
    source: str | None = None
    """Who judged."""
    span_id: str | None = None
    """The node execution that was judged; None for the run."""


class NodeExecution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution of a node: three visits in a loop are three records, and a retry is one of its own."""

    index: int
    """Position among the run's executions, in start order, from 0."""
    node_id: str
    """Name of the node in the workflow."""
    kind: str | None = None
    """prompt, tool, retrieval, simulation ..."""
    span_id: str | None = None
    """16 hex digits; None where another system did not say."""
    parent_id: str | None = None
    """Span in which this one was started; None at the top."""
    attempt: int | None = None
    """1 for the first try; None where nobody counts."""
    iteration: int | None = None
    """Round of a loop, from 0; None outside loops."""
    started_at: datetime | None = None
    """Wall clock, UTC; None where only the end is in the log and has no duration."""
    ended_at: datetime | None = None
    """Wall clock, UTC; None while it runs and where its process died."""
    duration_ns: int | None = None
    """Monotonic clock; None where the end is not in the log."""
    self_time_ns: int | None = None
    """Duration less the time that at least one child ran."""
    status: NodeStatus = "running"
    """How it stands, or how it ended."""
    error: ErrorRecord | None = None
    """What went wrong; None unless it failed."""
    inputs: Any = None
    """What it was given, where captured."""
    outputs: Any = None
    """What it gave back, where captured."""
    usage: Usage | None = None
    """Tokens of its own calls, children excluded; None where no call reported any."""
    cost_usd: float | None = None
    """Money for its own calls; None where a price is unknown."""
    model: str | None = None
    """The model that answered."""
    tools_called: list[str] = []
    """Names of tools, in the order of the calls."""
    metrics: dict[str, float] = {}
    """Numbers that it measured."""
    attributes: dict[str, Any] = {}
    """Tags, given at its start or set later; and metrics that are no numbers."""
    events: list[Event] = []
    """What was recorded in it, its boundaries and its children's events excluded."""
    links: list[str] = []
    """Span ids that this work also comes from."""
    skip: dict[str, Any] | None = None
    """Why it did not run (reason, condition, values); None unless it was skipped."""
    writer: str | None = None
    """The process lifetime that wrote its start."""
    seq: int | None = None
    """The writer's number for its start."""
    end_writer: str | None = None
    """The process lifetime that wrote its end, where it is another one."""
    end_seq: int | None = None
    """The writer's number for its end."""
    start_lost: bool = False
    """True where only the end is in the log."""
    state_before_index: int | None = None
    """Position in `ExecutionTrace.states` of the state before it ran."""
    state_after_index: int | None = None
    """Position in `ExecutionTrace.states` of the state that it left."""
    level: str | None = None
    """Level of its start; None for INFO, as nearly all have it."""
    end_level: str | None = None
    """Level of its end; None for ERROR of a failure and INFO of any other."""
    extra: dict[str, Any] = {}
    """Fields of its start that this version does not know."""
    end_extra: dict[str, Any] = {}
    """Fields of its end that this version does not know."""
    envelope: dict[str, Any] | None = None
    """Fields beside the payload of its start that this version does not know."""
    end_envelope: dict[str, Any] | None = None
    """Fields beside the payload of its end that this version does not know."""
