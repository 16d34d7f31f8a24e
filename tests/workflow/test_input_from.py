"""One workflow's outputs are another one's input: by run, by alias, by file."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from clew.cli import run_project
from clew.errors import UsageError
from clew.store.store import Store
from tests.workflow.commands import CLEW, run
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


def test_what_may_never_end_is_no_input(tmp_path: Path) -> None:
    taker = write_project(tmp_path / "taker", clew_yaml=TAKER, tools__t_py=TOOLS)
    done = run(taker, "-f", "/dev/zero", CLEW_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "clew: -f: /dev/zero is neither a file nor a pipe\n"


@pytest.mark.parametrize("kind", ["pipe", "fifo", "unlinked"])
def test_input_may_come_through_a_pipe(tmp_path: Path, kind: str) -> None:
    taker = write_project(tmp_path / "taker", clew_yaml=TAKER, tools__t_py=TOOLS)
    home = {"CLEW_HOME": str(tmp_path / "home")}
    given, path = b'{"text": "four"}', tmp_path / "given"
    if kind == "fifo":
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=[given])
        writer.start()
        done = run(taker, "-f", path, **home)
        writer.join()
    elif kind == "pipe":
        command = [*CLEW, "run", str(taker), "-f", "/dev/stdin"]
        piped = subprocess.run(
            command, input=given, env={**os.environ, **home}, capture_output=True, check=False, timeout=60
        )
        assert (piped.returncode, b'"length": 4' in piped.stdout) == (0, True), piped.stderr
        return
    else:
        path.write_bytes(given)
        with path.open("rb") as file:
            path.unlink()
            command = [*CLEW, "run", str(taker), "-f", f"/dev/fd/{file.fileno()}"]
            done = subprocess.run(
                command,
                env={**os.environ, **home},
                pass_fds=[file.fileno()],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
    assert (done.returncode, '"length": 4' in done.stdout) == (0, True), done.stderr


def test_more_than_fits_is_refused_before_it_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_project, "_MOST_INPUT_BYTES", 2**20)
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        run_project.read_json(path, option="-f")
