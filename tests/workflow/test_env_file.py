"""What a `.env` file says is what is set, or a sentence with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.workflow.env_file import read_env
from clew.workflow.project import Problem
from tests.workflow.commands import run
from tests.workflow.written_projects import write

pytestmark = pytest.mark.needs_extra("workflow")


def read(folder: Path, text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    found: list[Problem] = []
    (folder / ".env").write_text(text, encoding="utf-8")
    variables = read_env(folder / ".env", environ={}, found=found)
    return variables, [(problem.place.line, problem.message) for problem in found]


@pytest.mark.parametrize(
    "written, value",
    [
        ('"sk-x"  # mine', "sk-x"),
        ("'sk-x'# mine", "sk-x"),
        ("sk-x # mine", "sk-x"),
        ("sk-x\t# mine", "sk-x"),
        ("sk#x", "sk#x"),
        ("# nothing", ""),
        ("", ""),
        ("'a # b'", "a # b"),
        ('"it\'s"', "it's"),
        (r'"a \"b\" \n c"', r'a "b" \n c'),
        ("a'b", "a'b"),
        ('{"a": "b"}', '{"a": "b"}'),
    ],
)
def test_a_value_ends_before_its_comment(tmp_path: Path, written: str, value: str) -> None:
    assert read(tmp_path, f"export A={written}") == ({"A": value}, [])


def test_what_can_be_no_value_is_told_with_its_line(tmp_path: Path) -> None:
    variables, found = read(tmp_path, 'A=1\nB=b\0c\nC=\'x\nD="x" y\nE=2\n')
    assert variables == {"A": "1", "E": "2"}
    assert found == [
        (2, "the variable 'B' has a NUL character, which no variable can hold"),
        (3, "the value of 'C' begins with a quote, and no second one ends it"),
        (4, "behind the quotes of 'D' stands more; only a comment with # may"),
    ]


def test_a_project_with_such_a_file_is_refused_with_the_line(tmp_path: Path) -> None:
    manifest = "name: n\nnodes: {a: {type: input}, o: {type: output}}\nedges: {e: {from: a, to: o}}\n"
    done = run(write(tmp_path, {"clew.yaml": manifest, ".env": "A=b\0c"}))
    assert (done.returncode, done.stdout) == (2, "")
    assert ".env:1: the variable 'A' has a NUL" in done.stderr
