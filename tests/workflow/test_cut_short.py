"""What was paid for before Ctrl-C, or before another node failed, is not paid for again on `--resume`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from clew.store.store import Store
from tests.workflow.commands import CLEW, run
from tests.workflow.model_answers import Answer, Body, Call, Hangs, Says
from tests.workflow.model_servers import OpenAIServer
from tests.workflow.test_whole_answers import logged, written

pytestmark = [pytest.mark.needs_extra("workflow"), pytest.mark.needs_extra("openai")]
AGENT = """
    clew: "1"
    name: cut
    defaults: {model: openai/gpt-4o-mini}
    nodes:
      input: {type: input, schema: {q: {type: string, default: hello}}}
      ag: {type: agent, prompt: ask, tools: [use], cost_budget_usd: 1}
      output: {type: output}
    tools: {use: {type: python, module: t, function: use}}
    edges: {e1: {from: input, to: ag, mapping: {q: q}}, e2: {from: ag, to: output}}
"""
ASK = "---\nid: ask\ninput: {q: {type: string}}\n---\n{{q}}\n"
USE = "def use(n):\n    note(n)\n    return {'n': n}\n"


def conversation(*, hangs: bool, asked: list[int]) -> Any:
    """Return what a model answers: a call, another call, and then either nothing or the end."""

    def answer(body: Body) -> Answer:
        turn = sum(message["role"] == "assistant" for message in body["messages"]) + 1
        asked.append(turn)
        if turn < 3:
            return Says("", [Call(name="use", arguments={"n": turn}, id=f"call_{turn}")])
        return Hangs() if hangs else Says("done")

    return answer


def interrupted(place: Path, how: signal.Signals, server: OpenAIServer, *, requests: int) -> None:
    process = subprocess.Popen(
        [*CLEW, "run", str(place)],
        env={**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    server.wait_for(requests)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == -how


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_agent_that_was_interrupted_goes_on_where_it_was(tmp_path: Path, how: signal.Signals) -> None:
    place = written(tmp_path, AGENT, tools=USE, prompts__ask_prompt=ASK)
    asked: list[int] = []
    with OpenAIServer(conversation(hangs=True, asked=asked)) as server:
        interrupted(place, how, server, requests=3)
    assert (asked, logged(tmp_path)) == ([1, 2, 3], [1, 2])
    asked.clear()
    with OpenAIServer(conversation(hangs=False, asked=asked)) as server:
        variables = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        done = run(place, "--resume", "latest", "-o", "json", **variables)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"]["output"]["text"] == "done"
    assert (asked, logged(tmp_path)) == ([3], [1, 2])


def test_a_run_that_was_interrupted_twice_pays_for_nothing_twice(tmp_path: Path) -> None:
    """The second run was served what the first had paid for, and has that in its own record."""

    place = written(tmp_path, AGENT, tools=USE, prompts__ask_prompt=ASK)
    asked: list[int] = []
    with OpenAIServer(conversation(hangs=True, asked=asked)) as server:
        interrupted(place, signal.SIGINT, server, requests=3)
        process = subprocess.Popen(
            [*CLEW, "run", str(place), "--resume", "latest"],
            env={**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        server.wait_for(4)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert asked == [1, 2, 3, 3]
    asked.clear()
    with OpenAIServer(conversation(hangs=False, asked=asked)) as server:
        variables = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        done = run(place, "--resume", "latest", "-o", "json", **variables)
    assert done.returncode == 0, done.stderr
    assert (asked, logged(tmp_path)) == ([3], [1, 2])


def test_a_node_that_another_ones_failure_cancelled_goes_on_where_it_was(tmp_path: Path) -> None:
    manifest = (
        AGENT.replace(
            "defaults: {model: openai/gpt-4o-mini}", "defaults: {model: openai/gpt-4o-mini, on_error: cancel}"
        )
        .replace("tools: {use:", "tools: {fails: {type: python, module: t, function: fails}, use:")
        .replace("edges: {", "edges: {e0: {from: input, to: fails}, e3: {from: fails, to: output}, ")
    )
    flag = tmp_path / "may_fail"
    fails = f"""
def fails(q):
    import pathlib, time
    flag = pathlib.Path({str(flag)!r})
    while not flag.exists():
        time.sleep(0.02)
    if flag.read_text() == "no":
        return {{"fine": True}}
    raise ValueError("as it should")
"""
    place = written(tmp_path, manifest, tools=USE + fails, prompts__ask_prompt=ASK)
    asked: list[int] = []
    with OpenAIServer(conversation(hangs=True, asked=asked)) as server:

        def fail_then() -> None:
            server.wait_for(3)
            flag.write_text("yes")

        waiting = threading.Thread(target=fail_then)
        waiting.start()
        done = run(place, OPENAI_BASE_URL=server.url, OPENAI_API_KEY="none")
        waiting.join()
    assert done.returncode == 1, done.stderr
    assert "as it should" in done.stderr
    flag.write_text("no")
    asked.clear()
    with OpenAIServer(conversation(hangs=False, asked=asked)) as server:
        variables = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        again = run(place, "--resume", "latest", "-o", "json", **variables)
    assert again.returncode == 0, again.stderr
    assert (asked, logged(tmp_path)) == ([3], [1, 2])
    latest = Store(tmp_path / ".clew").runs()[0].run_id
    agent = next(n for n in Store(tmp_path / ".clew").trace(latest).nodes if n.node_id == "ag")
    answers = [e.values()["answer"] for e in agent.events if e.event == "model_answered"]
    assert [answer.get("source") for answer in answers] == ["replay", "replay", None]
    assert [answer.get("cost_usd") is None for answer in answers] == [True, True, False]
