"""A project is read whole, or refused with every problem at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clew.errors import ProjectError
from clew.workflow.manifest import find_manifest, load_project
from clew.workflow.project import (
    AgentNode,
    BranchNode,
    InputNode,
    OutputNode,
    PromptNode,
    Retry,
    ToolNode,
    TriggerNode,
)
from tests.export.sample_files import sample
from tests.workflow.written_projects import refused, write

pytestmark = pytest.mark.needs_extra("workflow")

FULL = """
clew: 1
name: triage
version: 1.0
description: Sorts mail
defaults:
  model: openai/gpt-5
  temperature: 0.2
  max_tokens: 512
  timeout_s: 30
  retry: {attempts: 3, delay_s: 0.5, factor: 3, max_delay_s: 9}
  concurrency: 4
  on_error: cancel
  base_url: http://localhost:1234/v1
  script: answers.yaml
  allow_commands: [git]
nodes:
  input: {type: input, schema: {message: "string, what was written"}}
  first: {type: prompt, prompt: sort, model: openai/gpt-5-mini, temperature: 1, max_tokens: 7, timeout_s: 5, retry: 2}
  agent:
    type: agent
    prompt: prompts/sort.prompt
    tools: [look_up, files.read]
    mcp_servers: {files: {command: npx, args: [server, 1], env: {KEY: "${KEY}"}}}
    max_turns: 5
    token_budget: 1000
    cost_budget_usd: 0.5
  loop: {type: branch, workflow: ./inner, condition: n > 1, loop_while: n < 3, max_iterations: 4}
  after: {type: trigger, workflow: self, mode: wait, pass_outputs: false, emit_signal: true, condition: true}
  output: {type: output, format: text}
tools:
  look_up: {type: python, module: tools_of_mine, function: look_up, description: Looks up, parameters: {q: string}}
  near: {type: python, path: near.py, function: f}
  fetch: {type: http, method: post, url: "https://example.org/{{q}}", headers: {X-Key: "${KEY}"}}
  log: {type: shell, command: [git, log, "{{n}}"], cwd: sub}
edges:
  one: {from: input, to: first, mapping: {message: message, n: 3}, condition: "message != ''"}
  two: {from: first, to: output}
entrypoints: {quick: [first], slow: {nodes: [agent, loop]}}
orchestration: {emit_signals: true, publish: {path: out/result.json, alias: latest}}
env: {KEY: {description: A key, required: true}}
"""
PROMPT = "---\nid: sort\n---\nSort {{message}}\n"


def test_everything_in_a_manifest_is_in_the_project(tmp_path: Path) -> None:
    write(tmp_path, {"clew.yaml": FULL, "prompts/sort.prompt": PROMPT})
    project = load_project(tmp_path, environ={"KEY": "k"})
    assert project.warnings == []
    assert (project.name, project.version, project.description) == ("triage", "1.0", "Sorts mail")
    assert (project.root, project.trident) == (tmp_path.resolve(), None)
    defaults = project.defaults
    assert (defaults.model, defaults.temperature, defaults.max_tokens) == ("openai/gpt-5", 0.2, 512)
    assert defaults.retry == Retry(attempts=3, delay_s=0.5, factor=3.0, max_delay_s=9.0)
    assert (defaults.timeout_s, defaults.concurrency, defaults.on_error) == (30.0, 4, "cancel")
    assert (defaults.base_url, defaults.script, defaults.allow_commands) == (
        "http://localhost:1234/v1",
        "answers.yaml",
        ["git"],
    )
    assert project.orchestration.emit_signals
    assert (project.orchestration.publish, project.orchestration.alias) == ("out/result.json", "latest")
    assert {name: entrypoint.nodes for name, entrypoint in project.entrypoints.items()} == {
        "quick": ["first"],
        "slow": ["agent", "loop"],
    }
    one, two = project.edges
    assert (one.id, one.source, one.target, one.condition) == ("one", "input", "first", "message != ''")
    assert one.mapping == {"message": "message", "n": "3"}
    assert (two.mapping, two.condition) == ({}, None)


def test_every_kind_of_node_has_its_settings(tmp_path: Path) -> None:
    write(tmp_path, {"clew.yaml": FULL, "prompts/sort.prompt": PROMPT})
    nodes = load_project(tmp_path, environ={"KEY": "k"}).nodes
    assert list(nodes) == [
        "input",
        "first",
        "agent",
        "loop",
        "after",
        "output",
        "look_up",
        "near",
        "fetch",
        "log",
    ]
    match list(nodes.values()):
        case [
            InputNode(schema={"message": message}),
            PromptNode(
                prompt="sort", model="openai/gpt-5-mini", temperature=1.0, max_tokens=7, timeout_s=5.0
            ),
            AgentNode(prompt="sort", max_turns=5, token_budget=1000, cost_budget_usd=0.5) as agent,
            BranchNode(workflow="./inner", condition="n > 1", loop_while="n < 3", max_iterations=4),
            TriggerNode(workflow="self", mode="wait", pass_outputs=False, emit_signal=True, condition="true"),
            OutputNode(format="text"),
            ToolNode(type="python", module="tools_of_mine", function="look_up", description="Looks up"),
            ToolNode(type="python", module="./near.py", function="f"),
            ToolNode(
                type="http", method="POST", url="https://example.org/{{q}}", headers={"X-Key": "${KEY}"}
            ),
            ToolNode(type="shell", command=["git", "log", "{{n}}"], cwd="sub"),
        ]:
            assert message.description == "what was written"
            assert agent.tools == ["look_up", "files.read"]
            (server,) = agent.mcp_servers
            assert (server.name, server.command, server.args, server.env) == (
                "files",
                "npx",
                ["server", "1"],
                {"KEY": "${KEY}"},
            )
        case _:
            pytest.fail(str(nodes))
    assert nodes["first"].retry == Retry(attempts=2)
    assert nodes["first"].definition["retry"] == 2
    assert nodes["first"].place.line == 19


@pytest.mark.parametrize(
    "name, kinds",
    [
        ("fail", "InputNode OutputNode ToolNode ToolNode"),
        ("par", "InputNode OutputNode ToolNode ToolNode ToolNode"),
        ("loop", "InputNode BranchNode BranchNode OutputNode"),
        ("ticket", "InputNode OutputNode PromptNode PromptNode PromptNode"),
    ],
)
def test_a_real_project_of_trident_is_read_unchanged(name: str, kinds: str) -> None:
    project = load_project(sample(f"trident/projects/{name}"), environ={})
    assert project.warnings == []
    assert project.trident == "0.1"
    assert " ".join(type(node).__name__ for node in project.nodes.values()) == kinds


def test_the_first_known_name_in_a_folder_is_its_manifest(tmp_path: Path) -> None:
    for name in ("trident.yaml", "trident.tml", "agent.tml", "clew.yaml"):
        (tmp_path / name).write_text("name: x")
        assert find_manifest(tmp_path) == tmp_path / name
    assert find_manifest(tmp_path / "agent.tml") == tmp_path / "agent.tml"


def test_where_there_is_no_manifest_it_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ProjectError, match=r"no workflow in .*: it has no clew.yaml, agent.tml, trident.tml or"
    ):
        find_manifest(tmp_path)
    with pytest.raises(ProjectError, match="there is no file or folder"):
        find_manifest(tmp_path / "nowhere")
    with pytest.raises(ProjectError, match=r"there is no file or folder|cannot be read"):
        find_manifest(Path("a\0b"))


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "clew.yaml": "name: x\nnodez: {}\nnodes:\n  in: {type: inptu}\n  in: {type: output}\n  t: {type: tool}\n"
            "  b: {type: branch, max_iterations: 0}\nedges:\n  e1: {form: a, to: b}\n  e2: 5\n  e3:\n"
            "defaults: {temperature: hot, retry: {attempts: -1}}\n"
            'tools:\n  q: {type: shell, command: "ls -la"}\n  r: {type: python}\n  h: {type: http, method: LOOK}\n',
            "prompts/a.prompt": "x",
            "prompts/b.prompt": "---\ninputs: {}\n---\nhey",
        },
    )
    assert refused(tmp_path) == [
        "clew.yaml:2: a manifest has no 'nodez'; did you mean 'nodes'?",
        "clew.yaml:4: type of node 'in' is 'inptu', and may be input, output, prompt, agent, branch or trigger; did you mean 'input'?",
        "clew.yaml:5: the key 'in' stands on line 4 already",
        "clew.yaml:6: 't' is a tool, and tools stand under 'tools:', not under 'nodes:'",
        "clew.yaml:7: node 'b' needs 'workflow'",
        "clew.yaml:7: max_iterations of node 'b' should be a whole number of at least 1, not the number 0",
        "clew.yaml:9: edge 'e1' needs 'from'",
        "clew.yaml:9: edge 'e1' has no 'form'; did you mean 'from'?",
        "clew.yaml:10: edge 'e2' should be a mapping, not the number 5",
        "clew.yaml:11: edge 'e3' needs 'from' and 'to'",
        "clew.yaml:12: temperature of defaults should be a number of at least 0, not the text 'hot'",
        "clew.yaml:12: attempts of retry should be a whole number of at least 1, not the number -1",
        "clew.yaml:14: command of tool 'q' is a list, the program and then each argument: no shell reads it",
        "clew.yaml:15: tool 'r' needs 'function'",
        "clew.yaml:15: tool 'r' needs a 'module', a file in tools/, or a 'path'",
        "clew.yaml:16: 'LOOK' is no HTTP method that tools may use",
        "clew.yaml:16: tool 'h' needs 'url'",
        "prompts/a.prompt:1: a prompt file begins with a line --- above its fields",
        "prompts/b.prompt:2: a prompt has no 'inputs'; did you mean 'input'?",
    ]


def test_files_are_named_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"inner/clew.yaml": "nodes: {}"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=r"^inner/clew.yaml:1: a manifest needs a 'name'$") as caught:
        load_project(Path("inner"), environ={})
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "clew.yaml:1: the file is empty"),
        ("- a", "clew.yaml:1: a manifest is a mapping: name, nodes, edges and so on"),
        ("name: [x]", "clew.yaml:1: name of a manifest should be a text, not a list"),
        ("name: x\nnodes: [a]", "clew.yaml:2: nodes of a manifest should be a mapping, not a list"),
        ("name: x\nnodes:\n  '\\e': {type: output}\ntools: {}", None),
        ('name: x\nnodes:\n  "\\e[0m": {type: output}', "clew.yaml:3: '\\x1b[0m' is no name of a node"),
        ("name: x\ntools:\n  t:", "clew.yaml:3: tool 't' says nothing about itself"),
        (
            "name: x\nentrypoints: [[a]]",
            "clew.yaml:2: entrypoints of a manifest should be a list of texts, not a list",
        ),
        (
            "name: x\ndefaults:\n  allow_commands: [git,\n    yes]",
            "clew.yaml:4: allow_commands of defaults has a word that YAML reads as true; write it in quotes",
        ),
        (
            "name: x\ntools:\n  t: {type: shell, command: [git,\n    null]}",
            "clew.yaml:4: command of tool 't' has a word that YAML reads as nothing; write it in quotes",
        ),
        ("name: x\nenv: {A: 1}", "clew.yaml:2: the variable 'A' should be a mapping, not the number 1"),
    ],
)
def test_what_is_wrong_with_one_entry_is_one_sentence(tmp_path: Path, text: str, said: str | None) -> None:
    write(tmp_path, {"clew.yaml": text})
    if said is None:
        load_project(tmp_path, environ={})
    else:
        assert said in refused(tmp_path)


def test_what_only_edges_name_becomes_an_input_an_output_or_a_prompt(tmp_path: Path) -> None:
    text = "name: x\nedges:\n  a: {from: start, to: sort}\n  b: {from: sort, to: finish}\n"
    write(tmp_path, {"clew.yaml": text, "prompts/sort.prompt": PROMPT, "prompts/other.prompt": "---\n---\nx"})
    project = load_project(tmp_path, environ={})
    assert {name: type(node) for name, node in project.nodes.items()} == {
        "sort": PromptNode,
        "start": InputNode,
        "finish": OutputNode,
    }
    assert sorted(project.prompts) == ["other", "sort"]
    assert project.warnings == []


def test_a_name_near_that_of_a_node_is_an_error_and_a_warning_in_the_original_format(tmp_path: Path) -> None:
    text = "name: x\nnodes: {output: {type: output}}\nedges:\n  a: {from: start, to: outptu}\n"
    write(tmp_path, {"clew.yaml": text})
    assert refused(tmp_path) == [
        "clew.yaml:4: no node is called 'outptu'; did you mean 'output'? If not, declare it under 'nodes:'"
    ]
    (tmp_path / "clew.yaml").unlink()
    project = load_project(write(tmp_path, {"agent.tml": f"trident: '0.1'\n{text}"}), environ={})
    (warning,) = project.warnings
    assert not warning.is_error
    assert warning.message == "no node is called 'outptu', so it becomes an output; did you mean 'output'?"
    assert warning.place.line == 5


def test_a_prompt_may_be_named_by_its_file_in_any_folder_of_the_project(tmp_path: Path) -> None:
    text = "name: x\nnodes: {a: {type: agent, prompt: texts/b.prompt}, c: {prompt: texts/none.prompt}}\n"
    write(tmp_path, {"clew.yaml": text, "texts/b.prompt": "---\nid: bee\n---\nx"})
    assert refused(tmp_path) == ["clew.yaml:2: there is no prompt file texts/none.prompt"]
    write(tmp_path, {"texts/none.prompt": "---\n---\nx"})
    project = load_project(tmp_path, environ={})
    assert {
        name: node.prompt for name, node in project.nodes.items() if isinstance(node, (AgentNode, PromptNode))
    } == {
        "a": "bee",
        "c": "none",
    }


def test_the_variables_of_a_dotenv_file_fill_what_is_not_set_and_touch_nothing_else(tmp_path: Path) -> None:
    lines = "# keys\nA=1\nexport B = 'two words'\nC=\"=\"\nD=it's\nnothing\n=x\nE=from file\n"
    write(tmp_path, {"clew.yaml": "name: x\nenv: {F: {required: true}, E: {required: true}}", ".env": lines})
    before = dict(os.environ)
    project = load_project(tmp_path, environ={"E": "set"})
    assert project.env == {"A": "1", "B": "two words", "C": "=", "D": "it's"}
    assert dict(os.environ) == before
    assert [problem.message for problem in project.warnings] == [
        "the variable F is not set; set it, or write it into .env"
    ]


def test_unknown_keys_are_warnings_in_a_project_of_trident(tmp_path: Path) -> None:
    text = "trident: '0.1'\nname: x\nauthor: me\nnodes: {a: {type: input, colour: red}}\n"
    project = load_project(write(tmp_path, {"agent.tml": text}), environ={})
    assert [problem.is_error for problem in project.warnings] == [False, False]


def test_two_prompts_of_one_id_and_two_nodes_of_one_name_are_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "clew.yaml": "name: x\nnodes: {a: {type: output}}\ntools:\n  a: {module: m, function: f}\n",
            "prompts/a.prompt": "---\nid: x\n---\nx",
            "prompts/b.prompt": "---\nid: x\n---\nx",
        },
    )
    assert refused(tmp_path) == [
        "clew.yaml:4: 'a' is the name of a node already",
        "prompts/b.prompt:1: the id 'x' is that of a.prompt already",
    ]
