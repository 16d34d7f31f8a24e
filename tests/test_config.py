"""Settings: which source wins, what it says of itself, and what becomes of a value that cannot be."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from clew import config
from clew.config import ENVIRONMENT, SETTING_NAMES, Settings, load_settings, parse_bytes
from clew.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_source_every_value_is_the_default(project: Path) -> None:
    settings = load_settings({}, {}, start=project)
    assert settings == Settings(home=project / ".clew")
    assert {settings.origin(name) for name in SETTING_NAMES} == {"default"}


@pytest.mark.parametrize(
    "given,expected,origin",
    [
        ("file", "none", "pyproject.toml:2"),
        ("file environment", "summary", "environment CLEW_CAPTURE"),
        ("file environment flag", "full", "flag --capture"),
        ("environment", "summary", "environment CLEW_CAPTURE"),
        ("file flag", "full", "flag --capture"),
    ],
)
def test_a_flag_beats_the_environment_which_beats_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: str, origin: str
) -> None:
    monkeypatch.chdir(project)
    if "file" in given:
        write(project / "pyproject.toml", '[tool.clew]\ncapture = "none"\n')
    environ = {"CLEW_CAPTURE": "summary"} if "environment" in given else {}
    settings = load_settings({"capture": "full"} if "flag" in given else {}, environ)
    assert (settings.capture, settings.origin("capture")) == (expected, origin)


def test_a_flag_that_was_not_given_leaves_the_value_alone(project: Path) -> None:
    settings = load_settings({"capture": None}, {"CLEW_CAPTURE": "full"}, start=project)
    assert settings.origin("capture") == "environment CLEW_CAPTURE"


def test_an_empty_variable_is_not_set(project: Path) -> None:
    assert load_settings({}, {"CLEW_CAPTURE": ""}, start=project).origin("capture") == "default"


def test_clew_toml_wins_over_pyproject_in_the_same_folder(project: Path) -> None:
    write(project / "pyproject.toml", '[tool.clew]\ncapture = "none"\njournal = "memory"\n')
    write(project / "clew.toml", 'capture = "full"\n')
    settings = load_settings({}, {}, start=project)
    assert (settings.capture, settings.journal) == ("full", "auto")


def test_the_nearest_file_that_speaks_of_clew_is_used(project: Path) -> None:
    """A package inside a larger project has a pyproject.toml of its own, which need not mention Clew."""
    write(project / "pyproject.toml", '[tool.clew]\ncapture = "full"\n')
    package = project / "packages" / "one"
    package.mkdir(parents=True)
    write(package / "pyproject.toml", '[project]\nname = "clewless"\n')
    assert load_settings({}, {}, start=package).capture == "full"
    write(package / "clew.toml", "")
    assert load_settings({}, {}, start=package).capture == "summary"


def test_a_path_in_a_project_file_starts_at_that_file(project: Path) -> None:
    write(project / "clew.toml", 'home = "data/log"\ntelemetry_file = "../events.jsonl"\n')
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    settings = load_settings({}, {}, start=inner)
    assert (settings.home, settings.telemetry_file) == (
        project / "data" / "log",
        project.parent / "events.jsonl",
    )


def test_a_path_in_the_environment_starts_at_the_working_directory(project: Path) -> None:
    assert load_settings({}, {"CLEW_HOME": "here"}, start=project).home == project / "here"


def test_the_home_is_the_nearest_one_upward(project: Path) -> None:
    (project / ".clew").mkdir()
    inner = project / "a"
    inner.mkdir()
    assert load_settings({}, {}, start=inner).home == project / ".clew"


@pytest.mark.parametrize("variable", ["CLEW_TELEMETRY", "CLEW_TELEMETRY_ENABLED"])
@pytest.mark.parametrize(
    "word,expected", [("1", True), ("on", True), ("TRUE", True), ("0", False), ("no", False)]
)
def test_telemetry_has_two_variables(project: Path, variable: str, word: str, expected: bool) -> None:
    settings = load_settings({}, {variable: word}, start=project)
    assert (settings.telemetry, settings.origin("telemetry")) == (expected, f"environment {variable}")


@pytest.mark.parametrize(
    "name,text,value",
    [
        ("segment_bytes", "1MiB", 1024 * 1024),
        ("segment_bytes", "70000", 70000),
        ("sample_ratio", "0.25", 0.25),
        ("redact", "ssn, iban ,", ("ssn", "iban")),
        ("telemetry_level", "VERBOSE", "verbose"),
        ("telemetry_filter", "node, !node_started", "node,!node_started"),
        ("telemetry_max_files", "3", 3),
    ],
)
def test_a_variable_is_read_as_the_type_of_its_setting(
    project: Path, name: str, text: str, value: object
) -> None:
    settings = load_settings({}, {ENVIRONMENT[name][0]: text}, start=project)
    assert getattr(settings, name) == value


@pytest.mark.parametrize(
    "line,value",
    [
        ("segment_bytes = 65536", 65536),
        ('segment_bytes = "64KiB"', 65536),
        ('redact = ["ssn"]', ("ssn",)),
        ("sample_ratio = 1", 1.0),
        ("enabled = false", False),
        ('telemetry_filter = ["node", "error"]', "node,error"),
    ],
)
def test_a_file_has_values_of_its_own_types(project: Path, line: str, value: object) -> None:
    write(project / "clew.toml", line)
    assert getattr(load_settings({}, {}, start=project), line.split(" ", maxsplit=1)[0]) == value


BAD = [
    ("enabled", "maybe", "neither true nor false"),
    ("journal", "sqlite", "not one of auto, mapped, written, memory"),
    ("segment_bytes", "12", "too small"),
    ("segment_bytes", "big", "not a size"),
    ("fsync", "always", "not one of none, interval, checkpoint"),
    ("capture", "all", "not one of none, summary, full"),
    ("sample_ratio", "2", "not a number from 0 to 1"),
    ("sample_ratio", "nan", "not a number from 0 to 1"),
    ("telemetry_format", "xml", "not one of jsonl, human"),
    ("telemetry_level", "loud", "not one of debug, info"),
    ("telemetry_max_files", "0", "not a whole number from 1 on"),
    ("home", "a\0b", "not a path"),
]


@pytest.mark.parametrize("name,text,problem", BAD)
def test_a_value_that_cannot_be_is_one_sentence_that_names_its_source(
    project: Path, name: str, text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as of_flag:
        load_settings({name: text}, {}, start=project)
    assert str(of_flag.value).startswith(f"--{name.replace('_', '-')}: ")
    with pytest.raises(ConfigError, match=problem) as of_variable:
        load_settings({}, {ENVIRONMENT[name][0]: text}, start=project)
    assert str(of_variable.value).startswith(f"environment variable CLEW_{name.upper()}: ")
    assert "\n" not in str(of_variable.value)


@pytest.mark.parametrize("name,text,problem", BAD)
def test_a_library_gets_the_default_and_a_complaint_instead_of_an_error(
    project: Path, name: str, text: str, problem: str
) -> None:
    settings = load_settings({name: text}, {}, start=project, strict=False)
    assert getattr(settings, name) == getattr(load_settings({}, {}, start=project), name)
    assert settings.origin(name) == "default"
    assert [complaint.setting for complaint in settings.complaints] == [name]
    assert problem in settings.complaints[0].message


@pytest.mark.parametrize(
    "line",
    ["capture = 3", "segment_bytes = true", 'segment_bytes = [""]', "redact = 1", "home = 1", "redact = [1]"],
)
def test_a_value_of_another_type_in_a_file_names_file_and_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(project)
    write(project / "pyproject.toml", f"[project]\nname = 'x'\n[tool.clew]\n{line}\n")
    with pytest.raises(ConfigError, match=rf"^pyproject\.toml:4: {line.split(' ', maxsplit=1)[0]}: "):
        load_settings({}, {})


@pytest.mark.parametrize(
    "name, meant",
    [
        ("CLEW_CAPTUR", "CLEW_CAPTURE"),
        ("CLEW_TELEMETRY_LEVL", "CLEW_TELEMETRY_LEVEL"),
        ("CLEW_ENABLE", "CLEW_ENABLED"),
    ],
)
def test_a_misspelt_variable_is_a_complaint_that_stops_nothing(project: Path, name: str, meant: str) -> None:
    settings = load_settings(
        {}, {name: "full", "CLEW_COMPILED": "false", "CLEW_OF_MY_OWN": "1"}, start=project
    )
    assert [complaint.message for complaint in settings.complaints] == [
        f"there is no environment variable {name}; did you mean {meant}?"
    ]


def test_an_unknown_name_in_a_file_is_a_complaint_with_a_suggestion(project: Path) -> None:
    path = write(project / "clew.toml", "telemetri = true\n")
    settings = load_settings({}, {}, start=project)
    assert [complaint.message for complaint in settings.complaints] == [
        f"{path}:1: there is no setting 'telemetri'; did you mean 'telemetry'?"
    ]
    assert settings.telemetry is False


@pytest.mark.parametrize("content", [b"capture = ", b"\xff\xfe", b"a = 1\na = 2\n", b"[" * 5000])
def test_a_file_that_is_not_toml_is_named_and_never_stops_a_library(project: Path, content: bytes) -> None:
    path = project / "clew.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        load_settings({}, {}, start=project)
    assert str(error.value).startswith(f"{path} is not valid TOML: ")
    settings = load_settings({}, {"CLEW_CAPTURE": "full"}, start=project, strict=False)
    assert [complaint.setting for complaint in settings.complaints] == [None]
    assert settings.capture == "full"


def test_a_table_that_is_none_is_an_error(project: Path) -> None:
    write(project / "pyproject.toml", "[tool]\nclew = 3\n")
    with pytest.raises(ConfigError, match=r"tool\.clew is not a table"):
        load_settings({}, {}, start=project)


def test_a_folder_of_that_name_is_no_project_file(project: Path) -> None:
    (project / "clew.toml").mkdir()
    assert load_settings({}, {}, start=project).complaints == []


def test_a_program_without_a_mistake_looks_for_no_suggestion(project: Path) -> None:
    write(project / "pyproject.toml", "[project]\nname = 'x'\n")
    code = "import sys, clew.config as c; c.load_settings(); print('difflib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"


def test_a_deleted_working_directory_is_no_error(project: Path) -> None:
    gone = project / "gone"
    code = "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); import clew.config as c; print(c.load_settings().capture)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, check=True, capture_output=True, text=True
    )
    assert (done.stdout, gone.exists()) == ("summary\n", False)


@pytest.mark.parametrize(
    "text,size",
    [
        ("0", 0),
        ("1000", 1000),
        ("5GB", 5 * 10**9),
        ("5 gb", 5 * 10**9),
        ("1.5k", 1500),
        ("2MiB", 2 * 2**20),
        ("7B", 7),
    ],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1e9", "5 XB", "iB", "1iB", "nan", "1,5GB"])
def test_a_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_bytes(text)


def test_every_setting_has_a_docstring() -> None:
    body = ast.parse(inspect.getsource(config.Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    documented = [
        field.target.id
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
    ]
    assert documented == [*SETTING_NAMES, "origins", "complaints"]
