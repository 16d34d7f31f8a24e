"""A process reads its own run without the index: it must say what the store says, or leave it to the store."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from tests.store.segments import run_program

READ = """
    import json, subprocess, sys
    import clew
    from clew.session import session
    from clew.store.own import own_trace
    from clew.store.store import Store

    def compare(run):
        own = own_trace(session.home, run.run_id, writer=session.recorder().writer.id)
        said = Store(session.home).trace(run.run_id)
        same = None if own is None else own.to_events() == said.to_events()
        print(json.dumps([len(said.nodes), same]))
"""

SEVERAL_RUNS = """
    with clew.run("outer") as outer:
        for number in range(400):
            with clew.span("work", number=number) as span:
                span.metrics["half"] = number / 2
        with clew.run("inner") as inner:
            clew.event("note")
            with clew.span("deep"):
                pass
        with clew.span("open"):
            compare(outer)
        compare(inner)
    with clew.run("second") as second:
        pass
    compare(outer)
    compare(second)
"""

A_CHILD_RECORDS_TOO = """
    with clew.run("outer") as outer:
        compare(outer)
        child = "import clew\\nwith clew.span('in the child'): pass\\nprint('ready', flush=True)\\ninput()"
        running = subprocess.Popen(
            [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.stdout.readline()
        compare(outer)
        running.communicate("\\n")
        compare(outer)
        print(json.dumps([len(outer.trace.nodes), None]))
"""

WHAT_WAS_BEFORE = """
    with clew.run("before") as run:
        compare(run)
"""


def read(home: Path, program: str) -> list[list[object]]:
    return [json.loads(line) for line in run_program(home, program).stdout.splitlines()]


@pytest.mark.parametrize("segment_bytes", ["33554432", "65536"])
def test_it_says_what_the_store_says_of_open_ended_and_nested_runs(
    tmp_path: Path, segment_bytes: str
) -> None:
    size = f"import os\nos.environ['CLEW_SEGMENT_BYTES'] = '{segment_bytes}'\n"
    found = read(tmp_path / ".clew", textwrap.indent(size, "    ") + READ + SEVERAL_RUNS)
    assert found == [[401, True], [1, True], [401, True], [0, True]]


def test_where_another_process_may_have_written_the_store_is_asked(tmp_path: Path) -> None:
    found = read(tmp_path / ".clew", READ + A_CHILD_RECORDS_TOO)
    assert found == [[0, True], [1, None], [1, None], [1, None]]


def test_what_others_sealed_before_is_no_reason_to_ask(tmp_path: Path) -> None:
    for _ in range(3):
        assert read(tmp_path / ".clew", READ + WHAT_WAS_BEFORE) == [[0, True]]
