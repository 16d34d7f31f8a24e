"""Segments for the tests of the store, written by hand or by real programs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clew.journal.marks import Header, Seal, encode_mark
from clew.journal.process import Process, this_process

if TYPE_CHECKING:
    from collections.abc import Iterable

DATE = "2026-11-21"
BEGIN = datetime(2026, 11, 21, 8, tzinfo=UTC)
WRITER = "a1b2c3d4e5f60718"
OTHER = "b1b2c3d4e5f60718"
RUN = "0193514c5d2a7b3e8f10a2b3c4d5e6f7"
OTHER_RUN = "0193514c5d2a7b3e8f10a2b3c4d5e6f8"

Life = Literal["alive", "dead", "reused", "elsewhere"]


def process(life: Life) -> Process:
    """Return a process as a header names it. `reused`: its id belongs to another process by now."""
    here = this_process()
    if life == "alive":
        return here
    if life == "elsewhere":
        return msgspec.structs.replace(here, host="another.invalid")
    if life == "reused":
        return msgspec.structs.replace(here, started="1")
    return msgspec.structs.replace(here, pid=2**22 + 1)  # beyond what Linux gives out


class Segment:
    """A segment being put together line by line; the writer's numbers go on by themselves."""

    def __init__(
        self, home: Path, writer: str = WRITER, *, number: int = 1, life: Life = "dead", first_seq: int = 1
    ) -> None:
        self.path = home / "journal" / DATE / f"{writer}-{number}.jsonl"
        self.writer = writer
        self.seq = first_seq - 1
        self._header = Header(
            schema_version=1,
            writer=writer,
            number=number,
            process=process(life),
            version="0",
            wall_ns=0,
            monotonic_ns=0,
        )
        self.lines: list[bytes] = []

    def add(
        self, event: str, data: object = None, *, run: str = RUN, at_us: int | None = None, **envelope: Any
    ) -> bytes:
        """Add an event, at the microsecond given or as many as its number."""
        self.seq += 1
        moment = BEGIN + timedelta(microseconds=self.seq if at_us is None else at_us)
        fields = {
            "timestamp": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "run_id": run,
            "event": event,
            "level": "INFO",
            **envelope,
            "writer": self.writer,
            "seq": self.seq,
            "data": {} if data is None else data,
        }
        self.lines.append(msgspec.json.encode(fields))
        return self.lines[-1]

    def node(self, name: str = "ask", *, end: str | None = "node_completed", run: str = RUN) -> None:
        """Add a node that ends as said, or not at all."""
        place: dict[str, Any] = {
            "node_id": name,
            "span_id": f"{self.writer[:4]}{self.seq + 1:012x}",
            "parent_id": "0" * 16,
        }
        self.add("node_started", run=run, **place)
        if end is not None:
            self.add(end, {"duration_ms": 0.001}, run=run, **place)

    def run(
        self, name: str = "nightly", *, nodes: int = 2, run: str = RUN, end: str | None = "workflow_completed"
    ) -> None:
        """Add a whole run, or one without an end."""
        self.add("workflow_started", {"name": name, "type": "script"}, run=run)
        for _ in range(nodes):
            self.node(run=run)
        if end is not None:
            self.add(end, {"name": name, "duration_ms": 1.5}, run=run)

    @property
    def content(self) -> bytes:
        """The header and the lines."""
        return encode_mark(self._header) + b"".join(line + b"\n" for line in self.lines)

    def write(self, *, sealed: bool = False, tail: bytes = b"") -> Path:
        """Write the file, with a seal or with whatever the writer left behind its last line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        seal = encode_mark(Seal(writer=self.writer, last_seq=self.seq)) if sealed else b""
        self.path.write_bytes(self.content + seal + tail)
        return self.path


def write_lines(home: Path, by_writer: dict[str | None, list[bytes]], *, life: Life = "dead") -> None:
    """Write lines of several writers as sealed segments of theirs; those without a writer go into one of their own."""
    for writer, lines in by_writer.items():
        segment = Segment(home, writer or "0" * 16, life=life)
        segment.lines = lines
        segment.seq = len(lines) if writer is not None else 0
        segment.write(sealed=True)


def run_program(
    home: Path, source: str, *arguments: str, expect: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run a program that records into a home directory, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), *arguments],
        env={"CLEW_HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert expect is None or done.returncode == expect, done.stderr
    return done


def files_under(home: Path) -> dict[str, bytes]:
    """Return every file and its content, to see that nothing changed."""
    return {
        str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()
    }


def names_of(items: Iterable[Any]) -> list[str]:
    """Return the names of runs."""
    return [item.name for item in items]
