"""Identifiers: W3C trace-context ids, so that `traceparent` needs no mapping."""

from __future__ import annotations

import os
import re
import time
from typing import Final, NamedTuple

NO_SPAN: Final = "0000000000000000"
NO_RUN: Final = "00000000000000000000000000000000"
"""Of a trace of nothing."""
_TRACEPARENT = re.compile(r"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def new_run_id() -> str:
    """Return 32 hex digits: 48 bits of milliseconds, then 80 random bits, so that ids sort by time."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def new_writer_id() -> str:
    """Return 16 hex digits for one writer: 40 bits of time in units of 16 ms, then 24 random bits."""
    return f"{time.time_ns() // 16_000_000 & 0xFF_FFFF_FFFF:010x}{os.urandom(3).hex()}"


def new_span_prefix() -> str:
    """Return 8 random hex digits, the first half of a writer's span ids; never all zero."""
    prefix = os.urandom(4).hex()
    return prefix if prefix != "00000000" else new_span_prefix()


class TraceParent(NamedTuple):
    """Where work comes from: a run, the span in it that called, and whether the run is recorded."""

    run_id: str
    span_id: str
    sampled: bool

    def header(self) -> str:
        """Return the value of a W3C `traceparent` header."""
        return f"00-{self.run_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(header: str) -> TraceParent | None:
    """Read a W3C `traceparent` header; None where it is not a valid one."""
    match = _TRACEPARENT.match(header.strip())
    if match is None:
        return None
    version, run_id, span_id, flags = match.groups()
    if version == "ff" or set(run_id) == {"0"} or set(span_id) == {"0"}:
        return None
    return TraceParent(run_id, span_id, bool(int(flags, 16) & 1))
