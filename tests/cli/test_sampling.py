"""A run that sampling left out is not shown as one that did nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done, program

Call = Callable[..., Done]
PROGRAM = """
import clew
with clew.span("work"):
    clew.event("token_usage", input_tokens=5, output_tokens=7)
"""
SENTENCE = "its inside was not recorded: sampling left this run out (CLEW_SAMPLE_RATIO)"


@pytest.fixture(autouse=True)
def runs(tmp_path: Path) -> None:
    """Record a run that is left out, one that is not, and one that does nothing."""
    for name, ratio, text in (("left", "0", PROGRAM), ("kept", "1", PROGRAM), ("idle", "1", "")):
        script = tmp_path / f"{name}.py"
        script.write_text(text, encoding="utf-8")
        assert program(["run", script], environ={"CLEW_SAMPLE_RATIO": ratio}).code == 0


def test_show_says_so_above_everything_else(call: Call) -> None:
    lines = call("show", "left").out.splitlines()
    assert lines[1] == SENTENCE
    assert [line.split()[1:] for line in lines if line.startswith("executions")] == [["not", "recorded"]]
    assert "5 in, 7 out" in call("show", "left").out
    for name in ("kept", "idle"):
        assert "not recorded" not in call("show", name).out


def test_show_says_so_in_a_narrow_window(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert max(map(len, call("show", "left").out.splitlines())) <= 40


@pytest.mark.parametrize("command", ["show", "timeline"])
def test_json_has_it_as_a_field(call: Call, command: str) -> None:
    sampled = {name: json.loads(call(command, name, "--json").out)["sampled"] for name in ("left", "kept")}
    assert sampled == {"left": False, "kept": True}


def test_the_list_of_runs_says_so_in_place_of_a_count(call: Call) -> None:
    by_name = {line.split()[1]: line for line in call("runs").out.splitlines()[1:]}
    assert by_name["left"].endswith("  not sampled")
    assert by_name["kept"].endswith("  1")
    assert by_name["idle"].endswith("  0")


def test_every_timeline_says_so(call: Call, tmp_path: Path) -> None:
    assert SENTENCE in call("timeline", "left").out
    assert SENTENCE not in call("timeline", "idle").out
    assert SENTENCE in call("timeline", "left", "--svg", "-").out
    assert SENTENCE in call("timeline", "left", "--html", "-").out
