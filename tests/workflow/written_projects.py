"""Projects that a test writes, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from clew.errors import ProjectError
from clew.workflow.document import sentence
from clew.workflow.manifest import load_project
from clew.workflow.project import Project
from clew.workflow.validate import judge


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files below a folder, which need not exist, and return the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def load(folder: Path, **files: str) -> Project:
    """Read the project of a folder without any variable of the environment."""
    return load_project(write(folder, files), environ={})


def refused(folder: Path) -> list[str]:
    """Return the sentences with which a project is refused when it is read, the folder's name left out."""
    with pytest.raises(ProjectError) as caught:
        load_project(folder, environ={})
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def judged(folder: Path) -> list[str]:
    """Return the sentences that validation says about a project, warnings marked."""
    return [
        ("" if problem.is_error else "warning: ") + sentence(problem).replace(f"{folder}/", "")
        for problem in judge(folder, environ={})[1]
    ]
