"""A replay fails where the run failed, as it did, in the order in which it did; and tries again where that did."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.workflow.commands import CLEW, run
from tests.workflow.test_whole_answers import ASK, replay, written

pytestmark = pytest.mark.needs_extra("workflow")
ONE = """
    clew: "1"
    name: one
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input, schema: {q: {type: string, default: hello}}}
      a: {KIND, prompt: ask, retry: {attempts: 2, delay_s: 0}}
      output: {type: output}
    tools: {now: {type: python, module: t, function: now}}
    edges: {e1: {from: input, to: a, mapping: {q: q}}, e2: {from: a, to: output, mapping: {a: text}}}
"""
AGENT = ONE.replace("KIND", "type: agent, tools: [now]")
NOW = """
import itertools, time
calls = itertools.count()

def now():
    return f"call {next(calls)}"

def slow_once():
    if not next(calls):
        time.sleep(2)
    return "done"
"""


def same_again(place: Path, *, code: int, told: str = "") -> None:
    """Run a project and replay it: no difference in exit code, standard output, or any execution of a node."""
    done = run(place, "-o", "json")
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (code, done.stdout), again.stderr
    assert told in again.stderr
    diff = subprocess.run(
        [*CLEW, "diff", "latest~1", "latest", "--fail-on", "any"], capture_output=True, text=True, check=False
    )
    assert diff.returncode == 0, diff.stdout


def test_an_agent_that_was_tried_again_after_an_error_of_its_provider_is_so_in_a_replay(
    tmp_path: Path,
) -> None:
    answers = """
        answers:
          - {turn: 1, tool_calls: [{name: now, arguments: {}}]}
          - {turn: 2, times: 1, error: {kind: server, message: busy}}
          - {turn: 2, text: done}
    """
    same_again(written(tmp_path, AGENT, tools=NOW, answers=answers, prompts__ask_prompt=ASK), code=0)


def test_an_agent_that_was_tried_again_because_a_tool_took_too_long_is_so_in_a_replay(tmp_path: Path) -> None:
    answers = "answers:\n  - {turn: 1, tool_calls: [{name: now, arguments: {}}]}\n  - {text: done}\n"
    manifest = AGENT.replace("prompt: ask,", "prompt: ask, timeout_s: 1,")
    manifest = manifest.replace("function: now", "function: slow_once")
    same_again(written(tmp_path, manifest, tools=NOW, answers=answers, prompts__ask_prompt=ASK), code=0)


def test_a_prompt_that_was_tried_again_is_so_in_a_replay(tmp_path: Path) -> None:
    manifest = ONE.replace("KIND", "type: prompt")
    answers = "answers:\n  - {times: 1, error: {kind: server, message: busy}}\n  - {text: done}\n"
    same_again(written(tmp_path, manifest, tools=NOW, answers=answers, prompts__ask_prompt=ASK), code=0)


def test_a_run_that_failed_at_its_model_fails_there_in_a_replay(tmp_path: Path) -> None:
    manifest = ONE.replace("KIND", "type: prompt")
    answers = "answers:\n  - {error: {kind: authentication, message: bad key}}\n"
    place = written(tmp_path, manifest, tools=NOW, answers=answers, prompts__ask_prompt=ASK)
    same_again(place, code=3, told="node a (prompt) failed: scripted: bad key")


def test_a_branch_that_was_tried_again_is_so_in_a_replay(tmp_path: Path) -> None:
    """The step in it was not: what it failed with is recorded as its last attempt."""
    manifest = ONE.replace("KIND", "type: branch, workflow: ./inner.yaml").replace("prompt: ask, ", "")
    inner = """
        clew: "1"
        name: inner
        defaults: {model: scripted, script: answers.yaml}
        nodes: {input: {type: input}, ask: {type: prompt, prompt: ask}, output: {type: output}}
        edges: {a: {from: input, to: ask}, b: {from: ask, to: output}}
    """
    answers = "answers:\n  - {times: 1, error: {kind: server, message: busy}}\n  - {text: done}\n"
    place = written(tmp_path, manifest, tools=NOW, answers=answers, prompts__ask_prompt=ASK, inner_yaml=inner)
    same_again(place, code=0)
    runs = [row for row in Store(tmp_path / ".clew").runs() if row.name == "inner"]
    assert sorted(str(row.status) for row in runs) == ["completed", "completed", "failed", "failed"]


def test_a_tool_that_took_too_long_fails_with_the_same_type_of_error(tmp_path: Path) -> None:
    manifest = """
        clew: "1"
        name: late
        nodes: {input: {type: input}, output: {type: output}}
        tools: {late: {type: python, module: t, function: slow_once, timeout_s: 0.3}}
        edges: {a: {from: input, to: late}, b: {from: late, to: output}}
    """
    same_again(written(tmp_path, manifest, tools=NOW), code=1, told="node late took longer than 0.3 s")
    store = Store(tmp_path / ".clew")
    for row in store.runs():
        errors = [node.error.error_type for node in store.trace(row.run_id).nodes if node.error is not None]
        assert errors == ["WorkflowError"]


ORDER = """
    clew: "1"
    name: order
    nodes: {input: {type: input}, output: {type: output}}
    tools:
      FIRST
      bad: {type: python, module: t, function: bad}
      slow: {type: python, module: t, function: slow}
      never: {type: python, module: t, function: step}
    edges:
      e1: {from: input, to: bad}
      e2: {from: input, to: slow}
      e3: {from: slow, to: never}
      e4: {from: bad, to: output}
      e5: {from: never, to: output}
      MORE
"""


def test_a_replay_fails_at_the_node_that_failed_first_and_starts_nothing_after_it(tmp_path: Path) -> None:
    """What ended before the failure ends before it in the replay, too, and what was running then after it."""
    manifest = ORDER.replace(
        "FIRST",
        "a: {type: python, module: t, function: step}\n      b: {type: python, module: t, function: step}",
    ).replace("MORE", "e6: {from: input, to: a}\n      e7: {from: a, to: b}")
    tools = """
import threading
failing = threading.Event()
steps = []

def step():
    steps.append(1)
    return {}

def bad():
    while len(steps) < 2:
        pass
    threading.Timer(1, failing.set).start()
    raise ValueError("first")

def slow():
    failing.wait(30)
    return {}
"""
    place = written(tmp_path, manifest, tools=tools)
    same_again(place, code=1, told="node bad (tool) failed: tool bad failed: ValueError: first")
    store = Store(tmp_path / ".clew")
    for row in store.runs():
        ended = {node.node_id: node.status for node in store.trace(row.run_id).nodes}
        assert ended == {
            "input": "completed",
            "a": "completed",
            "b": "completed",
            "bad": "failed",
            "slow": "completed",
        }


def test_of_two_failures_the_one_that_came_first_is_told(tmp_path: Path) -> None:
    manifest = """
        clew: "1"
        name: two
        nodes: {input: {type: input}, output: {type: output}}
        tools:
          late: {type: python, module: t, function: late}
          a: {type: python, module: t, function: a}
          b: {type: python, module: t, function: b}
        edges:
          e1: {from: input, to: late}
          e2: {from: input, to: a}
          e3: {from: a, to: b}
          e4: {from: b, to: output}
          e5: {from: late, to: output}
    """
    tools = """
import threading
failed = threading.Event()

def late():
    failed.wait(30)
    raise ValueError("late")

def a():
    return {}

def b():
    threading.Timer(1, failed.set).start()
    raise ValueError("first")
"""
    same_again(written(tmp_path, manifest, tools=tools), code=1, told="node b (tool) failed")
