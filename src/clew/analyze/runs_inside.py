"""The runs inside a run: which there are, and what they spent together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clew.model.inside import total_cost
from clew.model.usage import Usage, total_usage

if TYPE_CHECKING:
    from collections.abc import Sequence


class RunInside(msgspec.Struct, frozen=True, kw_only=True):
    """One run inside another, at any depth. `msgspec.json.encode` of it is the public form."""

    run_id: str
    """32 hex digits from Clew, anything from other systems."""
    name: str | None
    """What the user calls it."""
    nodes: int
    """Executions of nodes."""
    status: str
    """running, completed, failed or interrupted."""
    usage: Usage | None = None
    """Its own tokens, those of runs inside it left out; None where nothing was reported or nobody looked."""
    cost_usd: float | None = None
    """Its own money; None where no price is known or nobody looked."""


def spent_together(runs: Sequence[RunInside]) -> tuple[Usage | None, float | None]:
    """Return tokens and dollars of some runs, added up; None where none of them knows any."""
    return total_usage(run.usage for run in runs), total_cost([run.cost_usd for run in runs])
