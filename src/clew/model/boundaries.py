"""Payloads of the boundaries: where a run or a node begins and ends.

Every field has a default, because a reader must take events of other versions and other systems. A field that
is not defined here is kept beside the payload, never dropped. Durations are in milliseconds, as the public
form of the log has them; six decimals are exact nanoseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an event carries beside its envelope."""


class WorkflowStarted(Payload, frozen=True):
    """A run began. Written before the first statement of the run's code."""

    name: str | None = None
    """What the user calls this run: a workflow, a job, a script."""
    type: str | None = None
    """Kind of run: script, module, function, workflow, job ..."""
    schema_version: int | None = None
    """Version of the event schema that the writer used."""
    thread_id: str | None = None
    """The conversation or session that the run belongs to."""
    parent_run_id: str | None = None
    """The run that started this one."""
    root_run_id: str | None = None
    """The outermost run."""
    depth: int | None = None
    """How many runs this one is nested in; 0 for an outermost run."""
    entrypoint: str | None = None
    """The node, file or function that was started."""
    dry_run: bool | None = None
    """Whether model answers were mocked."""
    inputs: Any = None
    """What the run was given."""
    params: dict[str, Any] | None = None
    """The candidate that ran: tunable parameters by name."""
    params_hash: str | None = None
    """Hash of `params`, so that equal candidates can be found."""
    sampled: bool | None = None
    """False where head sampling kept only the boundaries of this run."""
    attributes: dict[str, Any] = {}
    """Whatever the user said of the run."""


class WorkflowEnd(Payload, frozen=True):
    """What the ends of a run have in common."""

    name: str | None = None
    """Name of the run."""
    duration_ms: float | None = None
    """Monotonic clock, from the start of the run to its end."""
    exit_code: int | None = None
    """Exit code of the program, where the run was one."""
    attributes: dict[str, Any] = {}
    """Attributes that were set after the run began."""


class WorkflowCompleted(WorkflowEnd, frozen=True):
    """A run ended without an error."""

    outputs: Any = None
    """What the run gave back."""
    final_state: Any = None
    """State of the workflow at its end."""


class WorkflowFailed(WorkflowEnd, frozen=True):
    """A run ended with an error."""

    error: str | None = None
    """The error's message."""
    error_type: str | None = None
    """The exception's class name."""
    stack: str | None = None
    """Where it was raised, innermost call last."""


class RunInterrupted(WorkflowEnd, frozen=True):
    """A run ended because its process did, or because a person stopped it."""

    reason: str | None = None
    """Why: `process died`, `KeyboardInterrupt` ..."""


class RunResumed(Payload, frozen=True):
    """A run goes on where an earlier one stopped."""

    resumed_run_id: str | None = None
    """The run that is continued."""
    kept_nodes: list[str] = []
    """Nodes whose outputs were taken from the earlier run."""


class NodeStarted(Payload, frozen=True):
    """A node is about to run. In the journal before the node's first statement."""

    type: str | None = None
    """Kind of node: prompt, tool, retrieval, simulation ..."""
    attempt: int | None = None
    """1 for the first try, 2 for the first retry; None where nobody counts."""
    iteration: int | None = None
    """Which round of a loop this is, from 0; None outside loops."""
    attributes: dict[str, Any] = {}
    """Tags given when the span was opened."""
    inputs: Any = None
    """What the node was given, where payloads are captured."""
    links: list[str] = []
    """Span ids that this work also comes from (fan-in)."""


class NodeEnd(Payload, frozen=True):
    """What the ends of a node have in common."""

    type: str | None = None
    """Kind of node."""
    duration_ms: float | None = None
    """Monotonic clock, from just before the node's first statement to just after its last."""
    input_tokens: int | None = None
    """Tokens sent by this node's own calls, children excluded; cached ones included."""
    output_tokens: int | None = None
    """Tokens received by this node's own calls; reasoning included."""
    cached_tokens: int | None = None
    """The part of `input_tokens` that came from a cache."""
    reasoning_tokens: int | None = None
    """The part of `output_tokens` that was reasoning."""
    cost_usd: float | None = None
    """Money for this node's own calls; None where the price is unknown."""
    model: str | None = None
    """The model that answered."""
    tools_called: list[str] = []
    """Names of the tools that the node called, in order."""
    metrics: dict[str, Any] = {}
    """Numbers that the node measured; NaN and the infinities are the strings `NaN`, `Infinity`, `-Infinity`."""
    attributes: dict[str, Any] = {}
    """Attributes that were set after the span was opened."""
    outputs: Any = None
    """What the node gave back, where payloads are captured."""


class NodeCompleted(NodeEnd, frozen=True):
    """A node's code returned."""


class NodeFailed(NodeEnd, frozen=True):
    """A node's code raised, or its host marked it as failed."""

    error: str | None = None
    """The error's message."""
    error_type: str | None = None
    """The exception's class name."""
    stack: str | None = None
    """Where it was raised, innermost call last."""
    retried: bool | None = None
    """Whether another attempt follows; None where that is not known."""


class NodeSkipped(Payload, frozen=True):
    """A node did not run."""

    reason: str | None = None
    """Why it did not: which condition, or that it was restored."""
    condition: str | None = None
    """The expression that was false."""
    values: dict[str, Any] = {}
    """The values that the expression saw."""
