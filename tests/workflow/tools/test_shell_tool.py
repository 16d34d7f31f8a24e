"""Programs of the machine as tools: real ones, and what they may not do."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ToolError
from clew.workflow.project import Place, ToolNode
from clew.workflow.tools.shell_tool import MOST_OUTPUT_BYTES, ShellTool

HERE = Place(Path("clew.yaml"), 1)
ALLOWED = frozenset(
    {"echo", "sh", "cat", "printf", "pwd", "env", sys.executable, "no-such-program", "./here.sh"}
)


def call(
    root: Path,
    *command: str,
    arguments: dict[str, Any] | None = None,
    timeout_s: float | None = 20,
    cwd: str = ".",
    environ: dict[str, str] | None = None,
) -> dict[str, Any]:
    node = ToolNode(place=HERE, id="sh", type="shell", command=list(command), cwd=cwd)
    tool = ShellTool(
        node, root=root, environ=environ or dict(os.environ), allow_commands=ALLOWED, timeout_s=timeout_s
    )
    return asyncio.run(tool.call(arguments or {}))


def failure(root: Path, *command: str, **more: Any) -> str:
    with pytest.raises(ToolError) as caught:
        call(root, *command, **more)
    return str(caught.value)


def wait_until_gone(pid: int) -> None:
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} is still there")


def wait_until_written(path: Path) -> None:
    for _ in range(1000):
        if path.exists() and path.read_text():
            return
        time.sleep(0.01)
    pytest.fail(f"{path} was not written")


def test_output_and_exit_code_come_back(tmp_path: Path) -> None:
    assert call(tmp_path, "sh", "-c", "echo out; echo err >&2") == {
        "stdout": "out\n",
        "stderr": "err\n",
        "exit_code": 0,
    }


def test_no_shell_reads_an_argument(tmp_path: Path) -> None:
    nasty = "$(touch owned); `touch owned` | touch owned && 'x' *"
    assert call(tmp_path, "echo", "{{text}}", arguments={"text": nasty})["stdout"] == nasty + "\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", ["ls", "/bin/echo", "echo ", "ECHO", "../echo", ""])
def test_a_program_that_is_not_allowed_by_exactly_this_name_is_not_started(
    tmp_path: Path, program: str
) -> None:
    assert "may not be started; write it into allow_commands" in failure(tmp_path, program, "x")
    assert "may not be started" in failure(tmp_path, "{{p}}", "x", arguments={"p": program})


def test_an_empty_command_is_refused(tmp_path: Path) -> None:
    assert "nothing may not be started" in failure(tmp_path)


def test_an_argument_cannot_become_an_option(tmp_path: Path) -> None:
    message = failure(tmp_path, "cat", "{{file}}", arguments={"file": "--help"})
    assert "would be an option of cat; write -- before it" in message
    assert "No such file" in failure(tmp_path, "cat", "--", "{{file}}", arguments={"file": "--help"})
    assert call(tmp_path, "echo", "{{n}}", "-", arguments={"n": -3})["stdout"] == "-3 -\n"


def test_a_program_runs_below_the_project_only(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "deep").mkdir(parents=True)
    (root / "away").symlink_to(tmp_path)
    assert call(root, "pwd", cwd="deep")["stdout"] == f"{root / 'deep'}\n"
    for cwd in ("..", "/", "away", "deep/../.."):
        assert "outside of the project" in failure(root, "pwd", cwd=cwd)
    assert "cannot be started" in failure(root, "pwd", cwd="missing")


def test_a_program_of_the_project_can_be_allowed_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "here.sh").write_text("#!/bin/sh\necho here")
    (tmp_path / "here.sh").chmod(0o755)
    assert call(tmp_path, "./here.sh")["stdout"] == "here\n"


def test_a_program_has_the_environment_that_was_given_and_no_standard_input(tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "A": "1"}
    assert "A=1" in call(tmp_path, "env", environ=given)["stdout"].splitlines()
    assert call(tmp_path, "cat")["stdout"] == ""


@pytest.mark.parametrize(
    "script, message",
    [
        ("echo one >&2; echo two >&2; exit 3", "sh ended with exit code 3: one\ntwo"),
        ("exit 1", "sh ended with exit code 1"),
        ("kill -9 $$", "sh was ended by signal 9 (Killed)"),
        ("seq 100 >&2; exit 1", "sh ended with exit code 1: " + "\n".join(str(n) for n in range(91, 101))),
    ],
)
def test_an_exit_code_other_than_0_is_a_failure_with_the_last_lines(
    tmp_path: Path, script: str, message: str
) -> None:
    assert failure(tmp_path, "sh", "-c", script) == f"tool sh: {message}"


def test_a_program_that_cannot_be_started_is_told_by_name(tmp_path: Path) -> None:
    assert "no-such-program cannot be started: " in failure(tmp_path, "no-such-program")
    assert "echo cannot be started: embedded null" in failure(
        tmp_path, "echo", "{{x}}", arguments={"x": "a\0b"}
    )


def test_a_program_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 600 & echo $! > child; echo $$ > parent; echo waiting >&2; wait"
    message = failure(tmp_path, "sh", "-c", script, timeout_s=0.5)
    assert message == "tool sh: sh took longer than 0.5 s and was killed: waiting"
    for name in ("parent", "child"):
        wait_until_gone(int((tmp_path / name).read_text()))


def test_a_caller_that_is_cancelled_leaves_no_program_behind(tmp_path: Path) -> None:
    async def cancelled() -> None:
        node = ToolNode(
            place=HERE, id="sh", type="shell", command=["sh", "-c", "echo $$ > pid; exec sleep 600"]
        )
        tool = ShellTool(node, root=tmp_path, environ=os.environ, allow_commands=ALLOWED, timeout_s=None)
        task = asyncio.create_task(tool.call({}))
        await asyncio.to_thread(wait_until_written, tmp_path / "pid")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_what_goes_on_in_the_background_does_not_hold_the_call_up(tmp_path: Path) -> None:
    before = time.monotonic()
    given = call(tmp_path, "sh", "-c", "sleep 600 & echo $! > child; echo done")
    assert given["stdout"] == "done\n"
    assert time.monotonic() - before < 10
    wait_until_gone(int((tmp_path / "child").read_text()))


def test_a_program_that_writes_without_end_is_stopped(tmp_path: Path) -> None:
    script = "import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile True: print('x' * 100000)"
    assert f"wrote more than {MOST_OUTPUT_BYTES} bytes" in failure(tmp_path, sys.executable, "-c", script)
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_of_a_long_stderr_the_end_is_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    script = "import sys\nsys.stderr.write('x' * 200000 + 'end')"
    stderr = call(tmp_path, sys.executable, "-c", script)["stderr"]
    assert stderr.startswith(f"[{200_003 - 65536} bytes before this were left out]\nxxx")
    assert stderr.endswith("xend")


def test_many_programs_at_once_run_at_once(tmp_path: Path) -> None:
    async def many() -> list[dict[str, Any]]:
        node = ToolNode(
            place=HERE, id="sh", type="shell", command=["sh", "-c", "sleep 0.2; echo $0", "{{n}}"]
        )
        tool = ShellTool(node, root=tmp_path, environ=os.environ, allow_commands=ALLOWED, timeout_s=30)
        return await asyncio.gather(*(tool.call({"n": n}) for n in range(10)))

    assert [one["stdout"] for one in asyncio.run(many())] == [f"{n}\n" for n in range(10)]


def test_a_model_is_told_the_variables_of_the_command(tmp_path: Path) -> None:
    node = ToolNode(place=HERE, id="sh", type="shell", command=["echo", "{{b}}", "x{{a}}"])
    tool = ShellTool(node, root=tmp_path, environ={}, allow_commands=ALLOWED, timeout_s=1)
    assert tool.spec.parameters == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["a", "b"],
    }


def test_the_signals_of_a_run_do_not_reach_a_program_by_chance(tmp_path: Path) -> None:
    """It has a process group of its own, so that Ctrl-C in the terminal ends it through the runner alone."""
    script = "import os, signal\nprint(os.getpgrp() == os.getpid())"
    assert call(tmp_path, sys.executable, "-c", script)["stdout"] == "True\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
