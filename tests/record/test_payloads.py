"""How much of inputs and outputs is kept: the setting, large ones in files of their own, and nothing cut in silence."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

import clew
from clew.errors import JournalError
from clew.journal.blobs import blob_path, read_blob, write_blob
from clew.testing import recording
from tests.record.reading import check_lines

LONG: dict[str, Any] = {
    "text": "word " * 100,
    "numbers": list(range(25)),
    "deep": {"a": {"b": {"c": {"d": {"e": 1}}}}},
    "short": "kept",
}


@clew.traced
def give_back(value: Any) -> Any:
    """Take anything and give it back."""
    return value


def test_captured_whole_nothing_of_a_payload_is_missing() -> None:
    with recording(capture="full") as log, clew.run("r"):
        give_back(LONG)
    (node,) = log.trace().nodes
    assert node.inputs == {"value": LONG}
    assert node.outputs == LONG
    assert log.trace().truncated == 0


def test_a_summary_says_in_place_what_it_leaves_out() -> None:
    with recording(capture="summary") as log, clew.run("r", inputs=LONG) as run:
        give_back(LONG)
        run.output(LONG)
    trace = log.trace()
    expected = {
        "text": f"{LONG['text'][:200]}… (500 characters)",
        "numbers": [*range(10), "… 15 more"],
        "deep": {"a": {"b": {"c": "<dict of 1, nested deeper than 4>"}}},
        "short": "kept",
    }
    assert trace.nodes[0].outputs == trace.inputs == trace.outputs == expected
    assert trace.nodes[0].inputs["value"]["deep"] == {"a": {"b": "<dict of 1, nested deeper than 4>"}}


def test_captured_not_at_all_payloads_are_absent_and_attributes_stay() -> None:
    with recording(capture="none") as log:
        with clew.run("r", inputs=LONG, city="Reims") as run:
            with clew.span("s", tag="x") as span:
                span.output(LONG)
            give_back(LONG)
            run.output(LONG)
        trace = log.trace()
    assert trace.inputs is None
    assert trace.outputs is None
    assert [(n.inputs, n.outputs) for n in trace.nodes] == [(None, None)] * 2
    assert trace.attributes == {"city": "Reims"}
    assert trace.nodes[0].attributes == {"tag": "x"}
    assert b"word" not in b"".join(log.lines())


def test_attributes_and_event_data_are_whole_under_every_setting() -> None:
    for capture in ("none", "summary", "full"):
        with recording(capture=capture) as log, clew.run("r", about=LONG), clew.span("s", about=LONG) as span:
            clew.event("x", about=LONG)
            span.set(later=LONG)
        trace = log.trace()
        assert trace.attributes == {"about": LONG}
        assert trace.nodes[0].attributes == {"about": LONG, "later": LONG}
        assert trace.nodes[0].events[0].values() == {"about": LONG}


def test_a_payload_over_the_limit_becomes_one_blob_with_a_preview(tmp_path: Path) -> None:
    home = tmp_path / ".clew"
    value = {"text": "ü" * 1000, "n": list(range(100))}
    with recording(capture="full", home=home, inline_limit_bytes=500) as log, clew.run("r"):
        for _ in range(3):
            give_back(value)
    trace = log.trace()
    blobs = {json.dumps(n.outputs, sort_keys=True) for n in trace.nodes}
    assert len(blobs) == 1
    reference = trace.nodes[0].outputs
    content = read_blob(home, reference["$blob"])
    assert json.loads(content) == value
    assert reference["bytes"] == len(content)
    assert content.decode().startswith(reference["preview"])
    assert len(reference["preview"].encode()) <= 200
    files = sorted(path for path in (home / "blobs").rglob("*") if path.is_file())
    assert len(files) == 2  # the inputs and the outputs, each once
    name = hashlib.blake2b(content, digest_size=16).hexdigest()
    assert blob_path(home, name) in files
    assert gzip.decompress(blob_path(home, name).read_bytes()) == content
    assert trace.truncated == 0
    assert max(map(len, log.lines())) < 1500


def test_blobs_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        digest = write_blob(tmp_path / ".clew", b"x")
    finally:
        os.umask(before)
    path = blob_path(tmp_path / ".clew", digest)
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_payload_over_the_largest_size_is_cut_and_an_event_says_so(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "home": tmp_path / ".clew",
        "inline_limit_bytes": 100,
        "max_payload_bytes": 1000,
    }
    with recording(capture="full", **settings) as log, clew.run("r"), clew.span("s", big="y" * 3000) as span:
        span.output(["x" * 2000])
        clew.event("x", big={"z": "z" * 5000})
    trace = log.trace()
    (node,) = trace.nodes
    size = len('["') + 2000 + len('"]')
    assert node.outputs["$cut"] == size
    assert node.outputs["preview"].startswith('["xxx')
    cuts = {
        (e.values()["field"], e.values()["original_bytes"] // 1000) for e in log.events("payload_truncated")
    }
    assert cuts == {("outputs", 2), ("big", 3), ("big", 5)}
    for event in log.events("payload_truncated"):
        assert event.level == "WARNING"
        assert 0 < event.values()["kept_bytes"] <= 200
    assert trace.truncated == 3
    assert not (tmp_path / ".clew" / "blobs").exists()
    check_lines(log.lines())


def test_where_blobs_cannot_be_written_the_payload_is_cut_and_an_event_says_so(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("in the way")
    with recording(capture="full", home=home, inline_limit_bytes=100) as log, clew.run("r"):
        give_back("x" * 1000)
    trace = log.trace()
    assert trace.nodes[0].outputs["$cut"] == 1002
    assert trace.truncated == 2
    assert trace.lost == 0


def test_a_long_error_message_is_cut_stays_text_and_an_event_says_so() -> None:
    with recording() as log:
        with pytest.raises(ValueError, match="x"), clew.run("r"), clew.span("s"):
            raise ValueError("x" * 50_000)
        trace = log.trace()
    for error in (trace.nodes[0].error, trace.error):
        assert error is not None
        assert error.message == "x" * 10_000 + "… (50000 characters)"
        assert error.stack is not None
        assert error.stack.endswith('raise ValueError("x" * 50_000)')
    assert trace.truncated == 2


def test_a_damaged_or_missing_blob_is_an_error_that_names_it(tmp_path: Path) -> None:
    home = tmp_path / ".clew"
    digest = write_blob(home, b"content")
    for damage in (b"", b"no gzip", gzip.compress(b"other"), gzip.compress(b"content")[:-5]):
        blob_path(home, digest).write_bytes(damage)
        with pytest.raises(JournalError, match=digest):
            read_blob(home, digest)
    blob_path(home, digest).unlink()
    with pytest.raises(JournalError, match=digest):
        read_blob(home, digest)
    for name in ("../../etc/passwd", "", "x" * 32, digest.upper()):
        with pytest.raises(JournalError, match="is not the hash"):
            read_blob(home, name)


def _store(home: Path, content: bytes) -> None:
    for _ in range(50):
        write_blob(home, content)


def test_many_processes_that_store_the_same_leave_one_whole_file(tmp_path: Path) -> None:
    home, content = tmp_path / ".clew", os.urandom(50_000)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_store, args=(home, content)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    files = [path for path in (home / "blobs").rglob("*") if path.is_file()]
    assert [path.suffix for path in files] == [".gz"]
    assert read_blob(home, hashlib.blake2b(content, digest_size=16).hexdigest()) == content
