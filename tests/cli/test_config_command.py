"""`clew config` shows every setting and where its value comes from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.config import SETTING_NAMES
from tests.cli.conftest import Done

Call = Callable[..., Done]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLEW_HOME", "elsewhere")
    (tmp_path / "pyproject.toml").write_text('[tool.clew]\ncapture = "full"\nredact = ["a", "b"]\n')
    return tmp_path


def test_every_setting_has_a_line_with_value_and_source(call: Call, project: Path) -> None:
    done = call("config")
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.out.splitlines()}
    assert list(lines) == ["SETTING", *SETTING_NAMES, "compiled"]
    assert lines["capture"] == ["full", "pyproject.toml:2"]
    assert lines["redact"] == ["a,b", "pyproject.toml:3"]
    assert lines["home"] == [str(project / "elsewhere"), "environment CLEW_HOME"]
    assert lines["telemetry_file"] == ["-", "default"]
    assert lines["telemetry"] == ["false", "default"]


def test_the_home_option_is_a_source_too(call: Call, project: Path) -> None:
    assert f"{project / 'mine'}  flag --home" in call("config", "--home", "mine").out


def test_json_has_values_of_their_types(call: Call, project: Path) -> None:
    settings = json.loads(call("config", "--json").out)
    assert list(settings) == [*SETTING_NAMES, "compiled"]
    assert settings["capture"] == {"value": "full", "origin": "pyproject.toml:2"}
    assert settings["redact"]["value"] == ["a", "b"]
    assert settings["telemetry_file"]["value"] is None
    assert settings["segment_bytes"]["value"] == 32 * 1024 * 1024


@pytest.mark.parametrize(
    "switch, shown",
    [
        (None, "compiled true built when Clew was installed"),
        ("false", "compiled false environment CLEW_COMPILED"),
    ],
)
def test_it_says_whether_recording_is_compiled(switch: str | None, shown: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "CLEW_COMPILED"}
    env |= {} if switch is None else {"CLEW_COMPILED": switch}
    printed = subprocess.check_output([sys.executable, "-m", "clew.cli.main", "config"], env=env, text=True)
    assert printed.splitlines()[-1].split() == shown.split()


def test_an_unknown_name_is_told_and_does_not_hide_the_rest(call: Call, project: Path) -> None:
    (project / "clew.toml").write_text("captur = 1\n")
    done = call("config")
    assert done.code == 0
    assert done.err == "clew: clew.toml:1: there is no setting 'captur'; did you mean 'capture'?\n"
    assert "segment_bytes" in done.out
