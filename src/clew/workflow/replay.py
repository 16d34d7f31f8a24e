"""Executing a workflow again, with the answers of models and tools taken from the trace of an earlier run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from clew.errors import ReplayError, ToolError
from clew.model.digest import digest
from clew.model.events import Event
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.workflow.asking import ANSWERED, request_hash
from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ChatRequest, ToolSpec
from clew.workflow.replayed_tools import ReplayedTools
from clew.workflow.services import ToolCallFunction
from clew.workflow.tools.toolbox import Toolbox

_canonical = msgspec.json.Encoder(order="deterministic", enc_hook=str)


class Replay:
    """Answers of a run and of all runs in it. A `ChatModel`, and what stands around tool calls.

    Equal requests get their answers in the order in which they were recorded. Where a request was not recorded, the
    replay has left the old run: without `live`, that is an error; with it, everything from then on is real.
    """

    def __init__(self, *, whole: Callable[[Any], Any], live: ChatModel | None) -> None:
        """Args: whole: puts back what is stored beside the log. live: answers what was not recorded."""
        self._whole = whole
        self._live = live
        self._answers: dict[str, deque[ChatAnswer]] = {}
        self._tools: dict[str, deque[tuple[Any, str | None]]] = {}
        self._offers: dict[str, list[ToolSpec]] = {}
        self.first_difference: str | None = None
        """Where the replay left the old run, in words; None as long as it did not."""
        self.served = 0
        """Answers of models and tools that were taken from the trace."""

    def learn(self, trace: ExecutionTrace, *, only_interrupted: bool = False) -> None:
        """Take in what a run was answered.

        Args:
            trace: of the run.
            only_interrupted: leave out executions that ended. What an interrupted one was answered is paid for already;
                what a failed one was answered may be why it failed.
        """
        for node in trace.nodes:
            if only_interrupted and node.status not in {"running", "interrupted"}:
                continue
            for event in node.events:
                if event.event == ANSWERED:
                    self._learn_answer(event, node.node_id)
                elif event.event == "agent_tool_called":
                    data = self._data(event)
                    self._remember(
                        data.get("tool_name"),
                        data.get("tool_input"),
                        data.get("tool_output"),
                        data.get("error"),
                    )
            if node.kind == "tool":
                self._learn_tool(node)

    async def answer(
        self, request: ChatRequest, *, place: CallPlace, on_text: Callable[[str], None] | None = None
    ) -> ChatAnswer:
        """Return the recorded answer. Raises: ReplayError: there is none, and nothing real is wanted."""
        found = self._answers.get(request_hash(request))
        if found:
            self.served += 1
            answer = found.popleft()
            if on_text is not None:
                on_text(answer.text)
            return msgspec.structs.replace(answer, source="replay", cost_usd=None)
        self._leave(f"node {place.node_id}, request {place.turn} to {request.model}")
        assert self._live is not None
        return await self._live.answer(request, place=place, on_text=on_text)

    async def around_tool(self, name: str, arguments: dict[str, Any], really: ToolCallFunction) -> Any:
        """Return what a tool gave then. Raises: ToolError: as it did then; ReplayError: as above."""
        found = self._tools.get(_tool_hash(name, arguments))
        if found:
            self.served += 1
            output, error = found.popleft()
            if error is not None:
                raise ToolError(error)
            return output
        self._leave(f"tool {name}")
        return await really(name, arguments)

    def around_toolbox(self, node_id: str, toolbox: Toolbox) -> ReplayedTools:
        """Return the tools of an agent, as it was offered them."""
        return ReplayedTools(toolbox, self._offers.get(node_id, []), leave=self._leave)

    async def close(self) -> None:
        """Close what answers for real."""
        if self._live is not None:
            await self._live.close()

    def _leave(self, what: str) -> None:
        if self.first_difference is None:
            self.first_difference = what
        if self._live is None:
            raise ReplayError(
                f"{what} is not in the recorded run: something that led to it has changed since"
            )

    def _learn_answer(self, event: Event, node_id: str) -> None:
        data = self._data(event)
        self._offers.setdefault(node_id, msgspec.convert(data["request"], ChatRequest).tools)
        answer = msgspec.convert(data["answer"], ChatAnswer)
        self._answers.setdefault(data["request_hash"], deque()).append(answer)

    def _learn_tool(self, node: NodeExecution) -> None:
        error = None if node.error is None else node.error.message
        if node.status in {"completed", "failed"} and "kept_from" not in node.attributes:
            self._remember(node.node_id, self._whole(node.inputs), self._whole(node.outputs), error)

    def _remember(self, name: Any, given: Any, output: Any, error: str | None) -> None:
        self._tools.setdefault(_tool_hash(name, given), deque()).append((output, error))

    def _data(self, event: Event) -> dict[str, Any]:
        return {name: self._whole(value) for name, value in event.values().items()}


def _tool_hash(name: Any, given: Any) -> str:
    return digest(_canonical.encode([name, given or {}]))
