"""Whatever a server does, and however Clew ends, no server is left running and nobody waits for one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clew.store.store import Store
from clew.workflow.project import McpServer, Place
from clew.workflow.tools.toolbox import open_toolbox
from tests.workflow.commands import CLEW
from tests.workflow.running import write_project

pytestmark = [pytest.mark.needs_extra("mcp"), pytest.mark.needs_extra("workflow")]

SILENT = "echo $$ > {pid}; exec sleep 600"
STUBBORN = "trap '' TERM; " + SILENT
"""What is ignored stays ignored in the program that takes the shell's place."""


def group_of(file: Path, *, timeout_s: float = 30) -> int:
    deadline = time.monotonic() + timeout_s
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(file.read_text())


def is_gone(group: int, *, timeout_s: float = 10) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("script", [SILENT, STUBBORN])
def test_a_server_that_has_not_answered_is_killed_when_the_toolbox_is_closed(
    tmp_path: Path, script: str
) -> None:
    pid = tmp_path / "pid"
    server = McpServer(
        place=Place(Path("clew.yaml"), 1), name="s", command="sh", args=["-c", script.format(pid=pid)]
    )

    async def work() -> float:
        toolbox = open_toolbox(
            {}, root=tmp_path, folder=tmp_path, environ=os.environ, allow_commands=[], timeout_s=None
        )
        starting = asyncio.create_task(toolbox.offered(["s.*"], [server]))
        await asyncio.to_thread(group_of, pid)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        began = time.monotonic()
        await toolbox.close()
        return time.monotonic() - began

    assert asyncio.run(work()) < 20
    assert is_gone(group_of(pid), timeout_s=0.5)


AGENT = """
    clew: "1"
    name: research
    defaults: {{model: scripted, script: answers.yaml}}
    nodes:
      input: {{type: input}}
      ask:
        type: agent
        prompt: ask
        tools: ["s.*"]
        timeout_s: {timeout_s}
        mcp_servers: {{s: {{command: sh, args: [-c, "{script}"]}}}}
      output: {{type: output}}
    edges: {{a: {{from: input, to: ask}}, b: {{from: ask, to: output}}}}
"""


def agent(folder: Path, *, timeout_s: float, script: str = SILENT) -> Path:
    return write_project(
        folder / "research",
        clew_yaml=AGENT.format(timeout_s=timeout_s, script=script.format(pid="pid")),
        prompts__ask_prompt="---\nid: ask\n---\nHello\n",
        answers_yaml="answers: [{text: fine}]\n",
    )


def test_a_node_whose_server_never_answers_ends_the_process_soon_after_its_time(tmp_path: Path) -> None:
    place = agent(tmp_path, timeout_s=6)
    began = time.monotonic()
    done = subprocess.run([*CLEW, "run", str(place)], capture_output=True, text=True, check=False, timeout=50)
    assert time.monotonic() - began < 30
    assert done.returncode == 1
    assert "node ask took longer than 6 s" in done.stderr
    assert is_gone(group_of(place / "pid"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_clew_ends_its_servers_and_leaves_an_interrupted_run(
    tmp_path: Path, number: signal.Signals
) -> None:
    place = agent(tmp_path, timeout_s=300)
    process = subprocess.Popen([*CLEW, "run", str(place)], stderr=subprocess.PIPE)
    group = group_of(place / "pid")
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == -number
    assert is_gone(group)
    assert [row.status for row in Store(tmp_path / ".clew").runs()] == ["interrupted"]


@pytest.mark.parametrize("more", [1, 2])
def test_one_more_ctrl_c_while_a_server_is_being_closed_ends_clew_and_the_server(
    tmp_path: Path, more: int
) -> None:
    """The server takes no notice of being asked to end, so that its end takes seconds."""
    place = agent(tmp_path, timeout_s=300, script=STUBBORN)
    process = subprocess.Popen([*CLEW, "run", str(place)], stderr=subprocess.PIPE, text=True)
    group = group_of(place / "pid")
    for _ in range(1 + more):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    _, told = process.communicate(timeout=30)
    assert process.returncode in {-signal.SIGINT, 130}  # both read as interrupted by whoever started it
    assert "Traceback" not in told
    assert is_gone(group)
    assert [row.status for row in Store(tmp_path / ".clew").runs()] == ["interrupted"]
