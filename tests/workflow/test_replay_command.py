"""`clew replay` as a person types it: what it waits for, what it starts, and which node it leaves the old run at."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.workflow.commands import CLEW, project, run
from tests.workflow.running import write_project
from tests.workflow.test_whole_answers import ASK, logged, outputs, replay, written

pytestmark = pytest.mark.needs_extra("workflow")
OUTER = """
    clew: "1"
    name: outer
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input, schema: {q: {type: string, default: hello}}}
      r: {type: branch, workflow: ./inner.yaml, loop_while: "n < 2", max_iterations: 5}
      output: {type: output}
    edges: {e1: {from: input, to: r}, e2: {from: r, to: output}}
"""
INNER = """
    clew: "1"
    name: inner
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input, schema: {q: {type: string, default: hello}, n: {type: integer, default: 0}}}
      ask: {type: prompt, prompt: ask}
      output: {type: output}
    tools: {count: {type: python, module: t, function: count}}
    edges:
      e1: {from: input, to: ask, mapping: {q: q}}
      e2: {from: input, to: count, mapping: {n: n, q: q}}
      e3: {from: ask, to: output, mapping: {text: text}}
      e4: {from: count, to: output}
"""
COUNT = "def count(n, q):\n    note(n)\n    return {'n': n + 1, 'q': q}\n"
ANSWERS = "answers:\n  - {node: ask, text: said}\n"


def asked(home: Path) -> list[str]:
    """Return what the models of the latest run and the runs in it were asked, in order."""
    store = Store(home)
    rows = [row for row in store.runs() if row.name == "inner"]
    latest = rows[0].parent_run_id
    found = [
        (event.timestamp, event.values()["request"]["messages"][-1]["content"])
        for row in rows
        if row.parent_run_id == latest
        for node in store.trace(row.run_id).nodes
        for event in node.events
        if event.event == "model_answered"
    ]
    return [text for _, text in sorted(found)]


def test_a_replay_does_not_wait_between_attempts(tmp_path: Path) -> None:
    manifest = """
        clew: "1"
        name: again
        nodes: {{input: {{type: input}}, output: {{type: output}}}}
        tools:
          s: {{type: python, module: t, function: make, retry: {{attempts: 3, delay_s: {delay}, max_delay_s: 3000}}}}
        edges: {{e1: {{from: input, to: s}}, e2: {{from: s, to: output}}}}
    """
    tools = (
        "def make():\n    note(1)\n"
        f"    if len(open({str(tmp_path / 'log')!r}).readlines()) < 3:\n"
        "        raise ValueError('not yet')\n    return {'n': 3}\n"
    )
    place = written(tmp_path, manifest.format(delay=0.01), tools=tools)
    assert run(place).returncode == 0
    write_project(place, clew_yaml=manifest.format(delay=1000))
    done = replay("latest", "-o", "json")  # in 60 s, or the test fails
    assert outputs(done) == {"output": {"n": 3}}
    assert "3 answers came from run" in done.stderr
    assert logged(tmp_path) == [1, 1, 1]


@pytest.mark.parametrize("name", ["ask", "r.ask"])
def test_a_fork_at_a_node_of_a_branch_changes_it_in_every_round(tmp_path: Path, name: str) -> None:
    place = written(tmp_path, OUTER, tools=COUNT, answers=ANSWERS, inner_yaml=INNER, prompts__ask_prompt=ASK)
    assert run(place).returncode == 0
    assert asked(tmp_path / ".clew") == ["hello", "hello"]
    done = replay("latest", "--fork", name, "--set", "prompt=About {{q}}", "-o", "json")
    assert outputs(done)["output"]["n"] == 2
    assert asked(tmp_path / ".clew") == ["About hello", "About hello"]
    assert "did not run" not in done.stderr
    assert "2 answers came from run" in done.stderr  # of the tool
    assert logged(tmp_path) == [0, 1]


def test_a_name_that_no_or_more_than_one_workflow_has_is_refused_with_those_that_there_are(
    tmp_path: Path,
) -> None:
    manifest = OUTER.replace(
        "output: {type: output}\n",
        "s: {type: branch, workflow: ./other.yaml}\n      output: {type: output}\n",
    ).replace("e2:", "e3: {from: input, to: s}, e2:")
    place = written(
        tmp_path,
        manifest,
        tools=COUNT,
        answers=ANSWERS,
        inner_yaml=INNER,
        other_yaml=INNER,
        prompts__ask_prompt=ASK,
    )
    assert run(place).returncode == 0
    several = replay("latest", "--fork", "ask")
    assert several.returncode == 2
    assert "--fork: several workflows have a node 'ask'; name one of r.ask, s.ask" in several.stderr
    unknown = replay("latest", "--fork", "zzz")
    assert unknown.returncode == 2
    assert (
        "--fork: outer has no node 'zzz'; it has input, r, s, output, r.input, r.ask, r.output, r.count, "
        "s.input, s.ask, s.output, s.count"
    ) in unknown.stderr
    close = replay("latest", "--fork", "r.aks")
    assert "did you mean 'r.ask'?" in close.stderr


def test_a_replay_does_not_start_again_what_a_trigger_started(tmp_path: Path) -> None:
    place = project(tmp_path)
    trigger = """
        clew: "1"
        name: starter
        nodes:
          input: {type: input, schema: {n: {type: integer}}}
          start: {type: trigger, workflow: ./clew.yaml}
          output: {type: output}
        edges:
          e1: {from: input, to: start, mapping: {n: n}}
          e2: {from: start, to: output}
    """
    write_project(place, starter_yaml=trigger)
    first = outputs(run(place / "starter.yaml", "-i", '{"n": 4}', "-o", "json"))
    store = Store(tmp_path / ".clew")
    deadline = time.monotonic() + 30
    while not any(row.name == "doubling" and row.status == "completed" for row in store.runs()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    starter = next(row.run_id for row in store.runs() if row.name == "starter")
    done = replay(starter, "-o", "json")
    assert outputs(done) == first
    assert "the outputs are the same" in done.stderr
    time.sleep(0.5)
    assert [row.name for row in store.runs()].count("doubling") == 1
    compared = [*CLEW, "diff", starter, "latest", "--fail-on", "any"]
    same = subprocess.run(compared, cwd=place, capture_output=True, text=True, check=False)
    assert same.returncode == 0, same.stdout + same.stderr
    assert "a replay starts no process: 1 of the runs inside OLD" in same.stderr


def test_what_a_resumed_run_kept_is_replayed_from_the_run_that_did_it(tmp_path: Path) -> None:
    place = written(
        tmp_path,
        """
            clew: "1"
            name: kept
            nodes: {input: {type: input}, output: {type: output}}
            tools: {s: {type: python, module: t, function: make}, u: {type: python, module: t, function: use}}
            edges: {e1: {from: input, to: s}, e2: {from: s, to: u}, e3: {from: u, to: output}}
        """,
        tools=(
            "def make():\n    note('make')\n    return {'n': 1}\n\ndef use(n):\n    note('use')\n"
            f"    if len(open({str(tmp_path / 'log')!r}).readlines()) < 3:\n"
            "        raise ValueError('not yet')\n    return {'n': 3}\n"
        ),
    )
    assert run(place).returncode == 1
    assert run(place, "--resume", "latest").returncode == 0
    done = replay("latest", "-o", "json")
    assert outputs(done) == {"output": {"n": 3}}
    assert "2 answers came from run" in done.stderr
    assert "the outputs are the same" in done.stderr
    assert logged(tmp_path) == ["make", "use", "use"]
    assert json.loads(done.stdout)["success"]


def test_a_node_that_got_no_answer_fails_in_a_replay_as_it_did_then(tmp_path: Path) -> None:
    manifest = """
        clew: "1"
        name: unanswered
        defaults: {model: scripted, script: answers.yaml}
        nodes:
          input: {type: input, schema: {q: {type: string, default: hello}}}
          ask: {type: prompt, prompt: ask, timeout_s: 0.2}
          output: {type: output}
        edges: {e1: {from: input, to: ask}, e2: {from: ask, to: output}}
    """
    answers = "answers:\n  - {node: ask, delay_s: 30, text: late}\n"
    place = written(tmp_path, manifest, answers=answers, prompts__ask_prompt=ASK)
    done = run(place, "-o", "json")
    assert done.returncode == 3
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (3, done.stdout)
    assert "scripted did not answer in time: node ask took longer than 0.2 s" in again.stderr


def test_a_replay_of_a_run_that_was_cancelled_fails_as_that_did(tmp_path: Path) -> None:
    """The node that failed is the one that is named, not those that it cancelled and that have no answers."""
    manifest = """
        clew: "1"
        name: cancelled
        defaults: {model: scripted, script: answers.yaml, on_error: cancel}
        nodes:
          input: {type: input, schema: {q: {type: string, default: hello}}}
          ask: {type: prompt, prompt: ask}
          inner: {type: branch, workflow: ./inner.yaml}
          output: {type: output}
        tools: {slow: {type: python, module: t, function: slow}, bad: {type: python, module: t, function: bad}}
        edges:
          a: {from: input, to: slow, mapping: {q: q}}
          b: {from: input, to: ask, mapping: {q: q}}
          c: {from: input, to: inner, mapping: {q: q}}
          d: {from: input, to: bad, mapping: {q: q}}
          e: {from: slow, to: output}
          f: {from: ask, to: output}
          g: {from: inner, to: output}
          h: {from: bad, to: output}
    """
    inner = """
        clew: "1"
        name: inner
        defaults: {model: scripted, script: answers.yaml}
        nodes: {input: {type: input}, ask: {type: prompt, prompt: ask}, output: {type: output}}
        edges: {a: {from: input, to: ask}, b: {from: ask, to: output}}
    """
    tools = (
        "import time\n\ndef slow(q):\n    time.sleep(30)\n\n"
        "def bad(q):\n    time.sleep(1)\n    raise ValueError('really bad')\n"
    )
    answers = "answers:\n  - {node: ask, delay_s: 30, text: late}\n"
    place = written(
        tmp_path, manifest, tools=tools, answers=answers, prompts__ask_prompt=ASK, inner_yaml=inner
    )
    done = run(place, "-o", "json")
    assert done.returncode == 1
    assert "node bad (tool) failed" in done.stdout
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (1, done.stdout)


def test_a_node_without_an_answer_does_not_take_that_of_another_one(tmp_path: Path) -> None:
    """Both ask the same; in the replay the one that got nothing asks first."""
    manifest = """
        clew: "1"
        name: alone
        defaults: {model: scripted, script: answers.yaml}
        nodes:
          input: {type: input, schema: {q: {type: string, default: hello}}}
          ask: {type: prompt, prompt: ask, timeout_s: 1}
          other: {type: prompt, prompt: ask}
          output: {type: output}
        edges:
          a: {from: input, to: ask}
          b: {from: input, to: other}
          c: {from: ask, to: output, mapping: {a: text}}
          d: {from: other, to: output, mapping: {b: text}}
    """
    answers = "answers:\n  - {node: ask, delay_s: 30, text: late}\n  - {node: other, text: mine}\n"
    place = written(tmp_path, manifest, answers=answers, prompts__ask_prompt=ASK)
    assert run(place).returncode == 3
    done = replay("latest")
    assert done.returncode == 3
    assert "node ask (prompt) failed: scripted did not answer in time" in done.stderr
    store = Store(tmp_path / ".clew")
    ended = {node.node_id: node.status for node in store.trace(store.runs()[0].run_id).nodes}
    assert (ended["ask"], ended["other"]) == ("failed", "completed")
