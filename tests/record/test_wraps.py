"""What a run changes in the process while it is open, and that everything is as it was after the last one."""

from __future__ import annotations

import concurrent.futures.process
import concurrent.futures.thread
import multiprocessing.process
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

import clew
from clew.record import propagation
from clew.testing import Recording, installed, nothing_left_behind, recording

PLACES: list[tuple[type, str]] = [
    (threading.Thread, "start"),
    (subprocess.Popen, "__init__"),
    (concurrent.futures.thread.ThreadPoolExecutor, "submit"),
    (concurrent.futures.process.ProcessPoolExecutor, "submit"),
    (multiprocessing.process.BaseProcess, "start"),
]


def originals() -> list[object]:
    return [owner.__dict__[name] for owner, name in PLACES]


def test_wraps_are_there_while_a_run_is_open_and_gone_after_the_last(log: Recording) -> None:
    before = originals()
    first, second = clew.run("a"), clew.run("b")
    first.__enter__()
    assert all(now is not then for now, then in zip(originals(), before, strict=True))
    wrapped = originals()
    second.__enter__()
    assert originals() == wrapped
    first.__exit__(None, None, None)
    assert originals() == wrapped
    second.__exit__(None, None, None)
    assert originals() == before


def test_the_environment_leads_to_the_run_while_it_is_open_and_is_then_as_before(
    log: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TRACESTATE", "vendor=1")
        before = dict(os.environ)
        with clew.run("r"), clew.span("a"):
            assert os.environ["TRACEPARENT"].split("-")[1] == log.run_ids()[0]
            with clew.run("nested"):
                pass
            assert "TRACEPARENT" in os.environ
        assert dict(os.environ) == before


def test_a_variable_that_the_program_sets_itself_stays_as_it_set_it(
    log: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        with clew.run("r"):
            patch.setitem(os.environ, "TRACEPARENT", "the program's own")
            del os.environ["TRACESTATE"]
        assert os.environ["TRACEPARENT"] == "the program's own"
        assert "TRACESTATE" not in os.environ
        del os.environ["TRACEPARENT"]
    os.environ.pop("TRACEPARENT", None)  # as it was when the patch was made


def test_a_wrap_of_another_library_over_ours_is_left_in_place(
    log: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def start_one() -> None:
        thread = threading.Thread(target=lambda: seen.append(clew.current_span().node_id))
        thread.start()
        thread.join()

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", threading.Thread.start)  # to come back to
        with clew.run("r"):
            ours: Callable[..., None] = threading.Thread.start

            def theirs(self: threading.Thread) -> None:
                ours(self)

            threading.Thread.start = theirs  # type: ignore[method-assign]
        assert threading.Thread.start is theirs
        start_one()
        with clew.run("again"), clew.span("a"):
            start_one()
        assert threading.Thread.start is theirs
        assert seen == [None, "a"]


def test_a_run_that_fails_takes_its_wraps_off(log: Recording) -> None:
    before = originals()
    with pytest.raises(KeyboardInterrupt), clew.run("r"):
        raise KeyboardInterrupt
    assert originals() == before


def test_a_wrap_that_cannot_be_installed_leaves_the_others_and_the_run_working(
    log: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = originals()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "concurrent.futures.thread", object())
        with clew.run("r"), clew.span("a"):
            assert "TRACEPARENT" in os.environ
    assert originals() == before
    assert log.trace().status == "completed"


def test_runs_that_begin_and_end_in_many_threads_leave_nothing(log: Recording) -> None:
    before = originals()

    def many() -> None:
        for _ in range(30):
            with clew.run("r"), clew.span("a"):
                pass

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert originals() == before
    assert propagation._following == []
    assert {log.trace(run_id).status for run_id in log.run_ids()} == {"completed"}


def leave_wrap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(threading.Thread, "start", lambda self: None)


def leave_variable(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("TRACEPARENT", "x")


def leave_finder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "meta_path", [propagation._watch, *sys.meta_path])


def leave_run(patch: pytest.MonkeyPatch) -> None:
    clew.run("left open").__enter__()


@pytest.mark.parametrize(
    "expected, leave",
    [
        ("threading.Thread.start", leave_wrap),
        ("TRACEPARENT", leave_variable),
        ("sys.meta_path", leave_finder),
        ("the current place", leave_run),
    ],
)
def test_the_check_for_what_is_left_behind_sees_each_kind(
    expected: str, leave: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, recording():
        with pytest.raises(AssertionError, match=expected), nothing_left_behind():
            leave(patch)
        patch.undo()


def test_what_is_installed_is_told_by_name() -> None:
    assert {"threading.Thread.start", "subprocess.Popen.__init__", "sys.meta_path"} <= installed().keys()
