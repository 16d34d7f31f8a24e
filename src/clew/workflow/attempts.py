"""How often a node is tried, how long it may take, and after which failures another attempt makes sense."""

from __future__ import annotations

from typing import Final

from clew.errors import BudgetError, ExpressionError, NodeError, ProviderError, ReplayError, UsageError
from clew.workflow.project import AnyNode, BranchNode, Defaults, Retry, TriggerNode

_FINAL: Final = (BudgetError, ExpressionError, ReplayError, UsageError)
"""What would only happen again."""
_ONCE: Final = Retry()
MAY_RETRY: Final = "may_retry"
"""The attribute of a node that failed at its provider: the same request might have succeeded later, though it
was not tried again there. What a branch around it does depends on that."""


def retry_of(node: AnyNode, defaults: Defaults) -> Retry:
    """Return how a node is tried again: as it says itself, else as the defaults say.

    Branches and triggers have only their own: their steps are tried again already, and the attempts would multiply.
    """
    if node.retry is not None:
        return node.retry
    return _ONCE if isinstance(node, BranchNode | TriggerNode) else defaults.retry


def timeout_of(node: AnyNode, defaults: Defaults) -> float | None:
    """Return how many seconds one attempt may take: as the node says itself, else as the defaults say for single steps.

    A branch or trigger is as many steps as its workflow has, so the limit of one step is none for it.
    """
    if node.timeout_s is not None or isinstance(node, BranchNode | TriggerNode):
        return node.timeout_s
    return defaults.timeout_s


def may_retry(node: AnyNode, error: BaseException) -> bool:
    """Whether another attempt at a node may go better than the one that ended with this error.

    A workflow within a branch or trigger is judged by why the node in it failed.
    """
    if isinstance(error, NodeError):
        if not isinstance(node, BranchNode | TriggerNode):
            return False
        cause = error.__cause__
        return cause is None or may_retry(node, cause)
    if isinstance(error, ProviderError):
        return error.may_retry
    return not isinstance(error, _FINAL)
