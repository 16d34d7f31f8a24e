"""A new project is valid and complete, and takes nobody's place."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ProjectError
from clew.workflow.manifest import load_project
from clew.workflow.new_project import skeleton, write_new_project
from clew.workflow.providers.script_file import read_script
from clew.workflow.validate import problems
from tests.workflow.written_projects import write

pytestmark = pytest.mark.needs_extra("workflow")


def test_a_new_project_has_no_problems_and_the_name_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "triage-2"
    written = write_new_project(folder)
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    project = load_project(folder, environ={})
    assert project.name == "triage-2"
    assert problems(project, environ={}) == []
    assert {"answers.yaml", "clew.yaml", "prompts/sort.prompt", "tools/rules.py"} < set(skeleton())


def test_its_script_can_be_read_and_has_an_answer_for_every_prompt(tmp_path: Path) -> None:
    write_new_project(tmp_path)
    read_script(tmp_path / "answers.yaml")
    text = (tmp_path / "answers.yaml").read_text()
    assert all(f"node: {name}" in text for name in load_project(tmp_path, environ={}).prompts)


@pytest.mark.parametrize("name", ["yes", "1.5", "a: b", "x #y", "é 'q' \"r\"", "null"])
def test_any_name_of_a_folder_is_the_name_of_the_project(tmp_path: Path, name: str) -> None:
    write_new_project(tmp_path / name)
    assert load_project(tmp_path / name, environ={}).name == name


@pytest.mark.parametrize("there", ["clew.yaml", "prompts/sort.prompt", "agent.tml", "trident.yaml"])
def test_where_something_is_already_nothing_is_written(tmp_path: Path, there: str) -> None:
    write(tmp_path, {there: "mine", "notes.txt": "mine too"})
    with pytest.raises(ProjectError, match="nothing is overwritten"):
        write_new_project(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        [Path(there).name, "notes.txt"]
    )
    assert (tmp_path / there).read_text() == "mine"


def test_a_link_to_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "clew.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProjectError, match="nothing is overwritten"):
        write_new_project(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_no_folder_for_a_project(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProjectError, match="is a file; a project is a folder"):
        write_new_project(tmp_path / "file")


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    write(tmp_path, {"notes.txt": "mine", "tools/mine.py": "x = 1"})
    write_new_project(tmp_path)
    assert (tmp_path / "tools/mine.py").read_text() == "x = 1"


@pytest.mark.parametrize("name", ["new\nline", "...", "n" * 240, "\x1b[31m"])
def test_a_folder_whose_name_no_project_may_have_gets_one_that_runs(tmp_path: Path, name: str) -> None:
    write_new_project(tmp_path / name)
    assert load_project(tmp_path / name, environ={}).name == "my-workflow"


@pytest.mark.parametrize("there", ["tools", "prompts"])
def test_a_file_in_the_place_of_a_folder_is_there_already(tmp_path: Path, there: str) -> None:
    write(tmp_path, {there: "mine"})
    with pytest.raises(ProjectError, match=f"has {there} already, and nothing is overwritten"):
        write_new_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_where_the_disk_refuses_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tools").mkdir()
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if arguments[:1] == ("x",) and path.suffix == ".py":
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_new_project(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        write_new_project(tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["tools"]
