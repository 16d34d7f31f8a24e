"""What Clew is compared with, each given a fair set-up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer


class NothingExporter(SpanExporter):
    """Counts what it is given and lets go of it."""

    def __init__(self) -> None:
        self.exported = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.exported += len(spans)
        return SpanExportResult.SUCCESS


class OpenTelemetry:
    """The SDK with a BatchSpanProcessor at its defaults (queue 2048, batches of 512, every 5 s), worker running."""

    def __init__(self) -> None:
        self.exporter = NothingExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter))
        self.tracer: Tracer = self.provider.get_tracer("benchmark")
        self.ended = 0

    def spans(self, count: int) -> None:
        start = self.tracer.start_as_current_span
        for number in range(count):
            with start("retrieve", attributes={"k": number, "index": "wiki"}):
                pass
        self.ended += count

    def flush(self) -> None:
        """Let the worker finish, so that it does not run during another's turn. Not timed: that is in its favour."""
        self.provider.force_flush()

    def spans_exported(self, count: int) -> None:
        self.spans(count)
        self.flush()

    @property
    def dropped(self) -> int:
        self.flush()
        return self.ended - self.exporter.exported


class _Level(Enum):
    INFO = "INFO"


@dataclass
class _Event:
    timestamp: str
    run_id: str
    event: str
    level: _Level
    data: dict[str, Any] = field(default_factory=dict)
    node_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        fields = {
            "timestamp": self.timestamp,
            "run_id": self.run_id,
            "event": self.event,
            "level": self.level.value,
            "data": self.data,
        }
        if self.node_id:
            fields["node_id"] = self.node_id
        return fields


class LineEmitter:
    """An emitter as agent runtimes have it: a dataclass, `json.dumps`, and a text file flushed after every event."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def emit(self, event: str, *, node_id: str | None = None, **data: Any) -> None:
        record = _Event(datetime.now(UTC).isoformat(), "hello-world-1", event, _Level.INFO, data, node_id)
        print(json.dumps(record.to_dict(), default=str), file=self._file, flush=True)

    def events(self, count: int) -> None:
        emit = self.emit
        for number in range(count):
            emit("step_done", step=number, phase="fit")

    def empty(self) -> None:
        self._file.truncate(0)


class _Line(msgspec.Struct):
    timestamp: datetime
    run_id: str
    event: str
    level: str
    node_id: str
    span_id: str
    writer: str
    seq: int
    data: dict[str, Any]


class RawLines:
    """The least that writes the same line durably: one msgspec record, one `os.write`. No context, no redaction."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
        self._seq = 0

    def emit(self, event: str, **data: Any) -> None:
        self._seq += 1
        line = _Line(
            datetime.now(UTC),
            "01a1fd7bc40bf9fd9bdc7a089e91e64a",
            event,
            "INFO",
            "fit",
            "13a693fc10000003",
            "1a1fd7bc401cacf4",
            self._seq,
            data,
        )
        os.write(self._fd, self._encode(line) + b"\n")

    def events(self, count: int) -> None:
        emit = self.emit
        for number in range(count):
            emit("step_done", step=number, phase="fit")

    def empty(self) -> None:
        os.ftruncate(self._fd, 0)
