"""How long a node may take and how often it is tried: as it says itself, else as the defaults of its workflow say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clew.errors import BudgetError, NodeError, ProviderError, ToolError
from clew.session import session
from clew.store.store import Store
from clew.workflow.attempts import may_retry
from clew.workflow.manifest import load_project
from clew.workflow.project import BranchNode, Place, PromptNode
from tests.workflow.running import run_project, write_project

pytestmark = pytest.mark.needs_extra("workflow")

TOOLS = """
    import os, time

    LOG = os.environ["TOOL_LOG"]

    def note(word):
        with open(LOG, "a") as log:
            log.write(word + "\\n")

    def flaky(n=0):
        note("flaky")
        with open(LOG) as log:
            calls = log.read().split().count("flaky")
        if calls < 3:
            raise ValueError("not yet")
        return {"n": n}

    def hang(n=0):
        note("hang")
        time.sleep(60)

    def slow(n=0):
        note("slow")
        time.sleep(0.4)
        return {"n": n}
"""
ONE_TOOL = """
    clew: "1"
    name: one
    defaults: {{{defaults}}}
    nodes: {{input: {{type: input}}, output: {{type: output}}}}
    tools:
      work: {{type: python, module: t, function: {function}{more}}}
    edges: {{a: {{from: input, to: work}}, b: {{from: work, to: output}}}}
"""
AROUND = """
    clew: "1"
    name: around
    defaults: {{{defaults}}}
    nodes:
      input: {{type: input}}
      around: {{{around}, workflow: ./one.yaml}}
      output: {{type: output}}
    edges: {{a: {{from: input, to: around}}, b: {{from: around, to: output}}}}
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("TOOL_LOG", str(path))
    return path


def one(folder: Path, function: str, *, defaults: str = "", more: str = "") -> Path:
    manifest = ONE_TOOL.format(function=function, defaults=defaults, more=more)
    return write_project(folder / "project", clew_yaml=manifest, tools__t_py=TOOLS)


def around(folder: Path, how: str, function: str, *, defaults: str = "", inner: str = "") -> Path:
    manifest = AROUND.format(around=how, defaults=defaults)
    step = ONE_TOOL.format(function=function, defaults=inner, more="")
    return write_project(folder / "project", clew_yaml=manifest, one_yaml=step, tools__t_py=TOOLS)


def test_a_node_that_says_nothing_is_tried_as_often_as_the_defaults_say(tmp_path: Path, log: Path) -> None:
    ran = run_project(one(tmp_path, "flaky", defaults="retry: {attempts: 3, delay_s: 0.01}"))
    assert ran.outputs == {"output": {"n": 0}}
    assert log.read_text().split() == ["flaky"] * 3
    attempts = [(node.attempt, node.status) for node in ran.trace.nodes if node.node_id == "work"]
    assert attempts == [(1, "failed"), (2, "failed"), (3, "completed")]
    retried = [node.error.retried for node in ran.trace.nodes if node.error is not None]
    assert retried == [True, True]


def test_a_node_that_wants_one_attempt_gets_one_whatever_the_defaults_say(tmp_path: Path, log: Path) -> None:
    ran = run_project(one(tmp_path, "flaky", defaults="retry: 3", more=", retry: 1"))
    assert isinstance(ran.error, NodeError)
    assert log.read_text().split() == ["flaky"]


def test_a_prompt_that_says_nothing_may_take_as_long_as_the_defaults_say(tmp_path: Path) -> None:
    place = write_project(
        tmp_path / "project",
        clew_yaml="""
            clew: "1"
            name: asking
            defaults: {model: scripted, script: answers.yaml, timeout_s: 0.2}
            nodes: {input: {type: input}, ask: {type: prompt, prompt: ask}, output: {type: output}}
            edges: {a: {from: input, to: ask}, b: {from: ask, to: output}}
        """,
        prompts__ask_prompt="---\nid: ask\n---\nHello\n",
        answers_yaml="answers: [{text: late, delay_s: 30}]\n",
    )
    ran = run_project(place)
    assert str(ran.error) == (
        "node ask (prompt) failed: scripted did not answer in time: node ask took longer than 0.2 s"
    )
    cause = ran.error.__cause__ if ran.error is not None else None
    assert isinstance(cause, ProviderError)
    assert (cause.kind, cause.may_retry) == ("timeout", True)


def test_a_tool_that_takes_too_long_is_no_failure_of_a_model(tmp_path: Path, log: Path) -> None:
    ran = run_project(one(tmp_path, "hang", defaults="timeout_s: 0.2"))
    assert str(ran.error) == "node work (tool) failed: node work took longer than 0.2 s"
    assert log.read_text().split() == ["hang"]
    assert ran.error is not None
    assert not isinstance(ran.error.__cause__, ProviderError)


@pytest.mark.parametrize("how", ["type: branch", "type: trigger, mode: wait"])
def test_the_limit_of_a_single_step_is_none_for_a_workflow_in_a_workflow(
    tmp_path: Path, log: Path, how: str
) -> None:
    ran = run_project(around(tmp_path, how, "slow", defaults="timeout_s: 0.1, retry: 3"))
    assert ran.error is None
    assert log.read_text().split() == ["slow"]


def test_attempts_of_the_defaults_do_not_multiply_through_branches(tmp_path: Path, log: Path) -> None:
    retry = "retry: {attempts: 2, delay_s: 0.01}"
    ran = run_project(around(tmp_path, "type: branch", "flaky", defaults=retry, inner=retry))
    assert isinstance(ran.error, NodeError)
    assert log.read_text().split() == ["flaky"] * 2


@pytest.mark.parametrize("how", ["type: branch", "type: trigger, mode: wait"])
def test_a_workflow_whose_node_fails_is_tried_again_and_each_attempt_is_a_record(
    tmp_path: Path, log: Path, how: str
) -> None:
    ran = run_project(around(tmp_path, f"{how}, retry: {{attempts: 4, delay_s: 0.01}}", "flaky"))
    assert ran.error is None
    assert log.read_text().split() == ["flaky"] * 3
    attempts = [(node.attempt, node.status) for node in ran.trace.nodes if node.node_id == "around"]
    assert attempts == [(1, "failed"), (2, "failed"), (3, "completed")]
    rounds = [row.status for row in Store(session.home).runs() if row.parent_run_id == ran.trace.run_id]
    assert sorted(rounds) == ["completed", "failed", "failed"]


def test_what_would_only_happen_again_is_not_tried_again_around_it_either() -> None:
    place = Place(Path("clew.yaml"), 1)
    branch = BranchNode(place=place, id="b", workflow="self")
    prompt = PromptNode(place=place, id="p", prompt="p")

    def failed(cause: Exception | None) -> NodeError:
        error = NodeError("node x failed", node_id="x")
        error.__cause__ = cause
        return error

    assert may_retry(branch, failed(ToolError("no luck")))
    assert may_retry(branch, failed(failed(ToolError("no luck, further in"))))
    assert may_retry(branch, failed(None))
    assert not may_retry(branch, failed(BudgetError("spent")))
    assert not may_retry(branch, failed(failed(ProviderError("no key", kind="authentication"))))
    assert not may_retry(prompt, failed(None))


def test_other_defaults_of_time_and_attempts_leave_a_completed_node_what_it_was(
    tmp_path: Path, log: Path
) -> None:
    place = one(tmp_path, "slow")
    first = run_project(place)
    manifest = place / "clew.yaml"
    manifest.write_text(manifest.read_text().replace("defaults: {}", "defaults: {timeout_s: 9, retry: 3}"))
    assert load_project(place, environ=os.environ).defaults.retry.attempts == 3
    again = run_project(place, resume=first.trace.run_id)
    assert again.error is None
    assert log.read_text().split() == ["slow"]
