"""What a segment's lines say about the runs in them, at the price of a few byte searches a line.

Clew writes the envelope in a fixed order, so run, name, span and number of an event are found without decoding
its line. Boundaries of runs, declared losses and lines of any other shape are decoded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.model.boundaries import (
    Payload,
    RunInterrupted,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
)
from clew.model.events import Event, decode_event, decode_payload, format_timestamp
from clew.model.payloads import EventsLost
from clew.store.numbers import united
from clew.store.rows import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clew.store.rows import SegmentRow

RUN_EVENTS: Final[dict[str, type[Payload]]] = {
    "workflow_started": WorkflowStarted,
    "workflow_completed": WorkflowCompleted,
    "workflow_failed": WorkflowFailed,
    "run_interrupted": RunInterrupted,
}
_KEPT: Final = (
    "name",
    "type",
    "parent_run_id",
    "root_run_id",
    "depth",
    "schema_version",
    "duration_ms",
    "exit_code",
    "reason",
)
"""Fields of a boundary that the index needs. The others, such as inputs and outputs, can be large."""
ORIGINAL: Final = "original_run_id"
"""Attribute of an imported run: what the other system called it."""

_HEAD: Final = re.compile(
    rb'\{"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","run_id":"([^"\\]+)","event":"([^"\\]+)"'
)
_TIME: Final = slice(14, 41)
_KEY: Final = slice(41, None)
"""Of a head: what follows the timestamp."""
_SPAN: Final = b'"span_id":"'
_SPAN_LENGTH: Final = len(_SPAN)
_MOST_KEYS: Final = 4096
_LARGEST_NUMBER: Final = 1 << 62

_INSIDE, _START, _END, _DECODE = range(4)
_WAY: Final = {
    "node_started": _START,
    "node_completed": _END,
    "node_failed": _END,
    "node_skipped": _END,
    "events_lost": _DECODE,
    **dict.fromkeys(RUN_EVENTS, _DECODE),
}


class _Tally:
    """The lines of one event name in one run, since they were last taken into the run's part."""

    __slots__ = ("count", "envelopes", "first_seq", "greatest", "last_seq", "least", "name", "part", "way")

    def __init__(self, part: Part, name: str, way: int) -> None:
        self.part = part
        self.name = name
        self.way = way
        self.clear()

    def clear(self) -> None:
        self.count = 0
        self.least = self.greatest = b""
        self.first_seq = self.last_seq = 0
        self.envelopes: list[bytes] = []


class Scan:
    """Takes the lines of one segment, in order, into its row and into a part for each run."""

    def __init__(self, segment: SegmentRow, load: Callable[[str], Part | None]) -> None:
        """Go on with a segment.

        Args:
            segment: its row, which is changed.
            load: returns what is already known of a run in this segment.
        """
        self.segment = segment
        self.parts: dict[str, Part] = {}
        """The runs that the lines taken so far belong to."""
        self._load = load
        self._tallies: dict[bytes, _Tally] = {}
        self._odd = _Tally(Part(run_id=""), "", _DECODE)
        self._spans: dict[str, tuple[Part, list[bytes], list[bytes]]] = {}
        self._mark = f'"writer":"{segment.writer}","seq":'.encode()

    def add(self, lines: Sequence[bytes]) -> None:
        """Take lines in, without newlines."""
        numbers: list[tuple[int, int]] = []
        low = following = -1  # no number of Clew's
        find, mark = self._tallies.get, self._mark
        for line in lines:
            head, _, rest = line.partition(b',"level":"')
            tally = find(head[_KEY]) or self._tally(head)
            envelope, _, tail = rest.partition(mark)
            try:
                number = int(tail.partition(b",")[0])
            except ValueError:
                number = self._decode(line)
            else:
                way = tally.way
                if way == _DECODE:
                    number = self._decode(line)
                else:
                    if way:
                        tally.envelopes.append(envelope)
                    # Lines of one tally differ first in their timestamps, which sort as text.
                    if line > tally.greatest:  # noqa: PLR1730  a call of max would double its price
                        tally.greatest = line
                    if not tally.count:
                        tally.least, tally.first_seq = line, number
                    tally.count += 1
                    tally.last_seq = number
            if number == following:
                following += 1
            elif number > 0:
                numbers.append((low, following - 1))
                low, following = number, number + 1
        numbers.append((low, following - 1))
        self._settle(numbers)

    def _settle(self, numbers: list[tuple[int, int]]) -> None:
        segment = self.segment
        own = [interval for interval in numbers if interval[0] > 0 and interval[1] < _LARGEST_NUMBER]
        segment.numbers = united([*segment.numbers, *own])
        for tally in self._tallies.values():
            if tally.count:
                self._settle_tally(tally)
        for part, started, ended in self._spans.values():
            _match_spans(part, started, ended)
        self._spans.clear()
        if len(self._tallies) > _MOST_KEYS:
            self._tallies.clear()
        segment.last_at = max([segment.last_at, *(part.last_at for part in self.parts.values())])

    def _settle_tally(self, tally: _Tally) -> None:
        part = tally.part
        self.segment.events += tally.count
        part.events += tally.count
        part.starts += tally.count if tally.way == _START else 0
        part.failed += tally.count if tally.name == "node_failed" else 0
        _note_place(part, tally.least[_TIME].decode("ascii", "replace"), tally.first_seq)
        _note_place(part, tally.greatest[_TIME].decode("ascii", "replace"), tally.last_seq)
        if tally.envelopes:
            _, started, ended = self._spans.setdefault(part.run_id, (part, [], []))
            (started if tally.way == _START else ended).extend(tally.envelopes)
        tally.clear()

    def _tally(self, head: bytes) -> _Tally:
        match = _HEAD.fullmatch(head)
        if match is None:
            return self._odd
        try:
            name = match[2].decode()
            tally = _Tally(self._part(match[1].decode()), name, _WAY.get(name, _INSIDE))
        except UnicodeDecodeError:
            return self._odd
        self._tallies[head[_KEY]] = tally
        return tally

    def _part(self, run_id: str) -> Part:
        part = self.parts.get(run_id)
        if part is None:
            part = self.parts[run_id] = self._load(run_id) or Part(run_id=run_id)
        return part

    def _decode(self, line: bytes) -> int:
        """Take in a line that cannot be counted by its looks; return its own number, 0 where it has none."""
        segment = self.segment
        event = decode_event(line)
        if event is None:
            segment.state.bad_lines += 1
            return 0
        number = event.seq if event.writer == segment.writer and event.seq is not None else 0
        part = self._part(event.run_id)
        segment.events += 1
        part.events += 1
        if event.writer is not None and event.writer != segment.writer:
            part.recorders.add(event.writer)
        _note_place(part, format_timestamp(event.timestamp), number)
        way = _WAY.get(event.event, _INSIDE)
        if way in {_START, _END}:
            part.starts += event.event == "node_started"
            part.failed += event.event == "node_failed"
            envelope = b"" if event.span_id is None else b"%b%b" % (_SPAN, event.span_id.encode() + b'"')
            _note_span(part, way, envelope)
        elif event.event == "events_lost":
            lost = decode_payload(EventsLost, event.data)[0]
            part.lost += lost.count or 0
            if lost.numbered and event.writer == segment.writer:
                segment.declared += lost.count or 0
        elif event.event in RUN_EVENTS:
            part.boundaries.append(_reduced(event))
        return number


def _match_spans(part: Part, started: list[bytes], ended: list[bytes]) -> None:
    """Note spans that began or ended, by the envelopes of their lines."""
    begun, done = set(started), set(ended)
    if len(begun) == len(started) and len(done) == len(ended):
        # Start and end of a span have the same envelope, so nearly all go away unread.
        started, ended = list(begun - done), list(done - begun)
    for envelope in started:
        _note_span(part, _START, envelope)
    for envelope in ended:
        _note_span(part, _END, envelope)


def _note_span(part: Part, way: int, envelope: bytes) -> None:
    place = envelope.find(_SPAN)
    if place < 0:
        if way == _START:
            part.nameless_starts += 1
        else:
            part.nameless_ends += 1
        return
    place += _SPAN_LENGTH
    span = envelope[place : envelope.find(b'"', place)].decode("utf-8", "replace")
    here, there = (part.open_spans, part.early_ends) if way == _START else (part.early_ends, part.open_spans)
    if span in there:
        there.remove(span)
    else:
        here.add(span)


def _note_place(part: Part, time: str, number: int) -> None:
    part.first_at = min(part.first_at or time, time)
    part.last_at = max(part.last_at, time)
    if number > 0:
        part.first_seq = number if part.first_seq is None else min(part.first_seq, number)
        part.last_seq = number if part.last_seq is None else max(part.last_seq, number)


def _reduced(event: Event) -> Event:
    """Return a boundary of a run with the few fields of its payload that the index needs."""
    payload = decode_payload(RUN_EVENTS[event.event], event.data)[0]
    kept: dict[str, Any] = {
        name: value for name in _KEPT if (value := getattr(payload, name, None)) is not None
    }
    original = getattr(payload, "attributes", {}).get(ORIGINAL)
    if isinstance(original, str):
        kept["attributes"] = {ORIGINAL: original}
    return Event(
        timestamp=event.timestamp,
        run_id=event.run_id,
        event=event.event,
        writer=event.writer,
        seq=event.seq,
        data=msgspec.Raw(msgspec.json.encode(kept)),
    )
