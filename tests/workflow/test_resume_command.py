"""Which run is gone on with, and what of a project is refused before anything runs."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.workflow.commands import CLEW, project, run

pytestmark = pytest.mark.needs_extra("workflow")


def test_latest_is_the_latest_run_of_this_project_and_another_project_is_refused(tmp_path: Path) -> None:
    place = project(tmp_path, function="leave")
    other = project(tmp_path / "other")
    assert run(place, "-i", '{"n": 5}').returncode == 1
    assert run(other, "-i", '{"n": 1}').returncode == 0
    (place / "tools" / "t.py").write_text(
        (other / "tools" / "t.py").read_text().replace("sys.exit(7)", "return {'n': n}")
    )
    done = run(place, "--resume", "latest", "-o", "text")
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr
    store = Store(tmp_path / ".clew")
    wrong = next(
        row for row in store.runs() if "other" in str(store.trace(row.run_id).attributes["manifest"])
    )
    refused = run(place, "--resume", wrong.run_id)
    assert refused.returncode == 2
    assert "is of the project doubling, and cannot go on as doubling" in refused.stderr


def test_made_up_answers_of_a_dry_run_are_never_kept_by_a_real_one(tmp_path: Path) -> None:
    place = project(tmp_path)
    assert run(place, "-i", '{"n": 5}', "--dry-run").returncode == 0
    done = run(place, "--resume", "latest")
    assert (done.returncode, done.stdout) == (2, "")
    assert "was a dry run" in done.stderr
    replayed = subprocess.run(
        [*CLEW, "replay", "latest"], cwd=place, capture_output=True, text=True, check=False
    )
    assert replayed.returncode == 0, replayed.stderr
    assert "was a dry run" in run(place, "--resume", "latest").stderr
    assert run(place, "--resume", "latest", "--dry-run").returncode == 0


def test_a_run_that_is_still_running_is_not_gone_on_with(tmp_path: Path) -> None:
    place = project(tmp_path, function="forever", timeout=60)
    process = subprocess.Popen(
        [*CLEW, "run", str(place), "-i", '{"n": 1}'], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        store = Store(tmp_path / ".clew")
        deadline = time.monotonic() + 20
        while not store.runs() and time.monotonic() < deadline:
            time.sleep(0.05)
        done = run(place, "--resume", "latest")
    finally:
        process.kill()
        process.communicate()
    assert done.returncode == 2
    assert "is still running" in done.stderr


def test_a_misspelt_field_of_the_input_is_not_anothers_default(tmp_path: Path) -> None:
    done = run(project(tmp_path), "-i", '{"n": 1, "m": 2}')
    assert done.returncode == 2
    assert (
        done.stderr == "clew: the input of doubling has no field 'm'; did you mean 'n'?\n"
        or "it has n" in done.stderr
    )


def test_a_tool_that_no_edge_touches_and_nobody_calls_is_no_fault(tmp_path: Path) -> None:
    place = project(tmp_path)
    text = (place / "clew.yaml").read_text()
    (place / "clew.yaml").write_text(
        text.replace("edges:", "  spare: {type: python, module: t, function: leave}\nedges:")
    )
    done = run(place, "-i", '{"n": 1}', "-o", "text")
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
