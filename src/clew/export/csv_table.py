"""A table for spreadsheets and data frames: one row an execution. RFC 4180, UTF-8, a header.

Columns: those of COLUMNS, always and in this order; then `metric.<name>` and `attr.<name>` for every metric and
attribute that any execution has, sorted by name. A cell without a value is empty. Dates are ISO 8601 in UTC, numbers
have a point, NaN and the infinities are `NaN`, `Infinity`, `-Infinity`; what is neither text nor number is JSON.
Inputs, outputs and events are left out: they are for the formats in JSON.

A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` as a formula, and what a program recorded is not to be
run. Such a text gets an apostrophe in front, which spreadsheets take for "this is text", as does one that begins with
a tab or a carriage return; a text that is just a number stays bare, for it does nothing. `unguarded` takes the
apostrophe away again, exactly.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from typing import Any, BinaryIO, Final

import msgspec

from clew.export.contract import Exporter
from clew.model.events import format_timestamp
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.model.unfold import number_text

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_Cell = Callable[[ExecutionTrace, NodeExecution], Any]


def _ms(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / 1e6


COLUMNS: Final[dict[str, _Cell]] = {
    "run_id": lambda trace, _: trace.run_id,
    "run_name": lambda trace, _: trace.name,
    "index": lambda _, node: node.index,
    "node_id": lambda _, node: node.node_id,
    "kind": lambda _, node: node.kind,
    "span_id": lambda _, node: node.span_id,
    "parent_id": lambda _, node: node.parent_id,
    "attempt": lambda _, node: node.attempt,
    "iteration": lambda _, node: node.iteration,
    "status": lambda _, node: node.status,
    "started_at": lambda _, node: None if node.started_at is None else format_timestamp(node.started_at),
    "ended_at": lambda _, node: None if node.ended_at is None else format_timestamp(node.ended_at),
    "duration_ms": lambda _, node: _ms(node.duration_ns),
    "self_time_ms": lambda _, node: _ms(node.self_time_ns),
    "error_type": lambda _, node: None if node.error is None else node.error.error_type,
    "error": lambda _, node: None if node.error is None else node.error.message,
    "skip_reason": lambda _, node: (node.skip or {}).get("reason"),
    "model": lambda _, node: node.model,
    "input_tokens": lambda _, node: None if node.usage is None else node.usage.input_tokens,
    "output_tokens": lambda _, node: None if node.usage is None else node.usage.output_tokens,
    "cached_tokens": lambda _, node: None if node.usage is None else node.usage.cached_tokens,
    "reasoning_tokens": lambda _, node: None if node.usage is None else node.usage.reasoning_tokens,
    "cost_usd": lambda _, node: node.cost_usd,
    "tools_called": lambda _, node: node.tools_called or None,
    "writer": lambda _, node: node.writer,
}
"""The columns that every table has, with what they hold."""


def write(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write a header, and a row for each execution in start order."""
    metrics = sorted({name for node in trace.nodes for name in node.metrics})
    attributes = sorted({name for node in trace.nodes for name in node.attributes})
    header = [*COLUMNS, *(f"metric.{name}" for name in metrics), *(f"attr.{name}" for name in attributes)]
    table = csv.writer(_Encoded(out), lineterminator="\r\n")
    table.writerow(header)
    for node in trace.nodes:
        cells = [cell(trace, node) for cell in COLUMNS.values()]
        cells += [node.metrics.get(name) for name in metrics]
        cells += [node.attributes.get(name) for name in attributes]
        table.writerow([_cell(value) for value in cells])


def unguarded(text: str) -> str:
    """Return a text cell as it was before its guard against formulas."""
    return text[1:] if _GUARDED.match(text) else text


class _Encoded:
    """A text stream on a binary one."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        return self._out.write(text.encode("utf-8", "replace"))


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return _guarded(value)
        case bool():
            return "true" if value else "false"
        case float():
            return str(number_text(value))
        case int():
            return str(value)
    return msgspec.json.encode(value).decode()


def _guarded(text: str) -> str:
    is_formula = _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None
    return f"'{text}" if is_formula else text


EXPORTER: Final = Exporter(
    name="csv",
    description="a table with one row an execution, for spreadsheets and data frames",
    suffix=".csv",
    write=write,
)
