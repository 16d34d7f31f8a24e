"""What tools print, and where it may not go."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ToolError
from clew.workflow.project import Place, ToolNode
from clew.workflow.tools.output import Diversion, diverted
from clew.workflow.tools.python_tool import PythonTool

HERE = Place(Path("clew.yaml"), 1)


def tool(root: Path, source: str, *, timeout_s: float = 20) -> PythonTool:
    (root / "tools").mkdir(exist_ok=True)
    (root / "tools" / "t.py").write_text(source)
    node = ToolNode(place=HERE, id="t", type="python", module="t", function="f")
    return PythonTool(node, root=root, folder=root, timeout_s=timeout_s)


PRINTS = {
    "print": "print('from the tool')",
    "write": "import sys; sys.stdout.write('from the tool\\n'); sys.stdout.flush()",
    "bytes": "import sys; sys.stdout.buffer.write(b'from the tool\\n'); sys.stdout.buffer.flush()",
    "thread": "import threading; t = threading.Thread(target=print, args=('from the tool',)); t.start(); t.join()",
    "pool": "from concurrent.futures import ThreadPoolExecutor as P\n    with P() as p: p.submit(print, 'from the tool')",
    "closed": "import sys; sys.stdout.close(); print('from the tool')",
    "escapes": "print('\\x1b[2Jfrom the tool')",
}


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("print_it", PRINTS.values(), ids=PRINTS)
def test_what_a_tool_prints_goes_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, print_it: str
) -> None:
    stdout, start = sys.stdout, threading.Thread.start

    async def once() -> None:
        one = tool(tmp_path, f"print('while loading')\n{kind} f():\n    {print_it}")
        await one.call({})
        sys.stdout.write("the program's own\n")
        await one.close()

    asyncio.run(once())
    captured = capsys.readouterr()
    assert captured.out == "the program's own\n"
    assert "while loading\n" in captured.err
    assert "from the tool\n" in captured.err
    assert sys.stdout is stdout
    assert threading.Thread.start is start


def test_the_program_prints_to_stdout_while_tools_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (
        "import threading, time\nready, go = threading.Event(), threading.Event()\n"
        "def f(n):\n    for k in range(50): print(f'tool {n} {k}')\n    return n"
    )

    async def several() -> None:
        one = tool(tmp_path, source)
        calls = [asyncio.create_task(one.call({"n": n})) for n in range(8)]
        for k in range(50):
            sys.stdout.write(f"program {k}\n")
            await asyncio.sleep(0)
        await asyncio.gather(*calls)
        await one.close()

    asyncio.run(several())
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [f"program {k}" for k in range(50)]
    assert sorted(captured.err.splitlines()) == sorted(f"tool {n} {k}" for n in range(8) for k in range(50))


def test_an_abandoned_tool_that_goes_on_printing_ends_at_its_next_print(tmp_path: Path) -> None:
    source = (
        "import time\nfrom pathlib import Path\ndef f():\n    try:\n        while True:\n            print('x')\n"
        f"            time.sleep(0.01)\n    finally:\n        Path({str(tmp_path / 'ended')!r}).touch()"
    )

    async def once() -> None:
        one = tool(tmp_path, source, timeout_s=0.2)
        with pytest.raises(ToolError, match="abandoned"):
            await one.call({})
        await one.close()
        for _ in range(500):
            if (tmp_path / "ended").exists():
                return
            await asyncio.sleep(0.01)

    asyncio.run(once())
    assert (tmp_path / "ended").exists()


def test_an_abandoned_call_that_never_ends_does_not_let_later_ones_print_to_another_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck = Diversion()
    with contextlib.ExitStack() as never_left:
        never_left.enter_context(diverted(stuck))
        stuck.end()
        ours, inner = sys.stdout, io.StringIO()

        async def once() -> None:
            one = tool(tmp_path, "def f():\n    print('from the tool')")
            with contextlib.redirect_stdout(inner):
                await one.call({})
            await one.close()

        context = contextvars.Context()  # that of another call, which knows nothing of the stuck one
        context.run(asyncio.run, once())
        assert sys.stdout is ours
    assert sys.stdout is not ours
    assert inner.getvalue() == ""
    assert capsys.readouterr().err == "from the tool\n"


PROGRAM = """
    import asyncio, os, subprocess, sys
    from pathlib import Path
    from clew.workflow.project import Place, ToolNode
    from clew.workflow.tools.output import quiet_stdout
    from clew.workflow.tools.python_tool import PythonTool

    async def main():
        here = Path({folder!r})
        node = ToolNode(place=Place(here, 1), id="t", type="python", module="t", function="f")
        one = PythonTool(node, root=here, folder=here, timeout_s={timeout_s})
        try:
            return await one.call({{}})
        except Exception as error:
            return str(error)
        finally:
            await one.close()

    with quiet_stdout() as stdout:
        print("the program's print")
        result = asyncio.run(main())
        stdout.write(f"result: {{result}}\\n")
    print("after")
"""


def run_program(
    root: Path, source: str, *, timeout_s: float = 20, **more: Any
) -> subprocess.CompletedProcess[str]:
    tool(root, source)
    program = textwrap.dedent(PROGRAM).format(folder=str(root), timeout_s=timeout_s)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, **more
    )


@pytest.mark.parametrize(
    "print_it",
    [
        "os.write(1, b'LEAK')",
        "os.system('echo LEAK')",
        "subprocess.run(['echo', 'LEAK'])",
        "sys.__stdout__.write('LEAK')",
        "os.fork() == 0 and os._exit(os.write(1, b'LEAK'))",
        "os.fork() == 0 and print('LEAK')",
        "sys.exit(print('LEAK'))",
        "print('LEAK')",
    ],
)
def test_the_command_s_standard_output_is_exactly_the_result(tmp_path: Path, print_it: str) -> None:
    done = run_program(tmp_path, f"import os, subprocess, sys\ndef f():\n    {print_it}\n    return 1")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("result: ")
    assert lines[1:] == ["after"]
    assert "LEAK" in done.stderr
    assert "the program's print" in done.stderr


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("body", ["while True: pass", "while True: print('x')", "time.sleep(1000)"])
def test_a_tool_that_never_returns_does_not_keep_the_process(tmp_path: Path, kind: str, body: str) -> None:
    done = run_program(tmp_path, f"import time\n{kind} f():\n    {body}", timeout_s=0.5)
    assert done.returncode == 0
    assert "did not end within 0.5 s" in done.stdout


def test_without_any_standard_streams_nothing_fails(tmp_path: Path) -> None:
    tool(tmp_path, "import os\ndef f():\n    print('x')\n    return 1")
    program = (
        textwrap.dedent(PROGRAM).format(folder=str(tmp_path), timeout_s=20)
        + f"\nopen({str(tmp_path / 'ok')!r}, 'w')"
    )
    code = f'exec {sys.executable} -c "$PROGRAM" >&- 2>&-'
    done = subprocess.run(["bash", "-c", code], env={"PROGRAM": program}, timeout=60, check=False)
    assert done.returncode == 0
    assert (tmp_path / "ok").exists()


def test_children_do_not_inherit_the_real_standard_output(tmp_path: Path) -> None:
    source = (
        "import subprocess, sys\nLIST = 'import os; print(sorted(int(n) for n in os.listdir(\"/proc/self/fd\")))'\n"
        "def f(): return subprocess.run([sys.executable, '-c', LIST], stdout=subprocess.PIPE, text=True).stdout"
    )
    done = run_program(tmp_path, source, stdin=subprocess.DEVNULL)
    assert "[0, 1, 2, 3]" in done.stdout
