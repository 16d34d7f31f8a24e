"""Executing a workflow again, with the answers of models and tools taken from the trace of an earlier run."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from clew.errors import ReplayError
from clew.model.digest import digest
from clew.model.events import Event
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.workflow.asking import ANSWERED, request_hash, told_hash
from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ChatRequest, Then
from clew.workflow.places import Path as PlacePath
from clew.workflow.places import Recorded, path_here
from clew.workflow.replayed_attempts import Attempts, Failure, attempt_here
from clew.workflow.replayed_tools import OFFERED, Offer, ReplayedTools
from clew.workflow.services import ToolCallFunction
from clew.workflow.tools.toolbox import Toolbox
from clew.workflow.wholeness import BEYOND, OBJECTS, Payload, Payloads

_CUT_SHORT: Final = frozenset({"CancelledError", "KeyboardInterrupt"})
_canonical = msgspec.json.Encoder(order="deterministic", enc_hook=str)


def was_cut_short(node: NodeExecution) -> bool:
    """Whether an execution was ended from outside: by a kill, by Ctrl-C, or because another node failed."""
    if node.status in {"running", "interrupted"}:
        return True
    return node.status == "failed" and node.error is not None and node.error.error_type in _CUT_SHORT


class _NotWhole(NamedTuple):
    """Stands in the place of an answer that the log does not have as it was."""

    node_id: str
    what: str
    lack: str
    again: str
    """What has to be done instead."""


class _Place(NamedTuple):
    """Where something was answered."""

    path: PlacePath
    node_id: str
    attempt: int | None


class _ToolResult(NamedTuple):
    output: Any
    failure: Failure | None


class _Result(NamedTuple):
    given: Payload
    output: Payload
    error: Payload
    error_type: str = "ToolError"


class Replay:
    """Answers of a run and of all runs in it. A `ChatModel`, and what stands around tool calls.

    Equal requests get the answers of their own place, in the order in which they were recorded; where nothing was
    recorded there, those of any other. Where a request was not recorded, or its answer is not whole in the log, the
    replay has left the old run: without `live`, that is an error; with it, everything from then on is real.
    """

    def __init__(self, run_id: str, *, live: ChatModel | None) -> None:
        """Args: run_id: of the run. live: answers what was not recorded."""
        self._run_id = run_id
        self._live = live
        self._answers: Recorded[ChatAnswer | _NotWhole] = Recorded()
        self._tools: Recorded[_ToolResult | _NotWhole] = Recorded()
        self._hidden_inputs: dict[str, _NotWhole] = {}
        self._offers: dict[tuple[PlacePath, str], deque[Offer | _NotWhole]] = {}
        self._attempts = Attempts(in_order=live is None)
        self._lacking: list[_NotWhole] = []
        self._started: deque[int] = deque()
        self.first_difference: str | None = None
        """Where the replay left the old run, in words; None as long as it did not."""
        self.served = 0
        """Answers of models and tools that were taken from the trace."""

    def learn(
        self,
        trace: ExecutionTrace,
        payloads: Payloads,
        *,
        path: PlacePath = (),
        which: Callable[[NodeExecution], bool] | None = None,
    ) -> None:
        """Take in what a run was answered.

        Args:
            trace: of the run.
            payloads: of the run.
            path: of the workflow in the outermost one.
            which: whether an execution counts; None: all do.
        """
        for node in trace.nodes:
            if which is not None and not which(node):
                continue
            for recorded in (self._answers, self._tools):
                recorded.add_node(path=path, node_id=node.node_id)
            attempt = self._attempts.add(
                node,
                path=path,
                turns=sum(event.event == ANSWERED for event in node.events),
                is_cut_short=was_cut_short(node),
                is_earlier=which is not None,
            )
            place = _Place(path, node.node_id, attempt)
            for event in node.events:
                if event.event == ANSWERED:
                    self._learn_answer(event, node, payloads, place)
                elif event.event == "agent_tool_called":
                    self._learn_call(event, node, payloads, place)
            if node.kind == "tool":
                self._learn_tool(node, payloads, place)
            elif node.kind == "agent":
                self._learn_offer(node, payloads, path)
            elif node.kind == "trigger" and isinstance(node.outputs, dict):
                pid = node.outputs.get("pid")
                self._started += [pid] if isinstance(pid, int) and "kept_from" not in node.attributes else []

    def forget(self, trace: ExecutionTrace, payloads: Payloads, *, path: PlacePath = ()) -> None:
        """Take out what a run was served that went on with the runs learned so far: its own record has that again."""
        for node in trace.nodes:
            for event in node.events:
                values = event.values()
                taken: object = None
                if event.event == ANSWERED:
                    taken = self._answers.take(values["request_hash"], path=path, node_id=node.node_id)
                elif event.event == "agent_tool_called":
                    given = payloads.read(values.get("tool_input"), node=node)
                    hashed = _tool_hash(str(values.get("tool_name")), given.value)
                    call = _call_of(values)
                    taken = self._tools.take(hashed, path=path, node_id=node.node_id, call=call)
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
        """Return the recorded answer, or fail as the node did then for want of one.

        Raises: ReplayError: there is neither, and nothing real is wanted; else what was raised then.
        """
        answer = self._answers.take(request_hash(request), **self._here(place.node_id))
        if isinstance(answer, ChatAnswer):
            self.served += 1
            if on_text is not None:
                on_text(answer.text)
            then = answer.then or Then(cost_usd=answer.cost_usd, source=answer.source)
            return msgspec.structs.replace(answer, source="replay", cost_usd=None, then=then)
        if answer is None:
            await self._fail_as_then(place.turn)
        what = f"node {place.node_id}, request {place.turn} to {request.model}"
        self._leave(what, instead=answer)
        assert self._live is not None
        return await self._live.answer(request, place=place, on_text=on_text)

    async def around_tool(
        self, name: str, arguments: dict[str, Any], really: ToolCallFunction, place: CallPlace
    ) -> Any:
        """Return what a tool gave then. Raises: what it raised then; else as above."""
        call = None if place.position is None else (place.turn, place.position)
        hashed = _tool_hash(name, arguments)
        result = self._tools.take(hashed, **self._here(place.node_id), call=call)
        if result is None:
            result = self._hidden_inputs.get(name)
        if isinstance(result, _ToolResult):
            self.served += 1
            if result.failure is not None:
                raise result.failure.error()
            return result.output
        if result is None:
            await self._fail_as_then(place.turn + 1)  # an answer came that wanted it
        self._leave(f"tool {name}", instead=result)
        return await really(name, arguments)

    async def around_attempt(self, node_id: str, work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        """Await an attempt at a node; it ends in the order in which attempts ended then, as far as failures go by it."""
        return await self._attempts.run(node_id, work)

    def around_toolbox(self, node_id: str, toolbox: Toolbox) -> ReplayedTools:
        """Return the tools of an agent, as this execution of it was offered them."""
        waiting = self._offers.get((path_here(), node_id)) or next(
            (offers for (_, name), offers in self._offers.items() if name == node_id), deque()
        )
        while len(waiting) > 1 and self._live is not None and _failed(waiting[0]):
            waiting.popleft()  # real from here on, it may well start
        offer = None if not waiting else waiting.popleft() if len(waiting) > 1 else waiting[0]
        if isinstance(offer, Offer) and not (self._live is not None and _failed(offer)):
            return ReplayedTools(toolbox, offer, leave=self._leave)
        instead = offer if isinstance(offer, _NotWhole) else None
        return ReplayedTools(toolbox, Offer({}), leave=partial(self._leave, instead=instead))

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

    def _here(self, node_id: str) -> dict[str, Any]:
        """Return the place that answers are looked for. An attempt that failed has none but its own."""
        attempt = attempt_here()
        found: dict[str, Any] = {"path": path_here(), "node_id": node_id}
        if attempt is not None:
            found |= {
                "attempt": attempt.number,
                "only_own": self._live is None and attempt.failure is not None,
            }
        return found

    async def _fail_as_then(self, turn: int) -> None:
        """Fail as this attempt did then, where its answers were as many as they are now.

        Nothing fails for that where anything real may be asked instead.
        """
        attempt = attempt_here()
        if self._live is not None or attempt is None or attempt.failure is None:
            return
        if attempt.is_cut_short:
            await self._attempts.be_cancelled()
        elif turn > attempt.turns:
            raise attempt.failure.error()

    def _leave(self, what: str, *, instead: _NotWhole | None = None) -> None:
        """Note that something real is needed. Raises: ReplayError: nothing real is wanted."""
        if instead is not None:
            what = f"{instead.what}, which is not whole in the record of the run ({instead.lack})"
        if self.first_difference is None:
            self.first_difference = what
        if self._live is not None:
            return
        if instead is None:
            attempt = attempt_here()
            failure = None if attempt is None or not attempt.is_cut_short else attempt.failure
            why = (
                "something that led to it has changed since"
                if failure is None
                else f"its node ended there: {failure.message}"
            )
            raise ReplayError(f"{what} is not in the recorded run: {why}")
        raise ReplayError(
            f"the replay needs {what}; clew replay {self._run_id[:16]} --fork {instead.node_id} goes on for real there"
        )

    def _learn_answer(self, event: Event, node: NodeExecution, payloads: Payloads, place: _Place) -> None:
        values = event.values()
        answer = payloads.read(values["answer"], node=node)
        lack = answer.lack or (BEYOND if values.get("is_whole") is False else None)
        found: ChatAnswer | _NotWhole
        if lack is None:
            found = msgspec.convert(answer.value, ChatAnswer)
        else:
            what = f"the answer of node {node.node_id} to request {values['turn']}"
            again = f"{node.node_id} asks its model again"
            found = self._not_whole(_NotWhole(node.node_id, what, lack, again))
        self._answers.add(values["request_hash"], found, **place._asdict())

    def _learn_offer(self, node: NodeExecution, payloads: Payloads, path: PlacePath) -> None:
        """Learn which tools an agent's model was told of in its first request."""
        values = {event.event: event.values() for event in reversed(node.events)}  # the first of each
        offer: Offer | _NotWhole
        if ANSWERED in values:
            request = payloads.read(values[ANSWERED]["request"], node=node)
            tools = payloads.read((request.value or {}).get("tools"), node=node)
            lack = tools.lack if request.value is not None else request.lack
            if values[ANSWERED].get("tools_are_whole") is False:
                lack = BEYOND
            if lack is None:
                specs = {spec.name: spec for spec in msgspec.convert(request.value, ChatRequest).tools}
                offer = Offer(specs, values.get(OFFERED, {}).get("offered"))
            else:
                offer = _NotWhole(node.node_id, f"what {node.node_id} was offered", lack, "")
        elif (
            "agent_turn_started" not in values
            and node.error is not None
            and node.error.error_type == "ToolError"
        ):
            offer = Offer({}, error=node.error.message)
        else:
            return
        self._offers.setdefault((path, node.node_id), deque()).append(offer)

    def _learn_call(self, event: Event, node: NodeExecution, payloads: Payloads, place: _Place) -> None:
        """Learn what an agent's tool gave."""
        from clew.workflow.agent_loop import told  # only agents need it

        values = event.values()
        name, hashed = values.get("tool_name"), values.get("told_hash")
        output = payloads.read(values.get("tool_output"), node=node)
        if output.lack is None and hashed is not None and told_hash(told(output.value)) != hashed:
            output = Payload(None, OBJECTS)
        given = payloads.read(values.get("tool_input"), node=node)
        if given.lack is None and values.get("input_is_whole") is False:
            given = Payload(None, BEYOND)
        error = payloads.read(values.get("error"), node=node)
        result = _Result(given=given, output=output, error=error)
        self._remember(str(name), result, place=place, call=_call_of(values))

    def _learn_tool(self, node: NodeExecution, payloads: Payloads, place: _Place) -> None:
        """Learn what a tool gave that is a node."""
        if (
            node.status not in {"completed", "failed"}
            or "kept_from" in node.attributes
            or was_cut_short(node)
        ):
            return
        failed = node.error is not None or node.status == "failed"
        error = Payload(None if node.error is None else node.error.message)
        given = payloads.inputs_of(node)
        output = Payload(None) if failed else payloads.outputs_of(node)
        error_type = "ToolError" if node.error is None else node.error.error_type or "ToolError"
        result = _Result(given=given, output=output, error=error, error_type=error_type)
        self._remember(node.node_id, result, place=place)

    def _remember(
        self,
        name: str,
        found: _Result,
        *,
        place: _Place,
        call: tuple[Any, Any] | None = None,
    ) -> None:
        given, output, error, error_type = found
        node_id = place.node_id
        again = f"{node_id} calls {name} again" if name != node_id else f"{node_id} runs again"
        if given.lack is not None:  # the call cannot be known again
            what = f"what tool {name} was given"
            hidden = self._not_whole(_NotWhole(node_id, what, given.lack, again))
            self._hidden_inputs.setdefault(name, hidden)
            return
        failure = None if error.value is None else Failure(error_type, error.value)
        result: _ToolResult | _NotWhole = _ToolResult(output.value, failure)
        lack = output.lack or error.lack
        if lack is not None:
            result = self._not_whole(_NotWhole(node_id, f"what tool {name} gave", lack, again))
        self._tools.add(_tool_hash(name, given.value), result, **place._asdict(), call=call)

    def _not_whole(self, found: _NotWhole) -> _NotWhole:
        self._lacking.append(found)
        return found


def _call_of(values: dict[str, Any]) -> tuple[Any, Any] | None:
    """Return which of its agent's calls an event tells of; None in logs that do not say."""
    position = values.get("position")
    return None if position is None else (values.get("turn_number"), position)


def _failed(offer: Offer | _NotWhole) -> bool:
    return isinstance(offer, Offer) and offer.error is not None


def _tool_hash(name: Any, given: Any) -> str:
    return digest(_canonical.encode([name, given or {}]))
