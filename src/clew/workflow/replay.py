"""Executing a workflow again, with the answers of models and tools taken from the trace of an earlier run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from clew.errors import ReplayError, ToolError
from clew.model.digest import digest
from clew.model.events import Event
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.workflow.asking import ANSWERED, request_hash, told_hash
from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ChatRequest, ToolSpec
from clew.workflow.replayed_tools import ReplayedTools
from clew.workflow.services import ToolCallFunction
from clew.workflow.tools.toolbox import Toolbox
from clew.workflow.wholeness import OBJECTS, Payload, Payloads

UNENDED: Final = frozenset({"running", "interrupted"})
COMPLETED: Final = frozenset({"completed"})
_canonical = msgspec.json.Encoder(order="deterministic", enc_hook=str)


class _NotWhole(NamedTuple):
    """Stands in the place of an answer that the log does not have as it was."""

    node_id: str
    what: str
    lack: str
    again: str
    """What has to be done instead."""


class _ToolResult(NamedTuple):
    output: Any
    error: str | None


class Replay:
    """Answers of a run and of all runs in it. A `ChatModel`, and what stands around tool calls.

    Equal requests get their answers in the order in which they were recorded. Where a request was not recorded, or its
    answer is not whole in the log, the replay has left the old run: without `live`, that is an error; with it,
    everything from then on is real.
    """

    def __init__(self, run_id: str, *, live: ChatModel | None) -> None:
        """Args: run_id: of the run. live: answers what was not recorded."""
        self._run_id = run_id
        self._live = live
        self._answers: dict[str, deque[ChatAnswer | _NotWhole]] = {}
        self._tools: dict[str, deque[_ToolResult | _NotWhole]] = {}
        self._hidden_inputs: dict[str, _NotWhole] = {}
        self._offers: dict[str, list[ToolSpec]] = {}
        self._hidden_offers: dict[str, _NotWhole] = {}
        self._lacking: list[_NotWhole] = []
        self._started: deque[int] = deque()
        self.first_difference: str | None = None
        """Where the replay left the old run, in words; None as long as it did not."""
        self.served = 0
        """Answers of models and tools that were taken from the trace."""

    def learn(
        self, trace: ExecutionTrace, payloads: Payloads, *, statuses: frozenset[str] | None = None
    ) -> None:
        """Take in what a run was answered.

        Args:
            trace: of the run.
            payloads: of the run.
            statuses: of the executions that count; None: all.
        """
        for node in trace.nodes:
            if statuses is not None and node.status not in statuses:
                continue
            for event in node.events:
                if event.event == ANSWERED:
                    self._learn_answer(event, node, payloads)
                elif event.event == "agent_tool_called":
                    self._learn_call(event, node, payloads)
            if node.kind == "tool":
                self._learn_tool(node, payloads)
            elif node.kind == "trigger" and isinstance(node.outputs, dict):
                pid = node.outputs.get("pid")
                self._started += [pid] if isinstance(pid, int) and "kept_from" not in node.attributes else []

    def forget(self, trace: ExecutionTrace, payloads: Payloads) -> None:
        """Take out what a run was served that went on with the runs learned so far: its own record has that again."""
        for node in trace.nodes:
            for event in node.events:
                values = event.values()
                waiting: deque[Any] | None = None
                if event.event == ANSWERED:
                    waiting = self._answers.get(values["request_hash"])
                elif event.event == "agent_tool_called":
                    given = payloads.read(values.get("tool_input"), node=node)
                    waiting = self._tools.get(_tool_hash(str(values.get("tool_name")), given.value))
                taken = waiting.popleft() if waiting else None
                if taken in self._lacking:
                    self._lacking.remove(taken)

    def asked_again(self) -> list[str]:
        """Return a sentence for each answer that is there, but not whole, and so is not served."""
        sentences = [
            f"{each.again}: {each.what} is not whole in the log ({each.lack})" for each in self._lacking
        ]
        return list(dict.fromkeys(sentences))

    async def answer(
        self, request: ChatRequest, *, place: CallPlace, on_text: Callable[[str], None] | None = None
    ) -> ChatAnswer:
        """Return the recorded answer. Raises: ReplayError: there is none, and nothing real is wanted."""
        found = self._answers.get(request_hash(request))
        answer = found.popleft() if found else None
        if isinstance(answer, ChatAnswer):
            self.served += 1
            if on_text is not None:
                on_text(answer.text)
            return msgspec.structs.replace(answer, source="replay", cost_usd=None)
        self._leave(f"node {place.node_id}, request {place.turn} to {request.model}", instead=answer)
        assert self._live is not None
        return await self._live.answer(request, place=place, on_text=on_text)

    async def around_tool(self, name: str, arguments: dict[str, Any], really: ToolCallFunction) -> Any:
        """Return what a tool gave then. Raises: ToolError: as it did then; ReplayError: as above."""
        found = self._tools.get(_tool_hash(name, arguments))
        result = found.popleft() if found else self._hidden_inputs.get(name)
        if isinstance(result, _ToolResult):
            self.served += 1
            if result.error is not None:
                raise ToolError(result.error)
            return result.output
        self._leave(f"tool {name}", instead=result)
        return await really(name, arguments)

    def around_toolbox(self, node_id: str, toolbox: Toolbox) -> ReplayedTools:
        """Return the tools of an agent, as it was offered them."""
        offers = self._offers.get(node_id, [])
        instead = None if node_id in self._offers else self._hidden_offers.get(node_id)
        return ReplayedTools(toolbox, offers, leave=partial(self._leave, instead=instead))

    def around_start(self, really: Callable[..., int]) -> Callable[..., int]:
        """Return what stands around starting a workflow that goes on by itself: it was started then already."""

        def start(path: Path, *given: Any, **settings: Any) -> int:
            if self._started and self.first_difference is None:
                return self._started.popleft()
            self._leave(f"starting workflow {path.name}")
            return really(path, *given, **settings)

        return start

    async def close(self) -> None:
        """Close what answers for real."""
        if self._live is not None:
            await self._live.close()

    def _leave(self, what: str, *, instead: _NotWhole | None = None) -> None:
        """Note that something real is needed. Raises: ReplayError: nothing real is wanted."""
        if instead is not None:
            what = f"{instead.what}, which is not whole in the record of the run ({instead.lack})"
        if self.first_difference is None:
            self.first_difference = what
        if self._live is not None:
            return
        if instead is None:
            raise ReplayError(
                f"{what} is not in the recorded run: something that led to it has changed since"
            )
        raise ReplayError(
            f"the replay needs {what}; clew replay {self._run_id[:16]} --fork {instead.node_id} goes on for real there"
        )

    def _learn_answer(self, event: Event, node: NodeExecution, payloads: Payloads) -> None:
        values = event.values()
        request = payloads.read(values["request"], node=node)
        tools = payloads.read((request.value or {}).get("tools"), node=node)
        lack = tools.lack if request.value is not None else request.lack
        if lack is None:
            offered = msgspec.convert(request.value, ChatRequest).tools
            self._offers.setdefault(node.node_id, offered)
        else:
            hidden = _NotWhole(node.node_id, f"what {node.node_id} was offered", lack, "")
            self._hidden_offers.setdefault(node.node_id, hidden)
        waiting = self._answers.setdefault(values["request_hash"], deque())
        answer = payloads.read(values["answer"], node=node)
        if answer.lack is None:
            waiting.append(msgspec.convert(answer.value, ChatAnswer))
        else:
            what = f"the answer of node {node.node_id} to request {values['turn']}"
            again = f"{node.node_id} asks its model again"
            waiting.append(self._not_whole(_NotWhole(node.node_id, what, answer.lack, again)))

    def _learn_call(self, event: Event, node: NodeExecution, payloads: Payloads) -> None:
        """Learn what an agent's tool gave."""
        values = event.values()
        name, hashed = values.get("tool_name"), values.get("told_hash")
        output = payloads.read(values.get("tool_output"), node=node)
        if output.lack is None and hashed is not None and told_hash(output.value) != hashed:
            output = Payload(None, OBJECTS)
        given = payloads.read(values.get("tool_input"), node=node)
        error = payloads.read(values.get("error"), node=node)
        self._remember(str(name), node.node_id, given=given, output=output, error=error)

    def _learn_tool(self, node: NodeExecution, payloads: Payloads) -> None:
        """Learn what a tool gave that is a node."""
        if node.status not in {"completed", "failed"} or "kept_from" in node.attributes:
            return
        failed = node.error is not None or node.status == "failed"
        error = Payload(None if node.error is None else node.error.message)
        given = payloads.inputs_of(node)
        output = Payload(None) if failed else payloads.outputs_of(node)
        self._remember(node.node_id, node.node_id, given=given, output=output, error=error)

    def _remember(self, name: str, node_id: str, *, given: Payload, output: Payload, error: Payload) -> None:
        again = f"{node_id} calls {name} again" if name != node_id else f"{node_id} runs again"
        if given.lack is not None:  # the call cannot be known again
            what = f"what tool {name} was given"
            hidden = self._not_whole(_NotWhole(node_id, what, given.lack, again))
            self._hidden_inputs.setdefault(name, hidden)
            return
        result: _ToolResult | _NotWhole = _ToolResult(output.value, error.value)
        lack = output.lack or error.lack
        if lack is not None:
            result = self._not_whole(_NotWhole(node_id, f"what tool {name} gave", lack, again))
        self._tools.setdefault(_tool_hash(name, given.value), deque()).append(result)

    def _not_whole(self, found: _NotWhole) -> _NotWhole:
        self._lacking.append(found)
        return found


def _tool_hash(name: Any, given: Any) -> str:
    return digest(_canonical.encode([name, given or {}]))
