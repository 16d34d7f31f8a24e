"""Projects that somebody wrote to do harm, and files that are no projects at all, end in sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.errors import ProjectError
from clew.workflow.document import MOST_BYTES
from clew.workflow.manifest import load_project
from clew.workflow.project import Problem
from clew.workflow.validate import judge
from tests.workflow.written_projects import refused, write

pytestmark = pytest.mark.needs_extra("workflow")


@pytest.mark.parametrize("written", ["../out.prompt", "/etc/passwd.prompt", "~/x.prompt", "a/../../x.prompt"])
def test_a_prompt_outside_of_the_project_is_refused(tmp_path: Path, written: str) -> None:
    write(
        tmp_path,
        {"out.prompt": "---\n---\nx", "p/clew.yaml": f"name: x\nnodes: {{a: {{prompt: '{written}'}}}}"},
    )
    (said,) = refused(tmp_path / "p")
    assert said.startswith(f"clew.yaml:2: the prompt {written!r} ")
    assert "folder" in said


def test_a_prompt_that_is_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"secret.txt": "---\n---\nx", "p/clew.yaml": "name: x", "p/prompts/ok.prompt": "---\n---\nx"},
    )
    (tmp_path / "p/prompts/leak.prompt").symlink_to(tmp_path / "secret.txt")
    (said,) = refused(tmp_path / "p")
    assert said.endswith("the prompt 'prompts/leak.prompt' is a link that leaves the project's folder")


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "..", "a\\\\b", "\\e[2J", "a\\nb"])
def test_a_name_that_leads_elsewhere_or_moves_the_cursor_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"clew.yaml": f'name: "{name}"'})
    (said,) = refused(tmp_path)
    assert said.endswith("has characters that no file's name may have")
    assert said.isprintable()


def test_a_dotenv_file_that_is_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"secret": "A=1", "p/clew.yaml": "name: x"})
    (tmp_path / "p/.env").symlink_to(tmp_path / "secret")
    assert refused(tmp_path / "p") == [".env:1: the file '.env' is a link that leaves the project's folder"]


def test_a_manifest_of_ten_megabytes_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "clew.yaml").write_bytes(b"a: 1\n" * (10 * 1024**2 // 5))
    assert refused(tmp_path) == ["clew.yaml:1: the file is larger than 2 MiB"]
    assert MOST_BYTES == 2 * 1024**2


WORDS = st.sampled_from(
    [
        "name",
        "trident",
        "nodes",
        "tools",
        "edges",
        "defaults",
        "entrypoints",
        "orchestration",
        "env",
        "type",
        "input",
        "output",
        "prompt",
        "agent",
        "branch",
        "trigger",
        "python",
        "shell",
        "http",
        "schema",
        "mapping",
        "from",
        "to",
        "condition",
        "workflow",
        "self",
        "retry",
        "publish",
        "command",
        "fields",
        "items",
        "choices",
        "default",
        "required",
        "mcp_servers",
        "a",
        "b",
    ]
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=30,
)


@given(TREES)
@settings(max_examples=300)
def test_any_tree_of_values_is_a_project_or_a_project_error(
    tmp_path_factory: pytest.TempPathFactory, tree: object
) -> None:
    import yaml

    folder = tmp_path_factory.mktemp("garbage", numbered=True)
    (folder / "clew.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    _, found = judge(folder, environ={})  # what could be read is checked, however little that is
    try:
        load_project(folder, environ={})
    except ProjectError as error:
        assert all(": " in line for line in str(error).splitlines())  # noqa: PT017 - both ends are right
        told = {one for one in error.problems if isinstance(one, Problem) and one.is_error}
        assert told <= set(found)


@given(st.binary(max_size=200) | st.text(alphabet="nametrids:{}[]&*<->'\" \n\t", max_size=80).map(str.encode))
def test_any_bytes_are_a_project_or_a_project_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("garbage", numbered=True)
    (folder / "clew.yaml").write_bytes(content)
    try:
        load_project(folder, environ={})
    except ProjectError as error:
        assert str(error)  # noqa: PT017 - both ends are right


LONG = "y" * 300


@pytest.mark.parametrize(
    "more, said",
    [
        ("tools: {t: {type: python, module: LONG, function: f}}", "tool 't': the tool's file 'tools/"),
        ("defaults: {script: LONG}", "the script 'y"),
        ("nodes: {b: {type: prompt, prompt: ./LONG.prompt, model: openai/x}}", "the prompt './y"),
        ("nodes: {b: {type: branch, workflow: ./LONG}}", "'b' runs no workflow: the workflow './y"),
    ],
)
def test_the_name_of_a_file_that_is_too_long_is_a_problem_with_its_line(
    tmp_path: Path, more: str, said: str
) -> None:
    (tmp_path / "clew.yaml").write_text(f"name: n\n{more.replace('LONG', LONG)}\n", encoding="utf-8")
    (problem,) = (each for each in judge(tmp_path, environ={})[1] if each.is_error)
    assert problem.place.line == 2
    assert problem.message.startswith(said)
    assert problem.message.endswith("... is longer than the name of a file may be")


@pytest.mark.parametrize(
    "more, folder, said",
    [
        ("tools: {t: {type: python, module: t, function: f}}", "tools/t.py", "tool 't' is in tools/t.py, which is no file"),
        ("defaults: {script: prompts}", "prompts", "the script prompts is no file"),
        ("nodes: {b: {type: prompt, prompt: ./b.prompt, model: openai/x}}", "b.prompt", "the prompt file ./b.prompt is no file"),
    ],
)  # fmt: skip
def test_a_folder_in_the_place_of_a_file_is_called_so(
    tmp_path: Path, more: str, folder: str, said: str
) -> None:
    (tmp_path / "clew.yaml").write_text(f"name: n\n{more}\n", encoding="utf-8")
    (tmp_path / folder).mkdir(parents=True)
    assert [each.message for each in judge(tmp_path, environ={})[1] if each.is_error] == [said]


@pytest.mark.parametrize(
    "name, why",
    [(LONG, "is too long"), (f"{LONG}/x", "has characters that no file's name may have")],
)
def test_a_project_is_called_after_what_a_file_can_be_called(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "clew.yaml").write_text(f"name: {name}\n", encoding="utf-8")
    assert [each.message for each in judge(tmp_path, environ={})[1]] == [f"the name {name[:60]!r} {why}"]
