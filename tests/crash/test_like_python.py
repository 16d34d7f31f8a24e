"""`clew run program` is `python program`: what it prints, what it returns, how it dies, what it sees of itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.crash import programs

PROGRAMS = {
    "returns": "print('out')",
    "exit 0": "import sys; sys.exit(0)",
    "exit 5": "import sys; print('out'); sys.exit(5)",
    "exit -1": "import sys; sys.exit(-1)",
    "exit 256": "import sys; sys.exit(256)",
    "exit text": "import sys; print('out'); sys.exit('a reason')",
    "exit list": "import sys; sys.exit(['a', 'list'])",
    "exit True": "import sys; sys.exit(True)",
    "exception": "def f():\n    raise ValueError('no')\nf()",
    "exception chain": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e",
    "exception group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "base exception": "class Own(BaseException): pass\nraise Own('x')",
    "generator exit": "raise GeneratorExit",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "syntax error": "def f(:\n    pass",
    "recursion": "import sys\nsys.setrecursionlimit(200)\ndef f(): f()\ntry:\n    f()\nexcept RecursionError: print('deep')",
    "os._exit": "import os; os._exit(9)",
    "SIGTERM": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "SIGKILL": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "SIGABRT": "import os; os.abort()",
    "SIGINT": "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(5)",
    "SIGINT by default": "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)",
    "SIGTERM handled": "import os, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(4))\nos.kill(os.getpid(), signal.SIGTERM)",
    "excepthook": "import sys\nsys.excepthook = lambda *e: print('hook', e[0].__name__)\nraise ValueError",
    "argv": "import sys; print(sys.argv)",
    "main": "import sys; m = sys.modules['__main__']; print(__name__, __file__, __spec__, __package__, __doc__, m.__dict__ is globals(), __builtins__ is __import__('builtins'), sorted(k for k in globals()))",
    "path": "import sys; print(sys.path)",
    "flags": "import sys; print(sys.flags, sys.warnoptions, sys.orig_argv[1:] == 0)",
    "doc": "'''The doc.'''\nprint(__doc__)",
    "annotations": "x: int = 1\nprint(__annotations__)",
    "neighbour": "import neighbour; print(neighbour.VALUE)",
    "pickle": "import pickle\nclass A:\n    def __init__(self): self.x = 1\nb = pickle.dumps(A())\nprint(b, pickle.loads(b).x)",
    "inspect": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "stdin": "import sys; print(sys.stdin.read().upper(), end='')",
    "input": "print(input() + '!')",
    "bytes": "import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stderr.buffer.write(b'\\xff\\x00err')",
    "no newline": "import sys; sys.stdout.write('x'); sys.stderr.write('y')",
    "atexit": "import atexit\natexit.register(print, 'first')\natexit.register(print, 'second')\nprint('main')",
    "atexit exit": "import atexit, os\natexit.register(lambda: os._exit(6))",
    "threads": "import threading, time\ndef f():\n    time.sleep(.2); print('thread')\nthreading.Thread(target=f).start()\nprint('main')",
    "threads of threads": "import threading, time\ndef g():\n    time.sleep(.2); print('inner')\ndef f():\n    time.sleep(.1); threading.Thread(target=g).start()\nthreading.Thread(target=f).start()",
    "thread fails": "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='T')\nt.start(); t.join()",
    "exit text with threads": "import sys, threading, time\ndef f():\n    time.sleep(.2); sys.stderr.write('thread\\n')\nthreading.Thread(target=f).start()\nsys.exit('text')",
    "daemon": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint('main')",
    "warnings": "import warnings\nwarnings.warn('old', DeprecationWarning)\nwarnings.warn('careful')\nprint('x')",
    "resource warning": "import sys, warnings\nwarnings.simplefilter('always')\nopen(__file__)\n",
    "unraisable": "class A:\n    def __del__(self): raise ValueError('in del')\na = A()\ndel a",
    "asyncio": "import asyncio\nasync def f():\n    await asyncio.sleep(0.01); return 3\nprint(asyncio.run(f()))",
    "asyncio exception": "import asyncio\nasync def f():\n    raise ValueError('async')\nasyncio.run(f())",
    "spawn": "import multiprocessing\ndef f(x): return x * x\nif __name__ == '__main__':\n    with multiprocessing.get_context('spawn').Pool(2) as pool: print(pool.map(f, range(5)))",
    "fork": "import os, sys\nsys.stdout.flush()\npid = os.fork()\nif pid == 0:\n    print('child', flush=True); sys.exit(3)\nprint('parent', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
    "fork and fall off": "import os, sys\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\nprint('parent' if pid else 'child')",
    "exec": "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'print(7); raise SystemExit(8)'])",
    "cwd": "import os; os.chdir('/'); print(os.getcwd())",
    "closes stdout": "import sys; print('x'); sys.stdout.close()",
    "closes stderr": "import sys; sys.stderr.close(); print('x')",
    "closes descriptors": "import os; print('x', flush=True); os.closerange(3, 200); print('y')",
    "no stdout": "import sys; sys.stdout = None; print('x')",
    "main is imported": "import __main__; print(__main__.__file__ == __file__)",
    "dataclass": "from __future__ import annotations\nimport dataclasses, typing\n@dataclasses.dataclass\nclass A:\n    x: int\nprint(A(1), typing.get_type_hints(A))",
    "trace function": "import sys; print(sys.gettrace(), sys.getprofile())",
    "recursion limit": "import sys; print(sys.getrecursionlimit())",
    "signals": "import signal; print([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)])",
    "no traces of clew": "import sys, os; print('TRACEPARENT' in os.environ or 0)",
    "own argparse": "import argparse; p = argparse.ArgumentParser(); p.add_argument('-i'); p.add_argument('--name'); p.add_argument('--help-me', action='store_true'); print(p.prog, p.parse_args())",
}  # fmt: skip
DIFFERENT = {
    "flags": "sys.orig_argv says how it was started",
    "no traces of clew": "the place in the run is passed on",
}
ARGUMENTS = {
    "argv": ["-x", "--name", "a b", "--", "-i", "", "--help"],
    "own argparse": ["-i", "5", "--name", "n"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "a folder"
    place.mkdir()
    (place / "neighbour.py").write_text("VALUE = 42\n")
    return place


def masked(text: bytes) -> bytes:
    """Without addresses, which differ from process to process."""
    return re.sub(rb"0x[0-9a-f]+", b"0x", text)


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in DIFFERENT])
def test_a_program_is_the_same_under_clew(folder: Path, name: str) -> None:
    program = folder / "program.py"
    program.write_text(PROGRAMS[name])
    given = b"a line\nanother\n" if name in {"stdin", "input"} else None
    arguments = ARGUMENTS.get(name, [])
    plain = programs.run(programs.python("program.py", *arguments), cwd=folder, given=given)
    recorded = programs.run(programs.clew("run", "program.py", *arguments), cwd=folder, given=given)
    assert recorded.code == plain.code
    assert masked(recorded.out) == masked(plain.out)
    assert masked(recorded.err) == masked(plain.err)


@pytest.mark.parametrize("given", ["{folder}/program.py", "./program.py", "../a folder/program.py"])
def test_a_script_sees_the_path_that_it_was_given(folder: Path, given: str) -> None:
    (folder / "program.py").write_text("import sys; print(__file__, sys.argv, sys.path[0])\n1 / 0\n")
    path = given.format(folder=folder)
    plain = programs.run(programs.python(path, "x"), cwd=folder)
    assert programs.run(programs.clew("run", path, "x"), cwd=folder) == plain


def test_a_script_behind_a_symbolic_link_finds_its_neighbours(folder: Path, tmp_path: Path) -> None:
    (folder / "program.py").write_text("import sys, neighbour; print(__file__, sys.argv, sys.path[0])\n")
    link = tmp_path / "link.py"
    link.symlink_to(folder / "program.py")
    plain = programs.run(programs.python(link))
    assert plain.code == 0
    assert programs.run(programs.clew("run", link)) == plain


def test_a_directory_is_run_as_python_runs_it(folder: Path) -> None:
    source = "import sys, neighbour\nprint(__name__, __file__, __package__, sys.argv, sys.path[0])\nprint(__spec__.name, __spec__.origin)\nsys.exit(4)\n"
    (folder / "__main__.py").write_text(source)
    for given in (folder.name, f"{folder.name}/", str(folder)):
        plain = programs.run(programs.python(given, "-a", "b"), cwd=folder.parent)
        assert plain.code == 4
        assert programs.run(programs.clew("run", given, "-a", "b"), cwd=folder.parent) == plain


def test_a_directory_may_start_processes_by_spawning(folder: Path) -> None:
    (folder / "__main__.py").write_text(
        "import multiprocessing, neighbour2\nif __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool: print(pool.map(neighbour2.f, range(5)))\n"
    )
    (folder / "neighbour2.py").write_text("def f(x): return x * x\n")
    plain = programs.run(programs.python(folder))
    assert plain == (0, b"[0, 1, 4, 9, 16]\n", b"")
    assert programs.run(programs.clew("run", folder)) == plain


def wait_until_asleep(pid: int) -> None:
    state = ""
    while state != "S":
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP, signal.SIGQUIT]
)
def test_a_signal_from_outside_ends_it_as_it_ends_python(folder: Path, number: signal.Signals) -> None:
    program = folder / "program.py"
    program.write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    ends = []
    for command in (programs.python(program), programs.clew("run", program)):
        process = programs.start(command)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        wait_until_asleep(process.pid)  # else it may be interrupted while it still prints
        process.send_signal(number)
        ends.append(programs.finish(process))
    assert ends[0].code == -number
    assert ends[1] == ends[0]
    (row,) = Store(Path(os.environ["CLEW_HOME"])).runs()
    assert row.status == "interrupted"


def test_options_of_the_interpreter_are_kept(folder: Path) -> None:
    program = folder / "program.py"
    program.write_text(
        "import sys, warnings; warnings.warn('w'); print(sys.flags.optimize, sys.flags.dev_mode)\nassert False"
    )
    clew = str(Path(sys.executable).with_name("clew"))
    plain = programs.run([sys.executable, "-O", "-W", "error", program])
    recorded = programs.run([sys.executable, "-O", "-W", "error", clew, "run", program])
    assert (recorded.code, recorded.out) == (plain.code, plain.out)


@pytest.mark.parametrize(
    "environ", [{"PYTHONUNBUFFERED": "1"}, {"PYTHONSAFEPATH": "1"}, {"PYTHONIOENCODING": "latin-1"}]
)
def test_the_environment_of_python_is_kept(folder: Path, environ: dict[str, str]) -> None:
    program = folder / "program.py"
    program.write_text(
        "import sys; print(sys.path[:2] if not sys.flags.safe_path else sys.path[1:], '\\xe9')\n"
    )
    plain = programs.run(programs.python(program), environ=environ)
    recorded = programs.run(programs.clew("run", program), environ=environ)
    assert (recorded.code, recorded.err) == (plain.code, plain.err)
    if "PYTHONSAFEPATH" not in environ:
        assert recorded.out == plain.out


def test_without_standard_streams_it_ends_as_python_does(folder: Path) -> None:
    program = folder / "program.py"
    program.write_text(
        "import sys\nopen('seen', 'w').write(repr((sys.stdin, sys.stdout, sys.stderr)))\nprint('x')\nsys.exit(3)\n"
    )
    seen = []
    for command in (programs.python(program), programs.clew("run", program)):
        shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *map(str, command)]
        code = subprocess.run(shell, cwd=folder, check=False, timeout=60).returncode
        seen.append((code, (folder / "seen").read_text()))
    assert seen[0] == (3, "(None, None, None)")
    assert seen[1] == seen[0]
