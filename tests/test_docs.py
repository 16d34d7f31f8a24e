"""The documentation says what is so: its examples run, its links lead somewhere, its generated pages are current.

In a page, in order and in one folder: a `python` block is run, or saved where its first line is `# name.py`; a line of
a `console` block that begins with `$ ` is run, and what the block shows below it must be what it prints, with `...`
for what differs from time to time.
"""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clew.model.payloads import PAYLOADS

REPOSITORY = Path(__file__).parent.parent
PAGES = sorted([REPOSITORY / "README.md", *REPOSITORY.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# ([\w.]+\.py)\n")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


class Command(NamedTuple):
    """A line to run, and what the page shows below it."""

    line: str
    output: str


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def has_examples(page: Path) -> bool:
    return any(
        language == "python" or (language == "console" and commands(text)) for language, text in blocks(page)
    )


def commands(block: str) -> list[Command]:
    """The commands of a console block; none where it only names commands for a person to try."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [Command(*part.split("\n", 1)) for part in parts]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
        },
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def is_shown(expected: str, printed: str) -> bool:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(expected, printed, flags)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            id=str(page.relative_to(REPOSITORY)),
            marks=[pytest.mark.needs_extra("workflow")] if page.stem == "workflows" else [],
        )
        for page in PAGES
        if has_examples(page)
    ],
)
def test_every_example_of_the_page_does_what_the_page_says(page: Path, tmp_path: Path) -> None:
    for number, (language, text) in enumerate(blocks(page)):
        if language == "python":
            name = FILE_NAME.match(text)
            script = tmp_path / (name[1] if name else f"example_{number}.py")
            script.write_text(text, encoding="utf-8")
            if not name:
                done = run([sys.executable, str(script)], tmp_path)
                assert done.returncode == 0, f"{text}\n{done.stdout}"
        elif language == "console":
            for command in commands(text):
                done = run(["bash", "-o", "pipefail", "-c", command.line], tmp_path)
                assert done.returncode == 0, f"{command.line}\n{done.stdout}"
                assert is_shown(command.output, done.stdout), f"{command.line}\n{done.stdout}"


def test_an_output_that_is_not_the_one_shown_is_noticed() -> None:
    assert commands("$ echo a\na\n$ true\n") == [Command("echo a", "a\n"), Command("true", "")]
    assert is_shown("completed ... executions\n", "completed 6 executions\n")
    assert not is_shown("completed 6 executions\n", "completed 7 executions\n")


@pytest.mark.parametrize("page", [pytest.param(p, id=str(p.relative_to(REPOSITORY))) for p in PAGES])
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    targets = [target for target, _ in LINK.findall(text) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.fixture(scope="module")
def make_events() -> Any:
    spec = importlib.util.spec_from_file_location("make_events", REPOSITORY / "docs" / "make_events.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_events_is_what_would_be_written_now(make_events: Any) -> None:
    """Where this fails: python docs/make_events.py."""
    assert make_events.PAGE.read_text(encoding="utf-8") == make_events.page()


@pytest.mark.parametrize("event", PAYLOADS)
def test_every_field_of_every_event_is_on_the_page_with_its_meaning(make_events: Any, event: str) -> None:
    section = make_events.page().split(f"\n### {event}\n")[1].split("\n## ")[0].split("\n### ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", section, re.MULTILINE))
    assert set(rows) == set(PAYLOADS[event].__struct_fields__)
    assert all(rows.values())
