"""Where things lie under a home directory, how that directory is found, and who may read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.errors import JournalError
from clew.journal.layout import (
    date_folders,
    find_home,
    make_folder,
    make_home,
    segment_name,
    segment_path,
    segments,
)
from tests.journal.segments import event, new_writer


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("journal", ["mapped", "written"])
def test_only_the_owner_can_read_a_journal_whatever_the_umask(
    tmp_path: Path, umask: int, journal: str
) -> None:
    home = tmp_path / "deep" / ".clew"
    before = os.umask(umask)
    try:
        writer = new_writer(home, mode=journal)
        writer.append(event(writer))
        writer.close()
    finally:
        os.umask(before)
    for path in [home, *home.rglob("*")]:
        assert mode_of(path) == (0o700 if path.is_dir() else 0o600), path
    assert (home / ".gitignore").read_text() == "*\n"
    assert mode_of(tmp_path / "deep") == 0o777 & ~umask


def test_a_segment_lies_in_the_folder_of_its_day_under_its_writers_name(tmp_path: Path) -> None:
    writer = new_writer(tmp_path / ".clew")
    writer.append(event(writer))
    assert writer.path == tmp_path / ".clew" / "journal" / "2026-11-21" / "0000000000000001-1.jsonl"
    assert segments(tmp_path / ".clew") == [writer.path]
    writer.close()
    assert segment_path(tmp_path, "a" * 16, 12, 0) == tmp_path / "journal/1970-01-01" / f"{'a' * 16}-12.jsonl"


def test_what_a_user_put_into_the_home_directory_stays(tmp_path: Path) -> None:
    home = tmp_path / ".clew"
    home.mkdir(mode=0o755)
    (home / ".gitignore").write_text("journal\n")
    (home / "notes.txt").write_text("mine")
    make_home(home)
    make_folder(home, home / "journal" / "2026-11-21")
    assert (home / ".gitignore").read_text() == "journal\n"
    assert (home / "notes.txt").read_text() == "mine"
    assert mode_of(home) == 0o755


def test_the_home_directory_is_the_nearest_one_upward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLEW_HOME")
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (tmp_path / "a" / ".clew").mkdir()
    monkeypatch.chdir(inner)
    assert find_home() == tmp_path / "a" / ".clew"
    (inner / ".clew").write_text("a file is no home")
    assert find_home() == tmp_path / "a" / ".clew"
    (tmp_path / "a" / "b" / ".clew").mkdir()
    assert find_home() == tmp_path / "a" / "b" / ".clew"
    assert find_home(tmp_path) == tmp_path / ".clew"


def test_the_environment_names_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".clew").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLEW_HOME", "elsewhere/../there")
    assert find_home() == tmp_path / "elsewhere/../there"
    monkeypatch.setenv("CLEW_HOME", "")
    assert find_home() == tmp_path / ".clew"


def test_looking_for_things_creates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEW_HOME")
    monkeypatch.chdir(tmp_path)
    assert segments(find_home()) == []
    assert date_folders(find_home()) == []
    new_writer(find_home()).close()
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"file/\.clew cannot be created: Not a directory"):
        make_home(tmp_path / "file" / ".clew")


def test_segments_are_listed_by_day_writer_and_number_and_nothing_else_is(tmp_path: Path) -> None:
    names = [
        "2026-11-20/ffffffffffffffff-1.jsonl",
        "2026-11-21/0000000000000001-2.jsonl",
        "2026-11-21/0000000000000001-10.jsonl",
        "2026-11-21/0000000000000002-1.jsonl",
    ]
    others = [
        "2026-11-21/notes.txt",
        "2026-11-21/0000000000000001-2.jsonl.part",
        "2026-11-21/000000000000000G-1.jsonl",
        "2026-11-21/0000000000000001.jsonl",
        "2026-11-21/deeper/0000000000000003-1.jsonl",
        "tomorrow/0000000000000001-1.jsonl",
        "0000000000000001-1.jsonl",
    ]
    for name in names + others:
        path = tmp_path / "journal" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert segments(tmp_path) == [tmp_path / "journal" / name for name in names]
    assert [folder.name for folder in date_folders(tmp_path)] == ["2026-11-20", "2026-11-21"]


@given(st.text(max_size=60))
def test_any_file_name_is_a_segments_or_not(name: str) -> None:
    found = segment_name(name)
    assert found is None or name == f"{found[0]}-{name.split('-')[1]}"
