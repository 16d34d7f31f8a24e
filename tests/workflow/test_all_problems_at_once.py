"""Validation says everything that is wrong at once, and nothing twice: what follows from a mistake is no news."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.errors import ProjectError
from clew.workflow.manifest import load_project, read_project
from clew.workflow.validate import judge
from tests.workflow.written_projects import judged, refused, write

pytestmark = pytest.mark.needs_extra("workflow")

SORT = "---\nmodel: openai/x\ninput: {message: string}\noutput: {schema: {topic: string}}\n---\nSort {{message}}\n"
GOOD = """name: x
defaults: {model: openai/x, allow_commands: [git]}
nodes:
  input: {type: input, schema: {message: string}}
  sort: {type: prompt, prompt: sort}
  work: {type: agent, prompt: sort, tools: [add]}
  output: {type: output}
tools:
  add: {type: python, module: t, function: add}
  log: {type: shell, command: [git, log, "{{n}}"]}
edges:
  a: {from: input, to: sort, mapping: {message: message}}
  b: {from: sort, to: output, mapping: {topic: topic}}
  c: {from: input, to: work, mapping: {message: message}}
  d: {from: work, to: log, mapping: {n: topic}}
  e: {from: log, to: output}
"""


def changed(folder: Path, *pairs: tuple[str, str], sort: str = SORT, **files: str) -> list[str]:
    """Return what is said of the good project with texts of its manifest replaced."""
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    write(
        folder, {"clew.yaml": text, "prompts/sort.prompt": sort, "tools/t.py": "def add(a=1): ...", **files}
    )
    return judged(folder)


def test_the_project_that_these_tests_break_has_no_problems(tmp_path: Path) -> None:
    assert changed(tmp_path) == []


def test_problems_of_reading_and_of_checking_are_told_together_in_the_order_of_lines(tmp_path: Path) -> None:
    said = changed(
        tmp_path,
        ("name: x", "name: x\nentrypoints: [inptu]"),
        ("type: input,", "type: input, colour: red,"),
        ("tools: [add]", "tools: [ad], max_turns: 0"),
        ("function: add", "function: ad"),
        ("to: output, mapping: {topic: topic}", "to: ouput, mapping: {topic: topik}, condition: 'x ='"),
        ("to: log, mapping: {n: topic}", "to: work"),
        ("{from: log, to: output}", "{from: log, to: output}\norchestration: {publish: ../x, aliass: y}"),
    )
    assert said == [
        "clew.yaml:2: the entrypoint 'inptu': no node is called 'inptu'; did you mean 'input'?",
        "clew.yaml:5: node 'input' has no 'colour'",
        "clew.yaml:7: max_turns of node 'work' should be a whole number of at least 1, not the number 0",
        "clew.yaml:7: agent 'work' may use the tool 'ad', which is neither under 'tools:' nor of an MCP server; did you mean 'add'?",
        "clew.yaml:10: tool 'add': t.py has no function 'ad'; did you mean 'add'?",
        "clew.yaml:11: nothing gives 'log' its field 'n'",
        "clew.yaml:14: no node is called 'ouput'; did you mean 'output'? If not, declare it under 'nodes:'",
        "clew.yaml:14: the condition of edge 'b' cannot be read: '=' compares nothing; use '==', at character 3 of 'x ='",
        "clew.yaml:14: edge 'b' takes 'topik' from 'sort': no field 'topik'; did you mean 'topic'?",
        "clew.yaml:16: the edges go in a circle: work -> work; a loop is a branch with 'loop_while'",
        "clew.yaml:18: orchestration has no 'aliass'; did you mean 'alias'?",
        "clew.yaml:18: the path to publish to '../x' leaves the project's folder; it may not contain '..'",
    ]


@pytest.mark.parametrize(
    "old, new, said",
    [
        # a node that was refused, or lacks what may only be misspelt
        ("{type: prompt, prompt: sort}", "{type: promt, prompt: sort}", "5: type of node 'sort' is 'promt', and may be input, output, prompt, agent, branch or trigger; did you mean 'prompt'?"),
        ("{type: prompt, prompt: sort}", "[x]", "5: node 'sort' should be a mapping, not a list"),
        ("work: {type: agent, prompt: sort,", "work: {type: agent, promt: sort,", "6: node 'work' has no 'promt'; did you mean 'prompt'?"),
        ("tools: [add]", "toolls: [add]", "6: node 'work' has no 'toolls'; did you mean 'tools'?"),
        ("work: {type: agent,", "work: {type: agnet,", "6: type of node 'work' is 'agnet', and may be input, output, prompt, agent, branch or trigger; did you mean 'agent'?"),
        ("add: {type: python,", "add: {type: pyhton,", "9: type of tool 'add' is 'pyhton', and may be python, http or shell; did you mean 'python'?"),
        ('command: [git, log, "{{n}}"]', "command: git log", "10: command of tool 'log' is a list, the program and then each argument: no shell reads it"),
        # a section that was not read
        ("\nnodes:", "\nnode:", "3: a manifest has no 'node'; did you mean 'nodes'?"),
        ("\ntools:", "\ntoolz:", "8: a manifest has no 'toolz'; did you mean 'tools'?"),
        ("\nedges:", "\nedgs:", "11: a manifest has no 'edgs'; did you mean 'edges'?"),
        ("\ndefaults: {", "\ndefalts: {", "2: a manifest has no 'defalts'; did you mean 'defaults'?"),
        ("allow_commands", "alow_commands", "2: defaults has no 'alow_commands'; did you mean 'allow_commands'?"),
        ("\ntools:\n", "\ntools:\n  add: {type: python, module: t, function: add}\ntools:\n", "10: the key 'tools' stands on line 8 already"),
        # an edge that was not read, or not all of it
        ("to: sort, mapping", "to: srot, mapping", "12: no node is called 'srot'; did you mean 'sort'? If not, declare it under 'nodes:'"),
        ("a: {from: input", "a: {from: inptu", "12: no node is called 'inptu'; did you mean 'input'? If not, declare it under 'nodes:'"),
        ("a: {from: input, to: sort, mapping", "a: {from: input, to: sort, maping", "12: edge 'a' has no 'maping'; did you mean 'mapping'?"),
        ("mapping: {topic: topic}", "mapping: {topic: [topic]}", "13: mapping of edge 'b': 'topic' should be a text, not a list"),
        ("{from: log, to: output}", "[log, output]", "16: edge 'e' should be a mapping, not a list"),
    ],
)  # fmt: skip
def test_what_follows_from_a_mistake_in_the_manifest_is_not_told(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert changed(tmp_path, (old, new)) == [f"clew.yaml:{said}"]


@pytest.mark.parametrize(
    "sort, said",
    [
        (SORT.replace("model:", "modell:"), "2: a prompt has no 'modell'; did you mean 'model'?"),
        (SORT.replace("input:", "inputs:"), "3: a prompt has no 'inputs'; did you mean 'input'?"),
        (SORT.replace("output:", "outputs:"), "4: a prompt has no 'outputs'; did you mean 'output'?"),
        (
            SORT.replace("model: openai/x", "model: [x"),
            "3: this is no YAML: did not find expected ',' or ']'",
        ),
        (SORT[4:], "1: a prompt file begins with a line --- above its fields"),
    ],
)
def test_what_follows_from_a_mistake_in_a_prompt_is_not_told(tmp_path: Path, sort: str, said: str) -> None:
    model = ("{model: openai/x, ", "{")
    assert changed(tmp_path, model, sort=sort) == [f"prompts/sort.prompt:{said}"]


def test_links_out_of_the_project_hide_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, {"away/secret": "A=1", "p/prompts/sort.prompt": SORT})
    (tmp_path / "p/.env").symlink_to(tmp_path / "away/secret")
    (tmp_path / "p/prompts/leak.prompt").symlink_to(tmp_path / "away/secret")
    said = changed(
        tmp_path / "p",
        ("name: x", "name: x\nenv: {A: {required: true}}"),
        ("{from: log, to: output}", "{from: log, to: output}\norchestration: {alias: ../x}"),
    )
    assert said == [
        "clew.yaml:18: the alias '../x' is no plain name",
        ".env:1: the file '.env' is a link that leaves the project's folder",
        "prompts/leak.prompt:1: the prompt 'prompts/leak.prompt' is a link that leaves the project's folder",
    ]


def test_a_field_whose_entry_has_a_mistake_need_not_arrive(tmp_path: Path) -> None:
    sort = SORT.replace("{message: string}", "{message: string, n: {type: integer, requird: false}}")
    assert changed(tmp_path, sort=sort) == [
        "prompts/sort.prompt:3: the field 'n' of the prompt's input has no 'requird'; did you mean 'required'?"
    ]


def test_an_edge_that_lacks_an_end_may_lead_to_whatever_lacks_something(tmp_path: Path) -> None:
    assert changed(tmp_path, ("to: sort, mapping", "too: sort, mapping")) == [
        "clew.yaml:12: edge 'a' needs 'to'",
        "clew.yaml:12: edge 'a' has no 'too'; did you mean 'to'?",
    ]
    assert changed(tmp_path, ("b: {from: sort", "b: {form: sort")) == [
        "clew.yaml:13: edge 'b' needs 'from'",
        "clew.yaml:13: edge 'b' has no 'form'; did you mean 'from'?",
    ]


def test_a_misspelt_end_is_checked_as_the_node_that_was_meant(tmp_path: Path) -> None:
    edge = ("to: sort, mapping: {message: message}", "to: srot, mapping: {mesage: message}")
    assert changed(tmp_path, edge) == [
        "clew.yaml:12: no node is called 'srot'; did you mean 'sort'? If not, declare it under 'nodes:'",
        "clew.yaml:12: nothing gives 'sort' its field 'message'; it is given 'mesage'",
        "clew.yaml:12: edge 'a' gives 'sort' 'mesage', which it does not take; did you mean 'message'?",
    ]


def test_an_inner_workflow_with_mistakes_is_checked_and_what_it_gives_is_unknown(tmp_path: Path) -> None:
    branch = (
        "{type: prompt, prompt: sort}",
        "{type: branch, workflow: inner, loop_while: 'x =', colour: red}",
    )
    inner = "name: inner\nnodes: {in: {type: inptu}}\nedges: {a: {from: in, to: out, condition: 'y ='}}"
    assert changed(tmp_path, branch, **{"inner/clew.yaml": inner}) == [
        "clew.yaml:5: node 'sort' has no 'colour'",
        "clew.yaml:5: loop_while of 'sort' cannot be read: '=' compares nothing; use '==', at character 3 of 'x ='",
        "inner/clew.yaml:2: type of node 'in' is 'inptu', and may be input, output, prompt, agent, branch or trigger; did you mean 'input'?",
        "inner/clew.yaml:3: the condition of edge 'a' cannot be read: '=' compares nothing; use '==', at character 3 of 'y ='",
    ]


def test_who_runs_a_project_gets_no_half_of_one(tmp_path: Path) -> None:
    changed(tmp_path, ("type: input,", "type: input, colour: red,"))
    project, found = read_project(tmp_path, environ={})
    assert project is not None
    assert (project.name, project.is_sound, [problem.is_error for problem in found]) == ("x", False, [True])
    assert refused(tmp_path) == ["clew.yaml:4: node 'input' has no 'colour'"]
    changed(tmp_path)
    sound, found = read_project(tmp_path, environ={})
    assert sound is not None
    assert (sound.is_sound, found, sound.doubts) == (True, [], frozenset())
    assert load_project(tmp_path, environ={}) == sound


def test_where_the_manifest_has_no_values_there_is_no_project(tmp_path: Path) -> None:
    project, found = judge(write(tmp_path, {"clew.yaml": "name: [x"}), environ={})
    assert (project, len(found)) == (None, 1)
    with pytest.raises(ProjectError, match="there is no file or folder"):
        judge(tmp_path / "nowhere", environ={})


@pytest.mark.parametrize(
    "edges, said",
    [
        ("a: {from: start, to: result}\n  b: {from: resullt, to: result}", "5: no node is called 'resullt'; declare it under 'nodes:'"),
        ("a: {from: start, to: result}\n  b: {from: result, to: resullt}", "5: no node is called 'resullt'; declare it under 'nodes:'"),
        ("a: {from: start, to: result}\n  b: {from: result, to: strat}", "5: no node is called 'strat'; did you mean 'start'? If not, declare it under 'nodes:'"),
    ],
)  # fmt: skip
def test_a_name_that_is_guessed_makes_no_circle(tmp_path: Path, edges: str, said: str) -> None:
    nodes = "nodes: {start: {type: input}, result: {type: output}}"
    folder = write(tmp_path, {"clew.yaml": f"name: a\n{nodes}\nedges:\n  {edges}\n"})
    assert [line for line in judged(folder) if not line.startswith("warning")] == [f"clew.yaml:{said}"]
