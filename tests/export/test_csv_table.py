"""The table, read back by Python's csv module and compared with the trace cell by cell."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.export.csv_table import COLUMNS, unguarded, write
from clew.model.trace import ExecutionTrace
from tests.export.made_traces import Recording, random_trace

FIXED = (
    "run_id,run_name,index,node_id,kind,span_id,parent_id,attempt,iteration,status,started_at,ended_at,duration_ms,"
    "self_time_ms,error_type,error,skip_reason,model,input_tokens,output_tokens,cached_tokens,reasoning_tokens,"
    "cost_usd,tools_called,writer"
)


def table(trace: ExecutionTrace) -> tuple[list[str], list[dict[str, str]]]:
    out = io.BytesIO()
    write(trace, out)
    header, *rows = csv.reader(io.StringIO(out.getvalue().decode("utf-8"), newline=""), strict=True)
    return header, [dict(zip(header, row, strict=True)) for row in rows]


def one_node(**data: Any) -> dict[str, str]:
    made = Recording()
    made.start("s", node=data.pop("node", "n"), attributes=data.pop("attributes", {}))
    made.now_ns = 1_234_567
    made.end("s", **data)
    (row,) = table(made.trace())[1]
    return row


def test_the_fixed_columns_stay_as_they_are() -> None:
    assert ",".join(COLUMNS) == FIXED


@pytest.mark.parametrize("seed", range(8))
def test_every_execution_is_a_row_with_what_the_trace_says(seed: int) -> None:
    trace = random_trace(seed)
    header, rows = table(trace)
    assert header == [*COLUMNS, "metric.loss", "metric.score", "attr.seed", "attr.thread"]
    for row, node in zip(rows, trace.nodes, strict=True):
        assert unguarded(row["node_id"]) == node.node_id
        assert (row["run_id"], row["run_name"], int(row["index"])) == (trace.run_id, "made", node.index)
        assert (row["status"], row["span_id"], row["parent_id"]) == (
            node.status,
            node.span_id,
            node.parent_id or "",
        )
        assert row["duration_ms"] == ("" if node.duration_ns is None else str(node.duration_ns / 1e6))
        assert row["error"] == ("" if node.error is None else "boom\nsecond line")
        assert row["skip_reason"] == ("edge_condition_false" if node.status == "skipped" else "")
        assert row["input_tokens"] == ("" if node.usage is None else "7")
        assert row["cost_usd"] == ("" if node.cost_usd is None else "0.25")
        assert row["metric.score"] == str(node.metrics.get("score", ""))
        assert row["attr.seed"] == node.attributes.get("seed", "")
        assert row["attr.thread"] == str(node.attributes.get("thread", ""))
        started = "" if node.started_at is None else node.started_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert row["started_at"] == started


def test_lines_end_as_the_standard_says_and_the_text_is_utf_8() -> None:
    out = io.BytesIO()
    made = Recording()
    made.start("s", node='näht, "zwei"\r\nzeilig')
    write(made.trace(), out)
    assert out.getvalue().endswith(b"\r\n")
    assert '"näht, ""zwei""\r\nzeilig"'.encode() in out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd",
        "-2+3",
        "@SUM(A1)",
        "\tx",
        "\r=x",
        "'=1",
        "''=1",
        '=HYPERLINK("http://x")',
        "-",
        "+",
        "--5",
        "+1+1",
    ],
)
def test_a_text_that_a_spreadsheet_would_run_is_guarded_and_can_be_had_back(text: str) -> None:
    row = one_node(attributes={"tag": text}, node=text, error_msg=text)
    for column in ("attr.tag", "node_id"):
        assert row[column] == f"'{text}"
        assert unguarded(row[column]) == text


@pytest.mark.parametrize("text", ["-5", "+0.25", "-1e-3", "'tis", "a=b", "", " =1", "5", "."])
def test_a_text_that_does_nothing_stays_as_it_is(text: str) -> None:
    row = one_node(attributes={"tag": text})
    assert row["attr.tag"] == unguarded(row["attr.tag"]) == text


@given(st.text(st.sampled_from("=+-@\t\r'5.e a\"\n,ä"), max_size=6))
def test_no_cell_begins_as_a_formula_and_every_text_comes_back(text: str) -> None:
    cell = one_node(attributes={"tag": text})["attr.tag"]
    assert unguarded(cell) == text
    if cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        assert math.isfinite(float(cell))


def test_values_that_are_no_text_have_one_spelling_each() -> None:
    attributes = {"yes": True, "none": None, "list": ["=1", 2], "int": -3, "big": 10**30, "float": -0.5}
    row = one_node(
        attributes=attributes, metrics={"nan": "NaN", "inf": "-Infinity", "neg": -2.5}, tools_called=["a"]
    )
    assert (row["attr.yes"], row["attr.none"], row["attr.int"], row["attr.float"]) == (
        "true",
        "",
        "-3",
        "-0.5",
    )
    assert (json.loads(row["attr.list"]), int(row["attr.big"])) == (["=1", 2], 10**30)
    assert (row["metric.nan"], row["metric.inf"], row["metric.neg"]) == ("NaN", "-Infinity", "-2.5")
    assert json.loads(row["tools_called"]) == ["a"]
    assert row["duration_ms"] == "1.234567"


def test_a_run_without_executions_is_a_header() -> None:
    header, rows = table(ExecutionTrace(run_id="x"))
    assert (header, rows) == (list(COLUMNS), [])
