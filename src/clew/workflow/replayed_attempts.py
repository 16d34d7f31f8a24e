"""The attempts at the nodes of a recorded run: how each ended, and after which others; and how far a replay has come."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from clew.errors import (
    BudgetError,
    ClewError,
    ExpressionError,
    MissingExtraError,
    ProviderError,
    ReplayError,
    ToolError,
    UsageError,
    WorkflowError,
)
from clew.model.records import NodeExecution
from clew.workflow.attempts import MAY_RETRY
from clew.workflow.places import Path, path_here

_KNOWN: Final[dict[str, type[ClewError]]] = {
    kind.__name__: kind
    for kind in (
        BudgetError,
        ExpressionError,
        MissingExtraError,
        ReplayError,
        ToolError,
        UsageError,
        WorkflowError,
    )
}
_STILL_S: Final = 2.0
"""When no node has ended for so long, what one waits for does not come: the workflow is not the same any more."""


class Failure(NamedTuple):
    """What an attempt ended with."""

    error_type: str
    message: str
    may_retry: bool = False
    """Of a provider's error."""

    def error(self) -> ClewError:
        """Return the error, to be raised again; of a type that is not known here, one of the same name."""
        if self.error_type == ProviderError.__name__:
            return ProviderError(self.message, may_retry=self.may_retry)
        kind: type[ClewError] | None = _KNOWN.get(self.error_type)
        if kind is None:
            kind = type(self.error_type, (WorkflowError,), {})
        return kind(self.message)


@dataclass(eq=False, kw_only=True)
class Attempt:
    """One attempt at a node."""

    number: int
    """Among those at the same node in the same place, from 0: those of a branch that is retried count on."""
    failure: Failure | None = None
    is_cut_short: bool = False
    """Whether it was ended from outside."""
    turns: int = 0
    """Requests to a model that were answered."""
    end: tuple[datetime, int] | None = None
    """By which ends are told apart; None where the record has none, or does not have the attempt."""
    is_last: bool = True
    """Whether no other attempt followed."""
    has_ended: bool = False
    """Whether it has in the replay."""


_here: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def attempt_here() -> Attempt | None:
    """Return the attempt that runs here."""
    return _here.get()


class Attempts:
    """Those of a recorded run, and of all runs in it."""

    def __init__(self, *, in_order: bool) -> None:
        """Args: in_order: whether nodes that failed, and those after them, wait for what ended before them then."""
        self._in_order = in_order
        self._recorded: dict[tuple[Path, str], list[Attempt]] = {}
        self._begun: Counter[tuple[Path, str]] = Counter()
        self._ends: deque[Attempt] | None = None
        self._failures: deque[Attempt] = deque()
        self._next_end = asyncio.Event()

    def add(
        self, node: NodeExecution, *, path: Path, turns: int, is_cut_short: bool, is_earlier: bool
    ) -> int | None:
        """Take in an attempt, in the order in which they began; return its number, None where it is none.

        Args:
            node: the attempt.
            path: of its workflow.
            turns: requests that were answered in it.
            is_cut_short: whether it was ended from outside.
            is_earlier: whether it is of a run that the recorded one went on with.
        """
        if node.attempt is None or "definition" not in node.extra:
            return None  # a tool's own work, or what was kept or skipped
        attempts = self._recorded.setdefault((path, node.node_id), [])
        error = node.error
        attempt = Attempt(number=len(attempts), is_cut_short=is_cut_short, turns=turns)
        if node.status == "failed" and error is not None:
            may_retry = bool(node.attributes.get(MAY_RETRY) or error.retried)
            attempt.failure = Failure(error.error_type or "WorkflowError", error.message or "", may_retry)
            attempt.is_last = not error.retried
        if node.ended_at is not None and not (is_earlier and attempts):  # else it was done again
            attempt.end = node.ended_at, node.end_seq or 0
        attempts.append(attempt)
        return attempt.number

    async def run(self, node_id: str, work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        """Await an attempt at a node, and end when its turn has come. Raises: as the attempt."""
        key = path_here(), node_id
        number, recorded = self._begun[key], self._recorded.get(key, [])
        self._begun[key] += 1
        attempt = recorded[number] if number < len(recorded) else Attempt(number=number)
        token = _here.set(attempt)
        try:
            try:
                outputs = await work
            except ReplayError:
                raise
            except Exception:
                await self._wait(attempt)
                raise
            await self._wait(attempt)
            return outputs
        finally:
            _here.reset(token)
            attempt.has_ended = True
            self._next_end.set()
            self._next_end = asyncio.Event()

    async def be_cancelled(self) -> None:
        """Wait for the failure that cancels what runs here, as long as there is hope for it."""
        while await self._another_ends():
            pass

    async def _wait(self, attempt: Attempt) -> None:
        """Wait until an attempt may end: a failure after all that ended before it, anything else after such failures."""
        if not self._in_order or attempt.end is None:
            return
        if attempt.is_cut_short:
            await self.be_cancelled()
            return
        if self._ends is None:
            known = [each for attempts in self._recorded.values() for each in attempts]
            ends = sorted((each for each in known if each.end is not None), key=_end)
            self._ends = deque(ends)
            self._failures = deque(
                each for each in ends if each.failure is not None and each.is_last and not each.is_cut_short
            )
        line = self._failures if attempt.failure is None else self._ends
        while True:
            while line and line[0].has_ended:
                line.popleft()
            if not line or _end(line[0]) >= attempt.end:
                return
            if not await self._another_ends():
                while line and _end(line[0]) < attempt.end:
                    line.popleft()

    async def _another_ends(self) -> bool:
        try:
            async with asyncio.timeout(_STILL_S):
                await self._next_end.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(
            0
        )  # so that its workflow has taken notice, and starts what comes next, or nothing more
        return True


def _end(attempt: Attempt) -> tuple[datetime, int]:
    assert attempt.end is not None
    return attempt.end
