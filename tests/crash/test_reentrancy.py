"""Recording in the middle of recording: signal handlers, finalizers, values that bite, threads all at once."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.crash import programs
from tests.crash.readback import events_of

SIGNALS = """
import os, signal, sys, threading
import clew

handled = 0
finished = False
def handler(*_):
    global handled
    number = handled
    handled += 1
    with clew.span("handler", number=number):
        clew.event("interrupted", number=number, text="y" * (5000 if number % 7 == 0 else 5))
    if not finished:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

def busy(source, count):
    for number in range(count):
        with clew.span("work", source=source, number=number, text="x" * (3000 if number % 11 == 0 else 30)) as span:
            clew.event("tick", source=source, number=number)
            span.output({"number": number})

signal.signal(signal.SIGALRM, handler)
with clew.run("signals"):
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    threads = [threading.Thread(target=busy, args=(s, 3000)) for s in (1, 2)]
    for thread in threads:
        thread.start()
    number = 0
    while number < 3000 or handled < 2000:
        with clew.span("work", source=0, number=number, text="x" * (3000 if number % 11 == 0 else 30)) as span:
            clew.event("tick", source=0, number=number)
            span.output({"number": number})
        number += 1
    for thread in threads:
        thread.join()
    finished = True
    signal.setitimer(signal.ITIMER_REAL, 0)
print(number, handled)
"""
FIRST_USE = """
import signal, clew
def handler(*_):
    with clew.run("inner"), clew.span("work", source=1, number=0):
        pass
    if not finished:
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
finished = False
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0002)
for number in range(200):
    with clew.run("outer"), clew.span("work", source=0, number=number):
        pass
finished = True
signal.setitimer(signal.ITIMER_REAL, 0)
"""
RAISES = """
import signal, clew
class Stop(Exception): pass
def handler(*_): raise Stop
signal.signal(signal.SIGALRM, handler)
stopped = done = 0
with clew.run("raising handler"):
    while stopped < 1500:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + 0.000002 * (stopped % 500))
            while True:
                with clew.span("work", source=0, number=done, text="x" * 300):
                    pass
                done += 1
        except Stop:
            stopped += 1
    with clew.span("last"):
        pass
print(done)
"""
FINALIZERS = """
import gc, sys, clew
class Node:
    count = 0
    def __init__(self): self.me = self
    def __del__(self):
        Node.count += 1
        with clew.span("finalizer", number=Node.count):
            clew.event("freed", number=Node.count, text="x" * 400)
gc.set_threshold(7, 2, 2)
with clew.run("finalizers"):
    for number in range(5000):
        Node()
        with clew.span("work", source=0, number=number, data=[{"a": [number]}]) as span:
            span.attributes["later"] = {"x": object()}
            span.output([Node()])
    gc.collect()
    counted = Node.count
print(counted)
"""
VALUES = """
import sys, threading, clew
class Bad:
    def __repr__(self): raise RuntimeError("repr")
    __str__ = __repr__
    def __eq__(self, other): raise RuntimeError("eq")
    def __hash__(self): raise RuntimeError("hash")
    def __getattr__(self, name): raise RuntimeError(name)
class Changing(dict):
    def items(self):
        for k in list(super().items()):
            yield k
            self["more"] = 1
cycle = []; cycle.append(cycle)
loop = {}; loop["me"] = loop
deep = []
for _ in range(20000): deep = [deep]
values = [cycle, loop, deep, float("nan"), float("-inf"), b"\\xff" * 1000, 10 ** 5000, 10 ** 400, -2 ** 70, {1: 2, None: 3, (1, 2): 4, b"k": 5},
    "\\ud800 lone", "\\0 nul", "line\\nbreak \\r \\u2028", Bad(), [Bad()], {"k": Bad()}, Changing(a=1), range(10 ** 4), "x" * 3_000_000,
    {"password": "hunter2", "nested": [{"api_key": "sk-abcdefghijklmnopqrstuvwxyz012345"}]}, memoryview(b"abc"), type, len, iter([]), {1, 2}, ...]
def use(source):
    for number in range(12):
        for index, value in enumerate(values):
            with clew.span("work", source=source, number=number, value=value) as span:
                clew.event("tick", source=source, number=number * 1000 + index, value=value)
                span.metrics["m"] = value
                span.attributes["a"] = value
                span.output(value)
with clew.run("values", inputs=values, params={"v": values}) as run:
    threads = [threading.Thread(target=use, args=(s,)) for s in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    run.output(values)
print(len(values))
"""


def recorded_by(
    text: str, tmp_path: Path, *, most_lost: int = 0, **environ: str
) -> tuple[list[str], list[dict[str, object]]]:
    """Run a program that must succeed in silence; return what it printed, and the events of its only run."""
    program = tmp_path / "program.py"
    program.write_text(text)
    ended = programs.run(programs.python(program), environ=environ)
    assert (ended.code, ended.err) == (0, b"")
    store = Store(Path(os.environ["CLEW_HOME"]))
    (row,) = store.runs()
    assert row.lost <= most_lost
    assert row.status == "completed"
    for line in store.lines(row.run_id):
        assert json.loads(line)["run_id"] == row.run_id
    return ended.out.decode().split(), events_of(store, row.run_id)


def numbers(events: list[dict[str, object]], name: str, *, node: str | None = None) -> list[int]:
    found = []
    for event in events:
        data = event["data"]
        assert isinstance(data, dict)
        if event["event"] == name and node in {None, event.get("node_id")}:
            found.append((data.get("attributes") or data)["number"])
    return found


@pytest.mark.parametrize("journal", ["mapped", "written"])
def test_a_signal_handler_may_record_in_the_middle_of_recording(tmp_path: Path, journal: str) -> None:
    """Thousands of interrupts: nothing torn, twice, or missing, and no deadlock. Rolls and windows included."""
    (main, handled), events = recorded_by(
        SIGNALS, tmp_path, CLEW_JOURNAL=journal, CLEW_SEGMENT_BYTES=str(64 * 1024)
    )
    assert sorted(numbers(events, "interrupted")) == list(range(int(handled)))
    assert sorted(numbers(events, "node_started", node="handler")) == list(range(int(handled)))
    ticks = Counter(numbers(events, "tick"))
    assert ticks == Counter(range(int(main))) + Counter(range(3000)) + Counter(range(3000))
    assert sum(event["event"] == "node_completed" for event in events) == int(main) + 6000 + int(handled)


def test_a_signal_handler_may_be_the_first_to_record(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(FIRST_USE)
    for _ in range(5):
        ended = programs.run(programs.python(program))
        assert (ended.code, ended.err) == (0, b"")
    rows = Store(Path(os.environ["CLEW_HOME"])).runs()
    assert sum(row.name == "outer" for row in rows) == 5 * 200
    assert {row.status for row in rows} == {"completed"}
    assert {row.nodes for row in rows} == {1}
    assert sum(row.lost for row in rows) == 0


@pytest.mark.parametrize("kind", ["Exception", "BaseException", "TimeoutError"])
def test_a_signal_handler_that_raises_leaves_recording_in_order(tmp_path: Path, kind: str) -> None:
    """What time limits and Ctrl-C do, at any instant: it reaches the program, and each call that returned is recorded.

    A call that did not return may have taken a number. It was promised to nobody, and is not shown as lost.
    """
    program = RAISES.replace("Stop(Exception)", f"Stop({kind})")
    (done,), events = recorded_by(program, tmp_path, CLEW_SEGMENT_BYTES=str(64 * 1024))
    started = Counter(numbers(events, "node_started", node="work"))
    assert set(range(int(done))) <= started.keys()
    assert sum(event.get("node_id") == "last" for event in events) == 2
    assert [event["event"] for event in events if "seq" in event][-1] == "workflow_completed"
    # Python itself has an instant between a block and its exit; whoever is hit there stays the current span.
    parents = {event["parent_id"] for event in events if event["event"] == "node_started"}
    assert len(parents) < 30, "spans that were cut short stayed current"


def test_finalizers_may_record_wherever_they_are_called(tmp_path: Path) -> None:
    (counted,), events = recorded_by(FINALIZERS, tmp_path, CLEW_CAPTURE="full")
    assert sorted(numbers(events, "freed")) == list(range(1, int(counted) + 1))
    assert sorted(numbers(events, "node_started", node="work")) == list(range(5000))


@pytest.mark.parametrize("capture", ["none", "summary", "full"])
def test_values_that_hurt_are_recorded_while_threads_run(tmp_path: Path, capture: str) -> None:
    (count,), events = recorded_by(VALUES, tmp_path, CLEW_CAPTURE=capture)
    expected = 4 * 12 * int(count)
    assert sum(event["event"] == "tick" for event in events) == expected
    assert sum(event["event"] == "node_completed" for event in events) == expected
    assert "hunter2" not in json.dumps(events)
