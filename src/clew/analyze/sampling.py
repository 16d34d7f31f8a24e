"""Whether the inside of a run was recorded: of one that sampling left out, the log has start, end and counters only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clew.model.boundaries import WorkflowStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clew.model.events import Event

LEFT_OUT: Final = "its inside was not recorded: sampling left this run out (CLEW_SAMPLE_RATIO)"


def is_sampled(boundaries: Iterable[Event]) -> bool:
    """Say whether the inside of a run was recorded, by its start; True where no start says otherwise.

    Args: boundaries: the run's own events, as in `ExecutionTrace.boundaries`, or any of them.
    """
    starts = [event.payload() for event in boundaries if event.event == "workflow_started"]
    return not any(isinstance(start, WorkflowStarted) and start.sampled is False for start in starts)
