"""Validation finds every mistake before anything runs, and no mistake where there is none."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from clew.workflow.manifest import load_project
from clew.workflow.validate import problems
from tests.export.sample_files import sample
from tests.workflow.written_projects import judged, write

pytestmark = pytest.mark.needs_extra("workflow")

SORT = (
    "---\nmodel: openai/x\ninput: {message: string}\noutput:\n  schema:\n    topic: string\n    urgency: integer\n"
    "    who: {type: object, fields: {name: string}}\n    tags: {type: array, items: string}\n---\nSort {{message}}\n"
)
ANSWER = "---\nmodel: openai/x\ninput:\n  topic: string\n  n: {type: number, required: false}\n---\nAnswer {{topic}}\n"
HEAD = "name: x\nnodes:\n  input: {type: input, schema: {message: string, count: integer, who: object}}\n  output: {type: output}\n"
TOOL = "import nothing_like_this\nraise SystemExit('never imported')\n\ndef add(a, b=1, *, c): ...\nasync def run(**more): ...\n"


def project(folder: Path, edges: str, *, more: str = "", **files: str) -> Path:
    """Write a project with the prompts `sort` and `answer`, these edges, one a line, and more of the manifest."""
    lines = [f"  e{number}: {{{edge.strip()}}}" for number, edge in enumerate(edges.strip().splitlines(), 1)]
    return write(
        folder,
        {
            "clew.yaml": HEAD + more + "edges:\n" + "\n".join(lines) + "\n",
            "prompts/sort.prompt": SORT,
            "prompts/answer.prompt": ANSWER,
            "tools/t.py": TOOL,
            **files,
        },
    )


IN = "from: input, to: sort, mapping: {message: message}"
OUT = "from: sort, to: output, mapping: {topic: topic}"


@pytest.mark.parametrize("name", ["fail", "par", "loop", "ticket"])
def test_a_real_project_of_trident_has_no_problems(name: str) -> None:
    assert problems(load_project(sample(f"trident/projects/{name}"), environ={}), environ={}) == []


def test_a_good_project_has_no_problems(tmp_path: Path) -> None:
    edges = f"""{IN}
        {OUT}
        from: sort, to: answer, mapping: {{topic: output.who.name, n: urgency}}, condition: "urgency >= 3 and tags[0] != 'x'"
        from: answer, to: output, mapping: {{text: text}}
        from: input, to: add, mapping: {{a: count, c: message}}
        from: add, to: output"""
    assert judged(project(tmp_path, edges, more="tools: {add: {module: t, function: add}}\n")) == []


@pytest.mark.parametrize(
    "edge, said",
    [
        ("from: sort, to: answer, mapping: {topic: topik}", "edge 'e3' takes 'topik' from 'sort': no field 'topik'; did you mean 'topic'?"),
        ("from: sort, to: answer, mapping: {topic: who.nam}", "edge 'e3' takes 'who.nam' from 'sort': who has no field 'nam'; did you mean 'name'?"),
        ("from: sort, to: answer, mapping: {topic: topic.x}", "edge 'e3' takes 'topic.x' from 'sort': topic is string, which has no 'x'"),
        ("from: sort, to: answer, mapping: {topic: text}", "edge 'e3' takes 'text' from 'sort': no field 'text'; there is topic, urgency, who or tags"),
        ("from: sort, to: answer, mapping: {topic: topic, n: topic}", "edge 'e3' gives 'answer' for 'n' string where number is wanted"),
        ("from: sort, to: answer, mapping: {topic: topic, m: topic}", "edge 'e3' gives 'answer' 'm', which it does not take"),
        ("from: sort, to: answer, mapping: {topic: topic}, condition: 'urgency >= '", "the condition of edge 'e3' cannot be read: a field or a value should stand here, and the condition ends, at character 12 of 'urgency >= '"),
        ("from: sort, to: answer, mapping: {topic: topic}, condition: 'urgancy > 1'", "the condition of edge 'e3': no field 'urgancy'; did you mean 'urgency'?"),
        ("from: sort, to: answer, mapping: {topic: topic}, condition: 'urgency == True'", "the condition of edge 'e3': no field 'True'; there is topic, urgency, who or tags; did you mean 'true'?"),
    ],
)  # fmt: skip
def test_a_mistake_on_an_edge_is_found_with_its_line(tmp_path: Path, edge: str, said: str) -> None:
    found = judged(project(tmp_path, f"{IN}\n{OUT}\n{edge}\nfrom: answer, to: output"))
    assert found == [f"clew.yaml:8: {said}"]


def test_a_field_that_nothing_gives_is_found(tmp_path: Path) -> None:
    found = judged(project(tmp_path, f"{IN}\n{OUT}\nfrom: sort, to: answer, mapping: {{n: urgency}}"))
    assert found == ["clew.yaml:8: nothing gives 'answer' its field 'topic'"]
    found = judged(project(tmp_path / "b", f"{IN}\n{OUT}\nfrom: input, to: answer"))
    assert found == ["clew.yaml:8: nothing gives 'answer' its field 'topic'"]


def test_an_edge_without_a_mapping_brings_all_fields(tmp_path: Path) -> None:
    assert judged(project(tmp_path, f"{IN}\nfrom: sort, to: answer\nfrom: answer, to: output")) == []


def test_a_circle_is_named_whole(tmp_path: Path) -> None:
    edges = "\n".join(
        f"from: {a}, to: {b}" for a, b in [*map(tuple, ["xa", "ab", "bc", "ca", "dd", "cy", "zd"])]
    )
    found = judged(
        write(
            tmp_path,
            {
                "agent.tml": "trident: 1\nname: x\ntools:\n"
                + "".join(f"  {name}: {{module: t, function: f}}\n" for name in "abcd")
                + "edges:\n"
                + "".join(f"  e{n}: {{{edge}}}\n" for n, edge in enumerate(edges.splitlines())),
                "tools/t.py": "f = print",
            },
        )
    )
    assert found == [
        "agent.tml:12: the edges go in a circle: a -> b -> c -> a; a loop is a branch with 'loop_while'",
        "agent.tml:13: the edges go in a circle: d -> d; a loop is a branch with 'loop_while'",
    ]


@pytest.mark.parametrize(
    "tool, said",
    [
        ("{module: t, function: ad}", "tool 'x': t.py has no function 'ad'; did you mean 'add'?"),
        ("{module: tt, function: add}", "tool 'x' is in tools/tt.py, and there is no such file; did you mean 't'?"),
        ("{module: bad, function: f}", None),
        ("{module: ../t, function: add}", "tool 'x': the tool's file '../t.py' leaves the project's folder; it may not contain '..'"),
        ("{path: /etc/t.py, function: add}", "tool 'x': the tool's file '/etc/t.py' is not relative to the project's folder"),
        ("{path: link/t.py, function: add}", "tool 'x': the tool's file 'link/t.py' is a link that leaves the project's folder"),
        ("{type: shell, command: [rm, -rf]}", "tool 'x' starts 'rm', which is not in allow_commands under 'defaults:'; those are git"),
        ("{type: shell, command: ['{{p}}']}", "tool 'x': which program runs may not come from a variable"),
        ("{type: shell, command: [git], cwd: ../..}", "tool 'x': its folder '../..' leaves the project's folder; it may not contain '..'"),
        ("{type: http, url: 'file:///etc/passwd'}", "the URL of 'x' begins with neither http:// nor https://"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_tool_is_found(tmp_path: Path, tool: str, said: str | None) -> None:
    more = f"tools:\n  x: {tool}\ndefaults: {{allow_commands: [git]}}\n"
    write(tmp_path, {"away/t.py": TOOL})
    folder = project(
        tmp_path / "p", f"{IN}\n{OUT}\nfrom: x, to: output", more=more, **{"tools/bad.py": "def f(:\n"}
    )
    (folder / "link").symlink_to(tmp_path / "away")
    expected = "tools/bad.py:1: this is no Python: invalid syntax" if said is None else f"clew.yaml:6: {said}"
    assert expected in judged(folder)


def test_the_parameters_of_a_python_tool_are_those_of_its_function(tmp_path: Path) -> None:
    more = "tools:\n  add: {module: t, function: add}\n  run: {module: t, function: run}\n"
    edges = f"{IN}\n{OUT}\nfrom: input, to: add, mapping: {{a: count, d: count}}\nfrom: input, to: run, mapping: {{z: count}}"
    assert judged(project(tmp_path, edges, more=more)) == [
        "clew.yaml:11: nothing gives 'add' its field 'c'",
        "clew.yaml:11: edge 'e3' gives 'add' 'd', which it does not take",
    ]


def test_unknown_names_are_found_with_what_may_have_been_meant(tmp_path: Path) -> None:
    more = (
        "  ask: {type: prompt, prompt: sotr}\n  work: {type: agent, prompt: sort, tools: [ad, files.read, other.read]\n"
        "    , mcp_servers: {files: {command: x}}}\n"
        "tools: {add: {module: t, function: run}}\nentrypoints: [inptu]\n"
        "defaults: {script: none.yaml}\norchestration: {publish: ../out.json, alias: ../x}\n"
    )
    edges = f"{IN}\n{OUT}\nfrom: input, to: ask\nfrom: ask, to: output\n{IN.replace('sort', 'work')}\nfrom: work, to: output"
    found = judged(project(tmp_path, edges, more=more))
    assert found == [
        "clew.yaml:5: 'ask' uses the prompt 'sotr', which is not in prompts/; did you mean 'sort'?",
        "clew.yaml:6: agent 'work' may use the tool 'ad', which is neither under 'tools:' nor of an MCP server; did you mean 'add'?",
        "clew.yaml:6: agent 'work' may use the tool 'other.read', which is neither under 'tools:' nor of an MCP server",
        "clew.yaml:9: the entrypoint 'inptu': no node is called 'inptu'; did you mean 'input'?",
        "clew.yaml:10: there is no script none.yaml",
        "clew.yaml:11: the path to publish to '../out.json' leaves the project's folder; it may not contain '..'",
        "clew.yaml:11: the alias '../x' is no plain name",
    ]


def test_a_prompt_without_a_model_and_a_scripted_one_without_a_script_are_found(tmp_path: Path) -> None:
    more = "defaults: {model: scripted}\n"
    folder = project(
        tmp_path, f"{IN}\n{OUT}", **{"prompts/sort.prompt": SORT.replace("model: openai/x\n", "")}
    )
    assert judged(folder) == [
        "prompts/sort.prompt:1: 'sort' has no model; name one there, in its prompt or under 'defaults:'"
    ]
    text = (folder / "clew.yaml").read_text()
    (folder / "clew.yaml").write_text(text + more)
    assert judged(folder) == [
        "prompts/sort.prompt:1: 'sort' has the model scripted, and 'script' under 'defaults:' names no file"
    ]


def test_a_variable_that_the_prompt_uses_and_does_not_declare_has_to_arrive(tmp_path: Path) -> None:
    files = {
        "prompts/sort.prompt": "---\nmodel: openai/x\nsystem: 'For {{firm}}'\n---\n{{who.name}} {{mesage}}"
    }
    assert judged(project(tmp_path, f"{IN}\n{OUT.replace(': topic}', ': text}')}", **files)) == [
        "clew.yaml:6: nothing gives 'sort' its field 'firm'",
        "clew.yaml:6: nothing gives 'sort' its field 'mesage'; it is given 'message'",
        "clew.yaml:6: nothing gives 'sort' its field 'who'",
        "clew.yaml:6: edge 'e1' gives 'sort' 'message', which it does not take; did you mean 'mesage'?",
    ]


def test_nodes_that_no_entrypoint_leads_to_are_warned_of(tmp_path: Path) -> None:
    more = "tools: {run: {module: t, function: run}, add: {module: t, function: run}}\nentrypoints: {main: [input]}\n"
    assert judged(project(tmp_path, f"{IN}\n{OUT}\nfrom: run, to: add", more=more)) == [
        "warning: clew.yaml:5: no entrypoint leads to 'run'",
        "warning: clew.yaml:5: no entrypoint leads to 'add'",
    ]


def test_an_edge_into_an_input_is_warned_of(tmp_path: Path) -> None:
    more = "tools: {run: {module: t, function: run}}\n"
    assert judged(project(tmp_path, f"{IN}\n{OUT}\nfrom: run, to: input", more=more)) == [
        "warning: clew.yaml:9: 'input' is an input, which takes nothing from 'run'"
    ]


INNER = (
    "name: inner\nnodes:\n  in: {type: input, schema: {n: integer}}\n  out: {type: output}\n"
    "tools: {inc: {module: inc, function: inc}}\nedges:\n  a: {from: in, to: inc, mapping: {n: n}}\n"
    "  b: {from: inc, to: out, mapping: {n: n, done: done}}\n"
)


def nested(folder: Path, branch: str, *, mapping: str = "{n: count}", inner: str = INNER) -> list[str]:
    edges = f"from: input, to: loop, mapping: {mapping}\nfrom: loop, to: output"
    more = f"  loop: {branch}\n"
    files = {"inner/clew.yaml": inner, "inner/tools/inc.py": "def inc(n): ..."}
    return judged(project(folder, edges, more=more, **files))


@pytest.mark.parametrize(
    "branch, mapping, said",
    [
        ("{type: branch, workflow: ./inner, loop_while: 'not done', condition: 'n < 3'}", "{n: count}", []),
        ("{type: branch, workflow: inner/clew.yaml}", "{n: count}", []),
        ("{type: trigger, workflow: inner, mode: wait}", "{n: count}", []),
        ("{type: branch, workflow: self, loop_while: 'x'}", "{message: message, count: count, who: who}", []),
        ("{type: branch, workflow: inner, loop_while: 'don'}", "{n: count}", ["clew.yaml:5: loop_while of 'loop': no field 'don'; did you mean 'done'?"]),
        ("{type: branch, workflow: inner, condition: 'm < 3'}", "{n: count}", ["clew.yaml:5: the condition of 'loop': no field 'm'; there is n"]),
        ("{type: branch, workflow: inner}", "{m: count}", ["clew.yaml:7: nothing gives 'loop' its field 'n'", "clew.yaml:7: edge 'e1' gives 'loop' 'm', which it does not take"]),
        ("{type: branch, workflow: inner}", "{n: message}", ["clew.yaml:7: edge 'e1' gives 'loop' for 'n' string where integer is wanted"]),
        ("{type: branch, workflow: inner}", "{n: who}", ["clew.yaml:7: edge 'e1' gives 'loop' for 'n' object where integer is wanted"]),
        ("{type: branch, workflow: ../inner}", "{n: count}", ["clew.yaml:5: 'loop' runs no workflow: the workflow '../inner' leaves the project's folder; it may not contain '..'"]),
        ("{type: trigger, workflow: /etc}", "{n: count}", ["clew.yaml:5: 'loop' runs no workflow: the workflow '/etc' is not relative to the project's folder"]),
        ("{type: branch, workflow: outer}", "{n: count}", ["clew.yaml:5: 'loop' runs no workflow: there is no file or folder "]),
    ],
)  # fmt: skip
def test_the_workflow_of_a_branch_is_looked_into(
    tmp_path: Path, branch: str, mapping: str, said: list[str]
) -> None:
    found = nested(tmp_path, branch, mapping=mapping)
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True)), found


@pytest.mark.parametrize(
    "branch, field, found",
    [
        ("{type: branch, workflow: inner}", "m", True),
        ("{type: branch, workflow: inner}", "done", False),
        ("{type: branch, workflow: inner, condition: n < 3}", "m", False),
        ("{type: trigger, workflow: inner, mode: wait}", "output.n", False),
        ("{type: trigger, workflow: inner, mode: wait}", "n", True),
    ],
)
def test_what_a_branch_or_trigger_gives_is_known(
    tmp_path: Path, branch: str, field: str, found: bool
) -> None:
    edges = f"from: input, to: loop, mapping: {{n: count}}\nfrom: loop, to: output, mapping: {{x: {field}}}"
    files = {"inner/clew.yaml": INNER, "inner/tools/inc.py": "def inc(n): ..."}
    said = judged(project(tmp_path, edges, more=f"  loop: {branch}\n", **files))
    assert [
        line.startswith(f"clew.yaml:8: edge 'e2' takes {field!r} from 'loop': no field ") for line in said
    ] == ([True] if found else [])


def test_an_agent_gives_its_text_and_its_turns_or_the_fields_of_its_prompt(tmp_path: Path) -> None:
    more = "  free: {type: agent, prompt: answer}\n  bound: {type: agent, prompt: sort}\n"
    edges = (
        f"{IN.replace('sort', 'bound')}\nfrom: bound, to: free, mapping: {{topic: topic}}\n"
        "from: free, to: output, mapping: {a: text, b: turns, c: output}\nfrom: bound, to: output, mapping: {d: turns}"
    )
    assert judged(project(tmp_path, edges, more=more)) == [
        "clew.yaml:11: edge 'e4' takes 'turns' from 'bound': no field 'turns'; there is topic, urgency, who or tags"
    ]


def test_the_problems_of_an_inner_workflow_are_told_with_its_own_file(tmp_path: Path) -> None:
    branch = "{type: branch, workflow: inner}"
    assert nested(tmp_path, branch, inner=INNER.replace("module: inc", "module: icn")) == [
        "inner/clew.yaml:5: tool 'inc' is in tools/icn.py, and there is no such file; did you mean 'inc'?"
    ]
    assert nested(tmp_path / "b", branch, inner="nam: x") == [
        "inner/clew.yaml:1: a manifest needs a 'name'",
        "inner/clew.yaml:1: a manifest has no 'nam'; did you mean 'name'?",
    ]


def test_workflows_that_run_each_other_are_each_looked_at_once(tmp_path: Path) -> None:
    text = "name: {0}\nnodes:\n  in: {{type: input}}\n  go: {{type: branch, workflow: {1}.yaml, condition: 'n <'}}\nedges:\n  a: {{from: in, to: go}}\n"
    write(tmp_path, {"clew.yaml": text.format("a", "other"), "other.yaml": text.format("b", "clew")})
    found = judged(tmp_path)
    assert [line.split(":")[0] for line in found] == ["clew.yaml", "other.yaml"]


def test_the_second_round_has_to_get_its_fields_from_the_first(tmp_path: Path) -> None:
    branch = "{type: branch, workflow: inner, loop_while: 'done'}"
    assert nested(tmp_path, branch, inner=INNER.replace("n: n, done", "m: n, done")) == [
        "clew.yaml:5: the second round of 'loop' gets what the first gave, and that has no 'n'"
    ]


def test_what_trident_lets_pass_is_a_warning_in_its_projects(tmp_path: Path) -> None:
    edges = f"{IN}\n{OUT}\nfrom: sort, to: answer, mapping: {{topic: urgency, m: topik, n: text}}, condition: 'urgancy > 1'"
    found = judged(project(tmp_path, edges, more="trident: '0.1'\n"))
    assert len(found) == 4
    assert all(line.startswith("warning: ") for line in found)


def test_a_link_out_of_the_project_is_no_workflow(tmp_path: Path) -> None:
    write(tmp_path, {"away/clew.yaml": INNER, "p/inner/keep": ""})
    (tmp_path / "p/inner/clew.yaml").symlink_to(tmp_path / "away/clew.yaml")
    project(
        tmp_path / "p",
        "from: input, to: loop\nfrom: loop, to: output",
        more="  loop: {type: branch, workflow: inner}\n",
    )
    (found,) = judged(tmp_path / "p")
    assert found.endswith("is a link that leaves the project's folder")


def test_ten_thousand_nodes_are_judged_in_seconds(tmp_path: Path) -> None:
    count = 10_000
    tools = "".join(f"  n{n}: {{module: t, function: f}}\n" for n in range(count))
    edges = "".join(f"  e{n}: {{from: n{n}, to: n{n + 1}}}\n" for n in range(count - 1))
    write(
        tmp_path, {"clew.yaml": f"name: x\ntools:\n{tools}edges:\n{edges}", "tools/t.py": "def f(**x): ..."}
    )
    started = time.process_time()
    assert judged(tmp_path) == []
    assert time.process_time() - started < 60


def test_nothing_of_the_project_is_run_or_written(tmp_path: Path) -> None:
    project(tmp_path, f"{IN}\n{OUT}\nfrom: x, to: output", more="tools: {x: {module: t, function: run}}\n")
    before = sorted(path for path, _, _ in os.walk(tmp_path))
    assert judged(tmp_path) == []
    assert sorted(path for path, _, _ in os.walk(tmp_path)) == before
