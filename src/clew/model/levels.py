"""Levels say how serious an event is; verbosities say how much of a run one wants to see."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
LEVEL_RANK: Final = {name: rank for rank, name in enumerate(LEVELS)}


class Verbosity(StrEnum):
    """How much of a run a reader wants: a set of events, and how much of their payload."""

    MINIMAL = "minimal"
    """Lifecycle of the run and whatever failed."""
    NORMAL = "normal"
    """Also nodes, decisions, agent turns, scores, losses and every user event; payloads shortened."""
    VERBOSE = "verbose"
    """Also inputs, outputs, conditions, tokens, costs, metrics and signals; payloads shortened."""
    DEBUG = "debug"
    """Everything, including state patches and timings; payloads whole."""


FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "lifecycle": (
        "workflow_started",
        "workflow_completed",
        "workflow_failed",
        "run_interrupted",
        "run_resumed",
    ),
    "node": ("node_started", "node_completed", "node_failed", "node_skipped"),
    "execution": ("input_received", "output_produced", "condition_evaluated", "decision_made"),
    "resource": ("token_usage", "cost_incurred", "timing_metric", "metric_recorded"),
    "state": (
        "state_changed",
        "checkpoint_saved",
        "signal_emitted",
        "signal_received",
        "branch_iteration",
        "artifact_saved",
    ),
    "agent": (
        "agent_tools_offered",
        "agent_turn_started",
        "agent_turn_completed",
        "agent_tool_called",
        "model_answered",
    ),
    "judgement": ("score_recorded", "feedback_recorded"),
    "telemetry": ("events_lost", "payload_truncated", "redacted"),
}
"""Event names by family. Any name in none of them is a user's own event, family `user`."""

FAMILY_OF: Final = {event: family for family, events in FAMILIES.items() for event in events}

_MINIMAL = frozenset(
    {*FAMILIES["lifecycle"], "node_failed", "events_lost"},
)
_VERBOSE_ONLY = frozenset(
    {
        "input_received",
        "output_produced",
        "condition_evaluated",
        "token_usage",
        "cost_incurred",
        "metric_recorded",
        "checkpoint_saved",
        "signal_emitted",
        "signal_received",
        "payload_truncated",
        "redacted",
    },
)
_DEBUG_ONLY = frozenset({"timing_metric", "state_changed", "agent_tools_offered", "model_answered"})


def family_of(event: str) -> str:
    """Return the family of an event name; `user` for a name that Clew does not define."""
    return FAMILY_OF.get(event, "user")


def shows(verbosity: Verbosity, event: str, level: str) -> bool:
    """Say whether a reader of that verbosity sees an event of that name and level.

    A warning or an error is shown at every verbosity.
    """
    if verbosity is Verbosity.DEBUG or LEVEL_RANK.get(level, 1) >= LEVEL_RANK["WARNING"]:
        return True
    if verbosity is Verbosity.MINIMAL:
        return event in _MINIMAL
    if event in _DEBUG_ONLY or level == "DEBUG":
        return False
    return verbosity is Verbosity.VERBOSE or event not in _VERBOSE_ONLY
