"""Functions of a project as tools: what they give, and what the worst of them cannot do."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

import clew
from clew.errors import ToolError
from clew.workflow.project import Field, Place, ToolNode
from clew.workflow.tools.python_tool import PythonTool

HERE = Place(Path("clew.yaml"), 1)
CONTEXT: ContextVar[str] = ContextVar("CONTEXT", default="none")

Make = Callable[..., PythonTool]


def node(function: str, module: str = "t", **more: Any) -> ToolNode:
    return ToolNode(
        place=HERE, id=f"{function}-tool", type="python", module=module, function=function, **more
    )


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a module and return one of its functions as a tool."""

    def build(source: str, function: str = "f", *, timeout_s: float | None = 20.0, **more: Any) -> PythonTool:
        (tmp_path / "tools").mkdir(exist_ok=True)
        (tmp_path / "tools" / "t.py").write_text(source)
        return PythonTool(node(function, **more), root=tmp_path, folder=tmp_path, timeout_s=timeout_s)

    return build


def call(tool: PythonTool, **arguments: Any) -> dict[str, Any]:
    async def once() -> dict[str, Any]:
        try:
            return await tool.call(arguments)
        finally:
            await tool.close()

    return asyncio.run(once())


def failure(tool: PythonTool, **arguments: Any) -> ToolError:
    with pytest.raises(ToolError) as caught:
        call(tool, **arguments)
    return caught.value


@pytest.mark.parametrize(
    "result, expected",
    [
        ("{'a': 1}", {"a": 1}),
        ("[1, 2]", {"output": [1, 2]}),
        ("None", {"output": None}),
        ("'x'", {"output": "x"}),
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_result_that_is_no_dict_is_wrapped(
    make: Make, kind: str, result: str, expected: dict[str, Any]
) -> None:
    assert call(make(f"{kind} f():\n    return {result}")) == expected


def test_a_function_gets_its_arguments_by_keyword_in_a_thread_that_knows_the_caller_s_context(
    make: Make,
) -> None:
    source = (
        "import threading\nfrom tests.workflow.tools.test_python_tool import CONTEXT\n"
        "def f(a, *, b=2, **rest):\n    return {'a': a, 'b': b, 'rest': rest, 'context': CONTEXT.get(),"
        " 'is_main': threading.current_thread() is threading.main_thread()}"
    )
    sys.modules["tests.workflow.tools.test_python_tool"] = sys.modules[__name__]
    token = CONTEXT.set("the caller's")
    try:
        given = call(make(source), a=1, c=3)
    finally:
        CONTEXT.reset(token)
    assert given == {"a": 1, "b": 2, "rest": {"c": 3}, "context": "the caller's", "is_main": False}


def test_an_asynchronous_function_knows_the_caller_s_context(make: Make) -> None:
    source = (
        "import asyncio\nfrom tests.workflow.tools.test_python_tool import CONTEXT\n"
        "async def f():\n    await asyncio.sleep(0)\n    return CONTEXT.get()"
    )
    sys.modules["tests.workflow.tools.test_python_tool"] = sys.modules[__name__]
    token = CONTEXT.set("the caller's")
    try:
        assert call(make(source)) == {"output": "the caller's"}
    finally:
        CONTEXT.reset(token)


def test_a_plain_function_that_returns_a_coroutine_is_awaited(make: Make) -> None:
    assert call(make("async def g():\n    return 3\ndef f():\n    return g()")) == {"output": 3}


def test_what_the_signature_says_is_what_a_model_is_told(make: Make) -> None:
    source = (
        "from typing import Literal, Optional\n"
        "def f(a: str, b: int, c: float = 0.5, d: bool = True, e: list[int] | None = None, g: dict = {},\n"
        "      h: Literal['x', 'y'] = 'x', i: Optional[str] = None, j=None):\n"
        "    '''Do it\n    well.\n\n    More.'''\n"
    )
    tool = make(source)
    asyncio.run(load_and_close(tool))
    told = TOLD.pop()
    assert told.name == "f-tool"
    assert told.description == "Do it well."
    assert told.parameters == {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "integer"},
            "c": {"type": "number", "default": 0.5},
            "d": {"type": "boolean", "default": True},
            "e": {
                "anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}],
                "default": None,
            },
            "g": {"type": "object", "default": {}},
            "h": {"enum": ["x", "y"], "default": "x"},
            "i": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "j": {"default": None},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    }


TOLD: list[Any] = []


async def load_and_close(tool: PythonTool) -> None:
    await tool.load()
    TOLD.append(tool.spec)
    await tool.close()


def test_what_the_manifest_says_about_parameters_comes_before_the_signature(make: Make) -> None:
    parameters = {
        "q": Field(place=HERE, type="string", description="What to look for"),
        "n": Field(place=HERE, type="integer", required=False, default=3),
        "kind": Field(place=HERE, type="string", required=False, choices=["a", "b"]),
    }
    tool = make("def f(q): ...", parameters=parameters, description="Search")
    assert tool.spec.description == "Search"
    assert tool.spec.parameters == {
        "type": "object",
        "properties": {
            "q": {"type": "string", "description": "What to look for"},
            "n": {"type": "integer", "default": 3},
            "kind": {"type": "string", "enum": ["a", "b"]},
        },
        "required": ["q"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "missing a required argument: 'a'; it takes a, b (optional)"),
        ({"a": 1, "z": 2}, "got an unexpected keyword argument 'z'; it takes a, b (optional)"),
    ],
)
def test_arguments_that_do_not_fit_are_told_with_what_does(
    make: Make, arguments: dict[str, Any], message: str
) -> None:
    assert str(failure(make("def f(a, b=1): ..."), **arguments)) == f"tool f-tool: {message}"


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    "statement, message",
    [
        ("raise ValueError('n is bad')", "tool f-tool failed: ValueError: n is bad"),
        ("raise KeyboardInterrupt", "tool f-tool failed: KeyboardInterrupt"),
        ("raise StopIteration(3)", None),
        ("import sys; sys.exit(3)", "tool f-tool wanted to end the process: sys.exit(3)"),
        ("raise SystemExit", "tool f-tool wanted to end the process: sys.exit(None)"),
        ("return 1 / 0", "tool f-tool failed: ZeroDivisionError: division by zero"),
        ("import asyncio; raise asyncio.CancelledError", "tool f-tool failed: CancelledError"),
        (
            "def g(): return g()\n    g()",
            "tool f-tool failed: RecursionError: maximum recursion depth exceeded",
        ),
    ],
)
def test_whatever_a_function_raises_is_the_tool_s_failure_and_its_cause(
    make: Make, kind: str, statement: str, message: str | None
) -> None:
    error = failure(make(f"{kind} f():\n    {statement}"))
    assert message is None or str(error).startswith(message)
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    "source, message",
    [
        ("def f(:", "failed: SyntaxError"),
        ("import sys; sys.exit(1)", "wanted to end the process: sys.exit(1)"),
        (
            "import nothing_of_that_name",
            "failed: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        ("def ff(): ...", "has no function 'f'; did you mean ff?"),
        ("f = 3", "has no function 'f'"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_the_tool_s_failure(make: Make, source: str, message: str) -> None:
    assert message in str(failure(make(source)))


def test_a_message_of_fifty_megabytes_is_cut_and_says_so(make: Make) -> None:
    message = str(failure(make("def f(): raise ValueError('x' * 50_000_000)")))
    assert len(message) < 11_000
    assert message.endswith("(50000000 characters in all)")


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_tool_that_never_returns_is_abandoned_when_its_time_is_up(make: Make, kind: str) -> None:
    tool = make(f"import time\n{kind} f():\n    while True: time.sleep(0.01)", timeout_s=0.2)
    before = time.monotonic()
    assert "did not end within 0.2 s" in str(failure(tool))
    assert time.monotonic() - before < 5


def test_a_module_that_never_comes_in_is_abandoned_too(make: Make) -> None:
    assert "loading its module did not end within 0.2 s" in str(
        failure(make("import time\ntime.sleep(30)\ndef f(): ...", timeout_s=0.2))
    )


def test_an_asynchronous_tool_that_ignores_its_end_is_left_behind_and_the_next_one_works(make: Make) -> None:
    source = (
        "import asyncio, time\nasync def f(n):\n"
        "    while n == 0:\n        try: await asyncio.sleep(60)\n        except asyncio.CancelledError: pass\n"
        "    if n == 1: time.sleep(3)\n    return n"
    )

    async def all_three() -> list[dict[str, Any] | BaseException]:
        tool = make(source, timeout_s=0.3)
        outcomes = [await asyncio.gather(tool.call({"n": n}), return_exceptions=True) for n in range(3)]
        await tool.close()
        return [outcome[0] for outcome in outcomes]

    first, second, third = asyncio.run(all_three())
    assert isinstance(first, ToolError)
    assert isinstance(second, ToolError)
    assert third == {"output": 2}


def test_a_caller_that_is_cancelled_waits_for_nothing(make: Make) -> None:
    async def cancelled() -> float:
        tool = make("import time\ndef f(): time.sleep(30)", timeout_s=None)
        task = asyncio.create_task(tool.call({}))
        await asyncio.sleep(0.2)
        before = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - before

    assert asyncio.run(cancelled()) < 2


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    "end", ["return 'child'", "raise ValueError", "sys.exit(7)", "await asyncio.sleep(0.2)"]
)
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # Python 3.12 warns of a fork among threads, rightly
def test_a_forked_child_ends_where_it_comes_back_and_only_the_parent_goes_on(
    make: Make, tmp_path: Path, kind: str, end: str
) -> None:
    if end.startswith("await") and kind == "def":
        end = "return None"
    source = (
        "import asyncio, os, sys\nfrom pathlib import Path\n"
        f"{kind} f():\n    child = os.fork()\n    if child == 0:\n        {end}\n        return 'came back'\n"
        "    _, status = os.waitpid(child, 0)\n    return {'pid': os.getpid(), 'status': status}"
    )
    log = tmp_path / "log"
    given = call(make(source))
    with log.open("a") as lines:
        lines.write(f"{os.getpid()}\n")
    assert given["pid"] == os.getpid()
    codes = {"sys.exit(7)": 7, "raise ValueError": 1} if kind == "def" else {}
    assert os.waitstatus_to_exitcode(given["status"]) == codes.get(end, 0)
    assert log.read_text().split() == [str(os.getpid())]


def test_many_calls_at_once_run_at_once(make: Make) -> None:
    async def many() -> list[dict[str, Any]]:
        tool = make(
            "import threading\nbarrier = threading.Barrier(20)\ndef f(n):\n    barrier.wait(20)\n    return n"
        )
        try:
            return await asyncio.gather(*(tool.call({"n": n}) for n in range(20)))
        finally:
            await tool.close()

    assert asyncio.run(many()) == [{"output": n} for n in range(20)]


def test_threads_are_used_again(make: Make) -> None:
    async def one_after_the_other() -> set[int]:
        tool = make("import threading\ndef f(): return threading.get_ident()")
        try:
            return {(await tool.call({}))["output"] for _ in range(50)}
        finally:
            await tool.close()

    assert len(asyncio.run(one_after_the_other())) <= 2
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("clew-"))


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_span_that_a_tool_opens_lies_in_the_node_that_called_it(make: Make, kind: str) -> None:
    source = (
        "import clew, threading\ndef work():\n    with clew.span('in-thread'): pass\n"
        f"{kind} f(n):\n    with clew.span('inner', n=n):\n"
        "        t = threading.Thread(target=work)\n        t.start()\n        t.join()\n    return n"
    )

    async def two() -> None:
        tool = make(source)

        async def node(n: int) -> None:
            with clew.span("node", n=n):
                await tool.call({"n": n})

        await asyncio.gather(node(1), node(2))
        await tool.close()

    with clew.run("tools") as run:
        asyncio.run(two())
    trace = run.trace
    assert trace is not None
    nodes = {node.span_id: node for node in trace.nodes}
    inner = [node for node in nodes.values() if node.node_id == "inner"]
    assert len(inner) == 2
    for one in inner:
        above = nodes[one.parent_id or ""]
        assert (above.node_id, above.attributes["n"]) == ("node", one.attributes["n"])
        assert [node.node_id for node in nodes.values() if node.parent_id == one.span_id] == ["in-thread"]
