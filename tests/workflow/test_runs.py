"""Projects are really run, and every field of their trace equals a log that the tools wrote themselves."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from clew.errors import NodeError, UsageError
from clew.session import session
from clew.store.store import Store
from tests.workflow.running import SAMPLES, run_project, write_project

pytestmark = pytest.mark.needs_extra("workflow")

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"there is no {SAMPLES}")


@needs_samples
@pytest.mark.parametrize(
    "name, inputs, options",
    [("loop", {"n": 0}, {}), ("par", {"n": 1}, {}), ("ticket", {"message": "hi"}, {"dry_run": True})],
)
def test_a_project_of_the_original_gives_what_the_original_gave(
    name: str, inputs: dict[str, Any], options: dict[str, Any]
) -> None:
    ran = run_project(SAMPLES / name, inputs, **options)
    original = SAMPLES / name / "original.dot-trident" / "runs"
    if original.is_dir():
        (outputs,) = [json.loads(path.read_text()) for path in original.glob("*/outputs.json")]
        (trace,) = [json.loads(path.read_text()) for path in original.glob("*/trace.json")]
        assert ran.outputs == outputs
        theirs = {node["id"]: "skipped" if node["skipped"] else "completed" for node in trace["nodes"]}
        assert ran.statuses() == theirs
    else:
        assert ran.outputs == {"output": {"a": 1, "b": 1, "c": 1}}


TOOLS = """
    import json, os, time

    LOG = os.environ["TOOL_LOG"]

    def note(**entry):
        with open(LOG, "a") as log:
            log.write(json.dumps({**entry, "at": time.time()}) + "\\n")

    def count(n):
        note(tool="count", n=n)
        return {"n": n + 1}

    def flaky(n):
        with open(LOG) as log:
            before = sum('"flaky"' in line for line in log)
        note(tool="flaky", n=n)
        if before < 2:
            raise ValueError(f"not yet, {n}")
        return {"value": n * 10}

    def slow(n):
        note(tool="slow", n=n)
        time.sleep(0.05)
        return {"value": n}

    def boom(value):
        note(tool="boom", value=value)
        raise KeyError("lost " + str(value))

    def never(value):
        note(tool="never", value=value)
"""
MANIFEST = """
    clew: "1"
    name: everything
    nodes:
      input: {type: input, schema: {n: {type: integer, description: where to begin}}}
      loop: {type: branch, workflow: ./step.yaml, loop_while: "n < 3", max_iterations: 5}
      output: {type: output}
    tools:
      flaky: {type: python, module: t, function: flaky, retry: {attempts: 3, delay_s: 0.01}}
      a: {type: python, module: t, function: slow}
      b: {type: python, module: t, function: slow}
      large: {type: python, module: t, function: never}
      after_large: {type: python, module: t, function: never}
      boom: {type: python, module: t, function: boom}
    edges:
      e1: {from: input, to: loop, mapping: {n: n}}
      e2: {from: loop, to: flaky, mapping: {n: n}}
      e3: {from: loop, to: a, mapping: {n: n}}
      e4: {from: loop, to: b, mapping: {n: n}}
      e5: {from: flaky, to: large, mapping: {value: value}, condition: "value > 100"}
      e6: {from: large, to: after_large, mapping: {value: value}}
      e7: {from: flaky, to: output, mapping: {flaky: value}}
      e8: {from: a, to: output, mapping: {a: value}}
      e9: {from: b, to: output, mapping: {b: value}}
      e10: {from: output, to: boom, mapping: {value: flaky}}
"""
STEP = """
    clew: "1"
    name: step
    nodes:
      input: {type: input}
      output: {type: output}
    tools:
      count: {type: python, module: t, function: count}
    edges:
      e1: {from: input, to: count, mapping: {n: n}}
      e2: {from: count, to: output, mapping: {n: n}}
"""


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a loop, parallel nodes, retries, skipped nodes and a failure."""
    monkeypatch.setenv("TOOL_LOG", str(tmp_path / "log.jsonl"))
    (tmp_path / "log.jsonl").touch()
    return write_project(tmp_path / "project", clew_yaml=MANIFEST, step_yaml=STEP, tools__t_py=TOOLS)


def log_of(project: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.parent / "log.jsonl").read_text().splitlines()]


def test_the_trace_says_what_the_tools_say(everything: Path) -> None:
    began = time.time()
    ran = run_project(everything, {"n": 0})
    ended = time.time()
    log = log_of(everything)
    trace, nodes = ran.trace, ran.trace.nodes
    assert isinstance(ran.error, NodeError)
    assert ran.error.node_id == "boom"
    assert [(n.node_id, n.attempt) for n in nodes if n.node_id == "flaky"] == [
        ("flaky", k) for k in (1, 2, 3)
    ]
    flaky = [node for node in nodes if node.node_id == "flaky"]
    assert [node.status for node in flaky] == ["failed", "failed", "completed"]
    assert [node.error.retried for node in flaky if node.error] == [True, True]
    for node, entry in zip(flaky, [e for e in log if e["tool"] == "flaky"], strict=True):
        assert node.inputs == {"n": entry["n"]}
        assert node.started_at is not None
        assert node.ended_at is not None
        assert node.started_at.timestamp() - 0.01 <= entry["at"] <= node.ended_at.timestamp() + 0.01
    for name in ("a", "b"):
        (node,) = [n for n in nodes if n.node_id == name]
        assert (node.inputs, node.outputs, node.kind) == ({"n": 3}, {"value": 3}, "tool")
        assert node.duration_ns is not None
        assert node.duration_ns >= 50_000_000
    (boom,) = [n for n in nodes if n.node_id == "boom"]
    assert boom.error is not None
    assert "lost 30" in str(boom.error.message)
    assert boom.inputs == {"value": 30}
    skipped = {n.node_id: n.skip for n in nodes if n.status == "skipped"}
    assert skipped["large"] is not None
    assert skipped["large"]["condition"] == "value > 100"
    assert skipped["large"]["values"] == {"value": 30}
    assert skipped["after_large"] == {"reason": "every node before it was skipped"}
    assert "never" not in {entry["tool"] for entry in log}
    assert (trace.status, trace.inputs) == ("failed", {"n": 0})
    assert trace.started_at is not None
    assert trace.ended_at is not None
    assert began - 0.01 <= trace.started_at.timestamp() <= trace.ended_at.timestamp() <= ended + 0.01


def test_the_rounds_of_a_loop_are_runs_in_the_run_and_in_their_order(everything: Path) -> None:
    ran = run_project(everything, {"n": 0})
    store = Store(session.home)
    rounds = [row for row in reversed(store.runs()) if row.parent_run_id == ran.trace.run_id]
    traces = [store.trace(row.run_id) for row in rounds]
    assert [trace.attributes["iteration"] for trace in traces] == [0, 1, 2]
    assert [trace.depth for trace in traces] == [1, 1, 1]
    assert {trace.root_run_id for trace in traces} == {ran.trace.run_id}
    counted = [node for trace in traces for node in trace.nodes if node.node_id == "count"]
    assert [n.inputs["n"] for n in counted] == [e["n"] for e in log_of(everything) if e["tool"] == "count"]
    assert [n.iteration for n in counted] == [0, 1, 2]
    loop = next(node for node in ran.trace.nodes if node.node_id == "loop")
    told = [event.values() for event in loop.events if event.event == "branch_iteration"]
    assert told == [{"iteration": k, "max_iterations": 5} for k in range(3)]
    looked = [event.values() for event in loop.events if event.event == "condition_evaluated"]
    assert [(each["values"], each["result"]) for each in looked] == [
        ({"n": 1}, True), ({"n": 2}, True), ({"n": 3}, False)
    ]  # fmt: skip


def test_parallel_nodes_run_at_the_same_time(everything: Path) -> None:
    ran = run_project(everything, {"n": 0})
    a, b = (next(n for n in ran.trace.nodes if n.node_id == name) for name in "ab")
    assert a.started_at is not None
    assert b.started_at is not None
    assert a.ended_at is not None
    assert b.ended_at is not None
    assert max(a.started_at, b.started_at) < min(a.ended_at, b.ended_at)


def test_a_failed_run_goes_on_without_doing_again_what_it_did(everything: Path) -> None:
    first = run_project(everything, {"n": 0})
    tools = everything / "tools" / "t.py"
    tools.write_text(tools.read_text().replace('raise KeyError("lost " + str(value))', "return {}"))
    before = len(log_of(everything))
    ran = run_project(everything, resume=first.trace.run_id)
    assert ran.error is None
    assert ran.outputs == {"output": {"flaky": 30, "a": 3, "b": 3}}
    again = [entry["tool"] for entry in log_of(everything)[before:]]
    # The file of all tools has changed, so the nodes that call it run again, and the loop's rounds with them.
    assert ran.told[0] == f"kept of {first.trace.run_id}: input"
    assert "loop runs again: its definition has changed" in ran.told
    assert again.count("count") == 3


def test_what_did_not_change_is_kept_and_what_failed_runs_again(everything: Path, tmp_path: Path) -> None:
    first = run_project(everything, {"n": 0})
    before = len(log_of(everything))
    ran = run_project(everything, resume=first.trace.run_id)
    assert [entry["tool"] for entry in log_of(everything)[before:]] == ["boom"]
    kept = {node.node_id for node in ran.trace.nodes if "kept_from" in node.attributes}
    assert kept == {"input", "loop", "flaky", "a", "b", "output"}
    (resumed,) = [event.values() for event in ran.trace.events if event.event == "run_resumed"]
    assert resumed["resumed_run_id"] == first.trace.run_id
    assert set(resumed["kept_nodes"]) == kept
    third = run_project(everything, resume=ran.trace.run_id)
    assert [entry["tool"] for entry in log_of(everything)[before:]] == ["boom", "boom"]
    assert third.statuses() == ran.statuses()


def test_start_from_runs_a_node_and_all_behind_it_again(everything: Path) -> None:
    first = run_project(everything, {"n": 0})
    before = len(log_of(everything))
    ran = run_project(everything, resume=first.trace.run_id, start_from="a")
    assert sorted(entry["tool"] for entry in log_of(everything)[before:]) == ["boom", "slow"]
    assert "a runs again: it was asked for" in ran.told


def test_until_stops_behind_a_node(everything: Path) -> None:
    ran = run_project(everything, {"n": 2}, until="a")
    assert ran.error is None
    assert set(ran.statuses()) == {"input", "loop", "a"}
    assert ran.outputs == {"value": 3}


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"until": "lop"}, "--until: everything has no node 'lop'; did you mean 'loop'?"),
        (
            {"entrypoint": "nowhere"},
            "entrypoint: everything has no node 'nowhere'; it has input, loop, output",
        ),
        ({"start_from": "a"}, "--start-from needs --resume RUN"),
        (
            {"inputs": {}},
            "the input of everything does not fit: there is no field 'n'; give it with -i '{\"n\": 0}'",
        ),
        ({"inputs": {"n": "x"}}, "'n' is a string, but must be an integer"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_sentence_and_nothing_is_recorded(
    everything: Path, options: dict[str, Any], sentence: str
) -> None:
    inputs = options.pop("inputs", {"n": 1})
    with pytest.raises(UsageError) as caught:
        run_project(everything, inputs, **options)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert Store(session.home).runs() == []


def test_a_choice_between_ways_is_told_with_the_ways_not_taken_and_published_outputs_are_an_artifact(
    tmp_path: Path,
) -> None:
    manifest = """
        clew: "1"
        name: choosing
        nodes:
          input: {type: input, schema: {n: {type: integer}}}
          output: {type: output}
        tools:
          small: {type: python, module: t, function: same}
          large: {type: python, module: t, function: same}
        edges:
          e1: {from: input, to: small, mapping: {n: n}, condition: "n < 10"}
          e2: {from: input, to: large, mapping: {n: n}, condition: "n >= 10"}
          e3: {from: small, to: output, mapping: {small: n}}
          e4: {from: large, to: output, mapping: {large: n}}
        orchestration: {publish: {path: out/latest.json}}
    """
    project = write_project(
        tmp_path / "p", clew_yaml=manifest, tools__t_py="def same(n):\n    return {'n': n}\n"
    )
    ran = run_project(project, {"n": 12})
    assert ran.outputs == {"output": {"large": 12}}
    (decision,) = [event.values() for event in ran.trace.events if event.event == "decision_made"]
    assert (decision["chosen"], decision["alternatives"]) == (["large"], ["small"])
    (saved,) = [event.values() for event in ran.trace.events if event.event == "artifact_saved"]
    published = Path(saved["path"])
    assert json.loads(published.read_text()) == ran.outputs
    assert saved["size_bytes"] == published.stat().st_size
