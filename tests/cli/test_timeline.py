"""`clew timeline` draws a run in the window or into a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.view.cells import cell_width
from tests.cli.conftest import Done

Call = Callable[..., Done]


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("run", ["agent", "nightly-calibration", "latest~1", "killed"])
def test_bars_fit_the_window(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, columns: int, run: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = call("timeline", run)
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if cell_width(line) > columns] == []


def test_a_width_can_be_asked_for(call: Call, home: Path) -> None:
    wide = call("timeline", "agent", "--width", "150").out
    assert max(map(len, wide.splitlines())) > max(map(len, call("timeline", "agent").out.splitlines()))


def test_svg_and_html_can_be_written_at_once(call: Call, home: Path, tmp_path: Path) -> None:
    svg, html = tmp_path / "a.svg", tmp_path / "a.html"
    done = call("timeline", "agent", "--svg", svg, "--html", html)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"clew: wrote {svg}\nclew: wrote {html}\nclew: runs inside ")
    assert svg.read_text("utf-8").startswith("<svg")
    assert html.read_text("utf-8").lower().startswith("<!doctype html>")


@pytest.mark.needs_extra("plot")
def test_png_is_written(call: Call, home: Path, tmp_path: Path) -> None:
    assert call("timeline", "agent", "--png", tmp_path / "a.png").code == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.wheel_only
def test_png_without_matplotlib_says_how_to_get_it(call: Call, home: Path, tmp_path: Path) -> None:
    done = call("timeline", "agent", "--png", tmp_path / "a.png")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "pip install 'clew[plot]'" in done.err
    assert not (tmp_path / "a.png").exists()


def test_nothing_is_written_where_one_picture_cannot_be_drawn(
    call: Call, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as if it were not installed
    names = {option: tmp_path / f"t.{option}" for option in ("html", "svg", "png")}
    arguments = [str(part) for option, path in names.items() for part in (f"--{option}", path)]
    done = call("timeline", "agent", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "pip install 'clew[plot]'" in done.err
    assert not any(path.exists() for path in names.values())


def test_a_file_that_is_there_is_said_to_be_also_where_the_next_one_fails(
    call: Call, home: Path, tmp_path: Path
) -> None:
    svg, nowhere = tmp_path / "t.svg", tmp_path / "none" / "t.html"
    done = call("timeline", "agent", "--svg", svg, "--html", nowhere)
    assert done.code == 2
    assert done.err.startswith(f"clew: wrote {svg}\n")
    assert svg.exists()


def test_json_says_what_was_written(call: Call, home: Path, tmp_path: Path) -> None:
    document = json.loads(call("timeline", "agent", "--svg", tmp_path / "a.svg", "--json").out)
    assert document["files"] == [str(tmp_path / "a.svg")]


def test_json_has_the_times_of_every_execution(call: Call, home: Path) -> None:
    executions = json.loads(call("timeline", "nightly-calibration", "--json").out)["executions"]
    assert len(executions) == 19
    assert executions[0]["node_id"] == "calibration.job"
    assert all(bar["start_ns"] <= bar["end_ns"] <= executions[0]["end_ns"] for bar in executions)


def test_a_dash_is_standard_output(
    call: Call, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for option, begin in (("--svg", "<svg"), ("--html", "<!doctype html>")):
        done = call("timeline", "nightly-calibration", option, "-")
        assert (done.code, done.err) == (0, "")
        assert done.out.lower().startswith(begin)
    assert [path.name for path in tmp_path.iterdir()] == [".clew"]


@pytest.mark.needs_extra("plot")
def test_a_picture_goes_to_standard_output_as_it_is(home: Path) -> None:
    command = [sys.executable, "-m", "clew.cli.main", "timeline", "agent", "--png", "-"]
    assert subprocess.run(command, capture_output=True, check=True).stdout.startswith(b"\x89PNG")


@pytest.mark.parametrize("arguments", [["--svg", "-", "--html", "-"], ["--svg", "-", "--json"]])
def test_standard_output_is_one_thing_only(call: Call, home: Path, arguments: list[str]) -> None:
    done = call("timeline", "agent", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "cannot both be standard output" in done.err
