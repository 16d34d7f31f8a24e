"""Whatever is used in a way that cannot work ends with one sentence, exit code 2, and nothing on standard output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done, program

Call = Callable[..., Done]

BAD_USES = [
    # no such run, ambiguous prefix
    (["show", "nosuchrun"], "nosuchrun"),
    (["show", "latest~99"], "latest~99"),
    (["show", "0"], "0"),
    (["show", ""], ""),
    (["timeline", "nosuchrun"], "nosuchrun"),
    (["tail", "nosuchrun"], "nosuchrun"),
    (["tail", "-f", "nosuchrun"], "nosuchrun"),
    (["export", "nosuchrun", "--to", "json"], "nosuchrun"),
    # unknown format
    (["export", "agent", "--to", "xml"], "xml"),
    (["import", "{jsonl}", "--format", "xml"], "xml"),
    (["tail", "--format", "xml"], "xml"),
    # unreadable, missing or foreign files
    (["import", "{missing}"], "missing"),
    (["import", "{folder}"], "folder"),
    (["import", "{foreign}"], "foreign"),
    (["import", "{empty}"], "empty"),
    (["import", "{jsonl}", "{foreign}"], "foreign"),
    (["import", "{jsonl}", "--format", "modelops"], "events"),
    (["import"], "PATH"),
    (["export", "agent", "--to", "json", "-o", "{missing}/x.json"], "missing"),
    (["export", "agent", "--to", "json", "-o", "{foreign}/x.json"], "foreign"),
    (["timeline", "agent", "--svg", "{missing}/x.svg"], "missing"),
    (["timeline", "agent", "--svg", "{folder}"], "folder"),
    # an option where the name of a file should be
    (["timeline", "agent", "--svg", "--html"], "--html"),
    (["export", "agent", "--to", "json", "-o", "--json"], "--json"),
    (["run", "--telemetry-file", "--telemetry-stdout", "{jsonl}"], "--telemetry-stdout"),
    (["run", "--telemetry-file", "{folder}", "{jsonl}"], "folder"),
    # a name that no file can have
    (["run", "{long}"], "yyy"),
    (["validate", "{long}"], "yyy"),
    (["timeline", "agent", "--svg", "{long}"], "yyy"),
    (["export", "agent", "--to", "json", "-o", "{long}"], "yyy"),
    # bad values
    (["runs", "-n", "many"], "many"),
    (["runs", "-n", "-1"], "-1"),
    (["runs", "--status", "sad"], "sad"),
    (["runs", "--since", "yesterday"], "yesterday"),
    (["tail", "-n", "few"], "few"),
    (["tail", "--level", "loud"], "loud"),
    (["tail", "--filter", "!"], "!"),
    (["tail", "--filter", "[["], "[["),
    (["show", "--slowest", "x"], "x"),
    (["timeline", "--width", "3"], "3"),
    (["gc", "--older-than", "old"], "old"),
    (["gc", "--keep-bytes", "lots"], "lots"),
    # contradictions, and too little to go on
    (["tail", "--json", "--format", "human"], "--json"),
    (["export", "agent", "--to", "json", "--json"], "--json"),
    (["gc"], "--older-than"),
    # no such option, command or argument
    (["show", "--nosuchoption"], "--nosuchoption"),
    (["show", "agent", "killed"], "killed"),
    (["export", "agent"], "--to"),
    (["export"], "RUN"),
    (["nosuchcommand"], "nosuchcommand"),
    (["--nosuchoption"], "--nosuchoption"),
    # a home that is none
    (["runs", "--home", "{missing}"], "missing"),
    (["runs", "--home", "{foreign}"], "foreign"),
    (["doctor", "--home", "{missing}"], "missing"),
]


@pytest.fixture
def places(tmp_path: Path, home: Path) -> dict[str, Path]:
    """Files that a user could name."""
    found = {name: tmp_path / name for name in ("missing", "folder", "foreign", "empty", "jsonl")}
    found["long"] = tmp_path / ("y" * 300)
    found["folder"].mkdir()
    found["foreign"].write_text("to whom it may concern\n", encoding="utf-8")
    found["empty"].touch()
    found["jsonl"] = tmp_path / "events.jsonl"
    found["jsonl"].write_text(
        '{"timestamp":"2026-01-01T00:00:00Z","run_id":"r","event":"workflow_started","data":{}}\n',
        encoding="utf-8",
    )
    return found


@pytest.mark.parametrize("arguments,named", BAD_USES, ids=lambda value: " ".join(value) if value else "")
def test_bad_use_is_one_sentence_that_names_what_is_wrong(
    call: Call, places: dict[str, Path], arguments: list[str], named: str
) -> None:
    done = call(*(argument.format(**places) for argument in arguments))
    assert (done.code, done.out) == (2, ""), done
    assert done.err.startswith("clew: ")
    assert done.err.endswith("\n")
    assert done.err.count("\n") == 1, done.err
    assert "Traceback" not in done.err
    assert named in done.err


def test_an_ambiguous_prefix_is_refused(call: Call, home: Path) -> None:
    done = call("show", "01")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_an_unreadable_file_is_refused(places: dict[str, Path], call: Call) -> None:
    """A name that no system allows stands for a file without the right to read it, which root always has."""
    done = call("import", str(places["jsonl"]) + "/x")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    "environ,named",
    [
        ({"CLEW_TELEMETRY_FORMAT": "xml"}, "CLEW_TELEMETRY_FORMAT"),
        ({"CLEW_SAMPLE_RATIO": "7"}, "CLEW_SAMPLE_RATIO"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_where_it_is_needed(environ: dict[str, str], named: str) -> None:
    done = program(["config"], environ=environ)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert named in done.err


def test_a_setting_of_the_recording_side_keeps_nobody_from_reading(home: Path) -> None:
    assert program(["runs"], environ={"CLEW_SAMPLE_RATIO": "7"}).code == 0


def test_a_broken_project_file_is_told_because_it_may_name_another_journal(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLEW_HOME")
    (tmp_path / "clew.toml").write_text("home = ", encoding="utf-8")
    done = call("runs")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("clew: clew.toml is not valid TOML: ")
