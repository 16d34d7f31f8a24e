"""An agent: a model that is asked again and again, with the results of the tools that it called, until it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from clew.errors import BudgetError, ClewError, ProviderError, ToolError
from clew.model.usage import Usage, total_usage
from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ChatRequest, Message, ToolCall
from clew.workflow.project import AgentNode, McpServer
from clew.workflow.tools.port import Tool

MOST_RESULT_BYTES: Final = 100_000
"""Of one tool's result, as the model is told it."""
MOST_AT_ONCE: Final = 16
"""Tools of one turn that run at the same time, each in a thread: a model may ask for a thousand."""
_FENCE: Final = "```"

Reader = Callable[[str], Any]
"""Reads an answer's text; ValueError says what is wrong with it, and the model is asked once more."""
CallFunction = Callable[[str, dict[str, Any]], Awaitable[Any]]
AroundTool = Callable[[str, dict[str, Any], CallFunction, CallPlace], Awaitable[Any]]


class ToolSource(Protocol):
    """Where an agent's tools come from: a toolbox, or a log that is replayed."""

    async def offered(self, allowed: Iterable[str], servers: Iterable[McpServer] = ()) -> Mapping[str, Tool]:
        """Return the tools that an agent may call, by the names that its model is told.

        Raises: ToolError: a name means nothing; MissingExtraError.
        """
        ...


class AgentObserver(Protocol):
    """Told of every step, as it happens, from the loop's own task."""

    def turn_started(self, turn: int) -> None:
        """The model is about to be asked for the `turn`th time, from 1."""
        ...

    def turn_completed(self, turn: int, tool_calls: int, answer: ChatAnswer) -> None:
        """The model answered, and wants so many tools to be called, which comes next."""
        ...

    def tool_called(
        self, name: str, given: Any, output: Any, error: str | None, *, said: str, place: CallPlace
    ) -> None:
        """A call ended, and `said` is what the model is told of it.

        `given` is None where the model sent no JSON object; `error` is None where it succeeded.
        """
        ...


class AgentResult(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent ended."""

    text: str
    """The last answer."""
    parsed: Any = None
    """The answer as a value, where a schema was given."""
    turns: int = 0
    usage: Usage | None = None
    """Of all turns; None where none reported any."""
    cost_usd: float | None = None
    """Of all turns; None where that of one is unknown."""
    tools_called: list[str] = []
    """In the order of the calls, each as often as it was called."""


async def run_agent(
    request: ChatRequest,
    *,
    model: ChatModel,
    toolbox: ToolSource,
    node: AgentNode,
    observer: AgentObserver,
    call_tool: AroundTool | None = None,
    read: Reader | None = None,
    iteration: int | None = None,
    on_text: Callable[[str], None] | None = None,
) -> AgentResult:
    """Ask, call the tools that the model wants, tell it what they gave, and so on until it wants none.

    A tool that fails, does not exist or is called wrongly is told to the model, which may do better.

    Args:
        request: how the conversation begins; its tools are set here.
        model: is asked.
        toolbox: has the tools.
        node: says which tools, and how many turns, tokens and dollars there are.
        observer: is told of every step.
        call_tool: called instead of a tool, with the tool and the place: a replay answers from the log.
        read: makes a value of the last answer; JSON where the request has a schema, nothing where it has none.
        iteration: the round of a loop that this is.
        on_text: gets the pieces of text as they come.

    Raises: BudgetError: a further turn is needed, and turns, tokens or money are used up; ProviderError: no answer, or
        twice none that can be read; ToolError: a tool of `node` does not exist; MissingExtraError.
    """
    tools = await toolbox.offered(node.tools, node.mcp_servers)
    offer = [msgspec.structs.replace(tool.spec, name=name) for name, tool in tools.items()]
    conversation = _Conversation(msgspec.structs.replace(request, tools=offer), model, on_text=on_text)
    purse = _Purse(node)
    caller = _Caller(tools, observer, call_tool=call_tool)
    if read is None and request.schema is not None:
        read = read_json
    may_repair = True
    while True:
        place = CallPlace(node_id=node.id, turn=purse.begin_turn(), iteration=iteration)
        observer.turn_started(place.turn)
        answer = await conversation.ask(place)
        purse.spend(answer)
        observer.turn_completed(place.turn, len(answer.tool_calls), answer)
        if answer.tool_calls:
            purse.check()  # before tools do something that nobody would hear of
            conversation.add(*await caller.call_all(answer.tool_calls, place))
            continue
        try:
            parsed = None if read is None else read(answer.text)
        except ValueError as error:
            if not may_repair:
                raise ProviderError(
                    f"agent {node.id} gave no answer that fits, also when asked again: {error}",
                    kind="bad_answer",
                ) from error
            may_repair = False
            conversation.add(Message(role="user", content=_repair(error)))
        else:
            return purse.result(answer.text, parsed, tools_called=caller.names)


def read_json(text: str) -> Any:
    """Return the value of a text that is JSON, or has a fence around its JSON.

    Raises: ValueError.
    """
    bare = text.strip()
    if bare.startswith(_FENCE) and bare.endswith(_FENCE):
        bare = bare[len(_FENCE) : -len(_FENCE)].removeprefix("json")
    try:
        return msgspec.json.decode(bare)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None


def _repair(error: ValueError) -> str:
    return f"Your answer cannot be used: {error}. Answer again, with nothing but JSON that fits the schema."


class _Conversation:
    """What was said so far."""

    def __init__(
        self, request: ChatRequest, model: ChatModel, *, on_text: Callable[[str], None] | None
    ) -> None:
        self._messages = list(request.messages)
        self._request = request
        self._model = model
        self._on_text = on_text

    async def ask(self, place: CallPlace) -> ChatAnswer:
        request = msgspec.structs.replace(self._request, messages=list(self._messages))
        answer = await self._model.answer(request, place=place, on_text=self._on_text)
        self.add(Message(role="assistant", content=answer.text, tool_calls=answer.tool_calls))
        return answer

    def add(self, *messages: Message) -> None:
        self._messages.extend(messages)


class _Purse:
    """Counts turns, tokens and dollars against what an agent may use."""

    def __init__(self, node: AgentNode) -> None:
        self._node = node
        self._turns = 0
        self._usages: list[Usage | None] = []
        self._costs: list[float | None] = []
        self._uncounted = ""
        self._unpriced = ""

    def begin_turn(self) -> int:
        """Return the number of the turn that begins.

        Raises: BudgetError.
        """
        self.check()
        self._turns += 1
        return self._turns

    def spend(self, answer: ChatAnswer) -> None:
        self._usages.append(answer.usage)
        paid = answer if answer.then is None else answer.then
        self._costs.append(paid.cost_usd)
        if paid.source is None:  # else no model was asked, and nothing was paid
            name = answer.model or "the model"
            if paid.cost_usd is None:
                self._unpriced = name
            if answer.usage is None or answer.usage.total_tokens is None:
                self._uncounted = name

    def check(self) -> None:
        """Look whether one more turn may begin.

        Raises: BudgetError.
        """
        node = self._node
        if self._turns >= node.max_turns:
            raise BudgetError(
                f"agent {node.id} has no answer after {self._turns} turns, and max_turns is {node.max_turns}"
            )
        if node.token_budget is not None:
            if self._uncounted:
                raise BudgetError(
                    f"agent {node.id} has a token_budget, and {self._uncounted} does not say how many tokens it used"
                )
            usage = total_usage(self._usages)
            used = (usage.total_tokens if usage is not None else None) or 0
            if used > node.token_budget:
                raise BudgetError(
                    f"agent {node.id} has used {used} tokens in {self._turns} turns without an answer, "
                    f"and token_budget is {node.token_budget}"
                )
        if node.cost_budget_usd is not None:
            if self._unpriced:
                raise BudgetError(
                    f"agent {node.id} has a cost_budget_usd, and the price of {self._unpriced} is unknown; "
                    "add it to the price table"
                )
            spent = sum(cost for cost in self._costs if cost is not None)
            if spent > node.cost_budget_usd:
                raise BudgetError(
                    f"agent {node.id} has cost {spent:.6g} USD in {self._turns} turns without an answer, "
                    f"and cost_budget_usd is {node.cost_budget_usd:g}"
                )

    def result(self, text: str, parsed: Any, *, tools_called: list[str]) -> AgentResult:
        known = [cost for cost in self._costs if cost is not None]
        return AgentResult(
            text=text,
            parsed=parsed,
            turns=self._turns,
            usage=total_usage(self._usages),
            cost_usd=sum(known) if len(known) == len(self._costs) else None,
            tools_called=tools_called,
        )


class _Caller:
    """Calls what a model wants to be called."""

    def __init__(
        self, tools: Mapping[str, Tool], observer: AgentObserver, *, call_tool: AroundTool | None
    ) -> None:
        self._tools = tools
        self._observer = observer
        self._call_tool = call_tool
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self.names: list[str] = []

    async def call_all(self, calls: Sequence[ToolCall], turn: CallPlace) -> list[Message]:
        """Call all, sixteen at a time, and return what the model is told, in the order of the calls."""
        self.names.extend(call.name for call in calls)
        places = [msgspec.structs.replace(turn, position=position) for position in range(len(calls))]
        running = [
            asyncio.create_task(self._call(call, place)) for call, place in zip(calls, places, strict=True)
        ]
        try:
            return list(await asyncio.gather(*running))
        finally:
            # Only where one raised what no model can mend, or all were cancelled.
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _call(self, call: ToolCall, place: CallPlace) -> Message:
        output, error, said = None, None, ""
        try:
            async with self._places:
                output = await self._really(call, place)
            said = told(output)
        except ToolError as caught:
            output, error = None, _writable(str(caught))
        except ClewError:
            raise  # no model can mend that
        except Exception as caught:  # a tool's own: told, as every failure of a tool
            output, error = None, f"tool {call.name} failed: {type(caught).__name__}"
        if error is not None:
            said = _cut(error)
        self._observer.tool_called(call.name, call.arguments, output, error, said=said, place=place)
        return Message(role="tool", content=said, tool_call_id=call.id, is_error=error is not None)

    async def _really(self, call: ToolCall, place: CallPlace) -> Any:
        if call.name not in self._tools:
            raise ToolError(f"there is no tool {call.name!r}; there are: {', '.join(self._tools) or 'none'}")
        if call.arguments is None:
            raise ToolError(f"the arguments of {call.name} are not a JSON object: {call.raw[:1000]}")
        if self._call_tool is not None:
            return await self._call_tool(call.name, call.arguments, self._by_name, place)
        return await self._by_name(call.name, call.arguments)

    async def _by_name(self, name: str, arguments: dict[str, Any]) -> Any:
        # Of its own: what a tool does to its arguments changes neither the conversation nor the record.
        return await self._tools[name].call(msgspec.to_builtins(arguments))


def told(output: Any) -> str:
    """Return a result as the text that a model gets.

    Raises: ToolError: it has none.
    """
    try:
        text = msgspec.json.encode(output, enc_hook=str).decode()
    except Exception:  # a cycle, a key that no JSON has, a number too large
        try:
            text = repr(output)
        except Exception as error:
            raise ToolError(f"what it gave cannot be written down ({type(error).__name__})") from error
    return _cut(text)


def _writable(text: str) -> str:
    """Return a text as the log can hold it, so that a replay tells the model the same."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _cut(text: str) -> str:
    data = text.encode(errors="replace")
    if len(data) <= MOST_RESULT_BYTES:
        return data.decode()  # without what no request can hold
    kept = data[:MOST_RESULT_BYTES].decode(errors="ignore")
    return f"{kept}\n[cut here: these are the first {MOST_RESULT_BYTES} of {len(data)} bytes]"
