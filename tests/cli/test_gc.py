"""`clew gc` deletes what it was told to, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done, program, record

Call = Callable[..., Done]


def segments(home: Path) -> list[Path]:
    return sorted(home.glob("journal/*/*.jsonl"))


def test_nothing_is_deleted_without_a_limit(call: Call, home: Path) -> None:
    before = segments(home)
    assert call("gc").code == 2
    assert segments(home) == before


def test_a_dry_run_names_what_would_go_and_deletes_nothing(call: Call, home: Path) -> None:
    before = segments(home)
    done = call("gc", "--keep-bytes", "0", "--dry-run")
    assert done.code == 0
    assert "nightly-calibration" in done.out
    assert done.out.splitlines()[-1].startswith("would delete 5 runs, 4 segments: ")
    assert segments(home) == before


def test_what_is_too_old_goes(call: Call, home: Path) -> None:
    assert call("gc", "--older-than", "1h").out.startswith("nothing to delete; ")
    done = call("gc", "--older-than", "0s")
    assert done.out.splitlines()[-1].startswith("deleted 5 runs, 4 segments: ")
    assert segments(home) == []
    assert call("runs").out == ""


def test_the_oldest_goes_first_where_there_is_too_much(call: Call, home: Path) -> None:
    sizes = [path.stat().st_size for path in segments(home)]
    call("gc", "--keep-bytes", str(sum(sizes) - 1))
    assert "nightly-calibration" not in call("runs").out
    assert "killed" in call("runs").out


def test_a_run_that_goes_on_is_kept(call: Call, home: Path) -> None:
    with record(home, "killed") as process:
        assert process.stdout is not None
        process.stdout.readline()
        call("gc", "--keep-bytes", "0")
        assert len(segments(home)) == 1
        process.communicate("\n")
    assert call("runs", "--status", "completed", "--json").out.count('"killed"') == 1


@pytest.mark.parametrize("dry", [True, False])
def test_json_has_the_plan_and_what_became_of_it(call: Call, home: Path, dry: bool) -> None:
    document = json.loads(call("gc", "--keep-bytes", "0", "--json", *(["--dry-run"] if dry else [])).out)
    assert len(document["plan"]["runs"]) == 5
    assert document["dry_run"] is dry
    assert (document["removed"] is None) is dry


def test_no_journal_is_nothing_to_delete(call: Call, tmp_path: Path) -> None:
    done = call("gc", "--keep-bytes", "0")
    assert (done.code, done.out) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_runs_of_one_millisecond_are_named_by_as_many_digits_as_tell_them_apart(
    call: Call, tmp_path: Path
) -> None:
    """Also in what an import says."""
    alike = [f"0193514c5d2a{digits}{'0' * 16}" for digits in ("7aaa", "7aab")]
    names = [run_id[:16] for run_id in alike]
    file = tmp_path / "two.jsonl"
    file.write_text(
        "".join(
            f'{{"timestamp":"2026-11-21T03:59:12.123456Z","run_id":"{run_id}","event":"{event}","level":"INFO",'
            f'"writer":"{run_id[:16]}","seq":{number},"data":{{"name":"two"}}}}\n'
            for run_id in alike
            for number, event in enumerate(("workflow_started", "workflow_completed"), start=1)
        ),
        encoding="utf-8",
    )
    imported = program(["import", file])
    assert [line.split()[0] for line in imported.out.splitlines()[1:]] == names
    listed = call("gc", "--older-than", "0s", "--dry-run").out.splitlines()
    assert sorted(line.split()[0] for line in listed[1:3]) == names
