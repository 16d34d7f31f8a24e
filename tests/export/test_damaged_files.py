"""Files that are torn, mixed, converted or garbage: what is whole is read, the rest is counted, nothing else raises."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ImportFormatError
from clew.export.contract import Imported
from clew.export.formats import read
from clew.export.scan import Scan
from clew.model.events import decode_event, encode_event
from tests.export.sample_files import RUN_FOLDERS, TELEMETRY, sample

BOM = b"\xef\xbb\xbf"
Reading = Callable[..., Imported]


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    def read_bytes(data: bytes, format_name: str | None = None) -> Imported:
        path = tmp_path / "a file"
        path.write_bytes(data)
        return read(path, format_name=format_name)

    return read_bytes


def event_line(second: int, event: str = "note", **fields: Any) -> bytes:
    line = {
        "timestamp": f"2026-01-01T00:00:{second:02}.123Z",
        "run_id": "r",
        "event": event,
        "data": {"n": second},
    }
    return json.dumps({**line, **fields}).encode()


def seconds(imported: Imported) -> list[int]:
    events = [event for run in imported.runs for event in run.events]
    return [event.values()["n"] for event in events if event.event != "workflow_started"]


LINES = [event_line(1), event_line(2), event_line(3)]


@pytest.mark.parametrize(
    "data",
    [
        b"\n".join(LINES),
        b"\r\n".join(LINES) + b"\r\n",
        b"\n\n  \n".join(LINES) + b"\n\n",
        BOM + b"\n".join(LINES),
        b"\n".join(BOM + line for line in LINES),
        b"\n".join(LINES) + b"\0" * 5000,
        b"".join(LINES),
        b"  \t" + b" ".join(LINES),
        b"\n".join(json.dumps(json.loads(line), indent=4).encode() for line in LINES),
        b"\n\n".join(json.dumps(json.loads(line), indent=2).encode() for line in LINES).replace(
            b"\n", b"\r\n"
        ),
        b"[" + b",\n".join(LINES) + b"]",
        json.dumps([json.loads(line) for line in LINES], indent=2).encode(),
        b"\n".join(LINES).decode().encode("utf-16"),
        b"\xfe\xff" + b"\n".join(LINES).decode().encode("utf-16-be"),
        b"\n".join(json.dumps(dict(reversed(json.loads(line).items()))).encode() for line in LINES),
    ],
)
def test_the_same_events_are_read_however_the_file_lays_them_out(data: bytes, reading: Reading) -> None:
    imported = reading(data)
    assert seconds(imported) == [1, 2, 3]
    assert (imported.format, imported.skipped) == ("trident", 0)
    assert all(b"\n" not in encode_event(event) for event in imported.runs[0].events)


@pytest.mark.parametrize(
    "middle, skipped",
    [
        (b'=== Execution Complete ===\n\nOutputs:\n{\n  "n": 3\n}', 3),
        (b'{"timestamp": "2026-01-01T00:', 1),
        (b'{"timestamp": "2026-01-01T00:00:00Z", "run_id": "r", "data": {', 1),
        (b'"level": "INFO", "data": {"n": 9}}', 1),
        (b'{}\n[]\nnull\n1\n"text"', 5),
        (b'{"event": "note", "run_id": "r"}', 1),
        (b'{"timestamp": "soon", "event": "note", "run_id": "r"}', 1),
        (b'{"timestamp": "2026-01-01T00:00:00Z", "event": "", "run_id": "r"}', 1),
        (b"\xff\xfe\xfd garbage \x00\x01", 1),
        (b"[" * 100_000, 1),
        (b'{"a":' * 100_000, 1),
        (b"[OK] input", 1),
    ],
)
def test_what_is_no_event_is_counted_and_does_not_hide_its_neighbours(
    middle: bytes, skipped: int, reading: Reading
) -> None:
    imported = reading(LINES[0] + b"\n" + middle + b"\n" + LINES[1])
    assert seconds(imported) == [1, 2]
    assert imported.skipped == skipped


def test_a_whole_line_behind_a_torn_one_is_read(reading: Reading) -> None:
    imported = reading(LINES[0] + b'\n{"timestamp": "2026-01-0' + LINES[1] + b"\n" + LINES[2])
    assert seconds(imported) == [1, 2, 3]
    assert imported.skipped == 1


def test_a_line_that_is_damaged_in_two_places_counts_once(reading: Reading) -> None:
    imported = reading(b'{"timestamp": "2026-01-0' + LINES[0] + b" and text\n" + LINES[1])
    assert seconds(imported) == [1, 2]
    assert imported.skipped == 1


def test_numbers_and_texts_that_json_does_not_have_are_read(reading: Reading) -> None:
    values = (
        b'{"n": NaN, "i": [Infinity, -Infinity], "s": "\\ud800x", "big": 1e999, "pair": "\\ud83d\\ude00"}'
    )
    imported = reading(LINES[0].replace(b'{"n": 1}', values) + b"\n" + LINES[1].replace(b"note", b"n\xf6te"))
    first, second = imported.runs[0].events[1:]
    assert first.values() == {
        "n": "NaN",
        "i": ["Infinity", "-Infinity"],
        "s": "\ufffdx",
        "big": "Infinity",
        "pair": "\U0001f600",
    }
    assert second.event == "n\ufffdte"
    assert all(decode_event(encode_event(event)) == event for event in (first, second))


@pytest.mark.parametrize(
    "payload", [b'{"n": 1, "x": 1e999}', b'{"n": 1, "x": "\\ud800"}', b'{"n": 1, "x": "\xff"}']
)
@pytest.mark.parametrize("as_document", [False, True])
def test_a_payload_that_only_looks_whole_is_mended(
    payload: bytes, as_document: bool, reading: Reading
) -> None:
    line = LINES[0].replace(b'{"n": 1}', payload)
    document = b'{"run_id": "r", "last_event_at": "2026-01-01T00:00:00Z", "events": [%s]}' % line
    data = document if as_document else line
    (event,) = [event for event in reading(data).runs[0].events if event.event == "note"]
    assert event.values() == {"n": 1, "x": "Infinity" if b"999" in payload else "\ufffd"}


@pytest.mark.parametrize(
    "timestamp, expected",
    [
        ("2025-01-23T10:15:30.123Z", "2025-01-23T10:15:30.123000+00:00"),
        ("2025-01-23T10:15:30Z", "2025-01-23T10:15:30+00:00"),
        ("2025-01-23T12:15:30.123456+02:00", "2025-01-23T10:15:30.123456+00:00"),
        ("2025-01-23T10:15:30.123456", "2025-01-23T10:15:30.123456+00:00"),
        ("2025-01-23 10:15:30.123456400Z", "2025-01-23T10:15:30.123456+00:00"),
        (1737627330.5, "2025-01-23T10:15:30.500000+00:00"),
        (1737627330500, "2025-01-23T10:15:30.500000+00:00"),
    ],
)
def test_a_date_is_read_in_every_usual_spelling(timestamp: object, expected: str, reading: Reading) -> None:
    imported = reading(event_line(1, timestamp=timestamp))
    assert imported.runs[0].events[1].timestamp.isoformat() == expected


def test_fields_of_the_envelope_that_are_odd_are_kept(reading: Reading) -> None:
    line = event_line(1, level="warn", node_id=7, seq="x", host="h", data=[1])
    event = reading(line).runs[0].events[1]
    assert (event.level, event.node_id) == ("WARNING", None)
    assert event.extra == {"host": "h", "original_envelope": {"node_id": 7, "seq": "x"}}
    assert decode_event(encode_event(event)) == event
    assert event.values() == {"value": [1]}


def test_interleaved_writes_of_threads_lose_only_what_is_torn(reading: Reading) -> None:
    chance = random.Random(5)
    lines = [event_line(n % 60, node_id=f"n{n}", data={"n": n, "text": "{" * (n % 3)}) for n in range(400)]
    out = bytearray()
    torn = set()
    for n, line in enumerate(lines):
        if chance.random() < 0.1 and n:
            cut = chance.randrange(1, len(line))
            out += line[:cut]  # and the rest of it never came, nor its newline
            torn.add(n)
        else:
            out += line + (b"\n\n" if chance.random() < 0.1 else b"\n" if chance.random() < 0.9 else b"")
    assert set(range(400)) - set(seconds(reading(bytes(out)))) == torn


def test_several_runs_in_turn_and_indented_traces_after_each_other_are_all_read(tmp_path: Path) -> None:
    names = [sample(name).read_bytes() for name in TELEMETRY]
    path = tmp_path / "all.jsonl"
    path.write_bytes(b"\n".join(names))
    apart = [run for name in TELEMETRY for run in read(sample(name)).runs]
    assert list(read(path).runs) == apart
    traces = [(sample(folder) / "trace.json").read_bytes() for folder in RUN_FOLDERS]
    path.write_bytes(b"".join(traces))
    assert [run.original_run_id for run in read(path).runs] == [
        json.loads(trace)["run_id"] for trace in traces
    ]
    path.write_bytes(b"\n".join(json.dumps(json.loads(trace)).encode() for trace in traces))
    assert [run.original_run_id for run in read(path).runs] == [
        json.loads(trace)["run_id"] for trace in traces
    ]


def test_a_file_of_nothing_but_torn_lines_takes_time_in_proportion() -> None:
    line = b'{"a": {"b": [1, 2, \n'
    looks = Scan[object](line * 20_000, value=lambda _: [])
    assert list(looks) == []
    assert looks.skipped == 20_000


MESSAGES = {
    "jsonl": "expected a line that is a JSON object with timestamp, run_id and event",
    "trident": "expected a telemetry line with timestamp, run_id and event, or a trace.json",
    "modelops": "expected a span with name, start_time and end_time in seconds",
    "json": "expected one JSON document as `clew export --to json` writes it",
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(
    "data, line",
    [(b"", 1), (b"\n\n  hello\nworld", 3), (b'{"a": 1}', 1), (b"\x00\xff", 1), (b"[]", 1), (b"[[{}]]", 1)],
)
def test_a_file_in_which_nothing_parses_is_refused_with_its_line_and_what_was_expected(
    name: str, data: bytes, line: int, reading: Reading, tmp_path: Path
) -> None:
    with pytest.raises(ImportFormatError) as refused:
        reading(data, name)
    message = str(refused.value)
    if data in (b"", b"\x00\xff") or name == "json":
        line = 3 if (name, line) == ("json", 3) else 1
    assert message.startswith(f"{tmp_path / 'a file'}, line {line}: {MESSAGES[name]}")
    assert message.endswith(".")
    assert "\n" not in message


def test_the_message_does_not_repeat_escapes_of_a_terminal(reading: Reading) -> None:
    with pytest.raises(ImportFormatError) as refused:
        reading(b"\x1b[31mred\x1b]0;title\x07", "trident")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", str(refused.value))


@pytest.mark.parametrize("beside", [{"host": "h"}, {}])
def test_no_field_can_take_the_place_of_one_in_the_envelope(beside: dict[str, Any], reading: Reading) -> None:
    taking = {"$extra": {"run_id": "../../etc", "writer": "w", "seq": 3}}
    line = json.dumps({**json.loads(event_line(1)), **taking, **beside}).encode()
    event = reading(line).runs[0].events[1]
    assert event.extra == {**beside, "original_envelope": taking}
    assert decode_event(encode_event(event)) == event
