"""The one trace type: what a run did, folded from its events."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from clew.model.events import SCHEMA_VERSION, Event
from clew.model.fold import Fold
from clew.model.records import ErrorRecord, NodeExecution, Score
from clew.model.state import StateChain, StateDelta
from clew.model.unfold import number_text, unfold
from clew.model.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RunStatus = Literal["running", "completed", "failed", "interrupted"]


_DRAWERS: Final[dict[str, Callable[[ExecutionTrace], str]]] = {}


def set_html_drawer(draw: Callable[[ExecutionTrace], str]) -> None:
    """Say how a notebook is to show a trace; the model itself cannot draw."""
    _DRAWERS["html"] = draw


class ExecutionTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one run did. `ExecutionTrace.from_events(trace.to_events()) == trace`, through every transport."""

    run_id: str
    """32 hex digits from Clew, anything from other systems."""
    name: str | None = None
    """What the user calls this run."""
    kind: str | None = None
    """script, module, function, workflow, job ..."""
    thread_id: str | None = None
    """The conversation or session that it belongs to."""
    parent_run_id: str | None = None
    """The run that started this one."""
    root_run_id: str | None = None
    """The outermost run; None where that is this one."""
    depth: int = 0
    """How many runs this one is nested in."""
    started_at: datetime | None = None
    """Wall clock, UTC; None where the start is not in the log."""
    ended_at: datetime | None = None
    """Wall clock, UTC; None while it runs and where its process died."""
    last_event_at: datetime | None = None
    """When the run was last heard of."""
    duration_ns: int | None = None
    """Monotonic clock; None where the end is not in the log."""
    status: RunStatus = "running"
    """How it stands, or how it ended."""
    error: ErrorRecord | None = None
    """What the run as a whole failed with."""
    interrupted_by: str | None = None
    """Why it was interrupted."""
    exit_code: int | None = None
    """Exit code, where the run was a program."""
    nodes: list[NodeExecution] = []
    """Executions in start order."""
    events: list[Event] = []
    """Everything that is not a boundary of a node or of the run, in order of time, writer and number."""
    errors: list[ErrorRecord] = []
    """Failures of nodes in start order, then the run's own where no node failed with it."""
    inputs: Any = None
    """What the run was given."""
    outputs: Any = None
    """What the run gave back."""
    final_state: Any = None
    """State of the workflow at its end."""
    usage: Usage | None = None
    """Tokens of all nodes; None where nothing was reported."""
    cost_usd: float | None = None
    """Money of all nodes; None where no price is known."""
    attributes: dict[str, Any] = {}
    """Whatever the user said of the run."""
    params: dict[str, Any] | None = None
    """The candidate that ran."""
    params_hash: str | None = None
    """Hash of `params`."""
    scores: list[Score] = []
    """Judgements of the run and of its nodes."""
    lost: int = 0
    """Events that are known to be missing."""
    redacted: int = 0
    """Secrets that were removed before the write."""
    truncated: int = 0
    """Payloads that were too large to keep whole."""
    causal_inversion_ns: int = 0
    """By how much at most a child's clock started before its parent's; 0 where none did."""
    schema_version: int = SCHEMA_VERSION
    """Version of the event schema that the writer used."""
    writers: list[str] = []
    """Every process lifetime that wrote to this run, sorted."""
    boundaries: list[Event] = []
    """The run's own start and end as they were recorded."""

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> ExecutionTrace:
        """Fold the events of one run, in any order; events of other runs than the first's are left out.

        Raises: ValueError where there is no event at all.
        """
        fold = Fold()
        for event in events:
            fold.add(event)
        return cls.from_fold(fold)

    @classmethod
    def from_fold(cls, fold: Fold) -> ExecutionTrace:
        """Return the trace of what was folded so far; the fold may go on.

        Raises: ValueError where nothing was folded yet.
        """
        return cls(**fold.fields())

    def to_events(self) -> list[Event]:
        """Return events that fold to this trace again, in order of time, writer and number."""
        return unfold(self.run_id, self.nodes, boundaries=self.boundaries, events=self.events)

    def to_json(self, *, indent: int | None = None) -> bytes:
        """Encode the trace as one JSON document. An event that lies in a node is written once, not twice."""
        lean = msgspec.structs.replace(
            self,
            nodes=[lean_node(node) for node in self.nodes],
            scores=[_written_score(score) for score in self.scores],
        )
        document = msgspec.json.encode(lean, enc_hook=_encode_other)
        return document if indent is None else msgspec.json.format(document, indent=indent)

    @classmethod
    def from_json(cls, document: bytes | str) -> ExecutionTrace:
        """Decode what `to_json` wrote.

        Raises: msgspec.DecodeError where the document is not a trace.
        """
        # Not strict, so that the texts `NaN` and `Infinity` are numbers again.
        trace = msgspec.json.decode(document, type=cls, strict=False)
        for event in (*trace.boundaries, *trace.events):
            event.data = _on_one_line(event.data)
        by_span: dict[str, list[Event]] = {}
        for event in trace.events:
            if event.span_id is not None:
                by_span.setdefault(event.span_id, []).append(event)
        return msgspec.structs.replace(
            trace,
            nodes=[_read_node(node, by_span) for node in trace.nodes],
            scores=[_read_score(score) for score in trace.scores],
        )

    def _repr_html_(self) -> str:
        """Return the timeline for a notebook, or a line of text where nothing that draws is loaded."""
        from html import escape  # only a notebook needs it

        draw = _DRAWERS.get("html")
        text = f"{self.name or self.run_id}: {self.status}"
        return f"<pre>{escape(text)}</pre>" if draw is None else draw(self)

    @property
    def states(self) -> StateChain:
        """The states that were recorded, rebuilt on demand."""
        chain = StateChain()
        for event in self.events:
            if event.event == "state_changed":
                chain.add(msgspec.json.decode(event.data, type=StateDelta))
        return chain

    def executions(self, node_id: str) -> list[NodeExecution]:
        """Return every execution of a node, in start order."""
        return [node for node in self.nodes if node.node_id == node_id]

    def slowest_node(self) -> NodeExecution | None:
        """Return the execution with the longest duration; None where none ended."""
        ended = [node for node in self.nodes if node.duration_ns is not None]
        return max(ended, key=lambda node: node.duration_ns or 0, default=None)

    def most_expensive_node(self) -> NodeExecution | None:
        """Return the execution that cost most; None where no price is known."""
        priced = [node for node in self.nodes if node.cost_usd is not None]
        return max(priced, key=lambda node: node.cost_usd or 0.0, default=None)

    def total_time_in_node(self, node_id: str) -> int:
        """Return the summed duration of a node's ended executions, in nanoseconds."""
        return sum(node.duration_ns or 0 for node in self.executions(node_id))

    def total_tokens_in_node(self, node_id: str) -> int | None:
        """Return the summed tokens of a node; None where no execution reported any."""
        counts = [node.usage.total_tokens for node in self.executions(node_id) if node.usage is not None]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    def errors_for_node(self, node_id: str) -> list[ErrorRecord]:
        """Return the failures of a node, in start order."""
        return [error for error in self.errors if error.node_id == node_id]

    def time_breakdown(self) -> dict[str, int]:
        """Return self time by node in nanoseconds, largest first. Parallel nodes may sum to more than the run."""
        return _ranked((node.node_id, node.self_time_ns) for node in self.nodes)

    def token_breakdown(self) -> dict[str, int]:
        """Return tokens by node, largest first; nodes that reported none are left out."""
        return _ranked(
            (node.node_id, None if node.usage is None else node.usage.total_tokens) for node in self.nodes
        )


def lean_node(node: NodeExecution) -> NodeExecution:
    """Return a node as it stands in the document of its trace: without its events, which stand among the trace's.

    JSON has no NaN and no infinities; as metrics they are texts there.
    """
    changes: dict[str, Any] = {"events": []} if node.events else {}
    if not all(math.isfinite(value) for value in node.metrics.values()):
        changes["metrics"] = {name: number_text(value) for name, value in node.metrics.items()}
    return msgspec.structs.replace(node, **changes) if changes else node


def _read_node(node: NodeExecution, by_span: dict[str, list[Event]]) -> NodeExecution:
    changes: dict[str, Any] = {"events": by_span[node.span_id]} if node.span_id in by_span else {}
    if any(math.isnan(value) for value in node.metrics.values()):
        changes["metrics"] = {name: _one_nan(value) for name, value in node.metrics.items()}
    return msgspec.structs.replace(node, **changes) if changes else node


def _written_score(score: Score) -> Score:
    if score.value is None or math.isfinite(score.value):
        return score
    changes: dict[str, Any] = {"value": number_text(score.value)}
    return msgspec.structs.replace(score, **changes)


def _read_score(score: Score) -> Score:
    return score if score.value is None else msgspec.structs.replace(score, value=_one_nan(score.value))


def _on_one_line(data: msgspec.Raw) -> msgspec.Raw:
    """Return a payload as a line of the log can hold it, for in an indented document it spans several."""
    return msgspec.Raw(msgspec.json.format(data, indent=-1)) if b"\n" in bytes(data) else data


def _one_nan(value: float) -> float:
    # The one `math.nan`, so that two traces with a NaN in them compare as equal.
    return math.nan if math.isnan(value) else value


def _ranked(pairs: Iterable[tuple[str, int | None]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for name, amount in pairs:
        if amount is not None:
            totals[name] = totals.get(name, 0) + amount
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def _encode_other(value: object) -> object:
    raise NotImplementedError(f"{type(value).__name__} is not part of a trace")
