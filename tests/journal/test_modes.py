"""Which kind of segment a place can bear: found out by trying, and forced by `CLEW_JOURNAL`."""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

import pytest

from clew.errors import JournalError
from clew.journal.mapped import MappedSegment, can_map, file_system
from clew.journal.marks import looks_sealed
from clew.journal.reader import read_seal
from clew.journal.segment import create_segment
from clew.journal.written import WrittenSegment
from tests.journal.segments import event, new_writer
from tests.record.reading import lines_in, run_program

HEADER = b'{"clew":"segment"}\n'

MOUNTS = """\
1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
2 1 0:5 / /dev rw - devtmpfs udev rw
3 1 0:40 / /mnt/share rw,relatime shared:2 master:1 - nfs4 server:/x rw,vers=4.2
4 3 8:2 / /mnt/share/local rw - xfs /dev/sdb rw
5 1 0:41 / /mnt/with\\040space rw - btrfs /dev/sdc rw
6 1 0:42 / /mnt/d\u00e9p\u00f4t rw - fuse.sshfs me@host: rw
7 1 0:43 / /mnt/twice rw - ext4 /dev/sdd rw
8 7 0:44 / /mnt/twice rw - zfs pool rw
9 1 0:45 / /mnt/tab\\011 rw - 9p host rw
a line of another form

10 1 0:46 / /mnt/no-dash rw shared:3
"""


@pytest.mark.parametrize(
    "path, kind",
    [
        ("/", "ext4"),
        ("/home/ann", "ext4"),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/a/b", "nfs4"),
        ("/mnt/shared", "ext4"),
        ("/mnt/share/local/x", "xfs"),
        ("/mnt/with space/x", "btrfs"),
        ("/mnt/d\u00e9p\u00f4t/x", "fuse.sshfs"),
        ("/mnt/twice/x", "zfs"),
        ("/mnt/tab\t/x", "9p"),
        ("/mnt/no-dash/x", "ext4"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_innermost_mount(
    tmp_path: Path, path: str, kind: str
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS, encoding="utf-8")
    assert file_system(Path(path), table) == kind


def test_where_mounts_cannot_be_read_the_file_system_is_unknown(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "missing") is None
    (tmp_path / "empty").write_bytes(b"")
    assert file_system(tmp_path, tmp_path / "empty") is None
    (tmp_path / "garbage").write_bytes(os.urandom(4096))
    file_system(tmp_path, tmp_path / "garbage")


def test_this_machines_temporary_directory_has_a_known_file_system(tmp_path: Path) -> None:
    assert file_system(tmp_path.resolve()) is not None


@pytest.mark.parametrize(
    "kind, safe",
    [
        ("ext4", True), ("xfs", True), ("tmpfs", True), ("overlay", True), (None, True), ("apfs", True),
        ("nfs", False), ("nfs4", False), ("btrfs", False), ("zfs", False), ("fuse", False), ("fuse.sshfs", False),
        ("fuseblk", False), ("cifs", False), ("smb3", False), ("9p", False), ("ceph", False), ("lustre", False),
    ],
)  # fmt: skip
def test_network_and_copy_on_write_file_systems_are_not_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None, safe: bool
) -> None:
    monkeypatch.setattr("clew.journal.mapped.file_system", lambda path: kind)
    segment = create_segment(tmp_path / "s", "auto", first_line=HEADER)
    assert type(segment) is (MappedSegment if safe else WrittenSegment)
    segment.close()
    assert (tmp_path / "s").read_bytes() == HEADER


def fail(*args: Any, **options: Any) -> Any:
    raise OSError(95, "Operation not supported")


def too_large(*args: Any, **options: Any) -> Any:
    raise ValueError("mmap length is too large")


@pytest.mark.parametrize(
    "owner, name, stand_in",
    [(os, "posix_fallocate", fail), (mmap, "mmap", fail), (mmap, "mmap", too_large)],
)
def test_where_reserving_or_mapping_fails_lines_are_written_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, stand_in: Any
) -> None:
    monkeypatch.setattr(owner, name, stand_in)
    segment = create_segment(tmp_path / "s", "auto", first_line=HEADER)
    assert isinstance(segment, WrittenSegment)
    segment.write(b"x\n")
    segment.close()
    assert (tmp_path / "s").read_bytes() == HEADER + b"x\n"


def test_a_system_that_cannot_reserve_space_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    segment = create_segment(tmp_path / "s", "auto", first_line=HEADER)
    assert isinstance(segment, WrittenSegment)
    segment.close()


def test_a_system_without_nameless_files_creates_the_file_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    for mode in ("auto", "mapped", "written"):
        create_segment(tmp_path / mode, mode, first_line=HEADER).close()
        assert (tmp_path / mode).read_bytes() == HEADER
        assert (tmp_path / mode).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("mode", ["auto", "mapped", "written"])
def test_a_segment_that_cannot_be_begun_leaves_no_file_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, nameless: bool
) -> None:
    def full(*args: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(os, "pwrite", full)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="No space left"):
        create_segment(tmp_path / "s", mode, first_line=HEADER)
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_forced_to_map_where_that_is_impossible_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmap, "mmap", fail)
    reports: list[str] = []
    writer = new_writer(tmp_path / ".clew", mode="mapped", reports=reports)
    writer.append(event(writer))
    assert len(reports) == 1
    assert "cannot be mapped (Operation not supported); set CLEW_JOURNAL=written or auto" in reports[0]
    assert len(writer.lines()) == 1
    with pytest.raises(JournalError, match="cannot be mapped"):
        create_segment(tmp_path / "s", "mapped", first_line=HEADER)
    assert not (tmp_path / "s").exists()


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"somebody's")
    for mode in ("auto", "mapped", "written"):
        with pytest.raises(FileExistsError):
            create_segment(tmp_path / "s", mode, first_line=HEADER)
    assert (tmp_path / "s").read_bytes() == b"somebody's"


def test_this_machines_temporary_directory_can_be_mapped(tmp_path: Path) -> None:
    assert can_map(tmp_path / "s") is True
    segment = create_segment(tmp_path / "s", "auto", first_line=HEADER)
    assert isinstance(segment, MappedSegment)
    segment.abandon()


PROGRAM = """
    import json, clew
    from clew.session import session
    with clew.run("r") as run:
        with clew.span("a"):
            clew.event("x", filler="y" * 1000)
        writer = session.recorder().writer
        kind = type(writer._segment).__name__ if writer._segment else "ring"
    print(json.dumps([kind, len(run.trace.nodes)]))
    """


@pytest.mark.parametrize(
    "setting, kind",
    [("", "MappedSegment"), ("auto", "MappedSegment"), ("mapped", "MappedSegment"), ("written", "WrittenSegment"), ("memory", "ring")],
)  # fmt: skip
def test_the_environment_forces_a_kind_of_segment(tmp_path: Path, setting: str, kind: str) -> None:
    done = run_program(PROGRAM, CLEW_JOURNAL=setting)
    assert json.loads(done.stdout) == [kind, 1]
    home = Path(os.environ["CLEW_HOME"])
    assert len(lines_in(home)) == (0 if kind == "ring" else 5)


def test_a_kind_that_does_not_exist_is_told_and_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        AssertionError, match="CLEW_JOURNAL: 'paper' is not one of auto, mapped, written, memory"
    ):
        run_program(PROGRAM, CLEW_JOURNAL="paper")
    assert len(lines_in(Path(os.environ["CLEW_HOME"]))) == 5


@pytest.mark.parametrize("mode", ["mapped", "written"])
def test_a_growing_segment_is_whole_pages_long_and_a_sealed_one_never_is(tmp_path: Path, mode: str) -> None:
    """Whatever length the lines give it: one of them would end just at a page without the seal's blank."""
    blanks = 0
    for filler in range(4000, 4080):
        path = tmp_path / f"{filler}"
        segment = create_segment(path, mode, first_line=HEADER)
        assert not looks_sealed(path.stat().st_size)
        segment.write(b"x" * filler + b"\n")
        segment.grow(1)
        assert not looks_sealed(path.stat().st_size)
        seal = b'{"clew":"seal","writer":"w","last_seq":7}\n'
        end = segment.close(seal)
        assert looks_sealed(end)
        assert path.stat().st_size == end
        assert read_seal(path) is not None
        blanks += path.read_bytes().endswith(b" \n")
    assert blanks == 1
