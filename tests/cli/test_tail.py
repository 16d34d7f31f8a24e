"""`clew tail` prints every event once: those that are there, and those that come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clew.model.events import Event, encode_event
from clew.store.index import RunRow
from clew.store.store import Store
from tests.cli.conftest import RECORDED, Done, record

Call = Callable[..., Done]
DEADLINE_S = 30


def events_of(out: str) -> list[str]:
    return [json.loads(line)["event"] for line in out.splitlines()]


def follow(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "clew.cli.main", "tail", "-f", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def watchdog() -> Iterator[list[subprocess.Popen[str]]]:
    """Kills what a test started if it waits for a line that never comes, so that the test fails and does not hang."""
    processes: list[subprocess.Popen[str]] = []

    def kill_all() -> None:
        for process in processes:
            process.kill()

    timer = threading.Timer(DEADLINE_S, kill_all)
    timer.start()
    yield processes
    timer.cancel()


def test_the_last_ten_events_of_all_runs_are_printed_in_order_of_time(call: Call, home: Path) -> None:
    done = call("tail")
    lines = done.out.splitlines()
    assert (done.code, done.err, len(lines)) == (0, "", 10)
    moments = [line[: len("[2026-11-21 03:59:12.123]")] for line in lines]
    assert moments == sorted(moments)
    assert "RUN_INTERRUPTED" in lines[-1]


def test_a_number_of_lines_is_kept(call: Call, home: Path) -> None:
    assert len(call("tail", "agent", "-n", "3").out.splitlines()) == 3
    assert call("tail", "agent", "-n", "0").out == ""


def test_the_last_events_of_several_processes_are_the_last_in_time(call: Call, tmp_path: Path) -> None:
    """Three processes take turns, 1 s each; one has two segments."""
    begin = datetime(2026, 11, 21, 8, tzinfo=UTC)

    def line(number: int) -> bytes:
        event = Event(
            timestamp=begin + timedelta(seconds=number),
            run_id="0193514c5d2a7b3e8f10a2b3c4d5e6f7",
            event=f"event_{number}",
            writer=f"{number % 3 + 1:016x}",
            seq=number // 3 + 1,
        )
        return encode_event(event)

    folder = tmp_path / ".clew" / "journal" / "2026-11-21"
    folder.mkdir(parents=True)
    for writer in range(3):
        lines = [line(number) for number in range(writer, 30, 3)]
        for segment, part in enumerate((lines[:5], lines[5:]) if writer == 0 else (lines,), start=1):
            (folder / f"{writer + 1:016x}-{segment}.jsonl").write_bytes(b"\n".join(part) + b"\n")
    for count in (3, 10, 30):
        done = call("tail", "0193", "-n", str(count), "--json")
        assert events_of(done.out) == [f"event_{number}" for number in range(30 - count, 30)]
    assert events_of(call("tail", "0193", "-n", "all", "--json").out) == [f"event_{n}" for n in range(30)]


def test_json_lines_are_the_lines_of_the_log(call: Call, home: Path) -> None:
    store = Store(home)
    whole = [line.decode() for line in store.lines(store.resolve("nightly-calibration"))]
    assert call("tail", "nightly-calibration", "--json", "-n", "all").out.splitlines() == whole
    assert call("tail", "nightly-calibration", "--format", "jsonl", "-n", "5").out.splitlines() == whole[-5:]


def test_the_events_of_a_run_include_those_of_the_runs_inside_it(call: Call, home: Path) -> None:
    names = {
        json.loads(line)["run_id"] for line in call("tail", "agent", "--json", "-n", "all").out.splitlines()
    }
    assert names == {Store(home).resolve("agent"), Store(home).resolve("inner")}


def test_all_lines_of_all_runs_are_all_events_of_the_journal(call: Call, home: Path) -> None:
    store = Store(home)
    counted = sum(len(list(store.lines(row.run_id))) for row in store.runs())
    assert len(call("tail", "--json", "-n", "all").out.splitlines()) == counted


@pytest.mark.parametrize(
    "options,kept",
    [
        (["--filter", "error"], {"node_failed"}),
        (["--filter", "node,!node_started"], {"node_completed", "node_failed"}),
        (["--filter", "decision_*"], {"decision_made"}),
        (["--level", "error"], {"node_failed"}),
        (["--level", "minimal"], {"workflow_started", "workflow_completed", "node_failed"}),
    ],
)
def test_only_what_is_asked_for_is_printed_and_counted(
    call: Call, home: Path, options: list[str], kept: set[str]
) -> None:
    done = call("tail", "nightly-calibration", "--json", "-n", "all", *options)
    assert set(events_of(done.out)) == kept
    assert (
        events_of(call("tail", "nightly-calibration", "--json", "-n", "2", *options).out)
        == events_of(done.out)[-2:]
    )


def test_text_for_people_leaves_details_out_and_json_lines_do_not(call: Call, home: Path) -> None:
    assert "TOKEN_USAGE" not in call("tail", "agent", "-n", "all").out
    assert "TOKEN_USAGE" in call("tail", "agent", "-n", "all", "--level", "verbose").out
    assert "token_usage" in events_of(call("tail", "agent", "-n", "all", "--json").out)


def test_each_event_is_one_line_whatever_it_holds(call: Call, home: Path) -> None:
    lines = call("tail", "latest~1", "-n", "all", "--level", "debug").out.splitlines()
    assert lines
    assert all(line.startswith("[20") for line in lines)


def test_an_empty_journal_is_said_to_be_one(call: Call, tmp_path: Path) -> None:
    done = call("tail")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("clew: there are no runs in ")


def test_a_live_run_is_followed_to_its_end(home: Path, watchdog: list[subprocess.Popen[str]]) -> None:
    with record(home, "killed") as program:
        watchdog.append(program)
        assert program.stdout is not None
        program.stdout.readline()
        run_id = Store(home).resolve("latest")
        with follow(run_id, "--json", "-n", "all") as tail:
            watchdog.append(tail)
            assert tail.stdout is not None
            first = [json.loads(tail.stdout.readline())["event"] for _ in range(5)]
            assert first == [
                "workflow_started",
                "node_started",
                "node_started",
                "node_completed",
                "node_started",
            ]
            program.communicate("\n")
            out, err = tail.communicate()
    assert events_of(out) == ["went_on", "node_completed", "node_completed", "workflow_completed"]
    assert (tail.returncode, err) == (0, f"clew: run {run_id} has completed\n")


def test_what_comes_while_the_past_is_read_is_printed_once(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the program still records lies behind the place where following begins, and in what is read first."""
    with record(home, "killed") as program:
        assert program.stdout is not None
        program.stdout.readline()
        run_id = Store(home).resolve("latest")
        read_runs = Store.runs

        def end_program_first(store: Store) -> list[RunRow]:
            program.communicate("one\ntwo\n" if program.returncode is None else None)
            return read_runs(store)

        monkeypatch.setattr(Store, "runs", end_program_first)
        done = call("tail", "-f", run_id, "--json", "-n", "all")
    assert events_of(done.out)[5:] == [
        "went_on",
        "went_on",
        "node_completed",
        "node_completed",
        "workflow_completed",
    ]
    assert done.err == f"clew: run {run_id} has completed\n"


def test_a_busy_run_is_followed_without_a_gap(home: Path, watchdog: list[subprocess.Popen[str]]) -> None:
    code = (
        "import sys, clew\n"
        "with clew.run('busy'):\n"
        "    print(flush=True)\n"
        "    sys.stdin.readline()\n"
        "    for i in range(50_000):\n"
        "        clew.event('tick', i=i)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        watchdog.append(program)
        assert program.stdout is not None
        program.stdout.readline()
        with follow("latest", "--json", "-n", "all") as tail:
            watchdog.append(tail)
            assert tail.stdout is not None
            assert "workflow_started" in tail.stdout.readline()
            program.communicate("\n")
            out, _ = tail.communicate()
    numbers = [json.loads(line)["data"]["i"] for line in out.splitlines() if '"tick"' in line]
    assert numbers == list(range(50_000))
    assert events_of(out)[-1] == "workflow_completed"


def test_following_a_run_that_has_ended_prints_it_and_ends(call: Call, home: Path) -> None:
    done = call("tail", "-f", "agent", "-n", "1")
    assert (done.code, len(done.out.splitlines())) == (0, 1)
    assert done.err.endswith(" has failed\n")


def test_following_a_run_that_died_before_tells_so_once(call: Call, home: Path) -> None:
    done = call("tail", "-f", "killed", "-n", "all", "--json")
    assert events_of(done.out).count("run_interrupted") == 1
    assert events_of(done.out)[-1] == "run_interrupted"


def test_following_ends_when_the_process_dies_and_says_that_it_did(
    home: Path, watchdog: list[subprocess.Popen[str]]
) -> None:
    with record(home, "killed") as program:
        watchdog.append(program)
        assert program.stdout is not None
        program.stdout.readline()
        with follow("latest", "--json", "-n", "1") as tail:
            watchdog.append(tail)
            assert tail.stdout is not None
            tail.stdout.readline()
            assert program.stdin is not None
            program.stdin.write("still there\n")
            program.stdin.flush()
            assert "still there" in tail.stdout.readline()  # so it follows, and was told that the run goes on
            program.send_signal(signal.SIGKILL)
            program.wait()
            out, err = tail.communicate()
    assert events_of(out) == ["run_interrupted"]
    assert tail.returncode == 0
    assert err.endswith(" was interrupted\n")


def test_all_runs_are_followed_also_those_that_begin_later(
    home: Path, watchdog: list[subprocess.Popen[str]]
) -> None:
    with follow("--json", "-n", "0") as tail:
        watchdog.append(tail)
        assert tail.stderr is not None
        assert tail.stdout is not None
        tail.stderr.readline()
        done = subprocess.run(
            [sys.executable, str(RECORDED), "agent"], env={**os.environ, "CLEW_HOME": str(home)}, check=True
        )
        assert done.returncode == 0
        seen = [json.loads(tail.stdout.readline()) for _ in range(2)]
        tail.send_signal(signal.SIGINT)
        tail.communicate()
    assert [event["event"] for event in seen] == ["workflow_started", "node_started"]
    assert tail.returncode == 130


def test_following_notices_that_its_reader_left_before_anything_new_comes(
    home: Path, watchdog: list[subprocess.Popen[str]]
) -> None:
    with follow("--json", "-n", "1") as tail:
        watchdog.append(tail)
        assert tail.stdout is not None
        tail.stdout.readline()
        tail.stdout.close()
        assert tail.wait() == 0
