"""`clew diff` says first whether two runs did the same, then what differs, and is a gate where it is asked to be."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clew.store.store import Store
from clew.view.cells import cell_width
from tests.cli.compared_programs import VARIANTS
from tests.cli.conftest import Done, program

Call = Callable[..., Done]
PROGRAM = Path(__file__).parent / "compared_programs.py"


@pytest.fixture(scope="module")
def recorded_variants(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Every variant of the program, recorded by the program itself, with what it says it did."""
    home = tmp_path_factory.mktemp("variants") / ".clew"
    environ = {**os.environ, "CLEW_HOME": str(home), "CLEW_CAPTURE": "full"}
    logs = {}
    for name in VARIANTS:
        command = [sys.executable, str(PROGRAM), name]
        done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
        logs[name] = json.loads(done.stdout)
    return home, logs


@pytest.fixture
def logs(
    recorded_variants: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the programs did, their runs in the home directory of this test."""
    place = tmp_path / ".clew"
    shutil.copytree(recorded_variants[0], place)
    monkeypatch.setenv("CLEW_HOME", str(place))
    return recorded_variants[1]


def section(out: str, heading: str) -> list[str]:
    return out.split(f"\n{heading}\n")[1].split("\n\n", maxsplit=1)[0].splitlines()


def documents(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)
    return found


# --- the verdict -------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["plain", "again", "dearer", "silent"])
def test_runs_that_did_the_same_are_said_to_be_the_same(call: Call, logs: Any, other: str) -> None:
    """Parallel branches in another order, other costs and other times make no difference."""
    done = call("diff", "plain", other)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "same  all 17 executions did the same in both runs"


@pytest.mark.parametrize(
    "other,verdict",
    [
        ("other", "differs  first at ask in round (iteration=1): outputs"),
        ("rounds", "differs  first at round (iteration=3): only in the new run, with 4 inside it"),
        ("failed", "differs  first at fetch (attempt=1, 1 of 2): status, error"),
        ("nested", "differs  first at work in inside: outputs"),
    ],
)
def test_the_first_divergence_is_the_first_line(call: Call, logs: Any, other: str, verdict: str) -> None:
    done = call("diff", "plain", other)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == verdict


def test_what_is_gone_is_told_where_it_was(call: Call, logs: Any) -> None:
    out = call("diff", "rounds", "plain").out
    assert out.startswith("differs  first at round (iteration=3): missing in the new run, with 4 inside it\n")
    assert "\n17 executions correspond; 10 are missing\n" in out


def test_a_long_text_is_shown_from_where_it_differs(call: Call, logs: Any) -> None:
    out = call("diff", "plain", "other").out
    assert '  outputs /text: ..." both runs, yes" -> ..." both runs, no"' in out


def test_a_run_that_ended_otherwise_says_so_for_each_that_failed(call: Call, logs: Any) -> None:
    lines = section(call("diff", "plain", "failed").out, "What differs")
    assert lines[0] == "  fetch (attempt=1, 1 of 2)"
    assert '    status: "completed" -> "failed"' in lines
    assert '    error: null -> {"type": "TimeoutError", "message": "no answer"}' in lines
    assert "  fetch (attempt=2, 2 of 2)" in lines
    assert "  the run failed" in lines


def test_a_loss_is_said_before_the_numbers(call: Call, logs: Any, tmp_path: Path) -> None:
    """Lines are taken out of the middle of a sealed segment, as a damaged disk might."""
    run_id = Store(tmp_path / ".clew").resolve("again")
    for path in (tmp_path / ".clew" / "journal").glob("*/*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        if run_id.encode() in lines[1]:
            path.write_bytes(b"".join(line for line in lines if b'"which":0' not in line))
    out = call("diff", "plain", "again").out
    assert "3 events are missing from the log of the new run\n" in out.split("\n\n")[0] + "\n"


# --- tables ------------------------------------------------------------------------------------------


def test_the_table_has_the_numbers_of_both_programs(call: Call, logs: Any) -> None:
    [titles, row] = section(call("diff", "plain", "dearer").out, "Nodes that differ")
    assert re.split(r"\s{2,}", titles.strip())[-6:] == [
        "OLD TOKENS",
        "NEW TOKENS",
        "+TOKENS",
        "OLD COST",
        "NEW COST",
        "+COST",
    ]
    old, new = logs["plain"], logs["dearer"]
    tokens = [one["rounds"] * (one["tokens"] + 7) for one in (old, new)]
    cells = row.split()
    assert cells[:2] == ["ask", "3"]
    assert cells[-6:] == [
        str(tokens[0]),
        str(tokens[1]),
        f"{tokens[1] / tokens[0] - 1:+.1%}",
        "$0.003",
        "$0.006",
        "+100.0%",
    ]


def test_the_totals_have_every_measure_and_a_dash_for_what_nobody_reported(call: Call, logs: Any) -> None:
    lines = section(call("diff", "dearer", "silent").out, "Totals")
    assert [line.split()[-3:] for line in lines[2:]] == [
        ["390", "-", "-"],
        ["21", "21", "+0.0%"],
        ["$0.006", "-", "-"],
    ]
    assert lines[1].split()[0] == "time"


def test_nodes_that_did_the_same_are_listed_on_demand(call: Call, logs: Any) -> None:
    assert "Nodes that differ" not in call("diff", "plain", "again").out
    table = section(call("diff", "plain", "again", "--all").out, "Nodes")
    names = [line.split()[0] for line in table]
    assert names == ["NODE", "round", "ask", "branch", "fetch", "inside", "work"]


def test_divergences_beyond_the_first_are_counted_and_listed_on_demand(call: Call, logs: Any) -> None:
    few = documents(call("diff", "many", "more", "--json"))["comparison"]
    assert (few["differing"], len(few["divergences"]), few["divergences_left_out"]) == (12, 10, 2)
    assert "  2 divergences not listed; --all lists all\n" in call("diff", "many", "more").out
    every = documents(call("diff", "many", "more", "--json", "--all"))["comparison"]
    assert (len(every["divergences"]), every["divergences_left_out"]) == (12, 0)
    assert every["divergences"][:10] == few["divergences"]
    assert "--all" not in call("diff", "many", "more", "--all").out


# --- JSON --------------------------------------------------------------------------------------------


def test_json_has_the_comparison_and_the_gates_that_are_shut(call: Call, logs: Any) -> None:
    done = call("diff", "plain", "other", "--json", "--fail-on", "outputs", "--fail-on", "nodes")
    assert done.code == 1
    document = documents(done)
    assert document["failed_on"] == [{"gate": "outputs", "reason": "1 differs"}]
    found = document["comparison"]
    assert (found["same"], found["differing"], found["fields"]) == (False, 1, {"outputs": 1})
    assert found["first"] == found["divergences"][0]
    [change] = found["first"]["differences"][0]["changes"]
    assert (change["path"], change["old"][-3:], change["new"][-2:]) == ("/text", "yes", "no")
    assert (found["old"]["name"], found["new"]["name"]) == ("plain", "other")
    assert found["old"]["inner_runs"] == 1


# --- gates -------------------------------------------------------------------------------------------

GATES = [
    ("plain", "again", "any", None),
    ("plain", "dearer", "any", None),
    ("plain", "other", "any", "the runs differ"),
    ("plain", "rounds", "any", "the runs differ"),
    ("plain", "other", "outputs", "1 differs"),
    ("plain", "failed", "outputs", None),
    ("plain", "failed", "status", "2 differ"),
    ("plain", "other", "status", None),
    ("plain", "rounds", "nodes", "0 missing, 10 added"),
    ("rounds", "plain", "nodes", "10 missing, 0 added"),
    ("plain", "retried", "nodes", "0 missing, 1 added"),
    ("plain", "other", "nodes", None),
    ("plain", "dearer", "tokens>10%", "321 -> 411, +28.0%"),
    ("plain", "dearer", "tokens>28.1%", None),
    ("plain", "dearer", "tokens > 28 %", "321 -> 411, +28.0%"),
    ("dearer", "plain", "tokens>0%", None),
    ("plain", "dearer", "cost>5%", "$0.003 -> $0.006, +100.0%"),
    ("plain", "dearer", "cost>100%", None),
    ("plain", "dearer", "COST>99.9%", "$0.003 -> $0.006, +100.0%"),
    ("plain", "silent", "cost>5%", "not known of the new run, $0.003 in the other"),
    ("silent", "plain", "cost>5%", "not known of the old run, $0.003 in the other"),
    ("silent", "silent", "cost>5%", None),
    ("plain", "plain", "duration>0%", None),
]


@pytest.mark.parametrize("case", GATES, ids=lambda case: " ".join(case[:3]))
def test_a_gate_ends_with_1_where_it_holds_and_says_why(
    call: Call, logs: Any, case: tuple[str, str, str, str | None]
) -> None:
    old, new, gate, reason = case
    done = call("diff", old, new, "--fail-on", gate)
    assert done.code == (0 if reason is None else 1)
    name = "".join(gate.lower().split())
    assert done.err == ("" if reason is None else f"clew: --fail-on {name}: {reason}\n")
    assert done.out.startswith(("same", "differs"))


def test_a_run_that_took_longer_is_stopped_by_its_duration(call: Call, logs: Any, tmp_path: Path) -> None:
    """Which of two runs took longer is read from the runs themselves."""
    store = Store(tmp_path / ".clew")
    took = {name: store.trace(store.resolve(name)).duration_ns or 0 for name in ("plain", "again")}
    fast, slow = sorted(took, key=lambda name: took[name])
    growth = took[slow] / took[fast] - 1
    assert call("diff", fast, slow, "--fail-on", f"duration>{growth * 99:.6f}%").code == 1
    assert call("diff", fast, slow, "--fail-on", f"duration>{growth * 101:.6f}%").code == 0
    assert call("diff", slow, fast, "--fail-on", "duration>0%").code == 0


def test_every_gate_that_holds_is_named(call: Call, logs: Any) -> None:
    gates = ["--fail-on", "status", "--fail-on", "cost>5%", "--fail-on", "nodes", "--fail-on", "nodes"]
    done = call("diff", "plain", "rounds", *gates)
    assert (done.code, done.err) == (
        1,
        "clew: --fail-on cost>5%: $0.003 -> $0.005, +66.7%; nodes: 0 missing, 10 added\n",
    )


@pytest.mark.parametrize(
    "gate", ["", "everything", "duration", "duration>", "duration>20", "tokens<5%", "cost>-1%", "tokens>1e3%"]
)
def test_a_condition_that_is_none_is_refused_in_one_sentence(call: Call, logs: Any, gate: str) -> None:
    done = call("diff", "plain", "other", "--fail-on", gate)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"clew: --fail-on {gate!r} is none of any, outputs, status, nodes, ")


# --- how it is called, and what the terminal gets -----------------------------------------------------


def test_runs_are_named_as_everywhere(call: Call, logs: Any, tmp_path: Path) -> None:
    store = Store(tmp_path / ".clew")
    order = list(VARIANTS)
    ids = {name: store.resolve(name) for name in order}
    by_name = call("diff", order[-2], order[-1], "--json").out
    assert call("diff", "latest~1", "latest", "--json").out == by_name
    assert call("diff", ids[order[-2]], ids[order[-1]], "--json").out == by_name


@pytest.mark.parametrize(
    "arguments,named",
    [
        (["diff"], "OLD"),
        (["diff", "plain"], "NEW"),
        (["diff", "plain", "nosuchrun"], "nosuchrun"),
        (["diff", "latest~99", "plain"], "latest~99"),
        (["diff", "plain", "other", "third"], "third"),
    ],
)
def test_bad_use_is_one_sentence(call: Call, logs: Any, arguments: list[str], named: str) -> None:
    done = call(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert named in done.err


@pytest.mark.parametrize("other", [name for name in VARIANTS if name != "plain"])
@pytest.mark.parametrize("columns", [50, 80, 120])
def test_no_line_is_wider_than_the_window(
    call: Call, logs: Any, monkeypatch: pytest.MonkeyPatch, other: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = call("diff", "plain", other).out.splitlines()
    wide = [line for line in lines if cell_width(line) > columns and "a wider window" not in line]
    assert wide == []
    assert not [line for line in lines if line.rstrip() != line]


def test_nothing_that_a_terminal_obeys_is_printed(call: Call, logs: Any) -> None:
    for arguments in (["plain", "odd"], ["odd", "plain"], ["odd", "odd", "--all"]):
        out = call("diff", *arguments).out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)
    assert "no\\x1b]0;title\\x07de\\r\\n" in call("diff", "plain", "odd").out


def test_the_program_itself_ends_with_the_code_of_the_gate(logs: Any) -> None:
    assert program(["diff", "plain", "other"]).code == 0
    done = program(["diff", "plain", "other", "--fail-on", "outputs"])
    assert (done.code, done.err) == (1, "clew: --fail-on outputs: 1 differs\n")
    assert program(["diff", "plain", "other"], environ={"PYTHONIOENCODING": "ascii"}).out.isascii()
