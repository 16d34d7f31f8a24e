"""Whatever is in the files of a journal, reading, examining and repairing it never raises."""

from __future__ import annotations

import contextlib
import random
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.errors import JournalError, NoSuchRunError
from clew.journal.blobs import write_blob
from clew.store import doctor
from clew.store.retention import plan, remove
from clew.store.store import Store
from tests.model.event_streams import Stream, streams
from tests.store.segments import OTHER, Segment, write_lines


def use_everything(home: Path) -> None:
    doctor.examine(home)
    doctor.look_around(home)
    store = Store(home)
    for row in store.runs():
        list(store.lines(row.run_id))
        # A line may have the looks of an event and yet be none, and then nothing is left of a run.
        with contextlib.suppress(NoSuchRunError):
            trace = store.trace(row.run_id)
            trace.to_json()
            trace.to_events()
        assert store.resolve(row.run_id) == row.run_id
    store.close()
    doctor.repair(home)
    assert [report for report in doctor.examine(home) if report.can_be_repaired] == []
    remove(home, plan(home, older_than=timedelta(0), keep_bytes=0))
    Store(home).runs()


def damage(content: bytes, chance: random.Random) -> bytes:
    """Return bytes after one of the things that happen to files."""
    place = chance.randint(0, len(content))
    length = chance.choice([1, 2, 16, 4096])
    noise = chance.choice(
        [b"\0" * length, chance.randbytes(length), b"\n" * length, b'"', b"}", b"{", b"\xff\xfe"]
    )
    return chance.choice(
        [
            content[:place],
            content[:place] + noise + content[place:],
            content[:place] + noise + content[place + len(noise) :],
            content[:place] + content[place + length :],
            content[place:] + content[:place],
            content + noise,
            content * 2,
            noise,
            b"",
        ],
    )


@settings(deadline=None, max_examples=60)
@given(streams(most_steps=8), st.randoms(use_true_random=False))
def test_garbage_in_any_file_is_survived(
    tmp_path_factory: pytest.TempPathFactory, stream: Stream, chance: random.Random
) -> None:
    home = tmp_path_factory.mktemp("home")
    write_lines(home, stream.by_writer, life=chance.choice(["dead", "alive", "elsewhere"]))
    killed = Segment(home, OTHER)
    killed.run(end=None)
    killed.write(tail=b"\0" * 100)
    write_blob(home, b"a payload")
    if chance.random() < 0.7:
        store = Store(home)
        store.refresh()
        store.close()
    files = [path for path in sorted(home.rglob("*")) if path.is_file()]
    for path in chance.sample(files, chance.randint(1, len(files))):
        path.write_bytes(damage(path.read_bytes(), chance))
    use_everything(home)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=300))
def test_a_segment_of_garbage_is_survived(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    home = tmp_path_factory.mktemp("home")
    segment = Segment(home)
    segment.run(end=None)
    for content in (garbage, segment.content + garbage, garbage + segment.content):
        segment.write()
        segment.path.write_bytes(content)
        use_everything(home)


HEADER = '{"clew":"segment","schema_version":1,"writer":"%s","number":%s,"process":%s,"version":"","wall_ns":0,"monotonic_ns":0}'


@pytest.mark.parametrize(
    "header",
    [
        HEADER % ("x", "1", '{"pid":-1,"host":"h"}'),
        HEADER % ("x", "1", '{"pid":99999999999999999999,"host":"h"}'),
        HEADER % ("x", "-5", '{"pid":0,"host":"h","started":"","boot":""}'),
        HEADER % ("\\u0000", "99999999999999999999999", '{"pid":1,"host":"h"}'),
        HEADER % ("../../etc", "1", '{"pid":1,"host":"h"}'),
        HEADER % ("", "1", '{"pid":1,"host":""}'),
    ],
)
@pytest.mark.parametrize("here", [True, False])
def test_a_header_may_say_anything(tmp_path: Path, header: str, here: bool) -> None:
    segment = Segment(tmp_path)
    segment.run(end=None)
    segment.write()
    line = header.replace('"h"', f'"{socket.gethostname()}"') if here else header
    segment.path.write_bytes(line.encode() + b"\n" + b"\n".join(segment.lines) + b"\n")
    use_everything(tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        b'"seq":99999999999999999999999999',
        b'"seq":-3',
        b'"seq":1e5',
        b'"seq":' + b"9" * 5000,
        b'"seq":4611686018427387904',
    ],
)
def test_a_number_may_be_anything(tmp_path: Path, fields: bytes) -> None:
    segment = Segment(tmp_path)
    segment.run()
    segment.lines[3] = segment.lines[3].replace(b'"seq":4', fields)
    segment.write(sealed=True)
    assert [row.name for row in Store(tmp_path).runs()] == ["nightly"]
    use_everything(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b'{"count":99999999999999999999,"numbered":true}',
        b'{"count":-7,"numbered":true}',
        b'{"duration_ms":1e308,"depth":99999999999999999999999,"exit_code":-99999999999999999999}',
        b'{"duration_ms":-1e308,"name":"\\u0000"}',
        b"[" * 2000 + b"]" * 2000,
    ],
)
@pytest.mark.parametrize("event", ["workflow_started", "workflow_completed", "events_lost", "node_completed"])
def test_a_payload_may_be_anything(tmp_path: Path, event: str, data: bytes) -> None:
    segment = Segment(tmp_path)
    segment.run()
    segment.lines[0] = segment.lines[0].replace(b"workflow_started", event.encode())
    head, _, _ = segment.lines[0].partition(b'"data":')
    segment.lines[0] = head + b'"data":' + data + b"}"
    segment.write(sealed=True)
    use_everything(tmp_path)


@pytest.mark.parametrize("name", ["journal", "journal/2026-11-21", "blobs"])
def test_a_file_where_a_folder_should_be_does_no_harm(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("not a folder")
    use_everything(tmp_path)


def test_a_folder_where_the_index_should_be_does_no_harm(tmp_path: Path) -> None:
    Segment(tmp_path).write()
    (tmp_path / "index.sqlite").mkdir()
    use_everything(tmp_path)


def test_a_folder_where_the_lock_should_be_is_told_in_one_sentence(tmp_path: Path) -> None:
    Segment(tmp_path).write()
    (tmp_path / "doctor.lock").mkdir()
    with pytest.raises(JournalError, match=r"doctor\.lock cannot be opened: Is a directory"):
        doctor.repair(tmp_path)
