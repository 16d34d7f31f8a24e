"""The loop of an agent, with a model that says what the test wants and tools that keep their own log."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clew.errors import ProviderError, ReplayError, ToolError
from clew.model.usage import Usage
from clew.workflow.agent_loop import MOST_AT_ONCE, MOST_RESULT_BYTES, AgentResult, CallFunction
from clew.workflow.chat import CallPlace, ChatAnswer, Message
from clew.workflow.project import McpServer
from tests.workflow.agent_parts import HERE, START, Model, Observer, Run, agent_in, logged, wants

SERVER = Path(__file__).parent / "mcp_server.py"


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def run(tmp_path: Path, observer: Observer) -> Run:
    return agent_in(tmp_path, observer)


def test_an_answer_without_tools_is_the_result(run: Run, observer: Observer) -> None:
    heard: list[str] = []
    model = Model(ChatAnswer(text="42", usage=Usage(input_tokens=3, output_tokens=1), cost_usd=0.25))
    result = run(model, on_text=heard.append)
    assert result == AgentResult(
        text="42", turns=1, usage=Usage(input_tokens=3, output_tokens=1), cost_usd=0.25, tools_called=[]
    )
    request, place = model.asked[0]
    assert place == CallPlace(node_id="agent", turn=1, iteration=3)
    assert (request.model, request.temperature, request.messages) == ("test/one", 0.5, START)
    assert [tool.name for tool in request.tools] == ["add", "meet", "fail", "much", "odd"]
    assert request.tools[0].description == "Add."
    assert request.tools[0].parameters["required"] == ["a", "b"]
    assert heard == ["42"]
    assert observer.seen == [("started", 1), ("completed", 1, 0, "42")]


def test_every_step_is_told_and_equals_what_the_tools_wrote_down(
    run: Run, observer: Observer, tmp_path: Path
) -> None:
    first = wants(("add", {"a": 1, "b": 2, "delay": 0.3}), ("add", {"a": 3, "b": 4}), text="Let me see")
    model = Model(first, wants(("add", {"a": 3, "b": 7})), ChatAnswer(text="10"))
    result = run(model)
    sums = {(line["a"], line["b"]): line["sum"] for line in logged(tmp_path, "add")}
    assert list(sums) == [(3, 4), (1, 2), (3, 7)]  # at the same time: the quick one first
    assert model.told() == [
        *START,
        Message(role="assistant", content="Let me see", tool_calls=first.tool_calls),
        Message(role="tool", content='{"sum":3}', tool_call_id="c0"),
        Message(role="tool", content='{"sum":7}', tool_call_id="c1"),
        Message(role="assistant", tool_calls=wants(("add", {"a": 3, "b": 7})).tool_calls),
        Message(role="tool", content='{"sum":10}', tool_call_id="c0"),
    ]
    assert observer.seen == [
        ("started", 1),
        ("completed", 1, 2, "Let me see"),
        ("tool", "add", {"a": 3, "b": 4}, {"sum": sums[3, 4]}, None),
        ("tool", "add", {"a": 1, "b": 2, "delay": 0.3}, {"sum": sums[1, 2]}, None),
        ("started", 2),
        ("completed", 2, 1, ""),
        ("tool", "add", {"a": 3, "b": 7}, {"sum": sums[3, 7]}, None),
        ("started", 3),
        ("completed", 3, 0, "10"),
    ]
    assert [place.turn for _, place in model.asked] == [1, 2, 3]
    assert (result.turns, result.tools_called) == (3, ["add", "add", "add"])


def test_calls_of_one_turn_that_need_each_other_run_at_the_same_time(run: Run) -> None:
    model = Model(wants(("meet", {"n": 1}), ("meet", {"n": 2})), ChatAnswer(text="met"))
    assert run(model).text == "met"


def test_however_many_calls_a_turn_has_only_some_run_at_the_same_time(run: Run) -> None:
    running: list[int] = []
    most = 0

    async def around(name: str, arguments: dict[str, Any], really: Any, place: CallPlace) -> Any:
        nonlocal most
        running.append(1)
        most = max(most, len(running))
        await asyncio.sleep(0.005)
        running.pop()
        return await really(name, arguments)

    model = Model(wants(*(("add", {"a": n, "b": 0}) for n in range(60))), ChatAnswer(text="all"))
    assert run(model, call_tool=around).text == "all"
    assert most == MOST_AT_ONCE
    assert [message.content for message in model.told()[-60:]] == [f'{{"sum":{n}}}' for n in range(60)]


@pytest.mark.parametrize(
    "name, given, told",
    [
        ("fail", {"why": "no luck"}, "tool fail failed: ValueError: no luck"),
        ("fail", {}, "missing a required argument: 'why'; it takes why"),
        ("fail", {"why": 1, "else": 2}, "got an unexpected keyword argument 'else'"),
        ("fail", None, "the arguments of fail are not a JSON object: {oops"),
        ("rm", {}, "there is no tool 'rm'; there are: add, meet, fail, much, odd"),
    ],
)
def test_a_call_that_fails_is_told_to_the_model_which_goes_on(
    run: Run, observer: Observer, name: str, given: dict[str, Any] | None, told: str
) -> None:
    model = Model(wants((name, given), ("add", {"a": 1, "b": 1})), ChatAnswer(text="sorry"))
    assert run(model).text == "sorry"
    failed, worked = model.told()[-2:]
    assert failed.is_error
    assert told in failed.content
    assert (worked.content, worked.is_error) == ('{"sum":2}', False)
    _, seen_name, seen_given, output, error = next(one for one in observer.seen if one[:2] == ("tool", name))
    assert (seen_name, seen_given, output, error) == (name, given, None, failed.content)


def test_a_tool_that_exists_but_is_not_allowed_is_not_called(run: Run, tmp_path: Path) -> None:
    model = Model(wants(("add", {"a": 1, "b": 1})), ChatAnswer(text="so be it"))
    run(model, tools=["meet"])
    assert "there is no tool 'add'; there are: meet" in model.told()[-1].content
    assert not (tmp_path / "tools.log").exists()


def test_a_tool_that_the_agent_names_and_nobody_has_ends_it_before_the_model_is_asked(run: Run) -> None:
    model = Model()
    with pytest.raises(ToolError, match=r"there is no tool 'ad'; did you mean add\?"):
        run(model, tools=["ad"])
    assert model.asked == []


def test_a_result_of_more_than_100_kb_is_cut_with_a_note(run: Run, observer: Observer) -> None:
    model = Model(wants(("much", {"size": 100_000})), ChatAnswer(text="long"))
    run(model)
    content = model.told()[-1].content
    whole = len('{"output":""}') + 200_000
    assert content.endswith(f"\n[cut here: these are the first {MOST_RESULT_BYTES} of {whole} bytes]")
    assert len(content.encode()) < MOST_RESULT_BYTES + 100
    assert "�" not in content
    assert observer.seen[2][3] == {"output": "é" * 100_000}


def test_a_result_that_has_no_json_is_told_as_python_writes_it(run: Run) -> None:
    model = Model(wants(("odd", {})), ChatAnswer(text="odd"))
    run(model)
    assert model.told()[-1].content == "{'ring': {...}}"


@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```", "```\n{}\n```", "  {}\n"])
def test_a_json_answer_is_read_also_inside_a_fence(run: Run, fence: str) -> None:
    answer = fence.replace("{}", '{"n": 1}')
    assert run(Model(ChatAnswer(text=answer)), schema={"type": "object"}).parsed == {"n": 1}


def test_an_answer_that_cannot_be_read_is_asked_for_once_more(run: Run) -> None:
    model = Model(ChatAnswer(text="one"), wants(("add", {"a": 1, "b": 1})), ChatAnswer(text='{"n": 1}'))
    result = run(model, schema={"type": "object"})
    assert (result.parsed, result.turns) == ({"n": 1}, 3)
    assert "Your answer cannot be used: it is not JSON" in model.asked[1][0].messages[-1].content
    twice = Model(ChatAnswer(text="one"), ChatAnswer(text="two"))
    with pytest.raises(ProviderError, match="gave no answer that fits, also when asked again") as caught:
        run(twice, schema={"type": "object"})
    assert caught.value.kind == "bad_answer"


def test_the_caller_may_say_how_an_answer_is_read(run: Run) -> None:
    def read(text: str) -> int:
        if text != "7":
            raise ValueError("it is not 7")
        return 7

    model = Model(ChatAnswer(text="6"), ChatAnswer(text="7"))
    assert run(model, read=read).parsed == 7
    assert "it is not 7" in model.told()[-1].content


def test_a_replay_stands_around_every_call(run: Run, tmp_path: Path) -> None:
    async def from_log(name: str, given: dict[str, Any], really: CallFunction, place: CallPlace) -> Any:
        return {"sum": 99} if given["a"] == 1 else await really(name, given)

    model = Model(wants(("add", {"a": 1, "b": 1}), ("add", {"a": 2, "b": 2})), ChatAnswer(text="x"))
    run(model, call_tool=from_log)
    assert [message.content for message in model.told()[-2:]] == ['{"sum":99}', '{"sum":4}']
    assert [line["a"] for line in logged(tmp_path, "add")] == [2]


def test_what_no_model_can_mend_ends_the_agent_and_the_other_calls(run: Run, tmp_path: Path) -> None:
    async def broken(name: str, given: dict[str, Any], really: CallFunction, place: CallPlace) -> Any:
        if given["a"] == 1:
            raise ReplayError("not in the log")
        await asyncio.sleep(60)

    model = Model(wants(("add", {"a": 2, "b": 2}), ("add", {"a": 1, "b": 1})))
    with pytest.raises(ReplayError):
        run(model, call_tool=broken)


@pytest.mark.needs_extra("mcp")
def test_tools_of_a_server_are_called_as_those_of_the_project(run: Run, tmp_path: Path) -> None:
    server = McpServer(
        place=HERE, name="math", command=sys.executable, args=[str(SERVER), str(tmp_path / "server.log")]
    )
    calls = wants(("math__add", {"a": 2, "b": 3}), ("math__fail", {"reason": "bad luck"}))
    model = Model(calls, ChatAnswer(text="5"))
    assert run(model, tools=["math.*"], mcp_servers=[server]).tools_called == ["math__add", "math__fail"]
    added, failed = model.told()[-2:]
    lines = [msgspec.json.decode(line) for line in (tmp_path / "server.log").read_text().splitlines()]
    assert msgspec.json.decode(added.content) == {"result": lines[1]["result"]}
    assert (failed.is_error, "bad luck" in failed.content) == (True, True)


def test_a_cancelled_agent_waits_for_no_tool(run: Run) -> None:
    ended: list[str] = []

    async def forever(name: str, given: dict[str, Any], really: CallFunction, place: CallPlace) -> Any:
        task = AGENT[0]
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(name)

    class Cancelled(Model):
        async def answer(self, *given: Any, **more: Any) -> ChatAnswer:
            task = asyncio.current_task()
            assert task is not None
            AGENT.append(task)
            return wants(("add", {"a": 1, "b": 1}), ("add", {"a": 2, "b": 2}))

    with pytest.raises(asyncio.CancelledError):
        run(Cancelled(), call_tool=forever)
    assert ended == ["add", "add"]


AGENT: list[asyncio.Task[Any]] = []
