"""What the index keeps of a segment, of a writer, and of one run in one segment; and what `clew runs` shows."""

from __future__ import annotations

from binascii import crc32
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from clew.journal.process import Process
from clew.journal.reader import SegmentState
from clew.model.events import Event

_Row = TypeVar("_Row")
_CHECKSUM_BYTES: Final = 4

Numbers = list[tuple[int, int]]
"""Sequence numbers as closed intervals: ascending, disjoint and not adjacent."""


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `clew runs`."""

    run_id: str
    """32 hex digits from Clew, anything from other systems."""
    name: str | None
    """What the user calls it; None where its start is not in the log."""
    kind: str | None
    """script, module, function, workflow, job ..."""
    status: Literal["running", "completed", "failed", "interrupted"]
    """How it stands, or how it ended. A run whose process is dead is interrupted."""
    started_at: datetime | None
    """Wall clock, UTC; None where its start is not in the log."""
    last_event_at: datetime | None
    """When it was last heard of."""
    duration_ns: int | None
    """Monotonic clock; None where its end is not in the log."""
    events: int
    """Lines in the log."""
    nodes: int
    """Executions of nodes."""
    failed_nodes: int
    """Executions that failed, retried ones included."""
    lost: int
    """Events that are known to be missing."""
    parent_run_id: str | None
    """The run that started this one."""
    depth: int
    """How many runs it is nested in."""
    host: str | None
    """Where it was started; None where no header says so."""
    exit_code: int | None
    """Exit code, where it was a program."""
    original_run_id: str | None = None
    """What another system called it; None for a run of Clew's own."""


class SegmentRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of one segment file."""

    path: str
    """Below the journal's folder: `<date>/<name>`."""
    writer: str
    """Who writes it, by its header, else by its name."""
    number: int
    """Which of the writer's segments it is."""
    inode: int
    size: int
    mtime_ns: int
    finished: bool = False
    """Nothing will be added: it is sealed, or its process was dead before it was read to its end."""
    state: SegmentState
    """How far it was read, and what was found that is no event."""
    events: int = 0
    """Lines that are events."""
    numbers: Numbers = []
    """The writer's own numbers that were seen."""
    declared: int = 0
    """Numbered events that the writer itself said it lost."""
    last_at: str = ""
    """Timestamp of the latest event, as the log has it."""

    @property
    def process(self) -> Process | None:
        """The process that writes it; None where the header is missing."""
        return None if self.state.header is None else self.state.header.process

    @property
    def sealed_by_writer(self) -> bool:
        """Whether the writer itself said that this segment is complete."""
        return self.state.seal is not None and self.state.seal.by == "writer"


class Part(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one segment holds of one run."""

    run_id: str
    events: int = 0
    starts: int = 0
    """`node_started` lines."""
    failed: int = 0
    """`node_failed` lines."""
    nameless_starts: int = 0
    """`node_started` lines without a span id, as other systems write them."""
    nameless_ends: int = 0
    """Ends of nodes without a span id."""
    first_at: str = ""
    """Timestamp of the earliest event, as the log has it."""
    last_at: str = ""
    """Timestamp of the latest event."""
    first_seq: int | None = None
    """Lowest of the segment's writer's own numbers."""
    last_seq: int | None = None
    """Highest of them."""
    lost: int = 0
    """Events that the log itself says are lost."""
    boundaries: list[Event] = []
    """Starts and ends of the run, their data reduced to what a row needs."""
    open_spans: set[str] = set()
    """Spans that were started here and not ended here."""
    early_ends: set[str] = set()
    """Spans that were ended here and not started here."""
    recorders: set[str] = set()
    """Writers of these events other than the segment's own: of an imported run those that recorded it."""


class WriterRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of one writer, over all its segments."""

    writer: str
    process: Process | None = None
    """The process; None where no header is left."""
    dead: bool = False
    """Whether that process is known to have ended. It cannot come back."""
    sealed: bool = False
    """Whether the writer itself sealed its last segment."""
    last_at: str = ""
    """When it last wrote."""
    missing: dict[str, int] = {}
    """Events that are missing from its numbers and that it did not declare as lost, by run."""


def encode_row(row: RunRow | SegmentRow | Part | WriterRow) -> bytes:
    """Return a row as the index keeps it: its checksum and its JSON.

    A digit that the disk changed would be as good a digit as any other.
    """
    text = msgspec.json.encode(row)
    return crc32(text).to_bytes(_CHECKSUM_BYTES, "big") + text


def _decoder(kind: type[_Row]) -> Callable[[bytes], _Row]:
    decode = msgspec.json.Decoder(kind).decode

    def decode_row(row: bytes) -> _Row:
        text = row[_CHECKSUM_BYTES:]
        if crc32(text) != int.from_bytes(row[:_CHECKSUM_BYTES], "big"):
            raise ValueError("a row of the index was damaged")
        return decode(text)

    return decode_row


decode_run: Final = _decoder(RunRow)
decode_segment: Final = _decoder(SegmentRow)
decode_part: Final = _decoder(Part)
decode_writer: Final = _decoder(WriterRow)
