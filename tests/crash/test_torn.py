"""A line that a process was copying when it was killed, in every shape that such a copy can leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clew.journal.layout import segment_path
from clew.journal.marks import Header, encode_mark
from clew.journal.process import Process, this_process
from clew.model.events import SCHEMA_VERSION
from clew.store.doctor import examine, repair
from clew.store.store import Store

RUN = "01a1fd698900c129d995a000bfaf2250"
WRITER = "0123456789abcdef"
RESERVED = 16 * 1024


def line(seq: int, event: str = "tick", **data: object) -> bytes:
    """One event as Clew writes it."""
    fields = {"timestamp": "2026-11-21T03:59:12.123456Z", "run_id": RUN, "event": event, "level": "INFO"}
    return (
        json.dumps({**fields, "writer": WRITER, "seq": seq, "data": data}, separators=(",", ":")).encode()
        + b"\n"
    )


def header() -> bytes:
    """The first line of a segment whose process is known to be dead: its number now has another start time."""
    me = this_process()
    dead = Process(pid=me.pid, host=me.host, started="1", boot=me.boot, namespace=me.namespace)
    mark = Header(
        schema_version=SCHEMA_VERSION,
        writer=WRITER,
        number=1,
        process=dead,
        version="0",
        wall_ns=1,
        monotonic_ns=1,
    )
    return encode_mark(mark)


WHOLE = [line(1, "workflow_started", name="torn"), line(2), line(4)]
"""Number 3 was in the hand of another thread."""
LAST = line(5, text="x" * 100)
SHAPES = {
    "nothing of it": b"",
    "its first byte": LAST[:1],
    "its first half": LAST[:90],
    "all but the newline": LAST[:-1],
    "only the newline": b"\0" * (len(LAST) - 1) + b"\n",
    "its last byte before the newline": b"\0" * (len(LAST) - 2) + LAST[-2:],
    "its second half": b"\0" * 90 + LAST[90:],
    "its second half without the end": b"\0" * 90 + LAST[90:-20],
    "all but its first 32 bytes": b"\0" * 32 + LAST[32:],
    "all but its middle": LAST[:40] + b"\0" * 40 + LAST[80:],
    "both ends of its first half": LAST[:20] + b"\0" * 40 + LAST[60:90],
}


@pytest.fixture(params=[0, RESERVED], ids=["cut off", "with reserved space"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = segment_path(tmp_path, WRITER, 1, 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\0" * request.param)
    return tmp_path


def write(home: Path, *, torn: bytes) -> None:
    with segment_path(home, WRITER, 1, 0).open("r+b") as file:
        file.write(header() + b"".join(WHOLE) + torn)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_torn_last_line_is_no_event_no_damage_and_no_loss(home: Path, shape: str) -> None:
    write(home, torn=SHAPES[shape])
    (row,) = Store(home).runs()
    assert (row.status, row.events, row.lost) == ("interrupted", len(WHOLE), 0)
    (report,) = examine(home)
    assert (report.bad_lines, report.nul_bytes, report.missing) == (0, 0, 0)
    assert len(repair(home)) == 1
    (report,) = examine(home)
    assert report.problems == []
    assert (report.sealed_by, report.reserved_bytes) == ("doctor", 0)
    (row,) = Store(home).runs()
    assert (row.status, row.events, row.lost) == ("interrupted", len(WHOLE) + 1, 0)


def test_pages_that_the_disk_lost_are_damage(home: Path) -> None:
    """The numbers say how many events were in them."""
    write(home, torn=b"\0" * 8192 + LAST[40:] + line(50) + line(51))
    (report,) = examine(home)
    assert report.nul_bytes == 8192
    assert report.missing > 40
    (row,) = Store(home).runs()
    assert row.lost == report.missing
