"""The end of the interpreter, where modules are taken apart: no text on stderr, no other exit code, no loss."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.crash import programs
from tests.crash.readback import events_of

RECORDS = """
    with clew.span("late"):
        clew.event("late", text="x" * 9000)
    clew.add_metric("late", 1.0)
    clew.current_span().set(a=1)
    clew.traceparent()
"""
NESTED_RUN = """
    with clew.run("late run"), clew.span("late"):
        clew.event("late")
"""
BEFORE = "import atexit\ndef late():\n    import clew\n{body}\natexit.register(late)\nimport clew\n"
AFTER = "import atexit, clew\ndef late():\n{body}\natexit.register(late)\n"
MODULE_DEL = "import clew\nclass Late:\n    def __del__(self):\n{body}\nlate = Late()\nlate.me = late if {cycle} else None\n"
IN_SYS = "import sys, clew\nclass Late:\n    def __del__(self):\n{body}\nsys.late = Late()\nimport json\njson.late = Late()\n"
IN_BUILTINS = "import builtins, clew\nclass Late:\n    def __del__(self):\n{body}\nbuiltins.late = Late()\n"
THREAD_LOCAL = "import threading, clew\nclass Late:\n    def __del__(self):\n{body}\nlocal = threading.local()\nlocal.late = Late()\n"
OPEN_GENERATOR = "import clew\n@clew.traced\ndef numbers():\n    try:\n        yield 1\n    finally:\n        {one_line}\ngenerator = numbers()\n"
OPEN_ASYNC = "import asyncio, clew\n@clew.traced\nasync def numbers():\n    while True:\n        yield 1\nagen = numbers()\nasync def first():\n    return await agen.__anext__()\n"


def indented(body: str) -> str:
    return "".join(f"    {line}\n" for line in body.splitlines())


PROGRAMS = {
    "atexit before clew": BEFORE.format(body=RECORDS),
    "atexit after clew": AFTER.format(body=RECORDS),
    "atexit before clew, a run": BEFORE.format(body=NESTED_RUN),
    "atexit after clew, a run": AFTER.format(body=NESTED_RUN),
    "a module's object": MODULE_DEL.format(body=indented(RECORDS), cycle=False),
    "a module's object, a run": MODULE_DEL.format(body=indented(NESTED_RUN), cycle=False),
    "a module's object in a cycle": MODULE_DEL.format(body=indented(RECORDS), cycle=True),
    "a module's object in a cycle, a run": MODULE_DEL.format(body=indented(NESTED_RUN), cycle=True),
    "objects of sys and json": IN_SYS.format(body=indented(RECORDS)),
    "objects of sys and json, a run": IN_SYS.format(body=indented(NESTED_RUN)),
    "an object of builtins": IN_BUILTINS.format(body=indented(RECORDS)),
    "an object of builtins, a run": IN_BUILTINS.format(body=indented(NESTED_RUN)),
    "an object of a thread": THREAD_LOCAL.format(body=indented(RECORDS)),
    "an open generator": OPEN_GENERATOR.format(one_line="clew.event('late')") + "next(generator)\n",
    "an open async generator": OPEN_ASYNC + "asyncio.run(first())\n",
}
WITHIN_A_RUN = """
with clew.run("main", kind="job"):
    with clew.span("work"):
        pass
"""
NEVER_LEFT = """
run = clew.run("main", kind="job")
run.__enter__()
span = clew.span("work")
span.__enter__()
if "generator" in globals():
    next(numbers())
"""


@pytest.mark.parametrize(
    "main", [WITHIN_A_RUN, NEVER_LEFT], ids=["a run that ended", "a run that is never left"]
)
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("journal", ["auto", "memory"])
def test_recording_while_the_interpreter_is_taken_apart_is_silent(
    tmp_path: Path, name: str, main: str, journal: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"{PROGRAMS[name]}{main}\nimport sys\nprint('done')\nsys.exit(3)\n")
    environ = {"CLEW_JOURNAL": journal}
    assert programs.run(programs.python(program), environ=environ) == (3, b"done\n", b"")
    assert programs.run(programs.clew("run", program), environ=environ) == (3, b"done\n", b"")


@pytest.mark.parametrize("name", ["atexit before clew", "atexit after clew"])
def test_what_an_atexit_handler_records_in_an_open_run_is_read_back(tmp_path: Path, name: str) -> None:
    """Also after the journal was closed, which happens at exit as well, in between the two."""
    program = tmp_path / "program.py"
    program.write_text(f"{PROGRAMS[name]}{NEVER_LEFT}")
    assert programs.run(programs.python(program)) == (0, b"", b"")
    store = Store(Path(os.environ["CLEW_HOME"]))
    (row,) = store.runs()
    names = [event["event"] for event in events_of(store, row.run_id)]
    assert names.count("late") == names.count("metric_recorded") == 1
    assert (row.status, row.lost) == ("interrupted", 0)


def test_a_program_without_a_run_leaves_no_journal(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"{PROGRAMS['atexit after clew']}\nwith clew.span('nowhere'):\n    clew.event('nowhere')\n"
    )
    assert programs.run(programs.python(program)) == (0, b"", b"")
    assert not Path(os.environ["CLEW_HOME"]).exists()
