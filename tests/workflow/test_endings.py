"""How a command ends: by what exit code, with which sentence, and never later than it has to."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.workflow.commands import CLEW, project, run
from tests.workflow.model_answers import Hangs
from tests.workflow.model_servers import OpenAIServer
from tests.workflow.running import write_project

pytestmark = pytest.mark.needs_extra("workflow")


@pytest.mark.parametrize("written", ["nan", "-1", "inf", "-inf"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, written: str) -> None:
    done = run(project(tmp_path), "-i", '{"n": 1}', "--wait-for", "x.completed", f"--timeout={written}")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--timeout is {written}, and should be a number of seconds from 0 on" in done.stderr


def test_a_file_that_does_not_come_is_called_by_its_path(tmp_path: Path) -> None:
    wanted = tmp_path / "out" / "no.file"
    done = run(project(tmp_path), "-i", '{"n": 1}', "--wait-for", wanted, "--timeout", "0")
    assert done.returncode == 4
    assert f"{wanted} did not come within 0 s" in done.stderr


@pytest.mark.needs_extra("openai")
def test_a_model_that_takes_longer_than_its_node_may_gave_no_answer(tmp_path: Path) -> None:
    place = write_project(
        tmp_path / "asking",
        clew_yaml="""
            clew: "1"
            name: asking
            defaults: {model: openai/gpt-4o-mini, timeout_s: 3}
            nodes: {input: {type: input}, ask: {type: prompt, prompt: ask}, output: {type: output}}
            edges: {a: {from: input, to: ask}, b: {from: ask, to: output}}
        """,
        prompts__ask_prompt="---\nid: ask\n---\nHello\n",
    )
    with OpenAIServer([Hangs()]) as server:
        done = run(place, OPENAI_BASE_URL=server.url, OPENAI_API_KEY="none")
        assert server.count == 1
    assert done.returncode == 3, done.stderr
    assert "openai/gpt-4o-mini did not answer in time: node ask took longer than 3 s" in done.stderr


LOOP = """
    clew: "1"
    name: looping
    nodes:
      input: {type: input}
      loop: {type: branch, workflow: ./step.yaml, loop_while: "n < 'x'"}
      output: {type: output}
    edges: {a: {from: input, to: loop}, b: {from: loop, to: output}}
"""
STEP = """
    clew: "1"
    name: step
    nodes: {input: {type: input}, output: {type: output}}
    edges: {a: {from: input, to: output}}
"""


def test_a_loop_whose_condition_cannot_be_worked_out_ends_with_a_warning(tmp_path: Path) -> None:
    place = write_project(tmp_path / "looping", clew_yaml=LOOP, step_yaml=STEP)
    done = run(place, "-i", '{"n": 1}', "-o", "json")
    assert (done.returncode, done.stdout) == (0, '{"success":true,"outputs":{"output":{"n":1}}}\n')
    assert done.stderr.count("the loop of loop ended, because \"n < 'x'\" cannot be worked out") == 1
    store = Store(tmp_path / ".clew")
    (row,) = [row for row in store.runs() if row.name == "looping"]
    (loop,) = [node for node in store.trace(row.run_id).nodes if node.node_id == "loop"]
    (looked,) = [event for event in loop.events if event.event == "condition_evaluated"]
    assert (looked.level, looked.values()["result"]) == ("WARNING", False)


DEAF = """
    import asyncio, time

    async def deaf():
        while True:
            try:
                await asyncio.sleep(100)
            except BaseException:
                pass

    def linger():
        time.sleep(1)
"""
DEAF_MANIFEST = """
    clew: "1"
    name: deaf
    nodes: {input: {type: input}}
    tools:
      deaf: {type: python, module: t, function: deaf, timeout_s: 0.2}
      linger: {type: python, module: t, function: linger}
    edges: {a: {from: input, to: deaf}, b: {from: input, to: linger}}
"""


def test_a_tool_that_swallows_its_cancellation_does_not_keep_the_process(tmp_path: Path) -> None:
    """The other node sees to it that the tools are closed only after this one was told."""
    place = write_project(tmp_path / "deaf", clew_yaml=DEAF_MANIFEST, tools__t_py=DEAF)
    began = time.monotonic()
    done = run(place)
    assert done.returncode == 1
    assert "longer than 0.2 s" in done.stderr
    assert time.monotonic() - began < 30


SHELL = """
    clew: "1"
    name: shelling
    defaults: {allow_commands: [sh]}
    nodes: {input: {type: input}, output: {type: output}}
    tools: {wait: {type: shell, command: [sh, -c, "echo $$ > pid; exec sleep 600"]}}
    edges: {a: {from: input, to: wait}, b: {from: wait, to: output}}
"""


def test_a_signal_that_ends_the_process_ends_the_programs_of_its_tools(tmp_path: Path) -> None:
    place = write_project(tmp_path / "shelling", clew_yaml=SHELL)
    process = subprocess.Popen([*CLEW, "run", str(place)], stderr=subprocess.PIPE)
    written = place / "pid"
    deadline = time.monotonic() + 30
    while not (written.exists() and written.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    group = int(written.read_text())
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    assert [row.status for row in Store(tmp_path / ".clew").runs()] == ["interrupted"]
