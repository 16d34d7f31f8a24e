"""Payloads of the events inside a run, and the table of all payload types by event name."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clew.model.boundaries import (
    NodeCompleted,
    NodeFailed,
    NodeSkipped,
    NodeStarted,
    Payload,
    RunInterrupted,
    RunResumed,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
)


class InputReceived(Payload, frozen=True):
    """A node's inputs are known."""

    inputs: Any = None
    """The inputs by name."""


class OutputProduced(Payload, frozen=True):
    """A node's outputs are known."""

    outputs: Any = None
    """The outputs by name."""


class ConditionEvaluated(Payload, frozen=True):
    """A condition was looked at."""

    condition: str | None = None
    """The expression."""
    result: bool | None = None
    """What it gave."""
    values: dict[str, Any] = {}
    """The values that it saw."""


class DecisionMade(Payload, frozen=True):
    """A choice between ways was taken."""

    chosen: Any = None
    """The way that was taken."""
    alternatives: list[Any] = []
    """The ways that were not."""
    reason: str | None = None
    """Why, in the decider's words."""


class TokenUsage(Payload, frozen=True):
    """Tokens of one model call, added to its node."""

    input_tokens: int | None = None
    """All tokens sent, cached ones included."""
    output_tokens: int | None = None
    """All tokens received, reasoning included."""
    cached_tokens: int | None = None
    """The part of `input_tokens` that came from a cache."""
    reasoning_tokens: int | None = None
    """The part of `output_tokens` that was reasoning."""
    model: str | None = None
    """The model that answered."""


class CostIncurred(Payload, frozen=True):
    """Money of one call, added to its node."""

    cost_usd: float | None = None
    """US dollars; None where the price is unknown."""
    model: str | None = None
    """The model that answered."""


class TimingMetric(Payload, frozen=True):
    """A duration that is not a node's."""

    name: str | None = None
    """What was timed."""
    duration_ms: float | None = None
    """Monotonic clock."""


class MetricRecorded(Payload, frozen=True):
    """A number was measured, for the node if there is one, else for the run."""

    name: str | None = None
    """The metric's name, with its unit."""
    value: Any = None
    """The number; NaN and the infinities are strings."""


class StateChanged(Payload, frozen=True):
    """The state of the workflow changed: a snapshot, or a patch against the state before."""

    index: int | None = None
    """Position in the run's chain of states, from 0."""
    snapshot: Any = msgspec.UNSET
    """The whole state."""
    patch: list[Any] | None = None
    """RFC 6902 operations that make this state from the one before."""
    hash: str | None = None
    """Hash of the state, so that a reader can prove that it rebuilt the right one."""


class CheckpointSaved(Payload, frozen=True):
    """The run can go on from here."""

    completed_nodes: int | None = None
    """Nodes that are done."""
    pending_nodes: int | None = None
    """Nodes that are not."""
    total_cost_usd: float | None = None
    """Money so far; None where a price is unknown."""


class SignalEmitted(Payload, frozen=True):
    """The run told others something."""

    signal_type: str | None = None
    """started, completed, failed or ready."""
    workflow: str | None = None
    """Who speaks."""


class SignalReceived(SignalEmitted, frozen=True):
    """The run was told something."""

    waited_ms: float | None = None
    """How long the run had waited for it."""


class BranchIteration(Payload, frozen=True):
    """A loop begins another round."""

    iteration: int | None = None
    """Which one, from 0."""
    max_iterations: int | None = None
    """How many there may be."""


class ArtifactSaved(Payload, frozen=True):
    """A file was written."""

    path: str | None = None
    """Where it is."""
    size_bytes: int | None = None
    """How long it is."""


class AgentTurnStarted(Payload, frozen=True):
    """An agent begins a turn."""

    turn_number: int | None = None
    """Which one, from 1."""


class AgentTurnCompleted(Payload, frozen=True):
    """An agent ended a turn."""

    turn_number: int | None = None
    """Which one, from 1."""
    tool_calls: int | None = None
    """How many tools it called in this turn."""


class AgentToolsOffered(Payload, frozen=True):
    """MCP servers were asked what an agent may call."""

    offered: dict[str, list[str]] = {}
    """By each entry of the agent's `tools` that names a server: the tools, as the model is told them."""


class AgentToolCalled(Payload, frozen=True):
    """An agent called a tool."""

    tool_name: str | None = None
    """Which one."""
    tool_input: Any = None
    """What it was given."""
    tool_output: Any = None
    """What it gave back."""
    error: str | None = None
    """Why it failed; None where it did not."""
    turn_number: int | None = None
    """The turn in which the model wanted it, from 1."""
    position: int | None = None
    """Which of the calls of that turn it is, from 0. Calls of one turn run at the same time, and end in any order."""
    input_is_whole: bool | None = None
    """False where the log cannot hold what it was given: nested too deep, or a number too large."""


class ModelAnswered(Payload, frozen=True):
    """A model answered: the whole exchange, from which a replay answers."""

    request_hash: str | None = None
    """Hash of the request: equal requests have equal ones."""
    turn: int | None = None
    """Which request of its node this is, from 1."""
    request: Any = None
    """Model, messages, settings, tools and schema."""
    answer: Any = None
    """Text, tool calls, usage, cost, and where it came from if no model was asked."""
    reason: str | None = None
    """Why the answer is not whole: it was cut off, filtered or refused."""
    is_whole: bool | None = None
    """False where the log cannot hold the answer: nested too deep, or a number too large."""
    tools_are_whole: bool | None = None
    """Of a first request: False where the log cannot hold the schemas of its tools."""


class ScoreRecorded(Payload, frozen=True):
    """A run or a node was judged with a number."""

    name: str | None = None
    """What was judged."""
    value: Any = None
    """The number; larger is better unless the name says otherwise."""
    feedback: str | None = None
    """Why, in words."""
    source: str | None = None
    """Who judged: a metric, a person, a model."""


class FeedbackRecorded(Payload, frozen=True):
    """Somebody said something about a run or a node."""

    feedback: str | None = None
    """What was said."""
    source: str | None = None
    """Who said it."""


class EventsLost(Payload, frozen=True):
    """Events that should be in the log are not."""

    count: int | None = None
    """How many, at least."""
    reason: str | None = None
    """Why: disk full, missing from the log ..."""
    numbered: bool | None = None
    """True where the lost events had numbers: a gap in the writer's numbers is then this same loss."""


class PayloadTruncated(Payload, frozen=True):
    """A payload was too large to keep whole."""

    field: str | None = None
    """Which one."""
    original_bytes: int | None = None
    """How long it was."""
    kept_bytes: int | None = None
    """How much of it is kept."""


class Redacted(Payload, frozen=True):
    """Secrets were removed from the event before this one."""

    count: int | None = None
    """How many."""
    fields: list[str] = []
    """Where they stood."""


PAYLOADS: Final[dict[str, type[Payload]]] = {
    "workflow_started": WorkflowStarted,
    "workflow_completed": WorkflowCompleted,
    "workflow_failed": WorkflowFailed,
    "run_interrupted": RunInterrupted,
    "run_resumed": RunResumed,
    "node_started": NodeStarted,
    "node_completed": NodeCompleted,
    "node_failed": NodeFailed,
    "node_skipped": NodeSkipped,
    "input_received": InputReceived,
    "output_produced": OutputProduced,
    "condition_evaluated": ConditionEvaluated,
    "decision_made": DecisionMade,
    "token_usage": TokenUsage,
    "cost_incurred": CostIncurred,
    "timing_metric": TimingMetric,
    "metric_recorded": MetricRecorded,
    "state_changed": StateChanged,
    "checkpoint_saved": CheckpointSaved,
    "signal_emitted": SignalEmitted,
    "signal_received": SignalReceived,
    "branch_iteration": BranchIteration,
    "artifact_saved": ArtifactSaved,
    "agent_turn_started": AgentTurnStarted,
    "agent_turn_completed": AgentTurnCompleted,
    "agent_tools_offered": AgentToolsOffered,
    "agent_tool_called": AgentToolCalled,
    "model_answered": ModelAnswered,
    "score_recorded": ScoreRecorded,
    "feedback_recorded": FeedbackRecorded,
    "events_lost": EventsLost,
    "payload_truncated": PayloadTruncated,
    "redacted": Redacted,
}
"""Payload type by event name. An event of any other name has no typed payload and is carried as it is."""
