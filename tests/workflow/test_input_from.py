"""One workflow's outputs are another one's input: by run, by alias, by file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.workflow.commands import run
from tests.workflow.running import write_project

pytestmark = pytest.mark.needs_extra("workflow")
MAKER = """
    clew: "1"
    name: maker
    nodes:
      input: {type: input, schema: {size: {type: integer}}}
      output: {type: output}
    tools:
      make: {type: python, module: t, function: make}
    edges:
      e1: {from: input, to: make, mapping: {size: size}}
      e2: {from: make, to: output}
    orchestration: {publish: {path: out/made.json, alias: made}}
"""
TAKER = """
    clew: "1"
    name: taker
    nodes:
      input: {type: input, schema: {text: {type: string}}}
      output: {type: output}
    tools:
      measure: {type: python, module: t, function: measure}
    edges:
      e1: {from: input, to: measure, mapping: {text: text}}
      e2: {from: measure, to: output}
"""
TOOLS = """
    def make(size):
        return {"text": "x" * size}

    def measure(text):
        return {"length": len(text)}
"""
LARGE = 300_000
"""More than is kept within a line."""


def length(*options: object, taker: Path) -> int:
    done = run(taker, *options, "-o", "json")
    assert done.returncode == 0, done.stderr
    found: int = json.loads(done.stdout)["outputs"]["output"]["length"]
    return found


def test_outputs_of_any_size_go_on_by_run_alias_and_file(tmp_path: Path) -> None:
    maker = write_project(tmp_path / "maker", clew_yaml=MAKER, tools__t_py=TOOLS)
    taker = write_project(tmp_path / "taker", clew_yaml=TAKER, tools__t_py=TOOLS)
    made = run(maker, "-i", json.dumps({"size": LARGE}), "--emit-signal")
    assert made.returncode == 0, made.stderr
    store = Store(tmp_path / ".clew")
    run_id = store.runs()[0].run_id
    saved = [e.values() for e in store.trace(run_id).events if e.event == "artifact_saved"]
    published = maker / "out" / "made.json"
    assert [Path(each["path"]) for each in saved] == [published, tmp_path / ".clew/outputs/made.json"]
    signal = json.loads((tmp_path / ".clew/signals/maker.completed").read_text())
    assert signal["outputs_path"] == str(published)
    flat = tmp_path / "flat.json"
    flat.write_text(json.dumps(json.loads(published.read_text())["output"]))
    for source in (run_id, f"run:{run_id}", "alias:made", flat):
        assert length("--input-from", source, taker=taker) == LARGE


@pytest.mark.parametrize(
    "source, sentence",
    [
        ("alias:nothing", "--input-from: "),
        ("latest", "there are no runs"),
        ("alias:../taker/x", "--input-from: '../taker/x' is no name that a workflow could have published as"),
        ("alias:", "--input-from: '' is no name that a workflow could have published as"),
        ("y" * 300, "there are no runs"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(tmp_path: Path, source: str, sentence: str) -> None:
    taker = write_project(tmp_path / "taker", clew_yaml=TAKER, tools__t_py=TOOLS)
    done = run(taker, "--input-from", source)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_input_that_is_nested_too_deeply_is_said_in_one_sentence(tmp_path: Path) -> None:
    taker = write_project(tmp_path / "taker", clew_yaml=TAKER, tools__t_py=TOOLS)
    deep = "[" * 5_000 + "]" * 5_000
    (tmp_path / "deep.json").write_text(deep)
    for options in (
        ("-i", deep),
        ("-f", tmp_path / "deep.json"),
        ("--input-from", tmp_path / "deep.json"),
        ("-i", '{"text": "x"}', "--param", f"measure.timeout_s={deep}"),
    ):
        done = run(taker, *options)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "is nested too deeply" in done.stderr


def test_outputs_that_are_not_whole_in_the_log_are_refused(tmp_path: Path) -> None:
    maker = write_project(tmp_path / "maker", clew_yaml=MAKER, tools__t_py=TOOLS)
    taker = write_project(tmp_path / "taker", clew_yaml=TAKER, tools__t_py=TOOLS)
    run(maker, "-i", json.dumps({"size": LARGE}), CLEW_MAX_PAYLOAD_BYTES="20000", CLEW_CAPTURE="full")
    done = run(taker, "--input-from", "latest")
    assert done.returncode == 2
    assert "whole in the log" in done.stderr
