"""Every error that Clew raises on purpose.

ClewError
├── UsageError                  bad input from a user of our commands: one sentence, exit code 2
│   ├── NoSuchRunError          no run has that id, name or position
│   ├── AmbiguousRunError       an id prefix or a name fits several runs
│   ├── UnknownFormatError      no importer or exporter of that name, or none fits the file
│   ├── ImportFormatError       a file that an importer was told to read is not in its format
│   ├── ConfigError             a setting has a value that it cannot have
│   ├── TargetError             `clew run` cannot run that target
│   ├── ProjectError            a workflow project has problems, all of which it carries
│   └── MissingExtraError       an optional library is not installed
├── WorkflowError               a workflow could not do what it was to do
│   ├── ExpressionError         a condition cannot be read, or cannot be worked out for these values
│   ├── NodeError               a node failed
│   ├── ToolError               a tool failed, or was called in a way that it does not allow
│   ├── ProviderError           a model gave no answer
│   ├── BudgetError             an agent used up its turns, tokens or money
│   ├── ReplayError             a replay asks what the recorded run did not ask
│   └── SignalTimeoutError      a signal did not come in time
├── JournalError                the journal cannot be opened or read
├── SinkError                   a sink could not take events now; the tailer retries from its offset
├── PatchError                  an RFC 6902 patch does not apply
└── BrokenStateError            a recorded state cannot be rebuilt, or its hash differs

Nothing below is ever raised into code that is being recorded: see `clew.record.guard`.
"""

from __future__ import annotations

from collections.abc import Sequence


class ClewError(Exception):
    """The root of the tree."""


class UsageError(ClewError):
    """What a user of a command gave cannot be used; the message says what, where and what to do."""


class NoSuchRunError(UsageError):
    """No run has that id, name or position."""


class AmbiguousRunError(UsageError):
    """An id prefix or a name fits several runs."""


class UnknownFormatError(UsageError):
    """No importer or exporter has that name, or none recognises the file."""


class ImportFormatError(UsageError):
    """A file is not in the format that it was to be read as."""


class ConfigError(UsageError):
    """A setting has a value that it cannot have."""


class TargetError(UsageError):
    """`clew run` cannot run that target."""


class MissingExtraError(UsageError):
    """An optional library is not installed; the message has the pip line."""


class ProjectError(UsageError):
    """A workflow project has problems."""

    def __init__(self, message: str, *, problems: Sequence[object] = ()) -> None:
        """Args: problems: all of them, as `clew.workflow.project.Problem`."""
        super().__init__(message)
        self.problems = list(problems)


class WorkflowError(ClewError):
    """A workflow could not do what it was to do."""


class ExpressionError(WorkflowError):
    """A condition cannot be read, or cannot be worked out."""

    def __init__(self, message: str, *, position: int | None = None) -> None:
        """Args: position: of the character that is wrong, from 0."""
        super().__init__(message)
        self.position = position


class NodeError(WorkflowError):
    """A node failed; the error that it failed with is the cause."""

    def __init__(self, message: str, *, node_id: str) -> None:
        """Args: node_id: of the node."""
        super().__init__(message)
        self.node_id = node_id


class ToolError(WorkflowError):
    """A tool failed, or was called in a way that it does not allow."""


class ProviderError(WorkflowError):
    """A model gave no answer."""

    def __init__(
        self,
        message: str,
        *,
        kind: str = "provider",
        status: int | None = None,
        retry_after_s: float | None = None,
        may_retry: bool = False,
    ) -> None:
        """Note what went wrong.

        Args:
            message: which model, what it said.
            kind: rate_limit, timeout, connection, authentication, context_length, bad_request, bad_answer, server, provider.
            status: of the HTTP response.
            retry_after_s: how long the provider wants to be left alone.
            may_retry: whether the same request may succeed later.
        """
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.may_retry = may_retry


class BudgetError(WorkflowError):
    """An agent used up its turns, tokens or money."""


class ReplayError(WorkflowError):
    """A replay asks what the recorded run did not ask."""


class SignalTimeoutError(WorkflowError):
    """A signal did not come in time."""


class JournalError(ClewError):
    """The journal cannot be opened or read."""


class SinkError(ClewError):
    """A sink could not take events now."""

    def __init__(self, message: str, *, taken: int = 0) -> None:
        """Args: taken: how many lines of the batch, from its first, the sink did take."""
        super().__init__(message)
        self.taken = taken


class PatchError(ClewError):
    """An RFC 6902 patch does not apply to the document."""


class BrokenStateError(ClewError):
    """A recorded state cannot be rebuilt, or what was rebuilt has another hash."""
