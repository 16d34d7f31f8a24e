"""`clew show` says what a run did: failures first, and no number that was not recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from clew.analyze.summary import RunSummary, summarize
from clew.cli.runs_inside import RunsInside
from clew.store.store import Store
from tests.cli.conftest import Done, record

Call = Callable[..., Done]


def sections(out: str) -> list[str]:
    """Return the headings in their order: lines that stand alone after an empty one and before an indented one."""
    lines = out.splitlines()
    return [
        line
        for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False)
        if not before and line[:1].isalpha() and after.startswith("  ")
    ]


def test_a_failure_comes_before_everything_else(call: Call, home: Path) -> None:
    done = call("show", "agent")
    lines = done.out.splitlines()
    assert lines[0].startswith("agent  failed after ")
    assert lines[2:6] == [
        "What failed",
        "  answer  RuntimeError",
        "    the model said no",
        "    and gave no reason",
    ]
    assert sections(done.out) == [
        "What failed",
        "Where the time went",
        "Where the tokens went",
        "Slowest executions",
        "Scores",
    ]


def test_a_failure_that_did_not_end_the_run_says_so_and_how_often(call: Call, home: Path) -> None:
    out = call("show", "nightly-calibration").out
    assert out.startswith("nightly-calibration  completed in ")
    assert "    3 times, did not end the run, in calibration.job > calibration.iteration" in out


def test_the_table_has_every_number_of_the_summary(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(home)
    summary = summarize(store.trace(store.resolve("nightly-calibration")))
    table = (
        call("show", "nightly-calibration")
        .out.split("Where the time went\n")[1]
        .split("\n\n")[0]
        .splitlines()
    )
    assert table[0].split() == ["NODE", "COUNT", "TOTAL", "SELF", "MEAN", "P50", "P95", "P99", "MAX", "ERR"]
    assert [line.split()[0] for line in table[1:]] == [node.node_id for node in summary.nodes]
    assert [(int(line.split()[1]), int(line.split()[-1])) for line in table[1:]] == [
        (node.count, node.failed) for node in summary.nodes
    ]


def test_tokens_and_costs_are_known_or_a_dash(call: Call, home: Path) -> None:
    table = call("show", "agent").out.split("Where the tokens went\n")[1].split("\n\n")[0].splitlines()
    assert table[0].split() == ["NODE", "INPUT", "OUTPUT", "CACHED", "REASONING", "COST"]
    assert [line.split() for line in table[1:]] == [["plan", "1,200", "340", "1,000", "-", "$0.0123"]]


def test_the_slowest_executions_have_their_tags(call: Call, home: Path) -> None:
    out = call("show", "nightly-calibration", "--slowest", "30").out
    assert "iteration=2" in out
    assert "trial=2" in out
    assert "n_params=12" in out
    assert "Slowest" not in call("show", "nightly-calibration", "--slowest", "0").out


def test_an_interrupted_run_shows_what_was_open_and_what_it_was_given(call: Call, home: Path) -> None:
    done = call("show")
    assert done.out.startswith("killed  interrupted; last heard of after ")
    assert "What was open at the end" in done.out
    assert re.search(r"^  first  last heard of .* after its start$", done.out, re.MULTILINE)
    assert re.search(r"^  third  last heard of .* after its start$", done.out, re.MULTILINE)
    assert "    position=7" in done.out
    assert "    in first" in done.out


def test_a_run_that_goes_on_shows_what_runs_now(call: Call, home: Path) -> None:
    with record(home, "killed") as process:
        assert process.stdout is not None
        process.stdout.readline()
        out = call("show").out
        process.communicate("\n")
    assert out.startswith("killed  running\n")
    assert sections(out)[0] == "What runs now"


def test_what_is_stuck_is_open_until_now_and_what_died_until_it_was_heard_of(call: Call, home: Path) -> None:
    """The last event of both is their start: the one that lives has been open since, of the other nothing is known."""
    with record(home, "killed") as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = min(e["started_at"] for e in json.loads(call("show", "--json").out)["open"])
        first = opened(call, "first")
        shown_at = datetime.now(UTC)
        bars = json.loads(call("timeline", "--json").out)["executions"]
        lived = datetime.now(UTC) - datetime.fromisoformat(began)
        later = opened(call, "first")
        process.kill()
    assert shown_at - datetime.fromisoformat(began) >= timedelta(microseconds=first // 1000)
    assert first < bars[0]["end_ns"] - bars[0]["start_ns"] <= lived / timedelta(microseconds=1) * 1000 < later
    trace = Store(home).trace(Store(home).resolve("latest"))
    assert trace.last_event_at is not None
    assert trace.nodes[0].started_at is not None
    heard = (trace.last_event_at - trace.nodes[0].started_at) / timedelta(microseconds=1) * 1000
    assert opened(call, "first") == heard < first


def opened(call: Call, node_id: str) -> int:
    """Return `open_ns` of a node of the newest run."""
    executions = json.loads(call("show", "--json").out)["open"]
    [open_ns] = [e["open_ns"] for e in executions if e["node_id"] == node_id]
    return int(open_ns)


def test_losses_redactions_and_cuts_are_always_counted(call: Call, home: Path) -> None:
    assert "lost 0, redacted 0, truncated 0" in call("show", "agent").out


def test_a_loss_is_said_before_any_number(call: Call, home: Path) -> None:
    """A line is taken out of the middle of a sealed segment, as a damaged disk might."""
    run_id = Store(home).resolve("nightly-calibration")
    for path in (home / "journal").glob("*/*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        if run_id.encode() in lines[1]:
            path.write_bytes(b"".join(lines[:10] + lines[12:]))
    out = call("show", "nightly-calibration").out
    assert out.splitlines()[1] == "2 events are missing from the log; what follows is of what is left"
    assert "lost 2, " in out


def test_json_is_the_summary(call: Call, home: Path) -> None:
    store = Store(home)
    summary = summarize(store.trace(store.resolve("agent")))
    document = call("show", "agent", "--json").out
    inside = RunsInside(store, summary.run_id).listed()[0]
    summary = msgspec.structs.replace(summary, inside=inside)
    assert msgspec.json.decode(document, type=RunSummary) == msgspec.json.decode(
        msgspec.json.encode(summary), type=RunSummary
    )
    assert json.loads(document)["nodes"][0]["node_id"]


def test_nodes_beyond_the_number_asked_for_are_counted(call: Call, home: Path) -> None:
    out = call("show", "nightly-calibration", "--nodes", "2").out
    assert "  2 nodes not listed; --nodes 0 lists all" in out
    assert "not listed" not in call("show", "nightly-calibration", "--nodes", "0").out


def test_whole_stacks_are_printed_on_demand(call: Call, home: Path) -> None:
    assert call("show", "agent", "--stacks").out.count("\n") > call("show", "agent").out.count("\n")


@pytest.mark.parametrize("reference", ["agent", "latest", "latest~1", "nightly-calibration", "inner"])
@pytest.mark.parametrize("columns", [45, 60, 80, 120])
def test_no_line_is_wider_than_the_window(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, reference: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = call("show", reference).out.splitlines()
    assert [line for line in lines if len(line) > columns] == []
    assert not [line for line in lines if line.rstrip() != line]
