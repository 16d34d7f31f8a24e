"""Running programs as a user would, within a time limit, and leaving none behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TIME_LIMIT_S = 60.0


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    """Exit code; the negative number of the signal where one ended it."""
    out: bytes
    err: bytes


def start(
    command: Sequence[str | Path],
    *,
    environ: dict[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int = subprocess.PIPE,
    stdin: int = subprocess.DEVNULL,
    in_child: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, so that whatever it leaves can be ended."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": path, **(environ or {})},
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        process_group=0,
        preexec_fn=in_child,  # noqa: PLW1509 - nothing else sets a limit for the child alone
    )


def finish(process: subprocess.Popen[bytes], *, given: bytes | None = None) -> Ended:
    """Wait for a program, and end what is left of its group."""
    with process:
        try:
            out, err = process.communicate(given, timeout=TIME_LIMIT_S)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return Ended(process.returncode, out or b"", err or b"")


def run(
    command: Sequence[str | Path],
    *,
    environ: dict[str, str] | None = None,
    cwd: Path | None = None,
    given: bytes | None = None,
    in_child: Callable[[], None] | None = None,
) -> Ended:
    """Run a program to its end."""
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    return finish(start(command, environ=environ, cwd=cwd, stdin=stdin, in_child=in_child), given=given)


def python(program: str | Path, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs a program with plain Python."""
    return [sys.executable, program, *arguments]


def clew(*arguments: str | Path) -> list[str | Path]:
    """Return the command that runs the installed `clew`."""
    return [Path(sys.executable).with_name("clew"), *arguments]
