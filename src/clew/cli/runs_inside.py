"""The runs inside the run that a command is about: they have executions, tokens and costs of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from clew.analyze.runs_inside import RunInside
from clew.cli.history import family_of_run
from clew.cli.runs import unique_digits
from clew.store.payloads import WholePayloads
from clew.store.spending import Spent
from clew.view.durations import format_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clew.model.trace import ExecutionTrace
    from clew.store.rows import RunRow
    from clew.store.store import Store

MOST_NAMED: Final = 3
MOST_READ: Final = 200
"""Runs whose tokens are looked up. A loop of a workflow may have thousands, and a command must not wait for them."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class RunsInside:
    """The runs inside a run, at any depth, in the order of their starts."""

    def __init__(self, store: Store, run_id: str) -> None:
        """Take the rows of the index; no trace is read."""
        rows = store.runs()
        self._store = store
        self._rows: Sequence[RunRow] = sorted(
            (row for row in family_of_run(rows, run_id) if row.run_id != run_id),
            key=lambda row: (row.started_at or row.last_event_at or _LONG_AGO, row.run_id),
        )
        self._digits = unique_digits([row.run_id for row in rows]) if self._rows else 0

    def listed(self) -> tuple[list[RunInside], int]:
        """Return every run inside, and of how many the tokens were not looked up: those after the first 200."""
        spent = self._store.spending([row.run_id for row in self._rows[:MOST_READ]])
        nothing = Spent()
        inside = [
            RunInside(
                run_id=row.run_id,
                name=row.name,
                nodes=row.nodes,
                status=row.status,
                usage=spent.get(row.run_id, nothing).usage,
                cost_usd=spent.get(row.run_id, nothing).cost_usd,
            )
            for row in self._rows
        ]
        return inside, max(0, len(self._rows) - MOST_READ)

    def traces(self, *, with_payloads: bool) -> Iterator[ExecutionTrace]:
        """Read the runs inside, one at a time, on request with the payloads that are stored beside the log."""
        payloads = WholePayloads(self._store.home) if with_payloads else None
        for row in self._rows:
            yield self._store.trace(row.run_id, payloads=payloads)

    def line(self, room: int | None = None) -> str | None:
        """Return how many there are, the first by name, and how to look at one; None where there are none.

        Of the three names as many as fit into so many columns, but one at least.
        """
        if not self._rows:
            return None
        texts = [self._line(named) for named in range(min(MOST_NAMED, len(self._rows)), 0, -1)]
        return next((text for text in texts if room is None or len(text) <= room), texts[-1])

    def _line(self, named: int) -> str:
        shown = [(row, row.run_id[: self._digits]) for row in self._rows[:named]]
        parts = [f"{short} {_name(row)}{_executions(row.nodes)}" for row, short in shown]
        if len(self._rows) > named:
            parts.append(f"and {format_count(len(self._rows) - named)} more")
        return f"{format_count(len(self._rows))}: {'; '.join(parts)}; clew show {shown[0][1]}"


def _name(row: RunRow) -> str:
    return "" if row.name is None else f"{row.name}, "


def _executions(count: int) -> str:
    return f"{format_count(count)} execution{'' if count == 1 else 's'}"
