"""The first and the last line of a segment. Neither is an event, so readers of events pass over them."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from clew.journal.process import Process

PAGE_BYTES: Final = 4096
"""A segment that is being written is a whole number of pages long; a sealed one never is. So one look at a folder
tells which segments are done, without opening thousands of them."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """First line of a segment: who writes it, and how its clocks are tied together."""

    clew: Literal["segment"] = "segment"
    schema_version: int
    """Version of the event schema."""
    writer: str
    """The process lifetime that writes it."""
    number: int
    """Which of the writer's segments this is, from 1."""
    process: Process
    """The process that writes it."""
    version: str
    """Version of Clew."""
    wall_ns: int
    """Wall clock when the writer began, nanoseconds since 1970 UTC."""
    monotonic_ns: int
    """Monotonic clock at the same instant."""


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """Last line of a segment that is complete."""

    clew: Literal["seal"] = "seal"
    writer: str
    """The writer that filled it."""
    last_seq: int
    """The highest number that the writer had given out."""
    in_flight: int = 0
    """Threads that lived beside the one that sealed it, and calls that a signal handler ended: each may have had one
    number in its hand, of a call that never returned."""
    by: Literal["writer", "doctor"] = "writer"
    """Who sealed it."""


def encode_mark(mark: Header | Seal) -> bytes:
    """Return the line of a header or seal, newline included. The field `clew` comes first."""
    fields = {"clew": mark.clew, **msgspec.structs.asdict(mark)}
    return msgspec.json.encode(fields) + b"\n"


def as_end(seal: bytes, offset: int) -> bytes:
    """Return the line of a seal so that a segment that ends with it is no whole number of pages long."""
    return seal if (offset + len(seal)) % PAGE_BYTES else seal[:-1] + b" \n"


def looks_sealed(size_bytes: int) -> bool:
    """Say whether a segment of that size is done. A foreign file may look so too."""
    return size_bytes % PAGE_BYTES != 0


def decode_header(line: bytes) -> Header | None:
    """Read a header line; None where it is not one."""
    try:
        return msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def decode_seal(line: bytes) -> Seal | None:
    """Read a seal line; None where it is not one."""
    try:
        return msgspec.json.decode(line, type=Seal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def is_mark(line: bytes) -> bool:
    """Say whether a line is a header or a seal rather than an event."""
    return line.startswith(b'{"clew":')
