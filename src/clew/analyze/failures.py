"""What went wrong in a run, causes first: an error that was only passed on is not a second failure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from clew.analyze.tree import NO_PARENT, Tree
from clew.model.records import CANCELLED_BY

if TYPE_CHECKING:
    from clew.model.records import ErrorRecord
    from clew.model.trace import ExecutionTrace


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An error where it first appeared, and how often the same one appeared in the same node."""

    node_id: str | None
    """The innermost node that failed with it; None for the run itself."""
    error_type: str | None
    """The exception's class name."""
    message: str | None
    """The exception's message."""
    count: int
    """Executions of that node that failed with that type and message, passed-on errors not counted."""
    retried: int
    """How many of those were followed by another attempt."""
    ended_run: bool | None
    """True where everything around it failed too, the run included; False where it was tried again or something
    around it went on and completed; None where that is still open."""
    path: list[str]
    """Nodes around the first one, outermost first."""
    passed_on_by: list[str]
    """Nodes around the first one that failed with the very same error, innermost first."""
    depth: int
    """How many executions the first one lies in; -1 for the run itself."""
    index: int | None
    """Position of the first one in `ExecutionTrace.nodes`."""
    span_id: str | None
    """Span of the first one."""
    first_at: datetime | None
    """When the first one was recorded."""
    stack: str | None
    """Where the first one was raised, innermost call last."""


_Key = tuple[str | None, str | None]


def find_failures(trace: ExecutionTrace, tree: Tree) -> list[Failure]:
    """Return the causes of failure: those that ended the run first, then innermost first, then earliest.

    An execution that failed with the type and message of one of its children only passed the error on, and one that
    was cancelled because another failed is no cause. Causes of the same node, type and message are one entry.
    O(n) where something failed.
    """
    failed = {
        position: node.error
        for position, node in enumerate(trace.nodes)
        if node.error is not None and CANCELLED_BY not in node.attributes
    }
    if not failed:
        return [] if trace.error is None else [_of_run(trace, trace.error)]
    passed_on = {
        tree.parents[position]
        for position, error in failed.items()
        if _is_same(failed.get(tree.parents[position]), error)
    }
    depths = tree.depths()
    fates = _fates(trace, tree)
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, error in failed.items():
        if position not in passed_on:
            group = (trace.nodes[position].node_id, *_key(error), fates[position])
            groups.setdefault(group, []).append(position)
    found = [_failure(trace, tree, members, fates=fates, depths=depths) for members in groups.values()]
    if trace.error is not None and not any(_is_same(trace.error, error) for error in failed.values()):
        found.append(_of_run(trace, trace.error))
    found.sort(key=lambda failure: (_rank(failure.ended_run), -failure.depth, failure.index or 0))
    return found


def _key(error: ErrorRecord) -> _Key:
    return error.error_type, error.message


def _is_same(outer: ErrorRecord | None, inner: ErrorRecord) -> bool:
    """Say whether an error is the one from further in; on the way notes may have been added behind its message."""
    if outer is None or outer.error_type != inner.error_type:
        return False
    return outer.message == inner.message or (outer.message or "").startswith(f"{inner.message or ''}\n")


def _rank(ended_run: bool | None) -> int:  # noqa: FBT001 - a key, not a switch
    return {True: 0, None: 1, False: 2}[ended_run]


def _fates(trace: ExecutionTrace, tree: Tree) -> list[bool | None]:
    """Return, for each execution, whether a failure in it would be the run's failure."""
    outcome = {"failed": True, "completed": False}
    of_run = outcome.get(trace.status)
    fates: list[bool | None] = [of_run] * len(trace.nodes)
    for position in tree.order:
        parent = tree.parents[position]
        if parent == NO_PARENT:
            continue
        around = outcome.get(trace.nodes[parent].status)
        fates[position] = fates[parent] if around is True else around
    for position, node in enumerate(trace.nodes):
        if node.error is not None and node.error.retried:
            fates[position] = False
    return fates


def _failure(
    trace: ExecutionTrace,
    tree: Tree,
    members: list[int],
    *,
    fates: list[bool | None],
    depths: list[int],
) -> Failure:
    first = members[0]
    node = trace.nodes[first]
    error = node.error
    assert error is not None
    around = tree.ancestors(first)
    passed_on_by: list[str] = []
    for position in reversed(around):
        other = trace.nodes[position].error
        if other is None or not _is_same(other, error):
            break
        passed_on_by.append(trace.nodes[position].node_id)
    return Failure(
        node_id=node.node_id,
        error_type=error.error_type,
        message=error.message,
        count=len(members),
        retried=sum(_was_retried(trace, position) for position in members),
        ended_run=fates[first],
        path=[trace.nodes[position].node_id for position in around],
        passed_on_by=passed_on_by,
        depth=depths[first],
        index=node.index,
        span_id=node.span_id,
        first_at=error.at,
        stack=error.stack,
    )


def _was_retried(trace: ExecutionTrace, position: int) -> bool:
    error = trace.nodes[position].error
    return error is not None and bool(error.retried)


def _of_run(trace: ExecutionTrace, error: ErrorRecord) -> Failure:
    return Failure(
        node_id=None,
        error_type=error.error_type,
        message=error.message,
        count=1,
        retried=0,
        ended_run=True if trace.status == "failed" else None,
        path=[],
        passed_on_by=[],
        depth=-1,
        index=None,
        span_id=None,
        first_at=error.at,
        stack=error.stack,
    )
