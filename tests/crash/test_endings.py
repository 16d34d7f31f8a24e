"""However a program ends, what it was told is recorded is read back, once; and nothing else is."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from clew.model.trace import ExecutionTrace
from clew.store.doctor import examine, repair
from clew.store.store import Store
from tests.crash import endings, programs
from tests.crash.programs import Ended
from tests.crash.readback import all_steps
from tests.crash.witness import Step, read_witness

EXACT = ("fork", "fork_among_threads", "processes_fork", "processes_spawn", "pool_fork", "pool_spawn", "pool_of_threads")  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".clew"


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    return tmp_path / "witness.csv"


def command(name: str, witness: Path) -> list[str | Path]:
    return programs.python(Path(endings.__file__), name, witness)


def end(name: str, witness: Path) -> Ended:
    return programs.run(command(name, witness))


def only_trace(home: Path) -> ExecutionTrace:
    store = Store(home)
    (row,) = store.runs()
    return store.trace(row.run_id)


def compare(home: Path, witness: Path, *, in_flight: int = 0) -> list[Step]:
    """Every noted step is in the journal exactly once, and at most `in_flight` are that were not noted."""
    noted = [step for step in read_witness(witness) if step[0] != "counted"]
    recorded = all_steps(home)
    twice = {step for step, count in recorded.items() if count > 1}
    assert not twice
    assert not Counter(noted) - recorded, "a call returned, and its event is not in the journal"
    unpromised = set(recorded) - set(noted) - {("outer started", 9, 0), ("failing completed", 9, 0)}
    assert len(unpromised) <= in_flight
    return noted


def healthy(home: Path) -> None:
    """After a repair nothing is wrong with any segment."""
    repair(home)
    assert [problem for report in examine(home) for problem in report.problems] == []


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("attempt", range(3))
def test_a_program_that_a_signal_ends_keeps_every_event(
    home: Path, witness: Path, ending: signal.Signals, attempt: int
) -> None:
    process = programs.start(command("until_stopped", witness))
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(random.random() * 0.2)
    process.send_signal(ending)
    ended = programs.finish(process)
    assert ended.code == -ending
    assert len(compare(home, witness, in_flight=4)) > 10
    trace = only_trace(home)
    assert (trace.status, trace.lost) == ("interrupted", 0)
    healthy(home)


def test_os_exit_leaves_an_interrupted_run_with_its_open_node(home: Path, witness: Path) -> None:
    assert end("os_exit", witness).code == 7
    assert len(compare(home, witness)) == 3 * endings.ROUNDS
    trace = only_trace(home)
    assert (trace.status, trace.lost, trace.interrupted_by) == ("interrupted", 0, "process died")
    (outer,) = (node for node in trace.nodes if node.node_id == "outer")
    assert (outer.status, outer.attributes) == ("interrupted", {"source": 9, "number": 0})
    healthy(home)


def test_an_exception_in_main_ends_the_run_as_failed(home: Path, witness: Path) -> None:
    ended = end("exception", witness)
    assert ended.code == 1
    assert ended.err.endswith(b"LookupError: this is how it ends\n")
    compare(home, witness)
    trace = only_trace(home)
    assert (trace.status, trace.lost) == ("failed", 0)
    assert trace.error is not None
    assert trace.error.message == "this is how it ends"
    assert [report.problems for report in examine(home)] == [[]]


@pytest.mark.parametrize("attempt", range(3))
def test_a_daemon_thread_that_records_at_exit_loses_nothing(home: Path, witness: Path, attempt: int) -> None:
    ended = end("daemon_at_exit", witness)
    assert (ended.code, ended.err) == (0, b"")
    compare(home, witness, in_flight=3)
    assert only_trace(home).status == "completed"
    healthy(home)


@pytest.mark.parametrize("name", EXACT)
def test_work_in_threads_and_processes_is_recorded_once_and_below_its_parent(
    home: Path, witness: Path, name: str
) -> None:
    ended = end(name, witness)
    assert (ended.code, ended.err) == (0, b"")
    compare(home, witness)
    trace = only_trace(home)
    assert (trace.status, trace.lost) == ("completed", 0)
    assert {node.status for node in trace.nodes} == {"completed"}
    outer = next((node.span_id for node in trace.nodes if node.node_id == "outer"), None)
    assert {node.parent_id for node in trace.nodes if node.node_id == "work"} == {outer}
    if not name.startswith("fork"):  # whose children leave without a word
        assert {report.sealed_by for report in examine(home)} == {"writer"}
    healthy(home)


def test_a_generator_that_is_open_at_a_fork_ends_once(home: Path, witness: Path) -> None:
    ended = end("fork_in_a_generator", witness)
    assert (ended.code, ended.err) == (0, b"")
    trace = only_trace(home)
    (counting,) = (node for node in trace.nodes if node.node_id == "_counting")
    assert counting.status == "completed"
    assert counting.end_writer in {None, counting.writer}
    assert trace.lost == 0
    healthy(home)


def test_workers_that_their_parent_terminates_keep_every_event(home: Path, witness: Path) -> None:
    ended = end("workers_killed", witness)
    assert (ended.code, ended.err) == (0, b"")
    compare(home, witness, in_flight=3)
    trace = only_trace(home)
    assert trace.lost == 0
    assert {node.status for node in trace.nodes} <= {"completed", "interrupted"}
    healthy(home)
