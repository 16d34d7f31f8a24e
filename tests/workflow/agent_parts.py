"""A model that says what a test wants, tools that keep their own log, and an agent made of both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from clew.workflow.agent_loop import AgentResult, AroundTool, Reader, run_agent
from clew.workflow.chat import CallPlace, ChatAnswer, ChatRequest, Message, ToolCall
from clew.workflow.project import AgentNode, Place, ToolNode
from clew.workflow.tools.toolbox import open_toolbox

HERE = Place(Path("clew.yaml"), 1)
START = [Message(role="system", content="Be good."), Message(role="user", content="How much?")]

TOOLS = '''
import asyncio, json, os, threading, time
from pathlib import Path

LOG = Path(__file__).parent.parent / "tools.log"
lock = threading.Lock()

def note(**said):
    with lock, LOG.open("a") as lines:
        lines.write(json.dumps(said) + "\\n")

def add(a: int, b: int, delay: float = 0.0) -> dict:
    """Add."""
    time.sleep(delay)
    note(tool="add", a=a, b=b, sum=a + b)
    return {"sum": a + b}

async def meet(n: int):
    """Wait until two are here."""
    note(tool="meet", n=n)
    while len([line for line in LOG.read_text().splitlines() if "meet" in line]) < 2:
        await asyncio.sleep(0.01)
    return n

def fail(why: str):
    raise ValueError(why)

def much(size: int):
    return "é" * size

def odd():
    ring = {}
    ring["ring"] = ring
    return ring
'''


class Model:
    """Gives the answers of a list, and keeps what it was asked."""

    def __init__(self, *answers: ChatAnswer) -> None:
        self._answers: Iterator[ChatAnswer] = iter(answers)
        self.asked: list[tuple[ChatRequest, CallPlace]] = []

    async def answer(
        self, request: ChatRequest, *, place: CallPlace, on_text: Callable[[str], None] | None = None
    ) -> ChatAnswer:
        self.asked.append((request, place))
        found = next(self._answers)
        if on_text is not None:
            on_text(found.text)
        return found

    async def close(self) -> None:
        """Nothing is held."""

    def told(self) -> list[Message]:
        """Return the whole conversation of the last request."""
        return self.asked[-1][0].messages


class Observer:
    """Keeps what it was told, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def turn_started(self, turn: int) -> None:
        self.seen.append(("started", turn))

    def turn_completed(self, turn: int, tool_calls: int, answer: ChatAnswer) -> None:
        self.seen.append(("completed", turn, tool_calls, answer.text))

    def tool_called(
        self, name: str, given: Any, output: Any, error: str | None, *, said: str, place: CallPlace
    ) -> None:
        self.seen.append(("tool", name, given, output, error))


def wants(*calls: tuple[str, dict[str, Any] | None], text: str = "", **more: Any) -> ChatAnswer:
    """Return an answer that calls tools."""
    made = [
        ToolCall(id=f"c{number}", name=name, arguments=given, raw="" if given is not None else "{oops")
        for number, (name, given) in enumerate(calls)
    ]
    return ChatAnswer(text=text, tool_calls=made, **more)


Run = Callable[..., AgentResult]


def agent_in(tmp_path: Path, observer: Observer) -> Run:
    """Write the tools, and return what runs an agent with them."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "t.py").write_text(TOOLS)
    nodes = {
        name: ToolNode(place=HERE, id=name, type="python", module="t", function=name)
        for name in ("add", "meet", "fail", "much", "odd")
    }

    def build(
        model: Model,
        *,
        schema: dict[str, Any] | None = None,
        read: Reader | None = None,
        call_tool: AroundTool | None = None,
        on_text: Callable[[str], None] | None = None,
        **settings: Any,
    ) -> AgentResult:
        node = AgentNode(place=HERE, id="agent", prompt="p", **{"tools": list(nodes), **settings})

        async def inside() -> AgentResult:
            toolbox = open_toolbox(
                nodes, root=tmp_path, folder=tmp_path, environ={}, allow_commands=[], timeout_s=20
            )
            async with toolbox:
                return await run_agent(
                    ChatRequest(model="test/one", messages=START, temperature=0.5, schema=schema),
                    model=model,
                    toolbox=toolbox,
                    node=node,
                    observer=observer,
                    read=read,
                    call_tool=call_tool,
                    on_text=on_text,
                    iteration=3,
                )

        return asyncio.run(inside())

    return build


def logged(root: Path, tool: str) -> list[dict[str, Any]]:
    lines = [msgspec.json.decode(line) for line in (root / "tools.log").read_text().splitlines()]
    return [line for line in lines if line["tool"] == tool]
