"""Reading one segment, whatever is in it: whole lines come out, once and in order, and nothing raises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.journal.marks import Header, Seal, decode_header, decode_seal, encode_mark, is_mark
from clew.journal.process import this_process
from clew.journal.reader import SegmentReader, SegmentState, read_header, read_seal
from clew.model.events import decode_event
from tests.journal.segments import event, new_writer

HEADER = encode_mark(
    Header(
        schema_version=1,
        writer="0" * 15 + "1",
        number=1,
        process=this_process(),
        version="1",
        wall_ns=1,
        monotonic_ns=2,
    )
)
SEAL = encode_mark(Seal(writer="0" * 15 + "1", last_seq=9))


def lines_of(count: int, *, size: int = 0) -> list[bytes]:
    writer = new_writer(Path("/nowhere"))
    return [event(writer, filler="ü" * (n % 7), more="x" * size)[:-1] for n in range(count)]


LINES = lines_of(9)
SEGMENT = HEADER + b"".join(line + b"\n" for line in LINES) + SEAL


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for one example after another."""
    return tmp_path_factory.mktemp("reader") / "segment.jsonl"


def read_all(path: Path, *, final: bool = False) -> tuple[list[bytes], SegmentState]:
    reader = SegmentReader(path)
    lines: list[bytes] = []
    while new := reader.read(final=final):
        lines += new
    return lines, reader.state


def whole_events(content: bytes) -> list[bytes]:
    """What a reader of a growing segment should see, said in another way."""
    whole = content.split(b"\0")[0].rpartition(b"\n")[0]
    return [line for line in whole.split(b"\n") if line.startswith(b'{"timestamp"')]


@given(st.integers(0, len(SEGMENT)), st.sampled_from([0, 1, 511, 4096, 20_000]))
def test_any_prefix_of_a_segment_reads_as_a_prefix_of_its_events(
    place: Path, cut: int, reserved: int
) -> None:
    place.write_bytes(SEGMENT[:cut] + b"\0" * reserved)
    lines, state = read_all(place)
    assert lines == LINES[: len(lines)]
    assert lines == whole_events(SEGMENT[:cut])
    assert (state.bad_lines, state.nul_bytes) == (0, 0)
    assert (state.seal is not None) == (cut == len(SEGMENT))
    final_lines, final_state = read_all(place, final=True)
    assert final_lines == lines
    assert final_state.bad_lines == 0
    assert final_state.nul_bytes == 0
    rest = len(SEGMENT[:cut]) - (SEGMENT[:cut].rfind(b"\n") + 1)
    assert final_state.torn_bytes == rest


@given(st.lists(st.integers(0, len(SEGMENT)), max_size=8).map(sorted), st.booleans())
def test_a_segment_that_grows_in_any_steps_gives_each_event_once(
    place: Path, cuts: list[int], reserved: bool
) -> None:
    place.write_bytes(b"")
    reader = SegmentReader(place, keep_open=True)
    got: list[bytes] = []
    for cut in [*cuts, len(SEGMENT)]:
        with place.open("r+b") as file:
            file.write(SEGMENT[:cut] + (b"\0" * 3000 if reserved and cut < len(SEGMENT) else b""))
            file.truncate()
        got += reader.read()
        assert got == LINES[: len(got)]
    assert got == LINES
    assert reader.state.seal is not None
    assert reader.state.header is not None
    assert reader.read() == []
    reader.close()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=9))
def test_a_reader_that_goes_on_from_a_state_it_kept_misses_nothing(place: Path, limits: list[int]) -> None:
    """The position alone is enough: a tailer keeps it between its lives."""
    big = lines_of(200, size=3000)
    place.write_bytes(HEADER + b"\n".join(big) + b"\n")
    state = SegmentState()
    got: list[bytes] = []
    for limit in [*limits, 10_000]:
        got += SegmentReader(place, state=state).read(limit_bytes=limit * 20_000)
    while new := SegmentReader(place, state=state).read():
        got += new
    assert got == big


@given(st.binary(max_size=3000), st.booleans())
def test_random_bytes_never_raise_and_always_come_to_an_end(place: Path, garbage: bytes, final: bool) -> None:
    place.write_bytes(garbage)
    lines, state = read_all(place, final=final)
    assert state.offset <= len(garbage)
    for line in lines:
        decode_event(line)  # says None to what is no event
    read_header(place)
    read_seal(place)


structured = st.lists(
    st.one_of(
        st.sampled_from(
            [*LINES, HEADER[:-1], SEAL[:-1], b"", b"{}", b"{", b"}", b'{"clew":', b'{"clew":{}}']
        ),
        st.binary(max_size=30),
        st.sampled_from([b"\0", b"\0" * 100, b"\xff\xfe", b'{"timestamp":"x"', b'{"timestamp":"x"}', b"\r"]),
    ),
    max_size=12,
)


@given(structured, st.sampled_from([b"\n", b"", b"\0"]), st.booleans())
def test_pieces_of_segments_in_any_order_never_raise(
    place: Path, pieces: list[bytes], join: bytes, final: bool
) -> None:
    place.write_bytes(join.join(pieces))
    lines, _ = read_all(place, final=final)
    for line in lines:
        assert b"\n" not in line
        assert b"\0" not in line


@given(
    st.lists(st.binary(min_size=1, max_size=50).map(lambda junk: junk.replace(b"\n", b"")), max_size=6),
    st.randoms(use_true_random=False),
)
def test_foreign_lines_between_events_are_counted_and_the_events_are_all_there(
    place: Path, junk: list[bytes], order: object
) -> None:
    mixed: list[bytes] = [*LINES]
    for number, piece in enumerate(junk):
        mixed.insert(number * 2, b"#" + piece.replace(b"\0", b""))
    place.write_bytes(HEADER + b"\n".join(mixed) + b"\n" + SEAL)
    for final in (False, True):
        lines, state = read_all(place, final=final)
        assert lines == LINES
        assert state.bad_lines == len(junk)


def test_a_hole_of_nul_bytes_is_stepped_over_once_nobody_writes_any_more(place: Path) -> None:
    """A machine that lost power: some pages reached the disk, and some before them did not."""
    content = SEGMENT[:-1]
    hole = content[:600] + b"\0" * 5000 + b"\n" + content[600:] + b"\n"
    place.write_bytes(hole)
    growing, _ = read_all(place)
    assert growing == LINES[: len(growing)]
    lines, state = read_all(place, final=True)
    assert set(lines) <= {*LINES, *whole_events(b"\n" + content[600:] + b"\n")}
    assert len(lines) >= len(LINES) - 1
    assert state.nul_bytes == 5000
    assert state.seal is not None


def test_lines_longer_than_any_chunk_are_whole(place: Path) -> None:
    long = [line for size in (10, 300_000, 3_000_000, 10) for line in lines_of(1, size=size)]
    place.write_bytes(HEADER + b"\n".join(long) + b"\n")
    for final in (False, True):
        assert read_all(place, final=final)[0] == long


def test_a_file_without_a_newline_is_read_in_bounded_time(place: Path) -> None:
    place.write_bytes(b"x" * 5_000_000)
    assert read_all(place)[0] == []
    lines, state = read_all(place, final=True)
    assert lines == []
    assert state.torn_bytes == 5_000_000


def test_a_file_that_shrinks_disappears_or_is_no_file_raises_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(SEGMENT)
    for keep_open in (False, True):
        path.write_bytes(SEGMENT)
        reader = SegmentReader(path, keep_open=keep_open)
        assert reader.read() == LINES
        with path.open("r+b") as file:
            file.truncate(100)
        assert reader.read() == []
        assert reader.read(final=True) == []
        path.unlink()
        assert reader.read() == []
        assert reader.replaced()
        reader.close()
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in (path, folder, tmp_path / "missing" / "s", tmp_path / ("x" * 300)):
        assert SegmentReader(place).read() == []
        assert read_header(place) is None
        assert read_seal(place) is None


def test_a_reader_that_keeps_its_file_open_knows_when_another_lies_there(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(SEGMENT)
    reader = SegmentReader(path, keep_open=True)
    reader.read()
    assert not reader.replaced()
    path.unlink()
    path.write_bytes(SEGMENT)
    assert reader.replaced()
    reader.close()
    assert not reader.replaced()


def test_marks_survive_a_round_trip_and_nothing_else_is_one() -> None:
    header, seal = decode_header(HEADER), decode_seal(SEAL)
    assert header is not None
    assert seal is not None
    assert encode_mark(header) == HEADER
    assert encode_mark(seal) == SEAL
    assert is_mark(HEADER)
    assert is_mark(SEAL)
    assert not is_mark(LINES[0])
    assert decode_header(SEAL) is None
    assert decode_seal(HEADER) is None
    for line in (b"", b"{}", LINES[0], b"[" * 100_000, b'{"clew":"segment"}', b"\xff", HEADER[:-5]):
        assert decode_header(line) is None
        assert decode_seal(line) is None


def test_an_event_that_quotes_a_seal_does_not_seal_the_segment(place: Path) -> None:
    writer = new_writer(Path("/nowhere"))
    seal = {"clew": "seal", "writer": "0" * 16, "last_seq": 3}
    quoting = event(writer, quoted=seal).replace(b'{"clew": "', b'{"clew":"')
    place.write_bytes(HEADER + quoting)
    assert read_seal(place) is None
    lines, state = read_all(place)
    assert lines == [quoting[:-1]]
    assert state.seal is None


def test_a_newer_versions_marks_are_read(place: Path) -> None:
    """With fields that this version does not know."""
    place.write_bytes(
        HEADER.replace(b'"version":"1"', b'"version":"9","colour":"blue"')
        + b"\n".join(LINES)
        + b"\n"
        + SEAL.replace(b'"last_seq":9', b'"last_seq":9,"shape":{"round":true}')
    )
    lines, state = read_all(place)
    assert lines == LINES
    assert state.bad_lines == 0
    assert state.header is not None
    assert state.header.version == "9"
    assert state.seal is not None
    assert read_header(place) == state.header
    assert read_seal(place) == state.seal


def test_reading_leaves_no_descriptor_open(place: Path) -> None:
    place.write_bytes(SEGMENT)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        SegmentReader(place).read()
        kept = SegmentReader(place, keep_open=True)
        kept.read()
        kept.close()
        read_header(place)
        read_seal(place)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
