"""Equal requests and equal calls that were answered differently: each place gets in a replay what it got in the run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.workflow.commands import run
from tests.workflow.test_whole_answers import ASK, replay, written

pytestmark = pytest.mark.needs_extra("workflow")
SERVER = Path(__file__).parent / "mcp_server.py"
PROMPTS = """
    clew: "1"
    name: prompts
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input, schema: {q: {type: string, default: hello}}}
      a: {type: prompt, prompt: ask}
      b: {type: prompt, prompt: ask}
      output: {type: output}
    tools: {slow: {type: python, module: t, function: slow}, fast: {type: python, module: t, function: fast}}
    edges:
      e1: {from: input, to: slow, mapping: {q: q}}
      e2: {from: input, to: fast, mapping: {q: q}}
      e3: {from: slow, to: a, mapping: {q: q}}
      e4: {from: fast, to: b, mapping: {q: q}}
      e5: {from: a, to: output, mapping: {a: text}}
      e6: {from: b, to: output, mapping: {b: text}}
"""
AGENTS = """
    clew: "1"
    name: agents
    defaults: {model: scripted, script: answers.yaml}
    nodes:
      input: {type: input, schema: {q: {type: string, default: hello}}}
      a: {type: agent, prompt: ask, tools: [now, other]}
      b: {type: agent, prompt: ask, tools: [now, other]}
      output: {type: output}
    tools: {now: {type: python, module: t, function: now}, other: {type: python, module: t, function: other}}
    edges:
      e1: {from: input, to: a, mapping: {q: q}}
      e2: {from: input, to: b, mapping: {q: q}}
      e3: {from: a, to: output, mapping: {a: text}}
      e4: {from: b, to: output, mapping: {b: text}}
"""
TOOLS = """
import itertools, threading, time
calls = itertools.count()
second = threading.Event()

def slow(q):
    time.sleep(0.5)
    return {"q": "x"}

def fast(q):
    return {"q": "x"}

def other():
    return 1

def now():
    return f"call {next(calls)}"

def crossed():
    if next(calls) == 0:
        second.wait(30)
        return "the first"
    second.set()
    return "the second"
"""


def same_again(place: Path, *, with_server: bool = False) -> None:
    """Run a project and replay it: byte for byte the same, by exit code and by standard output."""
    done = run(place, "-o", "json")
    assert done.returncode == 0, done.stderr
    log = place.parent / "server.log"
    started = log.read_text() if with_server else ""
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
    assert "the outputs are the same" in again.stderr
    third = replay("latest", "-o", "json")  # a replay is a run like any other
    assert (third.returncode, third.stdout) == (0, done.stdout), third.stderr
    assert not with_server or log.read_text() == started


def test_two_prompts_with_equal_requests_keep_their_own_answers(tmp_path: Path) -> None:
    answers = "answers:\n  - {node: a, text: A}\n  - {node: b, text: B}\n"
    same_again(written(tmp_path, PROMPTS, tools=TOOLS, answers=answers, prompts__ask_prompt=ASK))


def test_a_node_that_has_another_name_now_still_finds_its_answer(tmp_path: Path) -> None:
    answers = "answers:\n  - {node: a, text: A}\n  - {node: b, text: B}\n"
    manifest = PROMPTS.replace("{q: q}}\n      e5", "{q: q}, condition: \"q == 'no'\"}\n      e5")
    place = written(tmp_path, manifest, tools=TOOLS, answers=answers, prompts__ask_prompt=ASK)
    done = run(place, "-o", "json")
    assert done.returncode == 0, done.stderr
    text = (place / "clew.yaml").read_text()
    for old, new in (("  a: {", "  z: {"), ("to: a,", "to: z,"), ("from: a,", "from: z,")):
        assert old in text
        text = text.replace(old, new)
    (place / "clew.yaml").write_text(text)
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr


def test_equal_calls_of_one_turn_keep_their_own_results_in_whatever_order_they_ended(tmp_path: Path) -> None:
    place = written(
        tmp_path,
        AGENTS.replace("tools: [now, other]", "tools: [now]").replace("function: now", "function: crossed"),
        tools=TOOLS,
        answers="""
            answers:
              - {node: a, turn: 1, tool_calls: [{name: now, arguments: {}}, {name: now, arguments: {}}]}
              - {node: a, turn: 2, text: done a}
              - {node: b, text: done b}
        """,
        prompts__ask_prompt=ASK,
    )
    same_again(place)
    rows = [row for row in Store(tmp_path / ".clew").runs() if row.name == "agents"]
    for row in rows:
        nodes = Store(tmp_path / ".clew").trace(row.run_id).nodes
        calls = [e.values() for n in nodes for e in n.events if e.event == "agent_tool_called"]
        given = {call["position"]: (call["turn_number"], call["tool_output"]) for call in calls}
        assert given == {0: (1, {"output": "the first"}), 1: (1, {"output": "the second"})}
    assert len(rows) == 3


def test_two_agents_that_call_a_tool_alike_keep_their_own_results(tmp_path: Path) -> None:
    """The one that is called first in the run is asked for last in the replay, which does not wait for tools."""
    place = written(
        tmp_path,
        AGENTS,
        tools=TOOLS,
        answers="""
            answers:
              - {node: a, turn: 1, tool_calls: [{name: other, arguments: {}}]}
              - {node: a, turn: 2, delay_s: 0.3, tool_calls: [{name: now, arguments: {}}]}
              - {node: a, turn: 3, text: done a}
              - {node: b, turn: 1, tool_calls: [{name: now, arguments: {}}]}
              - {node: b, turn: 2, text: done b}
        """,
        prompts__ask_prompt=ASK,
    )
    same_again(place)


def with_servers(tools: str, servers: dict[str, str]) -> str:
    started = ", ".join(
        f"{name}: {{command: {sys.executable}, args: [{SERVER}, ../server.log{how}]}}"
        for name, how in servers.items()
    )
    return f"""
        clew: "1"
        name: served
        defaults: {{model: scripted, script: answers.yaml}}
        nodes:
          input: {{type: input, schema: {{q: {{type: string, default: hello}}}}}}
          a: {{type: agent, prompt: ask, tools: [{tools}], mcp_servers: {{{started}}}}}
          output: {{type: output}}
        tools:
          other: {{type: python, module: t, function: other}}
          m__own: {{type: python, module: t, function: other}}
        edges: {{e1: {{from: input, to: a, mapping: {{q: q}}}}, e2: {{from: a, to: output}}}}
    """


@pytest.mark.needs_extra("mcp")
@pytest.mark.parametrize(
    "tools, servers",
    [
        ('"m.*", other, m__own', {"m": ""}),
        ('"m.*", other, "m__n.*"', {"m": "", "m__n": ""}),
        ('"m__n.*", m.add, other, m.shout', {"m": "", "m__n": ""}),
    ],
)
def test_an_agent_is_offered_the_same_tools_in_the_same_order_without_a_server(
    tmp_path: Path, tools: str, servers: dict[str, str]
) -> None:
    answers = """
        answers:
          - {node: a, turn: 1, tool_calls: [{name: m__add, arguments: {a: 1, b: 2}}, {name: other, arguments: {}}]}
          - {node: a, turn: 2, text: done}
    """
    manifest = with_servers(tools, servers)
    same_again(
        written(tmp_path, manifest, tools=TOOLS, answers=answers, prompts__ask_prompt=ASK), with_server=True
    )


EMPTY = """
from mcp.server.mcpserver import MCPServer
MCPServer("empty").run("stdio")
"""


@pytest.mark.needs_extra("mcp")
def test_a_server_that_offered_nothing_offers_nothing_again(tmp_path: Path) -> None:
    manifest = with_servers('"m.*", other', {"m": ""}).replace(str(SERVER), "empty.py")
    place = written(
        tmp_path,
        manifest,
        tools=TOOLS,
        answers="answers:\n  - {node: a, text: done}\n",
        prompts__ask_prompt=ASK,
        empty_py=EMPTY,
    )
    same_again(place)


@pytest.mark.needs_extra("mcp")
def test_agents_of_one_name_in_two_workflows_are_offered_their_own_tools(tmp_path: Path) -> None:
    outer = with_servers('"m.add"', {"m": ""})
    inner = with_servers('"m.shout", other', {"m": ""}).replace("name: served", "name: inner")
    outer = outer.replace(
        "output: {type: output}",
        "output: {type: output}\n          r: {type: branch, workflow: ./inner.yaml}",
    ).replace("to: output}", "to: r, mapping: {q: text}}, e3: {from: r, to: output}")
    place = written(
        tmp_path,
        outer,
        tools=TOOLS,
        answers="answers:\n  - {node: a, text: done}\n",
        prompts__ask_prompt=ASK,
        inner_yaml=inner,
    )
    same_again(place, with_server=False)


@pytest.mark.needs_extra("mcp")
def test_a_server_that_did_not_start_is_the_failure_of_the_replay_too(tmp_path: Path) -> None:
    manifest = with_servers('"m.*"', {"m": ""}).replace(
        f"command: {sys.executable}", "command: /no/such/command"
    )
    place = written(
        tmp_path,
        manifest,
        tools=TOOLS,
        answers="answers:\n  - {node: a, text: done}\n",
        prompts__ask_prompt=ASK,
    )
    done = run(place, "-o", "json")
    assert done.returncode == 1
    assert "MCP server m (/no/such/command) did not start" in done.stdout
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (1, done.stdout)
    assert "has changed since" not in again.stderr
    (place / "clew.yaml").write_text(
        (place / "clew.yaml").read_text().replace("/no/such/command", sys.executable)
    )
    run_id = Store(tmp_path / ".clew").runs()[-1].run_id
    forked = replay(run_id, "--fork", "a", "-o", "json")
    assert forked.returncode == 0, forked.stderr


def test_a_tool_that_changes_its_inputs_does_not_change_what_other_nodes_get(tmp_path: Path) -> None:
    manifest = """
        clew: "1"
        name: changing
        nodes: {input: {type: input}, output: {type: output}}
        tools:
          make: {type: python, module: t, function: make}
          change: {type: python, module: t, function: change}
          look: {type: python, module: t, function: look}
        edges:
          e1: {from: input, to: make}
          e2: {from: make, to: change}
          e3: {from: make, to: look}
          e4: {from: change, to: look, mapping: {count: count}}
          e5: {from: make, to: output}
          e6: {from: look, to: output}
    """
    tools = """
def make():
    return {"items": [1, {"a": 1}]}

def change(items):
    items.append("more")
    items[1]["b"] = 2
    return {"count": len(items)}

def look(items, count):
    return {"seen": str(items), "count": count}
"""
    same_again(written(tmp_path, manifest, tools=tools))
    store = Store(tmp_path / ".clew")
    assert store.trace(store.runs()[-1].run_id).outputs == {
        "output": {"items": [1, {"a": 1}], "seen": "[1, {'a': 1}]", "count": 3}
    }


DEEP = """
import json, sys

schema = {"type": "object"}
for _ in range(60):
    schema = {"type": "object", "properties": {"more": schema}}
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("id") is None:
        continue
    if asked["method"] == "initialize":
        version = asked["params"]["protocolVersion"]
        result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "d", "version": "1"}}
    elif asked["method"] == "tools/list":
        result = {"tools": [{"name": "deep", "inputSchema": schema}]}
    else:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


@pytest.mark.needs_extra("mcp")
def test_a_schema_that_the_log_cannot_hold_stops_a_replay_with_that_reason(tmp_path: Path) -> None:
    manifest = with_servers('"m.*"', {"m": ""}).replace(str(SERVER), "deep.py")
    place = written(
        tmp_path,
        manifest,
        tools=TOOLS,
        answers="answers:\n  - {node: a, text: done}\n",
        prompts__ask_prompt=ASK,
        deep_py=DEEP,
    )
    done = run(place, "-o", "json")
    assert done.returncode == 0, done.stderr
    again = replay("latest")
    assert again.returncode == 1
    assert (
        "what a was offered, which is not whole in the record of the run "
        "(nested too deep, or a number too large, for the log)"
    ) in again.stderr
