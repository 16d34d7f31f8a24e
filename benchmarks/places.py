"""Where a benchmark records: a home directory of its own on a real disk, removed afterwards."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
CLEW = str(Path(sys.executable).parent / "clew")
"""The command, of the same environment."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder under $TMPDIR; name another disk there if /tmp is in memory."""
    folder = Path(tempfile.mkdtemp(prefix="clew-bench-"))
    try:
        yield folder
    finally:
        if "clew.session" in sys.modules:  # at exit it would write the segment anew that is deleted here
            sys.modules["clew.session"].session.close()
        shutil.rmtree(folder, ignore_errors=True)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment without the caller's settings, and with this home.

    Compiled modules are kept as an installation keeps them, even where the caller's environment forbids that.
    """
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CLEW_")
        and name not in {"TRACEPARENT", "TRACESTATE", "PYTHONDONTWRITEBYTECODE"}
    }
    compiled = Path(tempfile.gettempdir()) / "clew-bench-compiled"
    return {**clean, "PYTHONPYCACHEPREFIX": str(compiled), "CLEW_HOME": str(home), **more}


def record_in(home: Path) -> None:
    """Make this process record there. Call it before `import clew`."""
    assert "clew" not in sys.modules
    os.environ.update(environment(home))
    for name in [n for n in os.environ if n.startswith("CLEW_") and n != "CLEW_HOME"]:
        del os.environ[name]


def run_python(*arguments: str, env: dict[str, str], cwd: Path | None = None) -> str:
    """Run a Python program and return what it printed; its errors are shown and end the benchmark."""
    done = subprocess.run(
        [sys.executable, *arguments], env=env, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def measured(
    command: Sequence[str], *, env: dict[str, str], cwd: Path | None = None
) -> tuple[float, resource.struct_rusage, int]:
    """Run a program with its output thrown away; return wall seconds, what the kernel says it used, exit code."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    return wall_s, usage, process.returncode


class SealedSegments:
    """Removes what the journal has finished, so that a long benchmark does not fill the disk."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def remove(self) -> None:
        files = sorted(
            self._home.glob("journal/*/*.jsonl"), key=lambda path: int(path.stem.rpartition("-")[2])
        )
        for path in files[:-1]:
            path.unlink()
