from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import textwrap
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.errors import SinkError
from clew.stream.file_sink import CHECK_S, FileSink
from clew.stream.formats import encoder
from tests.stream.fakes import event_line, numbered


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def run_program(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )


def contents(path: Path) -> dict[str, list[bytes]]:
    """The lines of a log and of its older files, by name."""
    return {file.name: file.read_bytes().splitlines() for file in sorted(path.parent.glob(f"{path.name}*"))}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.log"


def test_lines_are_appended_to_what_is_there(path: Path) -> None:
    path.write_bytes(b"old\n")
    sink = FileSink(path)
    sink.write([b"a", b"b"])
    sink.write([])
    sink.write([b"c"])
    sink.close()
    sink.close(timeout_s=1)
    assert path.read_bytes() == b"old\na\nb\nc\n"


def test_the_file_and_its_directories_are_made_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "deep" / "x.log"
    sink = FileSink(path)
    assert not path.parent.exists(), "nothing is made before there is something to write"
    sink.write([b"a"])
    sink.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_human_format_is_written_without_colour(path: Path) -> None:
    sink = FileSink(path, encode=encoder("human"))
    sink.write([event_line("node_failed", "ERROR", data={"error": "a\nb"})])
    sink.close()
    assert path.read_text() == (
        '[2026-11-21 03:59:12.123] [ERROR] NODE_FAILED run=0199c2f1a3b4 error="a\\nb"\n'
    )


def test_a_relative_path_stays_where_it_was_when_the_program_changes_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    sink = FileSink("x.log")
    monkeypatch.chdir(tmp_path / "elsewhere")
    sink.write([b"a"])
    sink.close()
    assert contents(tmp_path / "x.log") == {"x.log": [b"a"]}


def test_half_a_line_of_a_killed_program_does_not_spoil_the_first_line(path: Path) -> None:
    path.write_bytes(b'{"whole":1}\n{"torn":"li')
    sink = FileSink(path)
    sink.write([b'{"new":1}'])
    sink.close()
    assert path.read_bytes() == b'{"whole":1}\n{"torn":"li\n{"new":1}\n'


def test_files_are_rotated_by_size_and_kept_by_count(path: Path) -> None:
    sink = FileSink(path, max_bytes=20, max_files=3)
    for number in range(10):
        sink.write([b"line %04d" % number])  # two of these, newlines included, are 20 bytes
    sink.close()
    assert contents(path) == {
        "x.log": [b"line 0008", b"line 0009"],
        "x.log.1": [b"line 0006", b"line 0007"],
        "x.log.2": [b"line 0004", b"line 0005"],
    }


def test_one_batch_fills_as_many_files_as_it_needs(path: Path) -> None:
    sink = FileSink(path, max_bytes=20, max_files=10)
    sink.write([b"line %04d" % number for number in range(5)])
    sink.close()
    assert contents(path) == {
        "x.log": [b"line 0004"],
        "x.log.1": [b"line 0002", b"line 0003"],
        "x.log.2": [b"line 0000", b"line 0001"],
    }


def test_a_line_longer_than_a_file_may_be_has_a_file_of_its_own(path: Path) -> None:
    sink = FileSink(path, max_bytes=10, max_files=10)
    sink.write([b"a", b"x" * 50, b"b"])
    sink.close()
    assert contents(path) == {"x.log": [b"b"], "x.log.1": [b"x" * 50], "x.log.2": [b"a"]}


def test_one_file_at_most_means_that_older_lines_go(path: Path) -> None:
    sink = FileSink(path, max_bytes=10, max_files=1)
    for number in range(4):
        sink.write([b"line %d" % number])
    sink.close()
    assert contents(path) == {"x.log": [b"line 3"]}


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(0, 60), max_size=8), max_size=8),
    max_bytes=st.integers(1, 100),
)
def test_rotation_never_splits_loses_or_reorders_a_line(sizes: list[list[int]], max_bytes: int) -> None:
    batches = [
        [b"%d:%d" % (b, n) + b"." * size for n, size in enumerate(batch)] for b, batch in enumerate(sizes)
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.log"
        sink = FileSink(path, max_bytes=max_bytes, max_files=1000)
        for batch in batches:
            sink.write(batch)
        sink.close()
        files = sorted(path.parent.iterdir(), key=lambda file: -int(file.suffix[1:]) if file != path else 1)
        found = [file.read_bytes() for file in files]
    assert b"".join(found) == b"".join(line + b"\n" for batch in batches for line in batch)
    for text in found:
        assert text.endswith(b"\n") or not text
        assert len(text) <= max_bytes or text.count(b"\n") == 1


def test_rotation_that_is_not_possible_lets_the_file_grow_and_says_so_once(path: Path) -> None:
    (path.parent / "x.log.1" / "in the way").mkdir(parents=True)
    said: list[str] = []
    clock = Clock()
    sink = FileSink(path, max_bytes=20, max_files=2, report=said.append, now_s=clock)
    lines = [b"line %04d" % number for number in range(9)]
    for line in lines:
        clock.now_s += 1
        sink.write([line])
    sink.close()
    assert path.read_bytes().splitlines() == lines
    assert len(said) == 1
    assert said[0].startswith(f"{path} cannot be rotated, so it grows: ")


def test_several_processes_may_write_and_rotate_one_file(path: Path) -> None:
    """Every line of each is there once and whole, and in its writer's order, across the rotated files."""
    program = """
        import sys
        from clew.stream.file_sink import FileSink
        sink = FileSink(sys.argv[1], max_bytes=20_000, max_files=1000, now_s=iter(range(10**9)).__next__)
        for start in range(0, 2000, 20):
            sink.write([b"%s %05d" % (sys.argv[2].encode(), n) for n in range(start, start + 20)])
        """
    writers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(path), name]) for name in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    files = contents(path)
    assert len(files) > 1
    lines = [line for name in files for line in files[name]]
    assert sorted(lines) == [
        b"%s %05d" % (name, number) for name in (b"a", b"b", b"c") for number in range(2000)
    ]


def test_a_file_that_another_process_rotated_is_not_rotated_again(path: Path) -> None:
    """As each sees it before it looks, the next line would be too much for the file of 24 bytes."""
    ours, theirs = (FileSink(path, max_bytes=24, now_s=Clock()) for _ in range(2))
    ours.write([b"ours 1"])
    theirs.write([b"theirs 2....."])
    ours.write([b"ours 3..........."])
    theirs.write([b"4.."])
    ours.close()
    theirs.close()
    assert contents(path) == {
        "x.log": [b"ours 3...........", b"4.."],
        "x.log.1": [b"ours 1", b"theirs 2....."],
    }


def test_while_another_process_rotates_the_file_grows(path: Path) -> None:
    sink = FileSink(path, max_bytes=10, max_files=9)
    sink.write([b"line 1"])
    with path.open("rb") as theirs:
        flock(theirs, LOCK_EX)
        sink.write([b"line 2"])
    sink.write([b"line 3"])
    sink.close()
    assert contents(path) == {"x.log": [b"line 3"], "x.log.1": [b"line 1", b"line 2"]}


@pytest.mark.parametrize("how", ["moved", "moved and made again", "removed"])
def test_a_file_that_others_move_or_remove_is_opened_again(path: Path, how: str) -> None:
    clock = Clock()
    sink = FileSink(path, now_s=clock)
    sink.write([b"before"])
    if how == "removed":
        path.unlink()
    else:
        path.rename(path.with_name("x.log-2026"))
    if how == "moved and made again":
        path.touch()
    clock.now_s += CHECK_S
    sink.write([b"after"])
    sink.close()
    moved = {} if how == "removed" else {"x.log-2026": [b"before"]}
    assert contents(path) == {"x.log": [b"after"], **moved}


def test_what_is_written_before_the_move_is_seen_is_in_the_moved_file(path: Path) -> None:
    sink = FileSink(path, now_s=Clock())
    sink.write([b"before"])
    path.rename(path.with_name("x.log-2026"))
    sink.write([b"between"])
    sink.close()
    assert contents(path) == {"x.log-2026": [b"before", b"between"]}


def test_a_file_emptied_by_copytruncate_is_filled_from_its_beginning(path: Path) -> None:
    sink = FileSink(path)
    sink.write([b"before"])
    os.truncate(path, 0)
    sink.write([b"after"])
    sink.close()
    assert path.read_bytes() == b"after\n"


def test_a_directory_that_is_removed_is_made_again(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "logs" / "x.log"
    sink = FileSink(path, now_s=clock)
    sink.write([b"before"])
    path.unlink()
    path.parent.rmdir()
    clock.now_s += CHECK_S
    sink.write([b"after"])
    sink.close()
    assert contents(path) == {"x.log": [b"after"]}


def test_a_directory_in_the_place_of_the_file_is_refused_until_it_is_gone(path: Path) -> None:
    path.mkdir()
    sink = FileSink(path)
    with pytest.raises(SinkError, match=r"x\.log: Is a directory"):
        sink.write([b"a"])
    path.rmdir()
    sink.write([b"a"])
    sink.close()
    assert contents(path) == {"x.log": [b"a"]}


def test_a_full_device_refuses() -> None:
    sink = FileSink("/dev/full")
    with pytest.raises(SinkError, match="/dev/full: No space left on device"):
        sink.write([b"a"])
    sink.close()


def test_devices_are_written_and_never_rotated() -> None:
    sink = FileSink("/dev/null", max_bytes=1, max_files=1)
    sink.write(numbered(10))
    sink.close()
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_named_pipe_is_refused_without_a_reader_and_written_with_one(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    sink = FileSink(fifo, max_bytes=1)
    with pytest.raises(SinkError):
        sink.write([b"a"])
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink.write([b"a", b"b"])
    sink.close()
    assert os.read(reader, 100) == b"a\nb\n"
    os.close(reader)


SHORT_WRITE = """
    import resource, sys
    from clew.errors import SinkError
    from clew.stream.file_sink import FileSink

    path, limit = sys.argv[1], int(sys.argv[2])
    lines = [b"%05d" % n for n in range(100)]
    sink = FileSink(path)
    sink.write(lines[:10])
    left = lines[10:]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for _ in range(3):
        try:
            sink.write(left)
        except SinkError as error:
            left = left[error.taken :]
            print(error, len(open(path, "rb").read()))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sink.write(left)
    """


@pytest.mark.parametrize("limit", [60, 61, 65, 66, 123, 599])
def test_a_disk_that_fills_up_leaves_whole_lines_and_every_line_once(path: Path, limit: int) -> None:
    """The limit cuts a write in the middle of a line; while it stands, the file ends with a whole line."""
    done = run_program(SHORT_WRITE, path, limit)
    assert done.stdout.splitlines() == [f"{path}: File too large {limit // 6 * 6}"] * 3
    assert path.read_bytes() == b"".join(b"%05d\n" % number for number in range(100))


def test_check_finds_nothing_wrong_with_a_file_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("there", "new", "new/deep/x.log", "dangling"):
        assert FileSink.check(tmp_path / name) is None
    assert FileSink.check("x.log") is None
    assert sorted(file.name for file in tmp_path.iterdir()) == ["dangling", "there"]


def test_check_says_in_one_sentence_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert FileSink.check(tmp_path) == (
        f"telemetry file {str(tmp_path)!r} is a directory; give the path of a file"
    )
    below = tmp_path / "file" / "x.log"
    assert FileSink.check(below) == (
        f"telemetry file {str(below)!r} cannot be created: {str(tmp_path / 'file')!r} is not a directory"
    )
    assert FileSink.check("") is not None
    assert FileSink.check("a\0b") is not None


def test_check_sees_a_missing_permission(path: Path) -> None:
    """Root has every permission, so the question is asked as another user."""
    path.parent.chmod(0o555)
    code = """
        import os, sys
        from clew.stream.file_sink import FileSink
        if os.geteuid() == 0:
            os.chroot("/" if os.path.dirname(sys.argv[1]) == "/" else os.path.dirname(sys.argv[1]))
            os.setuid(65534)
            print(FileSink.check("/x.log"))
        else:
            print(FileSink.check(sys.argv[1]))
        """
    assert "cannot be written: no permission for" in run_program(code, path).stdout
    path.parent.chmod(0o755)


def test_a_fault_in_the_format_is_an_error_of_this_batch_only(path: Path) -> None:
    def fragile(lines: object) -> bytes:
        assert isinstance(lines, list)
        return b"".join(json.dumps(json.loads(line)).encode() + b"\n" for line in lines)

    sink = FileSink(path, encode=fragile)
    sink.write([b"1"])
    with pytest.raises(json.JSONDecodeError):
        sink.write([b"{"])
    sink.write([b"2"])
    sink.close()
    assert path.read_bytes() == b"1\n2\n"
