"""A YAML file becomes values with lines, or sentences with lines; never a surprise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.workflow.document import MOST_BYTES, Value, parse_document, read_document, read_text
from clew.workflow.project import Problem

pytestmark = pytest.mark.needs_extra("workflow")
HERE = Path("f.yaml")


def read(text: str) -> tuple[Value | None, list[tuple[int, str]]]:
    found: list[Problem] = []
    value = parse_document(text, HERE, found=found)
    return value, [(problem.place.line, problem.message) for problem in found]


def plain(text: str) -> object:
    value, found = read(text)
    assert found == []
    return None if value is None else value.plain()


def test_values_are_what_yaml_says_and_keys_are_the_words_that_were_written() -> None:
    text = "a: 1\nb: [1.5, yes, ~, 'x', 0x10]\non: {no: off}\n1.0: {}\n"
    assert plain(text) == {"a": 1, "b": [1.5, True, None, "x", 16], "on": {"no": False}, "1.0": {}}


@pytest.mark.parametrize("written", ["0x" + "f" * 5_000, "0" + "7" * 9_000, "0b" + "1" * 20_000, "1" * 400])
def test_a_number_that_is_too_long_to_be_written_again_is_a_problem_with_its_line(written: str) -> None:
    value, found = read(f"a: 1\nb: {written}\n")
    assert found == [(2, f"{written[:40]!r}... is longer than a number may be")]
    assert value is not None


def test_dates_and_numbers_in_sixties_stay_text() -> None:
    assert plain("[2026-11-21, 12:30, 2026-11-21T10:00:00Z]") == [
        "2026-11-21",
        "12:30",
        "2026-11-21T10:00:00Z",
    ]


def test_a_value_stands_on_the_line_of_its_key() -> None:
    value, _ = read("a: 1\nb:\n  c:\n    - x\n    - y\n")
    assert value is not None
    assert isinstance(value.data, dict)
    inner = value.data["b"].data
    assert isinstance(inner, dict)
    members = inner["c"].data
    assert isinstance(members, list)
    assert [value.data["a"].place.line, value.data["b"].place.line, inner["c"].place.line] == [1, 2, 3]
    assert [member.place.line for member in members] == [4, 5]


@pytest.mark.parametrize("text", ["", "   \n# nothing\n", "---\n"])
def test_a_text_without_values_is_none_and_no_problem(text: str) -> None:
    value, found = read(text)
    assert found == []
    assert value is None or value.data in (None, "")


def test_aliases_and_merges_are_expanded() -> None:
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: *b\n"
    assert plain(text) == {"base": {"x": 1, "y": 2}, "one": {"x": 1, "y": 3}, "two": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    "text, line, said",
    [
        ("a: 1\na: 2\n", 2, "the key 'a' stands on line 1 already"),
        ("a:\n\tb: 1\n", 2, "YAML is indented with spaces, and here is a tab"),
        ("a: 1\nb: [1, 2\n", 3, "this is no YAML: did not find expected ',' or ']'"),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            1,
            "the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed here",
        ),
        ("a: !!int x\n", 1, "'x' is not a value of the kind int"),
        ("? [a]\n: 1\n", 1, "a key is a word, not a list or a mapping"),
        ("a: &x [*x]\n", 1, "the alias *x names nothing that ended before it"),
        ("a: *x\n", 1, "the alias *x names nothing that ended before it"),
        ("a: 1\n---\nb: 1\n", 2, "one file holds one document; a second begins here"),
        ("a: {<<: 1}\n", 1, "only mappings can be merged with '<<'"),
        ("[" * 60 + "]" * 60, 1, "more than 50 values inside each other"),
        ("a: 1\nb: \0\n", 2, "this is no YAML: unacceptable character #x0000"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(text: str, line: int, said: str) -> None:
    found = read(text)[1]
    assert len(found) == 1
    assert found[0][1].startswith(said)
    assert found[0][0] == line


def test_all_keys_that_stand_twice_are_found_at_once() -> None:
    value, found = read("a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert [line for line, _ in found] == [2, 3]
    assert value is not None
    assert value.plain() == {"a": 1, "b": {"c": 1}}


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [" + ", ".join(["x"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 30)]
    value, found = read("\n".join(lines))
    assert value is None
    assert found == [(5, "aliases bring more than 100,000 values into the file")]


def test_more_values_than_any_project_has_are_refused() -> None:
    assert read("[" + "a," * 499_000 + "]")[1] == []
    assert read("[" + "a," * 501_000 + "]") == (None, [(1, "the file has more than 500,000 values")])


def test_a_hundred_thousand_open_brackets_are_refused() -> None:
    for text in ("[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000):
        value, found = read(text)
        assert value is None
        assert len(found) == 1


def test_a_file_above_two_mebibytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "clew.yaml"
    path.write_bytes(b"a: 1\n" * (10 * 1024**2 // 5))
    found: list[Problem] = []
    assert read_document(path, found=found) is None
    assert [problem.message for problem in found] == ["the file is larger than 2 MiB"]
    path.write_bytes(b"#" * (MOST_BYTES - 1) + b"\n")
    assert read_text(path, found=[]) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa: \xc3\xa9\r\nb: 2\r\n",
        "a: é\r\nb: 2\n".encode("utf-16"),
        "a: é\rb: 2\r".encode(),
    ],
)
def test_a_byte_order_mark_and_other_line_ends_make_no_difference(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    value = read_document(path, found=[])
    assert value is not None
    assert value.plain() == {"a": "é", "b": 2}


def test_what_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: 1\nb: \xe9\n")
    found: list[Problem] = []
    assert read_document(path, found=found) is None
    assert found == [Problem((path, 2), "the file is not UTF-8; save it as UTF-8")]  # type: ignore[arg-type]


def test_a_pipe_and_a_folder_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        found: list[Problem] = []
        assert read_text(path, found=found) is None
        assert [problem.message for problem in found] == ["this is no file"]
    found = []
    assert read_text(tmp_path / "nowhere", found=found) is None
    assert [problem.message for problem in found] == ["the file cannot be read: No such file or directory"]


@given(st.text() | st.text(alphabet="ab:-[]{}&*!|>'\"%@#? \n\t1.,<", max_size=80))
def test_any_text_is_a_value_or_problems(text: str) -> None:
    value, found = read(text)
    assert value is None or value.size >= 1
    assert all(line >= 1 and "\n" not in message for line, message in found)
