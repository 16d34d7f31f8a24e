"""Lines become events and lines again, whatever their writer's version or system was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.model.boundaries import NodeCompleted, NodeStarted
from clew.model.events import EMPTY, Event, decode_event, decode_payload, encode_event, format_timestamp
from clew.model.levels import FAMILY_OF
from clew.model.payloads import PAYLOADS
from clew.model.trace import ExecutionTrace
from tests.model.event_streams import Stream, streams, values

LINE = (
    b'{"timestamp":"2026-11-21T03:59:12.123456Z","run_id":"0193514c5d2a7b3e8f10a2b3c4d5e6f7","event":"node_started",'
    b'"level":"INFO","node_id":"ask","span_id":"5fa1b2c300000001","parent_id":"0000000000000000",'
    b'"writer":"a1b2c3d4e5f60718","seq":17,"data":{"attributes":{"k":3}}}'
)


def changed(**fields: Any) -> bytes:
    return msgspec.json.encode(json.loads(LINE) | fields)


def event_of(line: bytes) -> Event:
    event = decode_event(line)
    assert event is not None
    return event


def test_a_line_of_ours_is_written_again_byte_for_byte() -> None:
    assert encode_event(event_of(LINE)) == LINE


@settings(deadline=None, max_examples=150)
@given(streams())
def test_a_line_says_the_same_after_it_was_read_and_written(stream: Stream) -> None:
    for line in stream.lines:
        assert json.loads(encode_event(event_of(line))) == {"level": "INFO"} | json.loads(line)


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_garbage_is_no_event_and_no_error(garbage: bytes) -> None:
    for line in (garbage, LINE[:40] + garbage + LINE[60:], LINE.replace(b"ask", garbage)):
        event = decode_event(line)
        assert event is None or isinstance(event, Event)


def test_a_line_that_is_cut_short_is_no_event() -> None:
    assert [cut for cut in range(len(LINE)) if decode_event(LINE[:cut]) is not None] == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"clew":"segment","writer":"x"}',
        changed(timestamp=5),
        changed(timestamp="yesterday"),
        changed(timestamp=None),
        changed(run_id=None),
        changed(run_id=7),
        changed(event=["node_started"]),
        LINE.replace(b"ask", b"\xff"),
        LINE.replace(b'"k":3', b'"k":"\xff"'),
        LINE.replace(b'"k":3', b'"\xe2\x82":3'),
        LINE.replace(b"ask", b"\\ud800"),
        b'{"data":' + b"[" * 100_000,
    ],
)
def test_without_time_run_and_name_it_is_no_event(line: bytes) -> None:
    assert decode_event(line) is None


@settings(deadline=None)
@given(
    st.sampled_from(["level", "node_id", "span_id", "parent_id", "writer", "seq", "data", "shard", "extra"]),
    values,
)
def test_a_field_of_another_type_is_kept_and_written_as_it_was(name: str, value: object) -> None:
    line = changed(**{name: value})
    assert json.loads(encode_event(event_of(line))).get(name) == value


def test_unknown_fields_of_the_envelope_are_kept_apart() -> None:
    event = event_of(changed(shard=3, nested={"a": [1]}))
    assert event.extra == {"shard": 3, "nested": {"a": [1]}}
    assert event.node_id == "ask"


def test_a_time_without_a_zone_is_utc() -> None:
    event = event_of(changed(timestamp="2026-11-21T03:59:12.5"))
    assert event.timestamp == datetime(2026, 11, 21, 3, 59, 12, 500_000, tzinfo=UTC)


def test_times_with_and_without_a_zone_fold_into_one_trace() -> None:
    zones = ("", "Z", "+02:00")
    lines = [
        changed(timestamp=f"2026-11-21T05:59:1{i}{zone}", seq=i, span_id=str(i))
        for i, zone in enumerate(zones)
    ]
    trace = ExecutionTrace.from_events(map(event_of, lines))
    assert ExecutionTrace.from_events(trace.to_events()) == trace
    assert [node.span_id for node in trace.nodes] == ["2", "0", "1"]


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00"])
def test_the_first_and_the_last_day_that_there_is_can_be_written(timestamp: str) -> None:
    assert decode_event(encode_event(event_of(changed(timestamp=timestamp)))) is not None


def test_a_timestamp_is_utc_to_the_microsecond() -> None:
    moment = datetime.fromisoformat("2026-11-21T05:00:00+02:00") + timedelta(microseconds=7)
    assert format_timestamp(moment) == "2026-11-21T03:00:00.000007Z"


def test_events_are_equal_that_say_the_same_however_their_data_is_spaced() -> None:
    spaced = LINE.replace(b'{"attributes":{"k":3}}', b'{ "attributes" : {"k": 3} }')
    assert event_of(spaced) == event_of(LINE)
    assert hash(event_of(spaced)) == hash(event_of(LINE))
    assert event_of(LINE.replace(b'"k":3', b'"k":4')) != event_of(LINE)
    assert event_of(LINE.replace(b"ask", b"tell")) != event_of(LINE)
    assert event_of(LINE) != "an event"


def test_a_payload_that_is_no_object_is_kept_under_value() -> None:
    event = event_of(changed(data=[1, 2]))
    assert event.values() == {"value": [1, 2]}
    assert decode_payload(NodeStarted, event.data) == (NodeStarted(), {"value": [1, 2]})


def test_fields_that_a_payload_cannot_take_are_beside_it() -> None:
    data = msgspec.json.encode({"attempt": "two", "type": "tool", "temperature": 0.5})
    assert decode_payload(NodeStarted, data) == (
        NodeStarted(type="tool"),
        {"attempt": "two", "temperature": 0.5},
    )


def test_a_payload_keeps_what_it_knows_however_many_fields_it_cannot_take() -> None:
    data = msgspec.json.encode({"duration_ms": [], "metrics": 1, "tools_called": {}, "model": "large"})
    payload, extra = decode_payload(NodeCompleted, data)
    assert (payload.model, sorted(extra)) == ("large", ["duration_ms", "metrics", "tools_called"])


@pytest.mark.parametrize("data", [b'{"attempt":1e999}', b"\xff", b"{", b"[" * 5000])
def test_a_payload_that_cannot_be_decoded_is_kept_as_text(data: bytes) -> None:
    assert decode_payload(NodeStarted, data) == (
        NodeStarted(),
        {"undecoded": data.decode("utf-8", "replace")},
    )


def test_a_users_own_event_has_no_typed_payload() -> None:
    assert event_of(changed(event="coffee_brewed")).payload() is None
    assert event_of(LINE).payload() == NodeStarted(attributes={"k": 3})


def test_an_event_without_data_has_an_empty_payload() -> None:
    fields = json.loads(LINE)
    del fields["data"]
    event = event_of(msgspec.json.encode(fields))
    assert bytes(event.data) == bytes(EMPTY)
    assert event.values() == {}


def test_every_event_that_has_a_family_has_a_payload_and_the_other_way_round() -> None:
    assert set(PAYLOADS) == set(FAMILY_OF)
