"""A run that went on with another one is gone on with itself: nothing that any of them did is done again, or paid for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clew.store.store import Store
from tests.workflow.commands import run
from tests.workflow.model_answers import Body, Call, Says
from tests.workflow.model_servers import OpenAIServer
from tests.workflow.running import write_project
from tests.workflow.test_whole_answers import logged, written

pytestmark = pytest.mark.needs_extra("workflow")
WAITS = ("--wait-for", "nobody.completed", "--timeout", "0.05")
CHAIN = """
    clew: "1"
    name: chain
    defaults: {concurrency: 1}
    nodes:
      input: {type: input}
      loop: {type: branch, workflow: ./step.yaml, loop_while: "n < 4", max_iterations: 9}
      output: {type: output}
    tools:
      first: {type: python, module: t, function: first}
      last: {type: python, module: t, function: last}
    edges:
      a: {from: input, to: first}
      b: {from: first, to: loop}
      c: {from: loop, to: last}
      d: {from: last, to: output}
"""
STEP = """
    clew: "1"
    name: step
    nodes:
      input: {type: input}
      output: {type: output}
    tools:
      one: {type: python, module: t, function: one}
      two: {type: python, module: t, function: two}
    edges:
      a: {from: input, to: one}
      b: {from: one, to: two}
      c: {from: two, to: output}
"""
TOOLS = """
import os, pathlib, signal

def killed(name):
    kill = pathlib.Path(__file__).parents[1] / f"kill-{name}"
    if kill.exists():
        kill.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

def first(n):
    note("first")
    return {"n": n}

def one(n):
    killed(f"one-{n}")
    note(f"one {n}")
    return {"n": n}

def two(n):
    killed(f"two-{n}")
    note(f"two {n}")
    return {"n": n + 1}

def last(n):
    killed("last")
    note("last")
    return {"n": n}
"""
ROUNDS = [f"{name} {n}" for n in range(4) for name in ("one", "two")]
DONE = {"success": True, "outputs": {"output": {"n": 4}}}


def chain(folder: Path, *kills: str) -> Path:
    """Write the project, each of whose tools kills the process once before it does what it is named for in `kills`."""
    place = written(folder, CHAIN, tools=TOOLS, step_yaml=STEP)
    for name in kills:
        (place / f"kill-{name}").touch()
    return place


def waited(place: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Go on with the latest run, and let it wait for what never comes."""
    done = run(place, "--resume", "latest", *more, *WAITS)
    assert done.returncode == 4, done.stderr
    return done


def gone_on(place: Path, *more: str) -> tuple[Any, str]:
    """Go on with the latest run to the end."""
    done = run(place, "--resume", "latest", "-o", "json", *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_run_that_only_waited_has_all_that_the_run_before_it_had(tmp_path: Path) -> None:
    place = chain(tmp_path)
    assert run(place, "-i", '{"n": 0}').returncode == 0
    waited(place)
    store = Store(tmp_path / ".clew")
    kept = [node.node_id for node in store.trace(store.runs()[0].run_id).nodes if node.status == "completed"]
    assert kept == ["input", "first", "loop", "last", "output"]
    outputs, said = gone_on(place)
    assert outputs == DONE
    assert "input, first, loop, last, output" in said
    assert logged(tmp_path) == ["first", *ROUNDS, "last"]


def test_what_a_run_kept_is_in_its_record_before_a_node_that_fails_at_once(tmp_path: Path) -> None:
    late = """
        clew: "1"
        name: two
        defaults: {concurrency: 1}
        nodes: {input: {type: input}, output: {type: output}}
        tools:
          bad: {type: python, module: t, function: bad}
          a: {type: python, module: t, function: one}
          b: {type: python, module: t, function: two}
        edges:
          a: {from: input, to: a}
          b: {from: a, to: b}
          c: {from: b, to: bad}
          d: {from: b, to: output}
          e: {from: bad, to: output}
    """
    at_once = late.replace("{from: b, to: bad}", "{from: input, to: bad}")
    place = written(tmp_path, late, tools=TOOLS + "\ndef bad(n):\n    note('bad')\n    raise ValueError\n")
    assert run(place, "-i", '{"n": 0}').returncode == 1
    write_project(place, clew_yaml=at_once)
    for _ in range(2):
        done = run(place, "--resume", "latest")
        assert done.returncode == 1
        assert ": input, a, b\n" in done.stderr
    assert logged(tmp_path) == ["one 0", "two 0", "bad", "bad", "bad"]


def test_rounds_of_a_killed_loop_are_kept_by_a_run_that_goes_on_with_one_that_did_not_come_to_them(
    tmp_path: Path,
) -> None:
    place = chain(tmp_path, "two-2", "two-3")
    assert run(place, "-i", '{"n": 0}').returncode == -9
    waited(place)
    assert run(place, "--resume", "latest").returncode == -9
    waited(place)
    waited(place)
    assert gone_on(place)[0] == DONE
    assert logged(tmp_path) == ["first", *ROUNDS, "last"]


def test_what_a_shorter_run_did_not_come_to_is_kept_of_the_run_before_it(tmp_path: Path) -> None:
    place = chain(tmp_path)
    assert run(place, "-i", '{"n": 0}').returncode == 0
    gone_on(place, "--until", "first")
    outputs, said = gone_on(place)
    assert outputs == DONE
    assert "input, first, loop, last, output" in said
    assert logged(tmp_path) == ["first", *ROUNDS, "last"]


def test_what_was_asked_for_again_is_not_taken_from_a_run_before_that(tmp_path: Path) -> None:
    place = chain(tmp_path)
    assert run(place, "-i", '{"n": 0}').returncode == 0
    done = ["first", *ROUNDS, "last"]
    waited(place, "--start-from", "loop")
    assert logged(tmp_path) == done
    (place / "kill-two-1").touch()
    assert run(place, "--resume", "latest").returncode == -9
    assert gone_on(place)[0] == DONE
    assert logged(tmp_path) == [*done, *ROUNDS, "last"]


def test_a_node_that_was_changed_and_changed_back_is_kept_if_it_was_not_done_in_between(
    tmp_path: Path,
) -> None:
    place = chain(tmp_path)
    assert run(place, "-i", '{"n": 0}').returncode == 0
    (place / "kill-last").touch()
    write_project(
        place, clew_yaml=CHAIN.replace("{from: loop, to: last}", "{from: loop, to: last, mapping: {n: n}}")
    )
    assert run(place, "--resume", "latest").returncode == -9
    write_project(place, clew_yaml=CHAIN)
    outputs, said = gone_on(place)
    assert outputs == DONE
    assert "input, first, loop, last, output" in said
    assert logged(tmp_path) == ["first", *ROUNDS, "last"]


def test_a_round_that_a_run_only_began_again_is_kept_of_the_run_before_it(tmp_path: Path) -> None:
    place = chain(tmp_path, "two-3")
    assert run(place, "-i", '{"n": 0}').returncode == -9
    (place / "kill-one-0").touch()
    write_project(
        place, step_yaml=STEP.replace("{from: input, to: one}", "{from: input, to: one, mapping: {n: n}}")
    )
    assert run(place, "--resume", "latest").returncode == -9
    write_project(place, step_yaml=STEP)
    assert gone_on(place)[0] == DONE
    assert logged(tmp_path) == ["first", *ROUNDS, "last"]


AGENTS = """
    clew: "1"
    name: agents
    defaults: {model: openai/none}
    nodes:
      input: {type: input}
      one: {type: agent, prompt: ask, tools: [look]}
      two: {type: agent, prompt: ask, tools: [look]}
      output: {type: output}
    tools:
      look: {type: python, module: t, function: look}
      stop: {type: python, module: t, function: stop}
    edges:
      a: {from: input, to: one}
      b: {from: one, to: stop, mapping: {text: text}}
      c: {from: stop, to: two}
      d: {from: two, to: output, mapping: {text: text}}
"""
LOOK = """
import os, pathlib, signal

def once(name):
    path = pathlib.Path(__file__).parents[1] / name
    if path.exists():
        path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

def look():
    once("kill-look")
    return {"seen": 1}

def stop(text):
    once("kill-stop")
    return {"text": text}
"""


@pytest.mark.needs_extra("openai")
def test_an_answer_that_was_paid_for_is_served_to_one_node_only_over_any_number_of_runs(
    tmp_path: Path,
) -> None:
    place = written(tmp_path, AGENTS, tools=LOOK, prompts__ask_prompt="---\nid: ask\n---\nWhat is it?\n")
    for name in ("kill-look", "kill-stop"):
        (place / name).touch()

    def answer(body: Body) -> Says:
        is_last = body["messages"][-1]["role"] == "tool"
        return Says("done") if is_last else Says(calls=[Call(name="look", arguments={})])

    with OpenAIServer(answer) as server:
        variables = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        assert run(place, **variables).returncode == -9
        assert server.count == 1
        done = run(place, "--resume", "latest", *WAITS, **variables)
        assert done.returncode == 4, done.stderr
        assert run(place, "--resume", "latest", **variables).returncode == -9
        assert server.count == 2  # the first answer was served, through a run that did not come to it
        done = run(place, "--resume", "latest", "-o", "text", **variables)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
        assert server.count == 4  # the second agent asks the same, and asks for real
