"""What a run that goes on with another one does anew: its attempts at a branch, and what a replay of it is answered."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.workflow.commands import CLEW, run
from tests.workflow.test_resume_again import chain, gone_on
from tests.workflow.test_whole_answers import ASK, replay, written

pytestmark = pytest.mark.needs_extra("workflow")
AROUND = """
    clew: "1"
    name: around
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input}
      part: {type: branch, workflow: ./step.yaml, retry: {attempts: 2, delay_s: 0}}
      output: {type: output}
    tools: {last: {type: python, module: t, function: last}}
    edges:
      a: {from: input, to: part}
      b: {from: part, to: last, mapping: {text: text}}
      c: {from: last, to: output}
"""
STEP = """
    clew: "1"
    name: step
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input}
      ask: {type: prompt, prompt: ask}
      output: {type: output}
    tools: {picky: {type: python, module: t, function: picky}}
    edges:
      a: {from: input, to: ask, mapping: {q: q}}
      b: {from: ask, to: picky, mapping: {text: text}}
      c: {from: picky, to: output}
"""
TOOLS = """
import os

def picky(text):
    if os.environ.get("PICKY") == "all" or text == "bad":
        raise ValueError(f"{text} is not good enough")
    return {"text": text}

def last(text):
    if os.environ.get("LAST") == "fails":
        raise ValueError("not today")
    return {"text": text}
"""
ONE = """
    clew: "1"
    name: one
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input}
      ask: {type: prompt, prompt: ask}
      output: {type: output}
    edges:
      a: {from: input, to: ask, mapping: {q: q}}
      b: {from: ask, to: output, mapping: {text: text}}
"""
INPUT = ("-i", '{"q": "hello"}', "-o", "json")
GOOD = {"output": {"text": "good"}}


def around(folder: Path, answers: str, *, entry: str = "type: branch") -> Path:
    manifest = AROUND.replace("type: branch", entry)
    if "trigger" in entry:
        manifest = manifest.replace("{text: text}", "{text: output.text}")
    return written(
        folder,
        manifest,
        tools=TOOLS,
        step_yaml=STEP,
        prompts__ask_prompt=ASK,
        answers=answers,
    )


def same(old: str, new: str) -> None:
    compared = subprocess.run(
        [*CLEW, "diff", old, new, "--fail-on", "any"], capture_output=True, text=True, check=False, timeout=60
    )
    assert compared.returncode == 0, compared.stdout + compared.stderr


@pytest.mark.parametrize("entry", ["type: branch", "type: trigger, mode: wait"])
def test_the_second_attempt_of_a_run_that_goes_on_keeps_nothing_of_what_the_first_kept(
    tmp_path: Path, entry: str
) -> None:
    place = around(tmp_path, "answers: [{text: bad}]\n", entry=entry)
    assert run(place, *INPUT).returncode == 1
    (place / "answers.yaml").write_text("answers: [{text: good}]\n")
    done = run(place, "--resume", "latest", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert '"good"' in done.stdout
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
    same("latest~1", "latest")


@pytest.mark.parametrize("fails", [{"PICKY": "all"}, {"LAST": "fails"}], ids=["in-it", "behind-it"])
def test_a_replay_is_answered_what_the_kept_attempt_at_a_branch_was(
    tmp_path: Path, fails: dict[str, str]
) -> None:
    place = around(tmp_path, "answers: [{times: 1, text: bad}, {text: good}]\n")
    assert run(place, *INPUT, **fails).returncode == 1
    for _ in range(2):  # also of a run that went on with one that kept it
        done = run(place, "--resume", "latest", "-o", "json")
        assert (done.returncode, json.loads(done.stdout)["outputs"]) == (0, GOOD), done.stderr
        again = replay("latest", "-o", "json")
        assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
        assert "the outputs are the same" in again.stderr
        same("latest~1", "latest")


def test_what_a_run_did_itself_a_replay_does_not_take_from_the_run_that_it_went_on_with(
    tmp_path: Path,
) -> None:
    busy = "answers: [{error: {kind: server, message: busy}}]\n"
    place = written(tmp_path, ONE, prompts__ask_prompt=ASK, answers="answers: [{text: old}]\n")
    assert run(place, *INPUT).returncode == 0
    (place / "answers.yaml").write_text(busy)
    assert run(place, "--resume", "latest", "--start-from", "ask", "-o", "json").returncode == 3
    again = replay("latest", "-o", "json")
    assert again.returncode != 0, again.stdout
    assert "busy" in again.stderr
    assert '"old"' not in again.stdout


def test_what_a_tool_returns_and_changes_later_stays_as_it_was_returned(tmp_path: Path) -> None:
    manifest = """
        clew: "1"
        name: kept
        nodes: {input: {type: input}, output: {type: output}}
        tools:
          one: {type: python, module: t, function: add}
          two: {type: python, module: t, function: add}
        edges:
          a: {from: input, to: one, mapping: {n: n}}
          b: {from: one, to: two, mapping: {n: n}}
          c: {from: one, to: output, mapping: {one: seen}}
          d: {from: two, to: output, mapping: {two: seen}}
    """
    tools = "SEEN = []\n\ndef add(n):\n    SEEN.append(n)\n    return {'n': n + 1, 'seen': SEEN}\n"
    place = written(tmp_path, manifest, tools=tools)
    done = run(place, "-i", '{"n": 1}', "-o", "json")
    assert json.loads(done.stdout)["outputs"] == {"output": {"one": [1], "two": [1, 2]}}
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr


@pytest.mark.parametrize("kill", ["one-0", "two-3", "last"])
def test_a_run_that_went_on_is_the_same_as_its_replay_and_as_a_run_in_one_go(
    tmp_path: Path, kill: str
) -> None:
    place = chain(tmp_path, kill)
    assert run(place, "-i", '{"n": 0}').returncode == -9
    gone_on(place)
    assert replay("latest").returncode == 0
    assert run(place, "-i", '{"n": 0}').returncode == 0
    for pair in (("latest~2", "latest~1"), ("latest~2", "latest"), ("latest", "latest~2")):
        same(*pair)
