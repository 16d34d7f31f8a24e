"""What every implementation of a Protocol does. Subclass a contract in a test, and pytest runs it.

class TestMySink(SinkContract):
    def new_sink(self, folder):
        return MySink(folder / "out"), lambda: (folder / "out").read_bytes().splitlines()
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from clew.journal.segment import Segment
    from clew.model.ports import Sink, Source


def contract_line(number: int, *, size_bytes: int = 0) -> bytes:
    """Return an event as a line, without newline, that is told apart by its number."""
    filler = "x" * size_bytes
    return (
        f'{{"timestamp":"2026-11-21T00:00:00.000000Z","run_id":"{1:032x}","event":"contract","level":"INFO",'
        f'"writer":"{1:016x}","seq":{number},"data":{{"filler":"{filler}\u00fc \\n"}}}}'
    ).encode()


def takes(segment: Segment, line: bytes) -> bool:
    """Append a line; say whether there was room for it."""
    try:
        segment.write(line)
    except ValueError:
        return False
    return True


def append(segment: Segment, line: bytes) -> None:
    """Append a line, as a writer does: where there is no room, ask for it. Other threads may take it first."""
    while not takes(segment, line):
        segment.grow(len(line))


class SegmentContract:
    """What every kind of segment of a journal does."""

    def new_segment(self, folder: Path) -> tuple[Segment, Path | None]:
        """Return an empty segment and its file, if it has one."""
        raise NotImplementedError

    def test_what_was_appended_is_the_content_in_that_order(self, tmp_path: Path) -> None:
        segment, _ = self.new_segment(tmp_path)
        lines = [contract_line(n, size_bytes=n * 7 % 500) + b"\n" for n in range(2000)]
        for line in lines:
            append(segment, line)
        assert segment.content() == b"".join(lines)
        assert not takes(segment, lines[0])
        segment.close()

    def test_a_line_of_any_length_fits_once_room_was_made_for_it(self, tmp_path: Path) -> None:
        segment, path = self.new_segment(tmp_path)
        lines = [
            contract_line(n, size_bytes=size) + b"\n" for n, size in enumerate((0, 100_000, 3_000_000, 1))
        ]
        for line in lines:
            append(segment, line)
        assert segment.close() == sum(map(len, lines))
        assert path is None or path.read_bytes() == b"".join(lines)

    def test_growing_tells_the_bytes_used_and_loses_none(self, tmp_path: Path) -> None:
        segment, path = self.new_segment(tmp_path)
        used = 0
        for n in range(200):
            line = contract_line(n) + b"\n"
            append(segment, line)
            used += len(line)
            assert segment.grow(1) == used
        assert segment.close() == used
        assert path is None or len(path.read_bytes()) == used

    def test_a_reader_finds_each_line_at_once_and_nothing_behind_it(self, tmp_path: Path) -> None:
        segment, path = self.new_segment(tmp_path)
        written = b""
        for n in range(50):
            append(segment, contract_line(n) + b"\n")
            written += contract_line(n) + b"\n"
            assert path is None or path.read_bytes().rstrip(b"\0") == written
        segment.close()

    def test_what_tells_that_more_can_be_read_changes_with_each_line_or_is_not_known(
        self, tmp_path: Path
    ) -> None:
        segment, _ = self.new_segment(tmp_path)
        seen = {segment.used()}
        for n in range(400):
            append(segment, contract_line(n) + b"\n")
            used = segment.used()
            assert used is None or used not in seen
            seen.add(used)
        segment.close()
        assert segment.used() is None

    def test_the_last_line_comes_last_needs_no_room_and_ends_the_file(self, tmp_path: Path) -> None:
        segment, path = self.new_segment(tmp_path)
        first, last = contract_line(1) + b"\n", contract_line(2, size_bytes=500) + b"\n"
        count = 1
        segment.write(first)
        while takes(segment, first):
            count += 1
            if count == 1000 and path is None:
                break
        assert segment.close(last) == len(first) * count + len(last)
        assert path is None or path.read_bytes() == first * count + last
        assert not takes(segment, first)

    def test_letting_go_leaves_the_file_as_it_is(self, tmp_path: Path) -> None:
        segment, path = self.new_segment(tmp_path)
        segment.write(contract_line(1) + b"\n")
        before = path.read_bytes() if path else b""
        segment.abandon()
        assert not takes(segment, contract_line(2) + b"\n")
        assert path is None or path.read_bytes() == before

    def test_a_deleted_file_is_noticed_and_its_content_is_still_there(self, tmp_path: Path) -> None:
        segment, path = self.new_segment(tmp_path)
        segment.write(contract_line(1) + b"\n")
        assert not segment.unlinked()
        if path is not None:
            path.unlink()
            assert segment.unlinked()
        assert segment.content() == contract_line(1) + b"\n"
        segment.close()

    def test_threads_that_append_at_once_lose_and_tear_nothing(self, tmp_path: Path) -> None:
        segment, _ = self.new_segment(tmp_path)
        lock = threading.Lock()

        def work(first: int) -> None:
            for n in range(first, first + 3000):
                line = contract_line(n, size_bytes=n % 50) + b"\n"
                if not takes(segment, line):
                    with lock:
                        append(segment, line)

        threads = [threading.Thread(target=work, args=(n * 3000,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        segment.sync()
        expected = sorted(contract_line(n, size_bytes=n % 50) for n in range(12_000))
        assert sorted(segment.content().splitlines()) == expected
        segment.close()

    def test_no_descriptor_stays_open_however_it_ends(self, tmp_path: Path) -> None:
        ends: list[Callable[[Segment], object]] = [
            lambda segment: segment.close(),
            lambda segment: segment.abandon(),
            lambda segment: (segment.content(), segment.close()),
        ]
        before = _descriptors()
        for number, end in enumerate(ends):
            folder = tmp_path / str(number)
            folder.mkdir()
            end(self.new_segment(folder)[0])
        assert _descriptors() == before


def _descriptors() -> list[str]:
    try:
        return sorted(str(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    except OSError:
        return []


class SourceContract:
    """What a tailer relies on in whatever it reads from."""

    def new_source(self, folder: Path) -> tuple[Source, Callable[[list[bytes]], None]]:
        """Return an empty source, and what makes lines appear in it."""
        raise NotImplementedError

    def test_each_line_is_given_once_and_in_order(self, tmp_path: Path) -> None:
        source, feed = self.new_source(tmp_path)
        assert source.poll() == []
        got: list[bytes] = []
        for n in range(0, 300, 3):
            feed([contract_line(n), contract_line(n + 1), contract_line(n + 2)])
            got += source.poll()
        while new := source.poll():
            got += new
        assert got == [contract_line(n) for n in range(300)]
        assert source.poll() == []

    def test_a_reader_that_was_away_gets_everything(self, tmp_path: Path) -> None:
        source, feed = self.new_source(tmp_path)
        lines = [contract_line(n, size_bytes=1000) for n in range(5000)]
        feed(lines)
        got: list[bytes] = []
        while new := source.poll():
            got += new
        assert got == lines


class SinkContract:
    """What a tailer relies on in whatever it writes to."""

    def new_sink(self, folder: Path) -> tuple[Sink, Callable[[], list[bytes]]]:
        """Return a sink, and what tells the lines that arrived on its far side."""
        raise NotImplementedError

    def test_lines_arrive_whole_and_in_order_as_soon_as_they_are_written(self, tmp_path: Path) -> None:
        sink, arrived = self.new_sink(tmp_path)
        sent: list[bytes] = []
        for first in range(0, 100, 10):
            batch = [contract_line(n, size_bytes=n * 11 % 3000) for n in range(first, first + 10)]
            sink.write(batch)
            sent += batch
            assert arrived() == sent
        sink.close(timeout_s=5.0)
        assert arrived() == sent

    def test_an_empty_batch_changes_nothing(self, tmp_path: Path) -> None:
        sink, arrived = self.new_sink(tmp_path)
        sink.write([])
        sink.write([contract_line(1)])
        sink.write([])
        assert arrived() == [contract_line(1)]
        sink.close(timeout_s=5.0)

    def test_a_long_line_arrives_whole(self, tmp_path: Path) -> None:
        sink, arrived = self.new_sink(tmp_path)
        sink.write([contract_line(1, size_bytes=2_000_000), contract_line(2)])
        assert arrived() == [contract_line(1, size_bytes=2_000_000), contract_line(2)]
        sink.close(timeout_s=5.0)

    def test_closing_is_quiet_also_where_nothing_was_written_and_when_repeated(self, tmp_path: Path) -> None:
        sink, arrived = self.new_sink(tmp_path)
        sink.close(timeout_s=0.0)
        sink.close(timeout_s=0.0)
        assert arrived() == []
