"""A new project is valid and complete, and takes nobody's place."""

from __future__ import annotations

from pathlib import Path

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
