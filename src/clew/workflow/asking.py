"""Prompts and agents: a request is made of a prompt and its inputs, and every answer is recorded with it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from clew.errors import ProviderError, WorkflowError
from clew.model.digest import digest
from clew.model.usage import Usage, total_usage
from clew.record.context import current
from clew.record.hot import event
from clew.record.span import Span
from clew.workflow.answer_ends import check_not_refused, why_unfinished
from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ChatRequest, Message
from clew.workflow.project import AgentNode, Prompt, PromptNode
from clew.workflow.services import Executing
from clew.workflow.shape import complaint, json_schema, with_defaults
from clew.workflow.template import render
from clew.workflow.wholeness import is_json

if TYPE_CHECKING:
    from collections.abc import Callable


_PYTHON = frozenset({"python", "python3"})
ANSWERED = "model_answered"
"""The event that holds a request and its answer: what a replay answers from."""
_canonical = msgspec.json.Encoder(order="deterministic")


def request_hash(request: ChatRequest) -> str:
    """Return the hash by which a replay finds the answer to a request: equal requests have equal ones."""
    return digest(_canonical.encode(request))


def _hash_of(request: ChatRequest, *, node_id: str) -> str:
    try:
        return request_hash(request)
    except UnicodeError:
        raise WorkflowError(
            f"what {node_id} would ask {request.model} has half a character in it (a lone surrogate), "
            "which cannot be sent"
        ) from None


def _check_answer(request: ChatRequest, answer: ChatAnswer) -> None:
    """Refuse an answer that neither the log nor the next step could take."""
    try:
        _canonical.encode(answer)
    except UnicodeError:
        raise ProviderError(
            f"{request.model} answered with half a character (a lone surrogate), which no JSON can hold",
            kind="bad_answer",
            may_retry=True,
        ) from None


def told_hash(said: str) -> str:
    """Return the hash of what a model is told of a tool's result."""
    return digest(said.encode(errors="backslashreplace"))


class Asking:
    """The model as one node sees it: every answer is recorded in the node, and what it cost is added up."""

    def __init__(self, execution: Executing, node: PromptNode | AgentNode) -> None:
        self._execution = execution
        self._node = node
        self._usages: list[Usage | None] = []
        self._costs: list[float | None] = []

    async def answer(
        self, request: ChatRequest, *, place: CallPlace, on_text: Callable[[str], None] | None = None
    ) -> ChatAnswer:
        """Ask the model. Raises: ProviderError, ReplayError; WorkflowError: the request cannot be sent."""
        services = self._execution.services
        listen = services.on_text
        if listen is not None and on_text is None:
            node_id = place.node_id

            def on_text(text: str) -> None:
                listen(node_id, text)

        hashed = _hash_of(request, node_id=place.node_id)
        asked = self._execution.asked
        asked[place.node_id] = request.model
        try:
            answer = await services.models.answer(request, place=place, on_text=on_text)
        except Exception:
            del asked[place.node_id]
            raise
        del asked[place.node_id]  # not where it is cancelled: whoever did that asks what it was waiting for
        _check_answer(request, answer)
        unfinished = why_unfinished(request, answer)
        self._note(request, answer, place=place, hashed=hashed, unfinished=unfinished)
        if self._execution.project.prompts[self._node.prompt].format == "json":
            check_not_refused(request, answer)
        if unfinished is not None:
            services.told(f"the answer of {place.node_id} was {unfinished}")
        return answer

    async def close(self) -> None:
        """Do nothing: the model is everybody's."""

    def _note(
        self,
        request: ChatRequest,
        answer: ChatAnswer,
        *,
        place: CallPlace,
        hashed: str,
        unfinished: str | None,
    ) -> None:
        kept = msgspec.to_builtins(answer)
        more: dict[str, Any] = {} if is_json(kept) else {"is_whole": False}
        asked = msgspec.to_builtins(request)
        if place.turn == 1 and request.tools and not is_json({"tools": asked["tools"]}):
            more["tools_are_whole"] = False
        if unfinished is not None:
            more |= {"level": "WARNING", "reason": unfinished}
        event(ANSWERED, request_hash=hashed, turn=place.turn, request=asked, answer=kept, **more)
        usage = answer.usage
        if usage is not None:
            event("token_usage", model=answer.model, **msgspec.to_builtins(usage))
        if answer.cost_usd is not None:
            event("cost_incurred", cost_usd=answer.cost_usd, model=answer.model)
        self._usages.append(usage)
        self._costs.append(answer.cost_usd)
        if answer.source is None or answer.cost_usd is not None:
            self._execution.spend(answer.cost_usd)
        span = current.get()
        if isinstance(span, Span):
            total = total_usage(self._usages)
            told = {} if total is None else msgspec.to_builtins(total)
            cost = None if None in self._costs else sum(cost for cost in self._costs if cost is not None)
            span.usage(**told, cost_usd=cost, model=answer.model)
            if answer.source is not None:
                span.set(source=answer.source)
            if unfinished is not None:
                span.set(unfinished=unfinished)


def first_request(execution: Executing, node: PromptNode | AgentNode, inputs: dict[str, Any]) -> ChatRequest:
    """Make the request of a prompt, its settings and its inputs.

    Raises: WorkflowError: a variable has no value, or no model is named.
    """
    project = execution.project
    prompt, defaults = project.prompts[node.prompt], project.defaults
    is_strict = not project.trident  # the original leaves what nothing gave as it was written
    values = with_defaults(inputs, prompt.inputs)
    for name, field in prompt.inputs.items():
        if not field.required:
            values.setdefault(name, "")
    model = node.model or prompt.model or defaults.model
    if model is None:
        raise WorkflowError(f"node {node.id} names no model, nor does its prompt, nor defaults.model")
    messages = (
        [Message(role="system", content=render(prompt.system, values, strict=is_strict))]
        if prompt.system
        else []
    )
    return ChatRequest(
        model=model,
        messages=[
            *messages,
            Message(role="user", content=render(prompt.body, values, strict=is_strict).strip()),
        ],
        temperature=_first(node.temperature, prompt.temperature, defaults.temperature),
        max_tokens=_first(node.max_tokens, prompt.max_tokens, defaults.max_tokens),
        schema=json_schema(prompt.output) if prompt.format == "json" and prompt.output else None,
    )


async def ask_once(execution: Executing, node: PromptNode, inputs: dict[str, Any]) -> dict[str, Any]:
    """Ask a model; an answer that does not fit the prompt's schema is asked for once more.

    Raises: ProviderError: kind `bad_answer` where the second answer does not fit either.
    """
    prompt = execution.project.prompts[node.prompt]
    request = first_request(execution, node, inputs)
    asking: ChatModel = Asking(execution, node)
    answer = await asking.answer(
        request, place=CallPlace(node_id=node.id, turn=1, iteration=execution.iteration)
    )
    if prompt.format == "text":
        return {"text": answer.text}
    found, wrong = _read(answer.text, prompt)
    if wrong is None:
        return _with_text(execution, found, answer.text)
    again = msgspec.structs.replace(request, messages=[*request.messages, *_repair(answer.text, wrong)])
    answer = await asking.answer(
        again, place=CallPlace(node_id=node.id, turn=2, iteration=execution.iteration)
    )
    found, wrong = _read(answer.text, prompt)
    if wrong is not None:
        raise ProviderError(
            f"{request.model} gave no answer that fits, also when asked again: {wrong}", kind="bad_answer"
        )
    return _with_text(execution, found, answer.text)


async def ask_agent(execution: Executing, node: AgentNode, inputs: dict[str, Any]) -> dict[str, Any]:
    """Let a model call tools until it has an answer.

    Raises: BudgetError, ProviderError, ToolError.
    """
    from clew.workflow.agent_loop import run_agent  # only agents need it
    from clew.workflow.replayed_tools import NotedTools

    prompt = execution.project.prompts[node.prompt]
    request = first_request(execution, node, inputs)
    services = execution.services
    around = services.around_toolbox
    result = await run_agent(
        request,
        model=Asking(execution, node),
        toolbox=NotedTools(execution.toolbox if around is None else around(node.id, execution.toolbox)),
        node=_with_own_python(node),
        call_tool=services.around_tool,
        observer=_Observer(),
        read=_reader(prompt) if prompt.format == "json" else None,
        iteration=execution.iteration,
    )
    if prompt.format == "json":
        found, wrong = _read(result.text, prompt)
        if wrong is not None:
            raise ProviderError(
                f"{request.model} ended with an answer that does not fit: {wrong}", kind="bad_answer"
            )
        return found
    return {"text": result.text, "output": result.text, "turns": result.turns}


def _reader(prompt: Prompt) -> Callable[[str], dict[str, Any]]:
    """Return what reads the last answer of an agent; it raises ValueError where that does not fit."""

    def read(text: str) -> dict[str, Any]:
        found, wrong = _read(text, prompt)
        if wrong is not None:
            raise ValueError(wrong)
        return found

    return read


def _with_own_python(node: AgentNode) -> AgentNode:
    """Let `python` be the one that Clew runs with: what a server imports is installed there."""
    servers = [
        msgspec.structs.replace(server, command=sys.executable) if server.command in _PYTHON else server
        for server in node.mcp_servers
    ]
    return msgspec.structs.replace(node, mcp_servers=servers)


class _Observer:
    """Records what an agent does, in its node."""

    def turn_started(self, turn: int) -> None:
        event("agent_turn_started", turn_number=turn)

    def turn_completed(self, turn: int, tool_calls: int, answer: ChatAnswer) -> None:
        event("agent_turn_completed", turn_number=turn, tool_calls=tool_calls, text=answer.text)

    def tool_called(
        self, name: str, given: Any, output: Any, error: str | None, *, said: str, place: CallPlace
    ) -> None:
        more: dict[str, Any] = {} if error is None else {"error": error}
        if not is_json(output):  # a replay has to know whether the log's form reads the same to the model
            more["told_hash"] = told_hash(said)
        if not is_json(given):
            more["input_is_whole"] = False
        event(
            "agent_tool_called",
            tool_name=name,
            tool_input=given,
            tool_output=output,
            turn_number=place.turn,
            position=place.position,
            **more,
        )


def _with_text(execution: Executing, found: dict[str, Any], text: str) -> dict[str, Any]:
    """In projects of the original an answer in JSON is there as a text too."""
    return {"text": text, **found} if execution.project.trident else found


def _read(text: str, prompt: Prompt) -> tuple[dict[str, Any], str | None]:
    """Return what a JSON answer says, and what is wrong with it."""
    body = text.strip()
    if body.startswith("```"):  # many a model cannot do without the fence
        body = body.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return {}, f"it is not JSON ({error})"
    if not isinstance(found, dict):
        return {}, "it is not an object"
    return with_defaults(found, prompt.output), complaint(found, prompt.output)


def _repair(text: str, wrong: str) -> list[Message]:
    return [
        Message(role="assistant", content=text),
        Message(
            role="user",
            content=f"That answer does not fit: {wrong}. Answer again, with the JSON object alone.",
        ),
    ]


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
