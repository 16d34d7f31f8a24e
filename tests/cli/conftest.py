"""Real runs to look at, recorded once through the public API, and two ways to call a command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from clew.cli.main import run_command

RECORDED = Path(__file__).parent / "recorded_runs.py"


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def record(home: Path, what: str) -> subprocess.Popen[str]:
    """Start the program that records one of the runs of recorded_runs.py."""
    return subprocess.Popen(
        [sys.executable, str(RECORDED), what],
        env={**os.environ, "CLEW_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def record_and_kill(home: Path, what: str) -> None:
    """Record until the program says that it is in the middle of it, then kill it."""
    with record(home, what) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(signal.SIGKILL)


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a test runner or a shell may have set: how wide and in which colours output is to be.

    Output is kept back as for a user: only then can its last part fail when the program ends.
    """
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with a run of every kind: completed, failed, nested, interrupted, oddly named."""
    home = tmp_path_factory.mktemp("recorded") / ".clew"
    for what in ("calibration", "agent", "odd"):
        with record(home, what) as process:
            process.communicate()
        assert process.returncode == 0
    record_and_kill(home, "killed")
    return home


@pytest.fixture
def home(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recorded runs, which the commands of this test read."""
    place = tmp_path / ".clew"
    shutil.copytree(recorded, place)
    monkeypatch.setenv("CLEW_HOME", str(place))
    return place


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Return what runs a command in this process: the same as the program `clew`, without its start."""

    def call_command(*arguments: str | Path) -> Done:
        capsys.readouterr()
        code = run_command([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return call_command


def program(
    arguments: Sequence[str | Path],
    *,
    environ: dict[str, str] | None = None,
    stdin: str | None = None,
    timeout_s: float | None = None,
) -> Done:
    """Run the program itself."""
    done = subprocess.run(
        [sys.executable, "-m", "clew.cli.main", *map(str, arguments)],
        env={**os.environ, **(environ or {})},
        input=stdin,
        timeout=timeout_s,
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
