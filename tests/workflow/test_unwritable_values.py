"""What no JSON can hold is one node's failure in one sentence, wherever it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clew.errors import NodeError, ProviderError
from clew.workflow.chat import CallPlace, ChatAnswer, ChatRequest
from clew.workflow.json_text import why_not_json, why_unusable
from tests.workflow.commands import run
from tests.workflow.running import run_project, write_project

pytestmark = pytest.mark.needs_extra("workflow")

MANIFEST = """
    clew: "1"
    name: odd
    nodes: {{input: {{type: input}}, output: {{type: output}}}}
    tools: {{work: {{type: python, module: t, function: {function}}}}}
    edges: {{a: {{from: input, to: work}}, b: {{from: work, to: output}}}}
"""
TOOLS = """
    def half():
        return {"x": "\\ud800"}

    def half_a_name():
        return {"\\ud800": 1}

    def cycle():
        found = {}
        found["found"] = [found]
        return found

    def deep():
        found = []
        for _ in range(100_000):
            found = [found]
        return {"x": found}

    def pieces():
        yield 1
        yield 2

    async def more_pieces():
        yield 1

    def nested_pieces():
        return {"rows": (n for n in range(3))}

    def says():
        raise ValueError("bad \\ud800 luck")

    class Mute:
        def __str__(self):
            raise RuntimeError("no comment")

    def mute():
        return {"x": Mute()}

    def things():
        return {"x": {(1, 2): {3}}, "y": 2**70}
"""
HALF = "has a text with half a character in it (a lone surrogate), which no JSON can hold"
GENERATOR = "is or holds a generator; return a list instead"


@pytest.mark.parametrize(
    "function, sentence",
    [
        ("half", HALF),
        ("half_a_name", HALF),
        ("cycle", "contains itself"),
        ("deep", "is nested too deeply"),
        ("pieces", GENERATOR),
        ("more_pieces", GENERATOR),
        ("nested_pieces", GENERATOR),
    ],
)
def test_a_result_that_cannot_be_handed_on_is_a_failed_node(
    tmp_path: Path, function: str, sentence: str
) -> None:
    manifest = MANIFEST.format(function=function)
    ran = run_project(write_project(tmp_path / "project", clew_yaml=manifest, tools__t_py=TOOLS))
    assert isinstance(ran.error, NodeError)
    assert str(ran.error) == f"node work (tool) failed: tool work: its result {sentence}"
    assert ran.statuses() == {"input": "completed", "work": "failed"}


@pytest.mark.parametrize("function", ["half", "says", "mute"])
def test_the_command_says_so_and_crashes_at_nothing(tmp_path: Path, function: str) -> None:
    manifest = MANIFEST.format(function=function)
    place = write_project(tmp_path / "project", clew_yaml=manifest, tools__t_py=TOOLS)
    done = run(place, "-o", "json")
    assert done.returncode == 1
    assert "unexpected" not in done.stderr
    assert json.loads(done.stdout)["success"] is False
    expected = {"half": HALF, "says": "bad \\ud800 luck"}
    assert expected.get(function, "the workflow ran, but its result cannot be written") in done.stderr


def test_an_object_of_python_is_still_written_as_text(tmp_path: Path) -> None:
    manifest = MANIFEST.format(function="things")
    done = run(write_project(tmp_path / "project", clew_yaml=manifest, tools__t_py=TOOLS), "-o", "json")
    assert json.loads(done.stdout)["outputs"] == {"output": {"x": {"(1, 2)": [3]}, "y": 2**70}}


ASKING = """
    clew: "1"
    name: asking
    defaults: {model: scripted, script: answers.yaml}
    nodes: {input: {type: input}, ask: {type: prompt, prompt: ask}, output: {type: output}}
    edges: {a: {from: input, to: ask}, b: {from: ask, to: output}}
"""
PROMPT = "---\nid: ask\n---\nSay {{word}}\n"


@pytest.mark.parametrize("answer", [r'json: {x: "\ud800"}', r'text: "half \ud800"'])
def test_a_script_with_half_a_character_is_refused_with_its_line(tmp_path: Path, answer: str) -> None:
    place = write_project(
        tmp_path / "project",
        clew_yaml=ASKING,
        prompts__ask_prompt=PROMPT,
        answers_yaml=f"answers:\n  - {answer}\n",
    )
    done = run(place, "-i", '{"word": "hello"}', "-o", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "answers.yaml:2: " in done.stderr
    assert "the answer has no form in JSON" in done.stderr


class HalfModel:
    """Answers with half a character."""

    async def answer(self, request: ChatRequest, *, place: CallPlace, on_text: Any = None) -> ChatAnswer:
        return ChatAnswer(text="half \ud800", model=request.model)

    async def close(self) -> None:
        return


def test_an_answer_with_half_a_character_is_a_failure_of_the_model(tmp_path: Path) -> None:
    place = write_project(
        tmp_path / "project", clew_yaml=ASKING, prompts__ask_prompt=PROMPT, answers_yaml="answers: []\n"
    )
    ran = run_project(place, {"word": "hello"}, models=lambda _project: HalfModel())
    assert isinstance(ran.error, NodeError)
    assert isinstance(ran.error.__cause__, ProviderError)
    assert (ran.error.node_id, ran.error.__cause__.kind) == ("ask", "bad_answer")


def test_a_request_with_half_a_character_is_a_failed_node_and_is_not_sent(tmp_path: Path) -> None:
    place = write_project(
        tmp_path / "project",
        clew_yaml=ASKING,
        prompts__ask_prompt=PROMPT,
        answers_yaml="answers: [{text: fine}]\n",
    )
    ran = run_project(place, {"word": "\ud800"})
    assert isinstance(ran.error, NodeError)
    assert ran.error.node_id == "ask"
    assert "half a character" in str(ran.error)
    assert not isinstance(ran.error.__cause__, ProviderError)
    asked = [event for node in ran.trace.nodes for event in node.events if event.event == "model_answered"]
    assert asked == []


def test_values_that_occur_twice_without_a_circle_do_not_contain_themselves() -> None:
    shared: list[Any] = [1]
    assert why_unusable({"a": shared, "b": [shared, shared]}) is None
    deep: Any = shared
    for _ in range(5000):
        deep = [deep, shared]
    assert why_unusable(deep) == "is nested too deeply"
    assert why_unusable({(1, 2): 3, "x": {2**70}}) is None
    assert why_not_json({(1, 2): 3}) is None
