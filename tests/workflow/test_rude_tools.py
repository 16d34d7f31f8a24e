"""Tools that change or end the process they run in: the result still reaches standard output, alone, or its absence is told."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from clew.store.store import Store
from clew.workflow.tools.lifeline import Lifeline
from tests.workflow.commands import CLEW, MANIFEST, run
from tests.workflow.running import write_project

pytestmark = pytest.mark.needs_extra("workflow")

RESULT = '{"success":true,"outputs":{"output":{"n":42}}}\n'


def rude_project(folder: Path, *statements: str) -> Path:
    body = "; ".join(statements)
    source = f"import atexit, io, os, sys\ndef rude(n):\n    {body}\n    return {{'n': 2 * n}}\n"
    manifest = MANIFEST.format(function="rude", timeout=10)
    return write_project(folder / "project", clew_yaml=manifest, tools__t_py=source)


@pytest.mark.parametrize(
    "replaced",
    [
        "sys.stdout = open(os.devnull, 'w')",
        "sys.stdout = io.StringIO()",
        "sys.stdout = sys.stderr = None",
        "sys.stdout = sys.__stdout__; sys.stderr = io.StringIO()",
    ],
)
def test_the_result_is_printed_after_a_tool_that_leaves_other_streams_in_place(
    tmp_path: Path, replaced: str
) -> None:
    place = rude_project(tmp_path, replaced)
    done = run(place, "-i", '{"n": 21}', "-o", "json")
    assert (done.returncode, done.stdout) == (0, RESULT), done.stderr
    again = subprocess.run(
        [*CLEW, "replay", "latest", "-o", "json"], cwd=place, capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stdout) == (0, RESULT), again.stderr


@pytest.mark.parametrize(
    "late", ["print, 'LATE'", "os.write, 1, b'LATE\\n'", "os.system, 'echo LATE'"], ids=str.split
)
def test_what_a_tool_prints_at_the_end_of_the_process_is_not_in_the_result(tmp_path: Path, late: str) -> None:
    done = run(rude_project(tmp_path, f"atexit.register({late})"), "-i", '{"n": 21}', "-o", "json")
    assert (done.returncode, done.stdout) == (0, RESULT), done.stderr
    assert "LATE" in done.stderr


def test_what_a_tool_prints_at_the_end_is_not_in_the_account_of_a_failure_either(tmp_path: Path) -> None:
    place = rude_project(tmp_path, "atexit.register(print, 'LATE')", "1 / 0")
    done = run(place, "-i", '{"n": 21}', "-o", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["success"] is False
    assert "LATE" in done.stderr


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("output", ["| true", "> /dev/full"])
def test_a_result_that_nobody_takes_hides_no_failure(tmp_path: Path, fails: bool, output: str) -> None:
    place = rude_project(tmp_path, "atexit.register(print, 'LATE')", "1 / 0" if fails else "pass")
    shell = f'"$@" {output}; exit ${{PIPESTATUS[0]}}'
    # The reader is gone before anything is written.
    command = ["bash", "-c", shell, "bash", *CLEW, "run", str(place), "-i", '{"n": 21}', "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == (1 if fails or "full" in output else 0), done.stderr
    assert ("No space left" in done.stderr) == ("full" in output)
    assert ("division by zero" in done.stderr) == fails
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("status", [0, 3])
def test_a_tool_that_ends_the_process_is_told_of_and_is_a_failure(tmp_path: Path, status: int) -> None:
    place = rude_project(tmp_path, f"os._exit({status})")
    done = run(place, "-i", '{"n": 21}', "-o", "json")
    assert (done.returncode, done.stdout) == (1, "")
    told = f"clew: a tool ended the process with os._exit({status}), in the middle of the run\n"
    assert told in done.stderr
    (row,) = Store(tmp_path / ".clew").runs()
    assert row.status == "interrupted"


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("above", [64, 256])
def test_a_tool_that_closes_the_descriptors_of_the_process_ends_it_with_a_sentence(
    tmp_path: Path, above: int, kind: str
) -> None:
    source = f"import os\n{kind} rude(n):\n    os.closerange(3, {above})\n    return {{'n': n}}\n"
    place = write_project(
        tmp_path / "project", clew_yaml=MANIFEST.format(function="rude", timeout=30), tools__t_py=source
    )
    done = run(place, "-i", '{"n": 21}', "-o", "json")
    assert (done.returncode, done.stdout) == (1, "")
    # The loop itself may be the first to find out, and does not know by whom.
    told = r"clew: while (a tool|tool work) ran, descriptors were closed that are no tool's own; the run cannot go on\n"
    assert re.fullmatch(told, done.stderr), done.stderr
    store = Store(tmp_path / ".clew")
    (row,) = store.runs()
    assert row.status == "interrupted"
    assert [node.node_id for node in store.trace(row.run_id).nodes] == ["input", "work"]


def test_a_loop_that_was_closed_itself_was_cut_by_nobody() -> None:
    """A call that was abandoned may come back after it."""

    async def work() -> Lifeline:
        lifeline = Lifeline(asyncio.get_running_loop())
        assert not lifeline.is_cut
        return lifeline

    assert not asyncio.run(work()).is_cut


def test_a_forked_child_of_a_tool_ends_as_it_wants_to(tmp_path: Path) -> None:
    fork = textwrap.dedent("""
        import os
        def rude(n):
            child = os.fork()
            if not child:
                os._exit(0)
            return {"n": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}
    """)
    place = write_project(
        tmp_path / "project", clew_yaml=MANIFEST.format(function="rude", timeout=10), tools__t_py=fork
    )
    done = run(place, "-i", '{"n": 21}', "-o", "text")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "class E(Exception):\n    def __str__(self): sys.exit(0)\n\ndef rude(n): raise E()",
        "class V:\n    def __str__(self): sys.exit(0)\n    __repr__ = __str__\n\ndef rude(n): return {'n': V()}",
        "class C:\n    @property\n    def __class__(self): sys.exit(0)\n\ndef rude(n): return {'n': C()}",
    ],
    ids=["an error", "a value", "a class"],
)
def test_an_object_that_leaves_when_it_is_asked_for_its_text_is_a_failure_that_is_told(
    tmp_path: Path, source: str
) -> None:
    manifest = MANIFEST.format(function="rude", timeout=10)
    place = write_project(tmp_path / "project", clew_yaml=manifest, tools__t_py=f"import sys\n\n{source}\n")
    done = run(place, "-i", '{"n": 21}', "-o", "json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["success"] is False
    (row,) = Store(tmp_path / ".clew").runs()
    assert row.status == "failed"
