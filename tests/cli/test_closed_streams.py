"""A program that is started without standard streams: what it writes there goes nowhere, and never into the journal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.workflow.commands import CLEW, project

CLOSED = ["2>&-", ">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"]
RUDE = """
import os, clew
with clew.run("rude"):
    for descriptor in (0, 1, 2):
        try:
            os.write(descriptor, b"not for the journal")
        except OSError:
            pass
"""


def without_streams(closed: str, *command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {closed}', "bash", *map(str, command)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("mode", ["mapped", "written"])
@pytest.mark.parametrize("by_clew", [True, False], ids=["clew run", "a plain program"])
def test_what_is_written_to_a_closed_descriptor_is_not_in_the_journal(
    tmp_path: Path, closed: str, mode: str, by_clew: bool
) -> None:
    script = tmp_path / "rude.py"
    script.write_text(RUDE)
    start = [*CLEW, "run"] if by_clew else [sys.executable]
    home = tmp_path / "home"
    done = without_streams(closed, *start, script, CLEW_HOME=str(home), CLEW_JOURNAL=mode)
    assert done.returncode == 0, done.stderr
    assert {row.status for row in Store(home).runs()} == {"completed"}
    checked = subprocess.run(
        [*CLEW, "doctor", "--home", str(home)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.needs_extra("workflow")
@pytest.mark.parametrize("closed", CLOSED)
def test_a_project_runs_without_the_streams_it_does_not_need(tmp_path: Path, closed: str) -> None:
    place = project(tmp_path)
    stream = tmp_path / "events.jsonl"
    home = tmp_path / "home"
    done = without_streams(
        closed,
        *CLEW,
        "run",
        place,
        "-i",
        '{"n": 21}',
        "-o",
        "json",
        "--telemetry-file",
        stream,
        "--home",
        home,
    )
    assert done.returncode == 0, done.stderr
    expected = (
        "" if ">&-" in closed.replace("2>&-", "") else '{"success":true,"outputs":{"output":{"n":42}}}\n'
    )
    assert done.stdout == expected
    assert "a tool prints" not in stream.read_text()
    checked = subprocess.run(
        [*CLEW, "doctor", "--home", str(home)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
