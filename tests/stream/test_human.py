from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.model.levels import FAMILY_OF, LEVELS
from clew.stream.human import format_human, should_colour
from clew.stream.values import format_duration
from tests.stream.fakes import RUN_ID, event_line

COLOUR = re.compile("\x1b\\[[0-9]+m")
START = "[2026-11-21 03:59:12.123] [INFO]"


def shown(data: object, event: str = "node_completed", **envelope: Any) -> str:
    """What follows the run's id on the line of one event."""
    return format_human(event_line(event, data=data, **envelope)).partition("run=0199c2f1a3b4 ")[2]


def test_a_completed_node_reads_like_the_documented_line() -> None:
    data = {"duration_ms": 812.4, "input_tokens": 12, "output_tokens": 40, "model": "large", "retries": 0}
    line = event_line(data=data, node_id="classify", span_id="00f067aa0ba902b7", writer="w", seq=3)
    assert format_human(line) == (
        f"{START} NODE_COMPLETED run=0199c2f1a3b4 node=classify duration=812ms tokens=12/40 model=large retries=0"
    )


def test_a_run_shows_its_name_as_the_workflow() -> None:
    assert shown({"name": "my-workflow", "type": "script"}, "workflow_started") == (
        "workflow=my-workflow type=script"
    )
    assert shown({"name": "loss"}, "metric_recorded") == "name=loss"


def test_an_event_from_another_system_keeps_its_run_id_and_fields() -> None:
    line = b'{"event": "mine", "run_id": "abc123", "timestamp": "2025-01-23T11:15:30.123+01:00", "k": [1, {"a": "b c"}]}'
    assert format_human(line) == '[2025-01-23 10:15:30.123] [INFO] MINE run=abc123 k=[1,{"a":"b c"}]'


@pytest.mark.parametrize(
    "timestamp, moment",
    [
        ("2025-01-23T10:15:30.999999Z", "2025-01-23 10:15:30.999"),
        ("2025-01-23T10:15:30Z", "2025-01-23 10:15:30.000"),
        ("2025-01-23T10:15:30", "2025-01-23 10:15:30.000"),
        ("2025-01-23T00:15:30+01:00", "2025-01-22 23:15:30.000"),
        ("0001-01-01T00:00:00+23:00", "0001-01-01 00:00:00.000"),
    ],
)
def test_times_are_utc_to_the_millisecond(timestamp: str, moment: str) -> None:
    line = json.dumps({"timestamp": timestamp, "run_id": "r", "event": "e"}).encode()
    assert format_human(line) == f"[{moment}] [INFO] E run=r"


@pytest.mark.parametrize(
    "value, text",
    [
        ("plain", "plain"),
        ("größe/x:y,z", "größe/x:y,z"),
        ("C:\\dir", "C:\\dir"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("a b\\n", '"a b\\\\n"'),
        ("line\none\ttab\r", '"line\\none\\ttab\\r"'),
        ("\x1b[31mred", '"\\x1b[31mred"'),
        ("\x9b31m", '"\\x9b31m"'),
        ("\x00\x7f", '"\\x00\\x7f"'),
        ("abc\u202egpj.exe", '"abc\\u202egpj.exe"'),
        ("zero\u200bwidth\ufeff", '"zero\\u200bwidth\\ufeff"'),
        ("no\u00a0break", '"no\\xa0break"'),
        ("para\u2029graph", '"para\\u2029graph"'),
        ("tag\U000e0041", '"tag\\U000e0041"'),
        (True, "true"),
        (None, "null"),
        (12345678901234567890123, "12345678901234567890123"),
        (0.1, "0.1"),
        ({"a": "b c", "d": [1, 2]}, '{"a":"b c","d":[1,2]}'),
        ({"a": "\x1b\u202e\n"}, '{"a":"\\u001b\\u202e\\n"}'),
        ([], "[]"),
    ],
)
def test_a_value_is_quoted_where_needed_and_always_harmless(value: object, text: str) -> None:
    assert shown({"k": value}) == f"k={text}"


def test_names_and_ids_are_as_harmless_as_values() -> None:
    line = event_line("my\nevent", "IN\x1bFO", data={"k\n=": 1}, node_id="a\nb")
    assert format_human(line) == (
        '[2026-11-21 03:59:12.123] ["IN\\x1bFO"] "MY\\nEVENT" run=0199c2f1a3b4 node="a\\nb" "k\\n="=1'
    )


def test_a_long_value_is_shortened_and_its_length_told() -> None:
    assert shown({"k": "x" * 81}) == f'k="{"x" * 80}"…(81)'
    assert shown({"k": "x" * 80}) == f"k={'x' * 80}"
    assert shown({"k": ["é" * 100]}) == f'k=["{"é" * 78}…(104)'


def test_an_error_is_shown_longer_than_other_values() -> None:
    assert shown({"error": "x" * 300}) == f"error={'x' * 300}"
    assert shown({"error": "x" * 321}) == f'error="{"x" * 320}"…(321)'


def test_whole_shortens_nothing_and_shows_the_ids() -> None:
    data = {"k": "x" * 500, "l": ["y" * 500]}
    line = event_line(
        data=data, node_id="n", span_id="00f067aa0ba902b7", parent_id="1" * 16, writer="w", seq=3
    )
    assert format_human(line, whole=True) == (
        f"{START} NODE_COMPLETED run={RUN_ID} node=n span=00f067aa0ba902b7 parent={'1' * 16} writer=w seq=3 "
        f'k={"x" * 500} l=["{"y" * 500}"]'
    )


@pytest.mark.parametrize(
    "data, text",
    [
        ({"input_tokens": 12}, "tokens=12/?"),
        ({"output_tokens": 7, "x": 1, "input_tokens": None}, "tokens=?/7 x=1"),
        ({"input_tokens": 5, "output_tokens": 6, "cached_tokens": 2}, "tokens=5/6 cached_tokens=2"),
        ({"input_tokens": "many", "output_tokens": 6}, "input_tokens=many output_tokens=6"),
        ({"tokens": 3, "input_tokens": 5}, "tokens=3 input_tokens=5"),
    ],
)
def test_tokens_are_sent_slash_received(data: object, text: str) -> None:
    assert shown(data) == text


@pytest.mark.parametrize(
    "data, text",
    [
        ({"waited_ms": 1500}, "waited=1.5s"),
        ({"lag_us": 20}, "lag=20us"),
        ({"self_ns": 20}, "self=20ns"),
        ({"duration_ms": None}, "duration_ms=null"),
        ({"duration_ms": "long"}, "duration_ms=long"),
        ({"duration_ms": -1}, "duration_ms=-1"),
        ({"_ms": 5}, "_ms=5"),
        ({"duration": 1, "duration_ms": 5}, "duration=1 duration_ms=5"),
    ],
)
def test_a_field_in_a_unit_of_time_is_a_duration(data: object, text: str) -> None:
    assert shown(data) == text


@pytest.mark.parametrize(
    "nanoseconds, text",
    [
        (0, "0ns"),
        (999, "999ns"),
        (999.6, "1us"),
        (12_345, "12.3us"),
        (999_600, "1ms"),
        (812_400_000, "812ms"),
        (999_900_000, "1s"),
        (1_500_000_000, "1.5s"),
        (59_940_000_000, "59.9s"),
        (59_960_000_000, "1min0s"),
        (125_000_000_000, "2min5s"),
        (3_599_900_000_000, "1h0min"),
        (3_600_000_000_000, "1h0min"),
        (90_061_000_000_000, "25h1min"),
    ],
)
def test_a_duration_has_the_unit_that_reads_best(nanoseconds: float, text: str) -> None:
    assert format_duration(nanoseconds) == text


def test_attributes_and_metrics_are_shown_one_by_one() -> None:
    data = {"metrics": {"loss": 0.5}, "attributes": {"iteration": "3", "tags": ["a"]}, "outputs": {"x": 1}}
    assert shown(data) == 'loss=0.5 iteration=3 tags=["a"] outputs={"x":1}'


def test_a_name_that_is_taken_is_shown_with_where_it_comes_from() -> None:
    data = {"node": "route", "x": 1, "attributes": {"x": 2, "run": "r"}, "metrics": {"x": 3}}
    assert (
        shown(data, node_id="n") == "node=n data.node=route x=1 attributes.x=2 attributes.run=r metrics.x=3"
    )


@pytest.mark.parametrize("data", [[1, 2], "text", 5, None])
def test_a_payload_that_is_no_object_is_shown_as_a_value(data: object) -> None:
    line = event_line().replace(b'"data":{}', b'"data":' + json.dumps(data).encode())
    assert format_human(line).endswith(f" value={json.dumps(data, separators=(',', ':'))}".replace('"', ""))


@pytest.mark.parametrize(
    "line, text",
    [
        (b'{"torn":"lin', '{"torn":"lin'),
        (b"\x1b[2J\xff\x00\n", "\\x1b[2J\\xff\\x00\\n"),
        (b"", ""),
        (b"x" * 400, "x" * 320 + "…(400)"),
    ],
)
def test_a_line_that_is_no_event_is_shown_as_it_is_but_harmless(line: bytes, text: str) -> None:
    assert format_human(line) == text


@pytest.mark.parametrize(
    "event, level, paint",
    [
        ("node_failed", "ERROR", 31),
        ("job_failed", "INFO", 31),
        ("mine", "ERROR", 31),
        ("mine", "WARNING", 33),
        ("run_interrupted", "INFO", 33),
        ("mine", "DEBUG", 2),
        ("node_completed", "INFO", 32),
        ("mine", "INFO", None),
    ],
)
def test_colours_say_how_it_went(event: str, level: str, paint: int | None) -> None:
    painted = format_human(event_line(event, level), colour=True)
    title = f"[{level}] {event.upper()}"
    assert (f"\x1b[{paint}m{title}\x1b[0m" if paint else f"\x1b[0m {title} run=") in painted


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
field_names = st.one_of(
    st.text(max_size=10),
    st.sampled_from(
        ["duration_ms", "input_tokens", "output_tokens", "error", "attributes", "metrics", "name", "node"]
    ),
)


def assert_one_harmless_line(line: bytes) -> None:
    for whole in (False, True):
        text = format_human(line, whole=whole)
        assert text.isprintable()
        assert COLOUR.sub("", format_human(line, whole=whole, colour=True)) == text


@settings(max_examples=300, deadline=None)
@given(
    data=st.dictionaries(field_names, json_values, max_size=5) | json_values,
    event=st.sampled_from(list(FAMILY_OF)) | st.text(),
    level=st.sampled_from(LEVELS) | st.text(),
    node_id=st.none() | st.text(),
    extra=st.dictionaries(st.text(), json_values, max_size=2),
)
def test_any_payload_is_one_printable_line(
    data: object, event: str, level: str, node_id: str | None, extra: dict[str, object]
) -> None:
    fields = {"timestamp": "2026-11-21T03:59:12Z", "run_id": "r", "event": event, "level": level}
    line = json.dumps({**extra, **fields, "node_id": node_id, "data": data}).encode()
    assert_one_harmless_line(line)
    assert_one_harmless_line(
        json.dumps({**fields, "data": data}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )


@settings(max_examples=300, deadline=None)
@given(st.binary(), st.binary())
def test_any_bytes_are_one_printable_line(line: bytes, payload: bytes) -> None:
    assert_one_harmless_line(line)
    assert_one_harmless_line(event_line().replace(b'"data":{}', b'"data":{"k":"' + payload + b'"}'))
    assert_one_harmless_line(event_line().replace(b'"data":{}', b'"data":' + payload))


@pytest.mark.parametrize(
    "payload",
    [b"[" * 100_000 + b"]" * 100_000, b"9" * 10_000, b"1e999", b'"\\ud800"', b'{"a":1,"a":2}', b"NaN"],
)
def test_a_payload_at_the_edge_of_json_is_one_printable_line(payload: bytes) -> None:
    assert_one_harmless_line(event_line().replace(b'"data":{}', b'"data":{"k_ms":' + payload + b"}"))
    assert_one_harmless_line(event_line().replace(b'"data":{}', b'"data":' + payload))
    assert_one_harmless_line(event_line().replace(b'"data":{}', b'"new":' + payload))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "environ, on_terminal, on_file",
    [
        ({}, True, False),
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colours_are_for_terminals_unless_the_environment_says_otherwise(
    environ: dict[str, str], on_terminal: bool, on_file: bool
) -> None:
    assert should_colour(Terminal(), environ) is on_terminal
    assert should_colour(io.StringIO(), environ) is on_file


def test_a_closed_or_missing_stream_is_no_terminal() -> None:
    closed = io.StringIO()
    closed.close()
    assert [should_colour(stream, {}) for stream in (closed, None, 10_000)] == [False, False, False]
