"""`clew runs` lists what is there, newest first."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clew.cli.runs import in_families, unique_digits
from clew.store.index import RunRow
from clew.view.cells import cell_width
from tests.cli.conftest import Done, record

Call = Callable[..., Done]


def row(run_id: str, *, parent: str | None = None) -> RunRow:
    return RunRow(
        run_id=run_id,
        name=run_id,
        kind=None,
        status="completed",
        started_at=None,
        last_event_at=None,
        duration_ns=None,
        events=1,
        nodes=0,
        failed_nodes=0,
        lost=0,
        parent_run_id=parent,
        depth=0,
        host=None,
        exit_code=None,
    )


def names(done: Done) -> list[str]:
    """Return the second word of each line below the heading."""
    assert done.code == 0
    return [line.split()[1] for line in done.out.splitlines()[1:] if line.startswith("0")]


def test_runs_are_listed_newest_first_and_those_inside_others_are_counted(call: Call, home: Path) -> None:
    done = call("runs")
    assert names(done) == ["killed", "odd\\x1b[31m\\x07", "agent", "nightly-calibration"]
    assert done.out.splitlines()[-1] == "1 run is inside others and not listed; --all lists them"
    assert done.err == ""


def test_a_line_has_status_durations_and_counts(call: Call, home: Path) -> None:
    lines = {line.split()[1]: line.split() for line in call("runs").out.splitlines()}
    assert lines["NAME"] == ["ID", "NAME", "STATUS", "AGE", "DURATION", "EXECS", "FAILED"]
    assert (lines["killed"][2], lines["killed"][-3:]) == ("interrupted", ["-", "3", "0"])
    assert (lines["agent"][2], lines["agent"][-2:]) == ("failed", ["3", "1"])
    assert (lines["nightly-calibration"][2], lines["nightly-calibration"][-2:]) == ("completed", ["19", "3"])


def test_with_all_a_run_stands_below_the_one_it_is_in(call: Call, home: Path) -> None:
    lines = call("runs", "--all").out.splitlines()
    assert [line.split("  ", 1)[1][:12] for line in lines[3:5]] == ["agent       ", "  inner     "]


@pytest.mark.parametrize(
    "options,found",
    [
        (["--name", "calib"], ["nightly-calibration"]),
        (["--name", "*gent"], ["agent"]),
        (["--status", "failed"], ["odd\\x1b[31m\\x07", "agent"]),
        (["--status", "interrupted"], ["killed"]),
        (["--since", "1h"], ["killed", "odd\\x1b[31m\\x07", "agent", "nightly-calibration"]),
        (["-n", "1"], ["killed"]),
        (["--name", "inner"], ["inner"]),
    ],
)
def test_options_choose_runs(call: Call, home: Path, options: list[str], found: list[str]) -> None:
    assert names(call("runs", *options)) == found


def test_what_is_left_out_is_counted(call: Call, home: Path) -> None:
    assert "3 older runs are not listed; -n 0 lists all" in call("runs", "-n", "1").out
    assert "not listed; -n 0" not in call("runs", "-n", "0").out


def test_nothing_that_fits_is_said_on_standard_error(call: Call, home: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert call("runs", "--since", tomorrow) == Done(0, "", f"clew: no run in {home} fits\n")
    assert call("runs", "--since", tomorrow, "--json") == Done(0, "[]\n", "")


def test_a_fresh_folder_is_told_what_to_do_and_stays_as_it_is(call: Call, tmp_path: Path) -> None:
    done = call("runs")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("record one with: clew run script.py\n")
    assert list(tmp_path.iterdir()) == []


def test_json_has_every_run_whole(call: Call, home: Path) -> None:
    rows = json.loads(call("runs", "--all", "--json").out)
    assert [found["name"] for found in rows][2:] == ["agent", "inner", "nightly-calibration"]
    assert len(rows[0]["run_id"]) == 32
    assert set(rows[0]) == set(RunRow.__struct_fields__)


def test_a_run_that_goes_on_is_running(call: Call, home: Path) -> None:
    with record(home, "killed") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert names(call("runs", "--status", "running")) == ["killed"]
        process.communicate("\n")
    assert names(call("runs", "--status", "running")) == []


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_is_wider_than_the_window(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert [line for line in call("runs", "--all").out.splitlines() if cell_width(line) > columns] == []


def test_parents_that_name_each_other_are_listed_all_the_same() -> None:
    rows = [row("a", parent="b"), row("b", parent="a"), row("c", parent="c"), row("d", parent="gone")]
    found = in_families(rows)
    assert sorted(run.run_id for run, _ in found) == ["a", "b", "c", "d"]


def test_ids_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    assert unique_digits(["0123456789abcdef0", "0123456789abcdee0"]) == 16
    assert unique_digits(["0123456789abcdef", "1"]) == 12
    assert unique_digits([]) == 12
