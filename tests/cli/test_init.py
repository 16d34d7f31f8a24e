"""`clew init` writes a project that the other commands take at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done

pytestmark = pytest.mark.needs_extra("workflow")
Call = Callable[..., Done]


def test_what_it_wrote_is_valid_can_be_drawn_and_runs(call: Call, tmp_path: Path) -> None:
    done = call("init", tmp_path / "new")
    assert (done.code, done.err) == (0, "")
    assert f"{tmp_path / 'new' / 'clew.yaml'}\n" in done.out
    assert call("validate", tmp_path / "new", "--strict").out == "new is valid: 6 nodes, 8 edges\n"
    assert call("graph", tmp_path / "new").code == 0
    ran = call("run", tmp_path / "new", "-o", "json")
    assert ran.code == 0
    assert "your parcel is late" in ran.out


def test_another_input_takes_the_other_way(call: Call, tmp_path: Path) -> None:
    call("init", tmp_path)
    ran = call("run", tmp_path, "-o", "json", "-i", json.dumps({"message": "The box is on fire!"}))
    assert "Please call this customer now." in ran.out


def test_without_a_path_it_is_the_folder_where_one_is(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("init", "--json")
    assert sorted(json.loads(done.out)["files"])[:2] == ["answers.yaml", "clew.yaml"]
    assert call("validate").code == 0


def test_a_second_time_nothing_is_overwritten(call: Call, tmp_path: Path) -> None:
    call("init", tmp_path)
    (tmp_path / "clew.yaml").write_text("mine")
    done = call("init", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "nothing is overwritten" in done.err
    assert len(done.err.splitlines()) == 1
    assert (tmp_path / "clew.yaml").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_sentence(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    for folder in (tmp_path / "file" / "inner", tmp_path / "link", tmp_path / ("y" * 300)):
        done = call("init", folder)
        assert (done.code, done.out) == (2, "")
        assert len(done.err.splitlines()) == 1
