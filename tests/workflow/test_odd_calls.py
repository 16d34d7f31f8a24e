"""Calls of an agent whose arguments or results are odd: told to the model, recorded as they were, replayed alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clew.store.store import Store
from tests.workflow.commands import run
from tests.workflow.model_answers import Answer, Body, Call, Says
from tests.workflow.model_servers import OpenAIServer
from tests.workflow.test_whole_answers import AGENT, ASK, replay, written

pytestmark = pytest.mark.needs_extra("workflow")
ODD = """
class Rude:
    def __str__(self):
        raise RuntimeError("no")
    __repr__ = __str__

def rude():
    return Rude()

def huge():
    return 10 ** 5000

def deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found

def half():
    raise ValueError("half a character: \\ud800, and a whole one: é")

def use(what, **more):
    what.append("mine")
    what[0]["changed"] = True
    return {"what": what}
"""
CALLS = """
    answers:
      - {{node: ag, turn: 1, tool_calls: [{{name: {name}, arguments: {arguments}}}]}}
      - {{node: ag, turn: 2, text: done}}
"""
PAID = AGENT.replace("model: scripted, script: answers.yaml", "model: openai/{model}").replace(
    "tools: [use]}", "tools: [use], {budget}}"
)


def calls(folder: Path, *, back: int = 0) -> list[dict[str, Any]]:
    store = Store(folder / ".clew")
    nodes = store.trace(store.runs()[back].run_id).nodes
    return [e.values() for n in nodes for e in n.events if e.event == "agent_tool_called"]


def told(folder: Path) -> list[dict[str, Any]]:
    """Return the conversation of the last request of the latest run."""
    store = Store(folder / ".clew")
    nodes = store.trace(store.runs()[0].run_id).nodes
    found = [
        e.values()["request"]["messages"] for n in nodes for e in n.events if e.event == "model_answered"
    ]
    messages: list[dict[str, Any]] = found[-1]
    return messages


@pytest.mark.parametrize(
    "name, said",
    [
        ("rude", "what it gave cannot be written down (RuntimeError)"),
        ("huge", "what it gave cannot be written down (ValueError)"),
        ("deep", "what it gave cannot be written down (RecursionError)"),
        ("half", "half a character: \\ud800, and a whole one: é"),
    ],
)
def test_a_tool_that_fails_oddly_is_told_recorded_and_replayed(tmp_path: Path, name: str, said: str) -> None:
    manifest = AGENT.replace("[use]", f"[{name}]").replace("use: {", f"{name}: {{")
    manifest = manifest.replace("function: use", f"function: {name}")
    answers = CALLS.format(name=name, arguments="{}")
    place = written(tmp_path, manifest, tools=ODD, answers=answers, prompts__ask_prompt=ASK)
    done = run(place, "-o", "json")
    assert done.returncode == 0, done.stderr
    (call,) = calls(tmp_path)
    assert said in call["error"]
    heard = told(tmp_path)[-1]
    assert (heard["content"], heard["is_error"]) == (call["error"], True)
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr


def test_a_tool_that_changes_its_arguments_changes_neither_conversation_nor_record(tmp_path: Path) -> None:
    answers = CALLS.format(name="use", arguments="{what: [{a: 1}]}")
    place = written(tmp_path, AGENT, tools=ODD, answers=answers, prompts__ask_prompt=ASK)
    done = run(place, "-o", "json")
    assert done.returncode == 0, done.stderr
    (call,) = calls(tmp_path)
    assert call["tool_input"] == {"what": [{"a": 1}]}
    assert call["tool_output"] == {"what": [{"a": 1, "changed": True}, "mine"]}
    assert told(tmp_path)[-2]["tool_calls"][0]["arguments"] == {"what": [{"a": 1}]}
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
    assert "3 answers came from run" in again.stderr


def paid(place: Path, answer: Any, **more: str) -> Any:
    with OpenAIServer(answer) as server:
        return run(place, "-o", "json", OPENAI_BASE_URL=server.url, OPENAI_API_KEY="none", **more)


@pytest.mark.needs_extra("openai")
def test_arguments_that_the_log_cannot_hold_stop_a_replay_with_that_reason(tmp_path: Path) -> None:
    manifest = PAID.replace("{model}", "gpt-4o-mini").replace(", {budget}", "")
    place = written(tmp_path, manifest, tools=ODD, prompts__ask_prompt=ASK)
    deep = '{"what": [{}], "deep": ' + "[" * 150 + "]" * 150 + "}"
    done = paid(place, [Says("", [Call(name="use", arguments=deep)]), Says("done")])
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path)[0]["input_is_whole"] is False
    again = replay("latest")
    assert again.returncode == 1
    assert (
        "the answer of node ag to request 1, which is not whole in the record of the run "
        "(nested too deep, or a number too large, for the log)"
    ) in again.stderr
    assert "has changed since" not in again.stderr


@pytest.mark.needs_extra("openai")
@pytest.mark.parametrize(
    "model, budget, why",
    [
        ("gpt-4o-mini", "cost_budget_usd: 0.00001", "has cost"),
        ("nobody-knows", "cost_budget_usd: 1", "the price of"),
        ("gpt-4o-mini", "token_budget: 40", "has used"),
    ],
)
def test_a_budget_ends_a_replay_where_it_ended_the_run(
    tmp_path: Path, model: str, budget: str, why: str
) -> None:
    manifest = PAID.replace("{model}", model).replace("{budget}", budget)
    place = written(tmp_path, manifest, tools=ODD, prompts__ask_prompt=ASK)

    def endless(body: Body) -> Answer:
        number = len(body["messages"])
        return Says("", [Call(name="use", arguments=json.dumps({"what": [{"n": number}]}), id=f"c{number}")])

    done = paid(place, endless)
    assert done.returncode == 1, done.stderr
    assert why in done.stdout
    for _ in range(2):  # the second is the replay of a replay
        again = replay("latest", "-o", "json")
        assert (again.returncode, again.stdout) == (1, done.stdout), again.stderr
        store = Store(tmp_path / ".clew")
        trace = store.trace(store.runs()[0].run_id)
        assert not trace.cost_usd
