"""What is given for one run is read and checked like the manifest, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clew.errors import ProjectError, UsageError
from clew.workflow.changes import read_assignment, with_params
from clew.workflow.project import AgentNode, BranchNode, InputNode, Project, PromptNode, Retry, ToolNode
from tests.workflow.written_projects import load

pytestmark = pytest.mark.needs_extra("workflow")

MANIFEST = """name: x
defaults: {model: openai/x}
nodes:
  input: {type: input, schema: {message: string}}
  ag: {type: agent, prompt: prompts/sort.prompt, tools: [add], max_turns: 3}
  lo: {type: branch, workflow: self, condition: 'message == ""', loop_while: 'text == "x"'}
tools:
  add: {type: python, module: t, function: add, retry: 2}
edges:
  a: {from: input, to: sort, mapping: {message: message}}
  b: {from: input, to: ag, mapping: {message: message}}
  c: {from: sort, to: output}
  d: {from: input, to: lo}
"""
SORT = "---\ninput: {message: string}\n---\nSort {{message}}\n"


def project(folder: Path, *, is_trident: bool = False) -> Project:
    name, head = ("agent.tml", "trident: '0.1'\n") if is_trident else ("clew.yaml", "")
    files = {
        name: head + MANIFEST,
        "prompts/sort.prompt": SORT,
        "prompts/other.prompt": SORT,
        "tools/t.py": "def add(a=1): ...",
    }
    return load(folder, **files)


def changed(folder: Path, *texts: str) -> Project:
    params = dict(read_assignment(text, option="--param") for text in texts)
    return with_params(project(folder), params, environ={})


@pytest.mark.parametrize(
    "texts, said",
    [
        (['add.retry={"attempts": 0}'], ["attempts of retry should be a whole number of at least 1, not the number 0"]),
        (["add.retry=0"], ["retry of tool 'add' should be a whole number of at least 1, not the number 0"]),
        (["sort.prompt=othr"], ["'sort' uses the prompt 'othr', which is not in prompts/; did you mean 'other'?"]),
        (["lo.loop_while=n <"], ["loop_while of 'lo' cannot be read: a field or a value should stand here, and the condition ends, at character 4 of 'n <'"]),
        (["sort.timeout_s=-1"], ["timeout_s of node 'sort' should be a number above 0, not the number -1"]),
        (["sort.model=foo/bar"], ["no provider is known for the model 'foo/bar': write openai/foo/bar and a base URL for a server that speaks like OpenAI's, or one of openai/, anthropic/"]),
        (["sort.model=scripted"], ["'sort' has the model scripted, and 'script' under 'defaults:' names no file"]),
        (["ag.max_turns=0", 'ag.tools=["nope"]'], ["max_turns of node 'ag' should be a whole number of at least 1, not the number 0", "agent 'ag' may use the tool 'nope', which is neither under 'tools:' nor of an MCP server"]),
        (["ag.max_tokens=-5"], ["max_tokens of node 'ag' should be a whole number of at least 1, not the number -5"]),
        (["ag.promt=x"], ["node 'ag' has no 'promt'; did you mean 'prompt'?"]),
        (["ag.id=x"], ["node 'ag' has no 'id'"]),
        (["ag.type=prompt"], ["the type of 'ag' cannot be changed"]),
        (["add.function=ad"], ["tool 'add': t.py has no function 'ad'; did you mean 'add'?"]),
        (["lo.workflow=../x"], ["'lo' runs no workflow: the workflow '../x' leaves the project's folder; it may not contain '..'"]),
        (["sort.prompt_text={{mesage}}"], ["nothing gives 'sort' its field 'mesage'; it is given 'message'"]),
        (["sort.prompt_text="], ["prompt_text of node 'sort' has no text"]),
        (["sort.prompt_text=[1]"], ["prompt_text of node 'sort' should be a text, not a list"]),
    ],
)  # fmt: skip
def test_a_field_is_refused_as_the_manifest_would_be(
    tmp_path: Path, texts: list[str], said: list[str]
) -> None:
    with pytest.raises(ProjectError) as caught:
        changed(tmp_path, *texts)
    assert str(caught.value).splitlines() == [f"--param: {sentence}" for sentence in said]


@pytest.mark.parametrize(
    "name, said",
    [
        ("sotr.model", r"--param: x has no node 'sotr'; did you mean 'sort'\?"),
        ("model", r"--param: 'model' names no field; write NODE.FIELD=VALUE"),
    ],
)
def test_a_node_that_there_is_not_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}$"):
        with_params(project(tmp_path), {name: "x"}, environ={})


def test_a_model_that_nobody_knows_is_refused_in_the_original_format_too(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"^--set: no provider is known for the model 'foo/bar'"):
        with_params(project(tmp_path, is_trident=True), {"sort.model": "foo/bar"}, option="--set", environ={})


def test_every_kind_of_node_is_changed_and_nothing_else_of_it(tmp_path: Path) -> None:
    before = project(tmp_path)
    params: dict[str, Any] = {
        "input.schema": {"message": {"type": "string", "default": "hi"}},
        "sort.prompt": "./prompts/other.prompt",
        "ag.max_turns": 5,
        "lo.max_iterations": 2,
        "add.retry": {"attempts": 3, "delay_s": 0.5},
        "output.format": "text",
    }
    after = with_params(before, params, environ={})
    match [after.nodes[name] for name in ("input", "sort", "ag", "lo", "add")]:
        case [
            InputNode(schema={"message": message}),
            PromptNode(prompt="other", definition={"prompt": "./prompts/other.prompt"}),
            AgentNode(prompt="sort", tools=["add"], max_turns=5),
            BranchNode(workflow="self", loop_while='text == "x"', max_iterations=2),
            ToolNode(function="add", retry=Retry(attempts=3, delay_s=0.5)),
        ]:
            assert message.default == "hi"
        case nodes:
            pytest.fail(str(nodes))
    assert after.nodes["ag"].definition == {**before.nodes["ag"].definition, "max_turns": 5}
    assert [node.place for node in after.nodes.values()] == [node.place for node in before.nodes.values()]
    assert list(after.nodes) == list(before.nodes)


def test_a_prompt_text_is_of_one_node_alone_and_other_fields_leave_it(tmp_path: Path) -> None:
    after = with_params(
        project(tmp_path), {"ag.prompt_text": "Hey {{message}}", "ag.max_turns": 7}, environ={}
    )
    agent, other = after.nodes["ag"], after.nodes["sort"]
    assert isinstance(agent, AgentNode)
    assert isinstance(other, PromptNode)
    assert (after.prompts[agent.prompt].body, agent.max_turns) == ("Hey {{message}}", 7)
    assert after.prompts[other.prompt].body == "Sort {{message}}"


def test_without_changes_the_project_is_the_same_one(tmp_path: Path) -> None:
    before = project(tmp_path)
    assert with_params(before, {}) is before
