"""What a user may set about the stream, and the pumps that follow from it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from clew.errors import ConfigError
from clew.model.ports import Sink, Source
from clew.stream.file_sink import FileSink
from clew.stream.filters import EventFilter
from clew.stream.formats import encoder
from clew.stream.human import should_colour
from clew.stream.pump import Pump
from clew.stream.report import Report, tell
from clew.stream.text_sink import TextSink


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The stream of a run's events to the terminal and to a file."""

    enabled: bool = False
    """Whether there is one."""
    format: str = "jsonl"
    """`jsonl` or `human`, for every destination."""
    to: tuple[str, ...] = ("stdout",)
    """`stdout`, `stderr`, both, or none."""
    file: str | Path | None = None
    """Path of a file to append to, beside `to`."""
    filter: str | None = None
    """Patterns with commas between them, see `EventFilter.parse`."""
    level: str | None = None
    """A least level or a verbosity, see `EventFilter.parse`; None is `normal`."""
    max_bytes: int | None = None
    """Size at which the file is rotated; None: never."""
    max_files: int = 5
    """How many files rotation keeps, the current one included."""


class NamedSink(NamedTuple):
    """A sink, and what it is called in a report."""

    name: str
    sink: Sink


class Pumps:
    """The pumps of one stream."""

    def __init__(self, pumps: tuple[Pump, ...] = ()) -> None:
        self.pumps = pumps

    def close(self, timeout_s: float) -> dict[str, int | None]:
        """Deliver the rest and stop, all pumps at the same time.

        Args: timeout_s: for all of them together.
        Returns: by name, how many lines were not delivered; None where that is not known. Never raises.
        """
        for pump in self.pumps:
            pump.begin_close(timeout_s)
        return {pump.name: pump.finish_close() for pump in self.pumps}


def event_filter_of(options: StreamOptions) -> EventFilter:
    """Return the filter that the options describe.

    Raises: ConfigError: the level is neither a level nor a verbosity, or a pattern is empty.
    """
    return EventFilter.parse(options.filter, options.level)


def build_sinks(options: StreamOptions, *, report: Report | None = None) -> list[NamedSink]:
    """Return a sink for each destination; none is opened before its first line.

    Raises: ConfigError: no such format or destination, or sizes below 1.
    """
    whole = event_filter_of(options).whole_payloads
    sinks = []
    for destination in dict.fromkeys(options.to):
        if destination not in {"stdout", "stderr"}:
            raise ConfigError(f"telemetry destination {destination!r} does not exist; write stdout or stderr")
        stream = sys.stdout if destination == "stdout" else sys.stderr
        encode = encoder(options.format, colour=should_colour(stream), whole=whole)
        sinks.append(NamedSink(f"telemetry to {destination}", TextSink(stream, encode=encode)))
    if (options.max_bytes is not None and options.max_bytes < 1) or options.max_files < 1:
        raise ConfigError("telemetry file rotation needs a size of at least 1 byte and at least 1 file")
    if options.file is not None:
        name = "telemetry to file"  # the sink's errors have the path
        sink = FileSink(
            options.file,
            encode=encoder(options.format, whole=whole),
            max_bytes=options.max_bytes,
            max_files=options.max_files,
            report=lambda problem: tell(report, f"{name}: {problem}"),
        )
        sinks.append(NamedSink(name, sink))
    return sinks


def start_pumps(
    options: StreamOptions,
    *,
    new_source: Callable[[], Source],
    report: Report | None = None,
) -> Pumps:
    """Start a pump for each destination of the options; none where the stream is not enabled.

    Args: new_source: called once for each pump, so that each has a position of its own.
    Raises: ConfigError: as `build_sinks`. Whatever else goes wrong is reported, and costs that one pump.
    """
    if not options.enabled:
        return Pumps()
    event_filter = event_filter_of(options)
    pumps = []
    for name, sink in build_sinks(options, report=report):
        try:
            source = new_source()
        except Exception as error:
            sink.close(timeout_s=0.0)
            tell(report, f"{name}: {error}; the journal keeps every event")
            continue
        pump = Pump(source, sink, event_filter=event_filter, name=name, report=report)
        pump.start()
        pumps.append(pump)
    return Pumps(tuple(pumps))
