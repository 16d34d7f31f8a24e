"""Large payloads lie beside the log: they are looked at by the doctor, and put back where they belong."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clew.journal.blobs import blob_path, write_blob
from clew.store import doctor
from clew.store.payloads import WholePayloads
from clew.store.store import Store
from tests.store.segments import RUN, Segment

LARGE = {"text": "x" * 50_000, "quote": 'a "quoted" word and a \\ and {"$blob":"no"}'}
CONTENT = json.dumps(LARGE, separators=(",", ":")).encode()


def reference(home: Path, content: bytes = CONTENT) -> dict[str, Any]:
    return {"$blob": write_blob(home, content), "bytes": len(content), "preview": content[:200].decode()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A run with one large payload in two of its lines, and another one among attributes."""
    segment = Segment(tmp_path)
    first = reference(tmp_path)
    second = reference(tmp_path, b'["' + b"y" * 30_000 + b'"]')
    segment.add("workflow_started", {"name": "nightly", "inputs": first})
    place: dict[str, Any] = {"node_id": "ask", "span_id": "00000000000000aa"}
    segment.add("node_started", {"inputs": first, "attributes": {"a": second}}, **place)
    segment.add("node_completed", {"duration_ms": 1}, **place)
    segment.add("workflow_completed", {})
    segment.write(sealed=True)
    tmp_path.chmod(0o700)
    return tmp_path


def problems(home: Path) -> list[str]:
    found = [problem for report in doctor.examine(home) for problem in report.problems]
    return found + doctor.look_around(home).problems


def blobs(home: Path) -> list[Path]:
    return sorted(home.glob("blobs/*/*.gz"))


def test_payloads_that_are_there_and_whole_are_no_problem(home: Path) -> None:
    assert problems(home) == []


def test_a_payload_that_is_gone_is_told_once_by_the_segment_that_refers_to_it(home: Path) -> None:
    blobs(home)[0].unlink()
    assert problems(home) == ["1 large payload that its events refer to is not in blobs"]
    shutil.rmtree(home / "blobs")
    assert problems(home) == ["2 large payloads that its events refer to are not in blobs"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"garbage",
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content + b"more",
        lambda content: gzip.compress(b"another payload"),
        lambda content: bytes([content[0] ^ 1]) + content[1:],
    ],
)
def test_a_payload_with_another_content_is_told(home: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = blobs(home)[1]
    path.write_bytes(spoil(path.read_bytes()))
    name = path.relative_to(home)
    assert problems(home) == [f"{name} was damaged: its content is not the payload of that hash"]


def test_a_text_that_looks_like_a_reference_is_none(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    line = json.dumps({"$blob": "0" * 32, "bytes": 9, "preview": "x"}, separators=(",", ":"))
    segment.add("my event", {"quoted": line, "twice": json.dumps(line)})
    segment.write(sealed=True)
    tmp_path.chmod(0o700)
    assert problems(tmp_path) == []


def test_payloads_are_put_back_wherever_they_stood(home: Path) -> None:
    payloads = WholePayloads(home)
    trace = Store(home).trace(RUN, payloads=payloads)
    assert (trace.inputs, trace.nodes[0].inputs) == (LARGE, LARGE)
    assert trace.nodes[0].attributes == {"a": ["y" * 30_000]}
    assert payloads.unread == set()


def test_a_payload_that_cannot_be_read_stays_a_reference(home: Path) -> None:
    before = Store(home).trace(RUN)
    gone = before.inputs["$blob"]
    blob_path(home, gone).write_bytes(b"garbage")
    payloads = WholePayloads(home)
    trace = Store(home).trace(RUN, payloads=payloads)
    assert trace.inputs == before.inputs
    assert trace.nodes[0].attributes == {"a": ["y" * 30_000]}
    assert payloads.unread == {gone}
