"""What all workflows of one run share: models, tools, the recorder, and what is known from earlier runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from clew.record.recorder import Recorder
from clew.record.run import NoopRun, Run
from clew.workflow.chat import CallPlace, ChatModel
from clew.workflow.definition import Definitions
from clew.workflow.plan import Plan
from clew.workflow.project import Project
from clew.workflow.signals import Signals
from clew.workflow.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from clew.workflow.agent_loop import ToolSource  # only agents need it

MOST_DEPTH = 32
"""Workflows in workflows: a `self` that never ends stops here, also where each is a process of its own."""

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
ToolCallFunction = Callable[[str, dict[str, Any]], Awaitable[Any]]
AroundTool = Callable[[str, dict[str, Any], ToolCallFunction, CallPlace], Awaitable[Any]]


class Spawn(Protocol):
    """Starts a workflow that goes on by itself."""

    def __call__(self, path: Path, inputs: dict[str, Any], *, emit_signal: bool, depth: int) -> int:
        """Start it and return its process's id.

        Args: path: of its manifest. emit_signal: whether it tells others how it stands. depth: how many workflows it
            is in, over all processes.
        """
        ...


class Earlier(Protocol):
    """What earlier runs know: of a run that is resumed, and of the runs in it."""

    def kept(self, run_id: str, project: Project, *, inputs: dict[str, Any] | None = None) -> Kept:
        """Return what can be kept of a run and of those that it went on with."""
        ...

    def round_of(
        self, run_id: str, project: Project, node_id: str, *, iteration: int, inputs: dict[str, Any]
    ) -> str | None:
        """Return the run that did a round of a branch, or a trigger's run, for the same inputs; None: there was none."""
        ...


@dataclass(frozen=True)
class Kept:
    """What can be kept of an earlier run of a workflow."""

    outputs: Mapping[str, dict[str, Any]]
    """Of nodes whose outputs are used as they are."""
    changed: Mapping[str, str]
    """Nodes that were completed and run again all the same, and why."""
    again: frozenset[str]
    """These, and the nodes that were not come to."""


@dataclass(frozen=True)
class Services:
    """Shared by a workflow and all workflows in it."""

    models: ChatModel
    definitions: Definitions
    open_toolbox: Callable[[Project], Toolbox]
    load: Callable[[Path], Project]
    """Reads the project of a branch or trigger."""
    recorder: Recorder | None = None
    """None: nothing is recorded."""
    earlier: Earlier | None = None
    around_tool: AroundTool | None = None
    """Called instead of a tool, with the tool and the place of the call: a replay answers from the log."""
    around_toolbox: Callable[[str, Toolbox], ToolSource] | None = None
    """Called with the id of an agent's node and its tools: a replay knows what it was offered."""
    around_attempt: Callable[[str, Awaitable[dict[str, Any]]], Awaitable[dict[str, Any]]] | None = None
    """Called with the id of a node and an attempt at it: a replay knows how and when that ended."""
    signals: Signals | None = None
    """Where workflows tell each other how they stand."""
    spawn: Spawn | None = None
    """Starts a workflow on its own."""
    told: Callable[[str], None] = lambda _sentence: None
    """Told what a person should know when the run is over."""
    dry_run: bool = False
    waits: Callable[[], bool] = lambda: True
    """Whether to wait before a node is tried again: a replay need not, as long as every answer comes from the log."""
    on_text: Callable[[str, str], None] | None = None
    """Told of each piece of text that a model sends: node, text."""

    def new_run(
        self, project: Project, inputs: dict[str, Any], *, attributes: dict[str, Any]
    ) -> Run | NoopRun:
        """Return a run of a workflow, to be entered."""
        if self.recorder is None:
            return NoopRun(project.name)
        start = {"inputs": inputs, "dry_run": self.dry_run or None, **attributes.pop("start", {})}
        return Run(self.recorder, project.name, kind="workflow", start=start, attributes=attributes)

    async def call_tool(self, name: str, arguments: dict[str, Any], *, toolbox: Toolbox) -> Any:
        """Call a tool by its name. It gets arguments of its own, and what it returns is copied: whatever it does to them
        later, others get the same outputs.

        Raises: ToolError, ReplayError.
        """

        async def really(name: str, arguments: dict[str, Any]) -> Any:
            return _own(await toolbox.get(name).call(_own(arguments)))

        if self.around_tool is not None:
            return await self.around_tool(name, arguments, really, CallPlace(node_id=name))
        return await really(name, arguments)


def _own(value: Any) -> Any:
    """Return a copy of the dicts and lists in a value. Anything else is the same: objects go from tool to tool as they are.

    A value that is nested deeper than Python's stack stays as it is.
    """
    try:
        return _copied(value)
    except RecursionError:
        return value


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {name: item if type(item) in _SCALARS else _copied(item) for name, item in value.items()}
    if kind is list:
        return [item if type(item) in _SCALARS else _copied(item) for item in value]
    return value


class Executing(Protocol):
    """An execution of a workflow, as its nodes see it."""

    project: Project
    services: Services
    toolbox: Toolbox
    depth: int
    """How many workflows it is in."""
    resumed_run_id: str | None
    """The run that it goes on with."""
    iteration: int | None
    """The round of a loop that it is, from 0."""
    again: frozenset[str]
    """Nodes for which nothing of the run that it goes on with is used."""
    cost_usd: float | None
    """So far; None as soon as a price is unknown."""
    inputs: dict[str, Any]
    """What the input nodes hand on."""
    asked: dict[str, str]
    """Of each node that waits for a model, or was cancelled while it did: which model."""

    def spend(self, cost_usd: float | None) -> None:
        """Add what a call cost; None where nobody knows."""
        ...

    def note_state(self, name: str, values: dict[str, Any]) -> None:
        """Record what the loop of a node goes on with."""
        ...

    def inner(
        self,
        project: Project,
        *,
        inputs: dict[str, Any],
        plan: Plan,
        resumed_run_id: str | None,
        iteration: int | None,
    ) -> Executing:
        """Return an execution of a workflow within this one."""
        ...

    def keep(self) -> None:
        """Record what is kept of an earlier run."""
        ...

    async def run(self) -> dict[str, Any]:
        """Run to the end and return the outputs."""
        ...
