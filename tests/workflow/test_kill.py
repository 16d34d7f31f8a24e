"""kill -9 at a hundred instants of a project with loops: it goes on to the same outputs, and pays for nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.running import write_project

pytestmark = [pytest.mark.needs_extra("workflow"), pytest.mark.needs_extra("openai")]

REPOSITORY = Path(__file__).parents[2]
KILLS = 50
"""For each of the two seeds."""
CHAINS = 6
STEP = """
    clew: "1"
    name: step
    defaults: {model: openai/none}
    nodes:
      input: {type: input}
      weigh: {type: prompt, prompt: weigh}
      output: {type: output}
    tools:
      add: {type: python, module: t, function: add}
    edges:
      e1: {from: input, to: weigh, mapping: {n: n, name: name}}
      e2: {from: input, to: add, mapping: {n: n, name: name}}
      e3: {from: weigh, to: add, mapping: {value: value}}
      e4: {from: add, to: output}
"""
PROMPT = """\
    ---
    id: {name}
    input: {{n: {{type: any}}, name: {{type: any, required: false}}}}
    output: {{format: json, schema: {{value: {{type: integer}}}}}}
    ---
    {name} {{{{name}}}} at {{{{n}}}}
"""
TOOLS = """
    def add(n, name, value):
        return {"n": n + 1, "name": name, "value": value}

    def named(n, which):
        return {"n": n, "name": which}
"""


def manifest() -> str:
    """Six chains of five nodes, each with a loop of two model calls, and one node that waits for all: 32 nodes."""
    lines = ['clew: "1"', "name: large", "defaults: {model: openai/none, concurrency: 4}", "nodes:"]
    edges, tools = ["edges:"], ["tools:"]
    lines += ["  input: {type: input}", "  output: {type: output}"]
    for number in range(CHAINS):
        name = f"c{number}"
        tools.append(f"  name{number}: {{type: python, module: t, function: named}}")
        lines += [
            f"  which{number}: {{type: input, schema: {{which: {{type: string, default: {name}}}}}}}",
            f"  loop{number}: {{type: branch, workflow: ./step.yaml, loop_while: 'n < 2', max_iterations: 5}}",
            f"  first{number}: {{type: prompt, prompt: first}}",
            f"  last{number}: {{type: prompt, prompt: last}}",
        ]
        edges += [
            f"  a{number}: {{from: input, to: name{number}, mapping: {{n: n}}}}",
            f"  w{number}: {{from: which{number}, to: name{number}, mapping: {{which: which}}}}",
            f"  b{number}: {{from: name{number}, to: first{number}, mapping: {{n: n, name: name}}}}",
            f"  c{number}: {{from: name{number}, to: loop{number}, mapping: {{n: n, name: name}}}}",
            f"  d{number}: {{from: first{number}, to: last{number}, mapping: {{n: value}}}}",
            f"  e{number}: {{from: loop{number}, to: last{number}, mapping: {{name: name}}}}",
            f"  f{number}: {{from: last{number}, to: output, mapping: {{r{number}: value}}}}",
            f"  g{number}: {{from: loop{number}, to: output, mapping: {{l{number}: value}}}}",
        ]
    return "\n".join([*lines, *tools, *edges]) + "\n"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_run_goes_on_to_the_same_outputs_and_pays_for_no_answer_twice(
    tmp_path: Path, seed: int
) -> None:
    project = write_project(
        tmp_path / "project",
        step_yaml=STEP,
        tools__t_py=TOOLS,
        **{f"prompts__{name}_prompt": PROMPT.format(name=name) for name in ("first", "last", "weigh")},
    )
    (project / "clew.yaml").write_text(manifest())
    command = [
        sys.executable,
        "-m",
        "tests.workflow.killing",
        str(project),
        str(tmp_path / "home"),
        str(KILLS),
        str(seed),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    whole, *kills = map(json.loads, done.stdout.splitlines())
    assert whole["requests"] == 4 * CHAINS
    assert len(kills) == KILLS
    killed = [kill for kill in kills if kill["killed"]]
    assert len(killed) > KILLS / 2
    in_the_middle = [kill for kill in killed if 0 < kill["recorded"] < whole["requests"]]
    assert len(in_the_middle) > KILLS / 4
    for kill in killed:
        assert kill["paid_twice"] == []
        if kill["resumed"] is not None:
            assert (kill["resumed"], kill["outputs"]) == (0, whole["undisturbed"])
