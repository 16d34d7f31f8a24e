"""The index reads only what is new, notices what changed, and is never needed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.journal.marks import Seal, encode_mark
from clew.journal.reader import SegmentReader
from clew.store.database import INDEX_NAME, VERSION
from clew.store.store import Store
from tests.store.segments import DATE, OTHER, OTHER_RUN, RUN, Segment, names_of, run_program


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that other users may enter, which the temporary folders of a test run are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name) / "home"


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many bytes of each segment were read."""
    read: dict[str, int] = {}
    original = SegmentReader.read

    def counting(self: SegmentReader, *, limit_bytes: int = 1 << 20, final: bool = False) -> list[bytes]:
        before = self.state.offset
        lines = original(self, limit_bytes=limit_bytes, final=final)
        read[self.path.name] = read.get(self.path.name, 0) + self.state.offset - before
        return lines

    monkeypatch.setattr(SegmentReader, "read", counting)
    return read


def two_runs(home: Path) -> tuple[Segment, Segment]:
    one, other = Segment(home), Segment(home, OTHER)
    one.run("one", run=RUN)
    other.run("other", run=OTHER_RUN)
    one.write(sealed=True)
    other.write(sealed=True)
    return one, other


def test_a_sealed_segment_is_read_once(tmp_path: Path, bytes_read: dict[str, int]) -> None:
    two_runs(tmp_path)
    Store(tmp_path).runs()
    assert len(bytes_read) == 2
    bytes_read.clear()
    assert names_of(Store(tmp_path).runs()) == ["other", "one"]
    assert bytes_read == {}


def test_of_a_growing_segment_only_new_bytes_are_read(tmp_path: Path, bytes_read: dict[str, int]) -> None:
    segment = Segment(tmp_path, life="alive")
    segment.add("workflow_started", {"name": "live"})
    path = segment.write(tail=b"\0" * 4096)
    store = Store(tmp_path)
    assert [(row.status, row.nodes, row.events) for row in store.runs()] == [("running", 0, 1)]
    bytes_read.clear()
    for count in range(1, 4):
        before = len(segment.content)
        segment.node()
        path.write_bytes(segment.content + b"\0" * 4096)
        rows = (store if count < 3 else Store(tmp_path)).runs()
        assert [(row.status, row.nodes, row.events) for row in rows] == [("running", count, 1 + 2 * count)]
        assert bytes_read.pop(path.name) == len(segment.content) - before


def test_a_span_that_ends_after_the_index_saw_its_start_is_one_node(tmp_path: Path) -> None:
    segment = Segment(tmp_path, life="alive")
    place = {"node_id": "slow", "span_id": "00000000000000aa"}
    segment.add("node_started", None, **place)  # type: ignore[arg-type]  # names of fields
    segment.write()
    store = Store(tmp_path)
    assert [row.nodes for row in store.runs()] == [1]
    segment.add("node_completed", {"duration_ms": 1}, **place)  # type: ignore[arg-type]  # names of fields
    segment.write()
    assert [row.nodes for row in store.runs()] == [1]
    lone = Segment(tmp_path, OTHER, life="alive")
    lone.add("node_completed", {"duration_ms": 1}, node_id="lone", span_id="00000000000000bb")
    lone.write()
    assert [row.nodes for row in store.runs()] == [2]


def test_a_run_ends_in_the_list_when_its_segment_is_sealed(tmp_path: Path) -> None:
    segment = Segment(tmp_path, life="alive")
    segment.run("live", end=None)
    path = segment.write(tail=b"\0" * 8192)
    store = Store(tmp_path)
    assert [row.status for row in store.runs()] == ["running"]
    segment.add("workflow_completed", {"duration_ms": 2.5})
    with path.open("r+b") as file:  # in place, as a mapped segment is written
        file.write(segment.content + encode_mark(Seal(writer=segment.writer, last_seq=segment.seq)))
        file.truncate()
    assert [(row.status, row.duration_ns) for row in store.runs()] == [("completed", 2_500_000)]


def test_a_segment_that_shrank_is_read_anew(tmp_path: Path) -> None:
    one, _ = two_runs(tmp_path)
    store = Store(tmp_path)
    store.refresh()
    one.path.write_bytes(b"\n".join(one.content.splitlines()[:3]) + b"\n")
    assert {row.name: row.events for row in store.runs()} == {"one": 2, "other": 6}


def test_a_segment_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    one, _ = two_runs(tmp_path)
    store = Store(tmp_path)
    store.refresh()
    replacement = Segment(tmp_path)
    replacement.run("three", run="3" * 32, nodes=9)
    part = one.path.with_suffix(".part")
    part.write_bytes(replacement.content)
    part.replace(one.path)
    assert set(names_of(store.runs())) == {"three", "other"}


def test_a_growing_segment_whose_header_changed_is_read_anew(tmp_path: Path) -> None:
    one = Segment(tmp_path, life="alive")
    one.run("one", end=None)
    path = one.write()
    store = Store(tmp_path)
    store.refresh()
    other = Segment(tmp_path, OTHER, life="alive")
    other.run("written over it", run=OTHER_RUN, nodes=9)
    with path.open("r+b") as file:
        file.write(other.content)
    assert names_of(store.runs()) == ["written over it"]


@pytest.mark.parametrize("first", [b"", b"\n", b"\0" * 4096, b'{"clew":"seg'])
def test_a_segment_whose_header_came_after_it_was_first_seen_is_read_whole(
    tmp_path: Path, first: bytes
) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    path = segment.write()
    path.write_bytes(first)
    store = Store(tmp_path)
    assert store.runs() == []
    path.write_bytes(segment.content)
    assert [(row.status, row.events, row.host is None) for row in store.runs()] == [("interrupted", 5, False)]


def test_a_segment_that_vanished_takes_its_run_along(tmp_path: Path) -> None:
    one, _ = two_runs(tmp_path)
    store = Store(tmp_path)
    store.refresh()
    one.path.unlink()
    assert names_of(store.runs()) == ["other"]
    assert names_of(Store(tmp_path).runs()) == ["other"]


def test_a_journal_that_was_deleted_is_empty(tmp_path: Path) -> None:
    one, other = two_runs(tmp_path)
    store = Store(tmp_path)
    store.refresh()
    one.path.unlink()
    other.path.unlink()
    one.path.parent.rmdir()
    assert store.runs() == []


def spoil_with_garbage(index: Path) -> None:
    index.write_bytes(b"this is not a database, and long enough to look like one " * 200)


def spoil_the_middle(index: Path) -> None:
    content = bytearray(index.read_bytes())
    content[4096:-4096] = b"\xa5" * len(content[4096:-4096])
    index.write_bytes(content)


def spoil_the_rows(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("UPDATE runs SET row = 'no JSON'")
    connection.close()


def make_it_another_program_s(index: Path) -> None:
    index.unlink()
    with sqlite3.connect(index) as connection:
        connection.execute("CREATE TABLE bookmarks(url)")
        connection.execute("PRAGMA application_id = 12345")
    connection.close()


def make_it_older(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("DROP TABLE parts")
        connection.execute("PRAGMA user_version = 0")
    connection.close()


def empty_it(index: Path) -> None:
    index.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_with_garbage,
        spoil_the_middle,
        spoil_the_rows,
        make_it_another_program_s,
        make_it_older,
        empty_it,
    ],
)
def test_an_index_that_cannot_be_used_is_made_again(tmp_path: Path, spoil: object) -> None:
    two_runs(tmp_path)
    first = Store(tmp_path)
    expected = first.runs()
    first.close()
    spoil(tmp_path / INDEX_NAME)  # type: ignore[operator]  # one of the functions above
    store = Store(tmp_path)
    assert store.runs() == expected
    assert [node.node_id for node in store.trace(RUN).nodes] == ["ask", "ask"]
    store.close()
    again = Store(tmp_path)
    assert again.runs() == expected
    assert not again._index.in_memory


def test_the_index_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    two_runs(tmp_path)
    first = Store(tmp_path)
    expected = first.runs()
    first.close()
    with sqlite3.connect(tmp_path / INDEX_NAME) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = (tmp_path / INDEX_NAME).read_bytes()
    store = Store(tmp_path)
    assert store.runs() == expected
    assert store._index.in_memory
    store.close()
    assert (tmp_path / INDEX_NAME).read_bytes() == before


def test_an_index_that_another_process_holds_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.store.database._PATIENCE_S", 0.05)
    one, _ = two_runs(tmp_path)
    first = Store(tmp_path)
    first.refresh()
    first.close()
    holder = sqlite3.connect(tmp_path / INDEX_NAME, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    one.path.unlink()
    store = Store(tmp_path)
    assert names_of(store.runs()) == ["other"]
    holder.execute("ROLLBACK")
    holder.close()


def test_an_index_that_is_being_written_for_long_is_gone_on_with_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.store.database._PATIENCE_S", 0.05)
    one, _ = two_runs(tmp_path)
    store = Store(tmp_path)
    store.refresh()
    writer = sqlite3.connect(tmp_path / INDEX_NAME, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    one.path.unlink()
    assert names_of(store.runs()) == ["other"]
    assert store._index.in_memory
    writer.execute("ROLLBACK")
    writer.close()


def test_an_index_file_that_is_a_folder_is_done_without(tmp_path: Path) -> None:
    two_runs(tmp_path)
    (tmp_path / INDEX_NAME).mkdir()
    assert names_of(Store(tmp_path).runs()) == ["other", "one"]


def test_an_index_that_is_deleted_while_it_is_open_does_no_harm(tmp_path: Path) -> None:
    one, _ = two_runs(tmp_path)
    store = Store(tmp_path)
    store.refresh()
    for file in tmp_path.glob(f"{INDEX_NAME}*"):
        file.unlink()
    one.path.unlink()
    assert names_of(store.runs()) == ["other"]


AS_ANOTHER_USER = """
    import os, sys
    from pathlib import Path
    from clew.errors import JournalError
    from clew.store import doctor
    from clew.store.store import Store
    from clew.journal.process import this_process
    home, run_id = Path(sys.argv[1]), sys.argv[2]
    this_process()  # what the standard library loads late, another user may not be able to load
    if os.getuid() == 0:  # nothing is forbidden to root
        os.setgid(65534)
        os.setuid(65534)
    try:
        store = Store(home)
        print([row.name for row in store.runs()], store._index.in_memory, len(store.trace(run_id).nodes))
    except JournalError as error:
        print(error)
    print(len(doctor.examine(home)), doctor.look_around(home).problems != [])
"""


@pytest.mark.parametrize("indexed", [True, False])
def test_a_journal_that_may_only_be_read_is_read(open_place: Path, indexed: bool) -> None:
    two_runs(open_place)
    if indexed:
        store = Store(open_place)
        store.refresh()
        store.close()
    everything = [open_place, *open_place.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        printed = run_program(open_place, AS_ANOTHER_USER, str(open_place), RUN).stdout
    finally:
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert printed == "['other', 'one'] True 2\n2 True\n"


def test_a_journal_that_may_not_even_be_read_says_so(open_place: Path) -> None:
    two_runs(open_place)
    (open_place / "journal").chmod(0)
    try:
        printed = run_program(open_place, AS_ANOTHER_USER, str(open_place), RUN).stdout
    finally:
        (open_place / "journal").chmod(0o755)
    assert printed == f"{open_place / 'journal'} cannot be read: Permission denied\n0 True\n"


def test_stores_of_several_processes_share_one_index(tmp_path: Path) -> None:
    reader = """
        import sys
        from pathlib import Path
        from clew.store.store import Store
        store = Store(Path(sys.argv[1]))
        for _ in range(40):
            rows = store.runs()
        print(len(rows), sum(row.events for row in rows), store._index.in_memory)
    """
    for number in range(60):
        segment = Segment(tmp_path, f"{number:016x}")
        segment.run("r", run=f"{number:032x}")
        segment.write(sealed=True)
    command = [sys.executable, "-c", textwrap.dedent(reader), str(tmp_path)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    growing = Segment(tmp_path, "f" * 16, life="alive")
    for _ in range(20):
        growing.run("r", run="f" * 32, nodes=1, end=None)
        growing.write()
    printed = [process.communicate()[0] for process in readers]
    assert all(line.endswith("False\n") for line in printed)
    rows = Store(tmp_path).runs()
    assert (len(rows), sum(row.events for row in rows)) == (61, 60 * 6 + 20 * 3)


def test_threads_may_share_a_store(tmp_path: Path) -> None:
    two_runs(tmp_path)
    store = Store(tmp_path)
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(len(store.trace(RUN).nodes))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [2] * 8


def test_files_that_are_no_segments_are_passed_over(tmp_path: Path) -> None:
    two_runs(tmp_path)
    folder = tmp_path / "journal" / DATE
    (folder / "notes.txt").write_text("hello")
    (folder / "a1b2c3d4e5f60718-7.jsonl").mkdir()
    (tmp_path / "journal" / "not-a-date").mkdir()
    os.mkfifo(folder / "b1b2c3d4e5f60718-8.jsonl")
    assert names_of(Store(tmp_path).runs()) == ["other", "one"]
