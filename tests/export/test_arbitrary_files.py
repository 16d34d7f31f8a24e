"""Files that nobody foresaw: bytes, right keys with wrong values, real files with damage. Nothing but a refusal raises."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.errors import ImportFormatError, UnknownFormatError
from clew.export.formats import EXPORTERS, IMPORTERS, detect, read
from clew.export.scan import as_utf8
from clew.model.events import decode_event, encode_event
from clew.model.trace import ExecutionTrace
from tests.export.made_traces import random_trace
from tests.export.sample_files import RUN_FOLDERS, SPANS, TELEMETRY, sample

BOM = b"\xef\xbb\xbf"


def try_all(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    for name in IMPORTERS:
        try:
            imported = read(path, format_name=name)
        except ImportFormatError:
            continue
        for run in imported.runs:
            assert len(run.run_id) == 32
            for event in run.events:
                line = encode_event(event)
                assert b"\n" not in line
                assert decode_event(line) == event
    with contextlib.suppress(ImportFormatError, UnknownFormatError):
        read(path)


@given(data=st.binary(max_size=300))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_are_read_or_refused(data: bytes, tmp_path: Path) -> None:
    try_all(tmp_path / "bytes", data)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *("timestamp", "run_id", "event", "level", "data", "node_id", "span_id", "parent_id", "writer", "seq"),
    *(
        "name",
        "start_time",
        "end_time",
        "duration",
        "metrics",
        "tags",
        "spans",
        "nodes",
        "trace",
        "id",
        "tokens",
    ),
    *(
        "error",
        "skipped",
        "input",
        "output",
        "type",
        "attributes",
        "duration_ms",
        "error_msg",
        "job_id",
        "clew",
    ),
)
LIKELY: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            "workflow_started",
            "workflow_completed",
            "node_started",
            "node_completed",
            "node_failed",
            "node_skipped",
        ),
        *(
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:01",
            "0001-01-01T00:00:00+10:00",
            "9999-12-31T23:59:59-10:00",
        ),
        *("r", "n", "branch", 0, 1.5, 2.5, 1e300, -1e11, 10**400, 10**19, {}, [], None, "job", "NaN"),
    ]
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), LIKELY | JSON, min_size=2, max_size=8)
NESTED = st.dictionaries(
    st.sampled_from(FIELDS), LIKELY | OBJECTS | st.lists(OBJECTS, max_size=3), min_size=3, max_size=10
)


@given(values=st.lists(NESTED, min_size=1, max_size=6))
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_objects_with_the_right_keys_and_any_values_are_read_or_refused(
    values: list[dict[str, Any]], tmp_path: Path
) -> None:
    try_all(tmp_path / "values", "\n".join(json.dumps(value) for value in values).encode())


def seeds() -> list[bytes]:
    names = (*TELEMETRY, SPANS, *(f"{folder}/trace.json" for folder in RUN_FOLDERS))
    ours = random_trace(7, steps=20)
    lines = b"\n".join(encode_event(event) for event in ours.to_events())
    return [sample(name).read_bytes() for name in names] + [lines, ours.to_json(), ours.to_json(indent=2)]


@given(data=st.data())
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_real_files_with_any_damage_are_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(data.draw(st.sampled_from(seeds())))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 40))
        piece = data.draw(
            st.binary(max_size=8)
            | st.sampled_from(
                [b"null", b"{}", b"[]", b'"x"', b"-1", b"1e999", b"1e400", b"NaN", b"\\ud800", b"\n", b'"']
            )
        )
        content[start : start + length] = piece
    try_all(tmp_path / "damaged", bytes(content))


@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_prefix_of_a_telemetry_file_reads_as_a_prefix_of_its_events(
    data: st.DataObject, tmp_path: Path
) -> None:
    content = sample(data.draw(st.sampled_from(TELEMETRY))).read_bytes()
    path = tmp_path / "prefix"
    path.write_bytes(content)
    whole = [(event.event, event.timestamp) for run in read(path).runs for event in run.events]
    cut = data.draw(st.integers(content.index(b"\n"), len(content)))
    path.write_bytes(content[:cut])
    part = [(event.event, event.timestamp) for run in read(path).runs for event in run.events]
    assert set(part) <= set(whole)
    complete = sum(is_whole(line) for line in content[:cut].split(b"\n"))
    made = sum(
        run.events[0].values().get("attributes", {}).get("start_recorded") is False for run in read(path).runs
    )
    assert len(part) == complete + made


def is_whole(line: bytes) -> bool:
    try:
        return "event" in json.loads(line)
    except ValueError:
        return False


@given(st.binary(max_size=200))
def test_turning_text_into_utf_8_never_fails(data: bytes) -> None:
    for text in (data, b"\xff\xfe" + data, b"\xfe\xff" + data, BOM + data):
        as_utf8(text).decode("utf-8", "replace")


@given(st.binary(max_size=200))
def test_telling_the_format_of_bytes_names_one_or_refuses(head: bytes) -> None:
    with contextlib.suppress(UnknownFormatError):
        assert detect(Path("x"), head).name in IMPORTERS


@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_read_becomes_a_trace_that_every_format_can_write(
    data: st.DataObject, tmp_path: Path
) -> None:
    content = data.draw(st.sampled_from(seeds()))
    for _ in range(3):
        places = [match.span() for match in VALUE.finditer(content)]
        start, end = places[data.draw(st.integers(0, len(places) - 1))]
        content = content[:start] + data.draw(st.sampled_from(ODD)) + content[end:]
    path = tmp_path / "odd"
    path.write_bytes(content)
    try:
        runs = read(path).runs
    except (ImportFormatError, UnknownFormatError):
        return
    for run in runs:
        trace = ExecutionTrace.from_events(run.events)
        for exporter in EXPORTERS.values():
            out = io.BytesIO()
            exporter.write(trace, out)
            if exporter.suffix.endswith(".json"):
                json.loads(out.getvalue(), parse_constant=pytest.fail)
            elif exporter.suffix == ".jsonl":
                for line in out.getvalue().splitlines():
                    json.loads(line, parse_constant=pytest.fail)


VALUE = re.compile(rb'(?<=[:\s\[])(-?\d[\d.e+-]*|"[^"\\]*"|null|true|false|\{\})(?=[,}\]\s])')
ODD = [
    *(b"null", b"{}", b"[]", b'"x"', b'""', b"-1", b"true", b"NaN", b"1e999", b"1e300", b"1e18", b"9" * 30),
    *(b'"2026-01-01T00:00:00"', b'"0001-01-01T00:00:00+05:00"', b'["a",{"b":[]}]', b'"\\ud800"'),
    b'{"error":"E","error_msg":"m"}',
]
