"""A log that a test writes line by line."""

from __future__ import annotations

from typing import Any

import msgspec

from clew.model.fold import Fold
from clew.model.trace import ExecutionTrace
from tests.model.event_streams import RUN_ID


def folded(lines: list[bytes], *, bite: int = 7) -> ExecutionTrace:
    """Fold lines as a reader does, a few at a time."""
    fold = Fold(RUN_ID)
    for begin in range(0, len(lines), bite):
        fold.add_lines(lines[begin : begin + bite])
    return ExecutionTrace.from_fold(fold)


class Log:
    """Writes the lines of one writer by hand."""

    def __init__(self, writer: str | None = "a1b2c3d4e5f60718") -> None:
        self.writer = writer
        self.lines: list[bytes] = []

    def line(self, event: str, at_us: int, data: object = None, **envelope: Any) -> None:
        seconds, micros = divmod(at_us, 1_000_000)
        fields = {
            "timestamp": f"2026-11-21T08:00:{seconds:02d}.{micros:06d}Z",
            "run_id": RUN_ID,
            "event": event,
            "level": "INFO",
            **envelope,
            **({} if self.writer is None else {"writer": self.writer, "seq": len(self.lines) + 1}),
            "data": {} if data is None else data,
        }
        self.lines.append(msgspec.json.encode(fields))

    def span(
        self, name: str, begin_us: int, end_us: int, *, span_id: str, parent_id: str | None = None
    ) -> None:
        place = {"node_id": name, "span_id": span_id, "parent_id": parent_id or "0" * 16}
        self.line("node_started", begin_us, **place)
        self.line("node_completed", end_us, {"duration_ms": (end_us - begin_us) / 1000}, **place)

    @property
    def trace(self) -> ExecutionTrace:
        return folded(self.lines)
