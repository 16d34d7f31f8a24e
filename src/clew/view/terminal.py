"""The timeline of a run as lines of text that fit a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clew.analyze.failures import find_failures
from clew.analyze.outline import Line, Outline, outline
from clew.analyze.times import Times, measure_times
from clew.analyze.tree import build_tree
from clew.view.axis import ticks
from clew.view.bars import Glyphs, bar, glyphs_for, heights, load
from clew.view.cells import cell_width, fit, harmless
from clew.view.durations import format_count, format_duration
from clew.view.labels import error_text, place_text, record_notes, run_name, shortened

if TYPE_CHECKING:
    from clew.model.trace import ExecutionTrace

_COLOURS: Final = {
    "bold": "1",
    "dim": "2",
    "failed": "31",
    "running": "33",
    "interrupted": "33",
    "completed": "32",
    "leaf": "36",
    "inner": "34",
}
_RESET: Final = "\x1b[0m"
_NAME_SHARE: Final = 0.45
_DEEPEST_INDENT: Final = 12
_FEWEST_COLUMNS: Final = 10
_MARGINS: Final = 6
"""Cells for the mark before a name, and two behind each column."""
_TICK_WIDTH: Final = 10
_MOST_FAILURES: Final = 3

_Piece = tuple[str, str]
"""Text and the name of its colour; no colour is the empty name."""


def timeline_text(
    trace: ExecutionTrace,
    *,
    width: int = 80,
    colour: bool = False,
    max_rows: int = 40,
    encoding: str = "utf-8",
) -> str:
    """Return a run's timeline: one line an execution, or one a loop, with a bar that shows when it ran.

    Args:    width: cells that no line exceeds. colour: whether to use ANSI colours. max_rows: lines with bars at
             most; what they leave out is said. encoding: of the terminal; one without block characters gets ASCII.
    Returns: lines without trailing spaces or a last newline. Nothing in a name can control the terminal.
    """
    ellipsis = glyphs_for(encoding).ellipsis
    return "\n".join(
        _paint(_clip(line, width, ellipsis=ellipsis), colour=colour)
        for line in _Drawing(trace, width=width, max_rows=max_rows, encoding=encoding).lines()
    )


class _Drawing:
    def __init__(self, trace: ExecutionTrace, *, width: int, max_rows: int, encoding: str) -> None:
        self._trace = trace
        self._width = width
        self._encoding = encoding
        self._glyphs: Glyphs = glyphs_for(encoding)
        self._times: Times = measure_times(trace)
        self._tree = build_tree(trace.nodes)
        self._outline: Outline = outline(trace, self._tree, times=self._times, most_lines=max_rows)
        lines = self._outline.lines
        self._amounts = [self._amount(line) for line in lines]
        self._amount_width = max([5, *(cell_width(amount) for amount in self._amounts)])
        room = width - self._amount_width - _MARGINS
        longest = max([4, *(cell_width(self._name(line) + self._how_many(line)) for line in lines)])
        self._name_width = min(longest, max(8, int(room * _NAME_SHARE)))
        self._columns = width - self._name_width - self._amount_width - _MARGINS
        if self._columns < _FEWEST_COLUMNS:  # too narrow for bars
            self._columns = 0
            self._name_width = max(4, min(longest, width - self._amount_width - 4))

    def lines(self) -> list[list[_Piece]]:
        drawn = [self._title(), *self._failures(), []]
        if self._outline.lines:
            drawn.append(self._axis())
            drawn += [
                self._row(line, amount)
                for line, amount in zip(self._outline.lines, self._amounts, strict=True)
            ]
        else:
            drawn.append([("no executions recorded", "dim")])
        notes = self._notes()
        if notes:
            drawn += [[], *([(note, "dim")] for note in notes)]
        return drawn

    def _safe(self, text: str) -> str:
        return harmless(text, encoding=self._encoding)

    def _duration(self, ns: int | None) -> str:
        return format_duration(ns, ascii_only=self._glyphs.level.isascii())

    def _title(self) -> list[_Piece]:
        trace = self._trace
        facts = [self._duration(trace.duration_ns)] if trace.duration_ns is not None else []
        executions = "execution" if len(trace.nodes) == 1 else "executions"
        facts.append(f"{format_count(len(trace.nodes))} {executions}")
        if trace.started_at is not None:
            facts.append(f"{trace.started_at:%Y-%m-%d %H:%M:%S} UTC")
        reason = f" ({self._safe(shortened(trace.interrupted_by))})" if trace.interrupted_by else ""
        name = self._safe(run_name(trace))
        told = ""
        room = self._width - cell_width(f"{name}  {trace.status}{reason}")
        for fact in facts:  # those that fit; half a fact tells nobody anything
            if cell_width(told) + len(fact) + 3 > room:
                break
            told += f" {self._glyphs.dash} {fact}"
        return [(name, "bold"), ("  ", ""), (trace.status + reason, trace.status), (told, "dim")]

    def _failures(self) -> list[list[_Piece]]:
        found = find_failures(self._trace, self._tree)
        ended_run = [failure for failure in found if failure.ended_run is not False]
        drawn: list[list[_Piece]] = []
        for failure in ended_run[:_MOST_FAILURES]:
            what = error_text(failure.error_type, failure.message)
            where = place_text(failure, self._glyphs.inside)
            times = f"  {self._glyphs.times}{format_count(failure.count)}" if failure.count > 1 else ""
            drawn.append(
                [
                    (f"{self._glyphs.marks['failed']} {self._safe(what)}", "failed"),
                    (f"{times}  in {self._safe(where)}", "dim"),
                ]
            )
        return drawn

    def _name(self, line: Line) -> str:
        indent = 2 * min(line.depth, _DEEPEST_INDENT // 2) + max(0, line.depth - _DEEPEST_INDENT // 2)
        return " " * min(indent, _DEEPEST_INDENT) + self._safe(shortened(line.node_id) or "-")

    def _how_many(self, line: Line) -> str:
        if line.count == 1:
            return ""
        failed = f", {format_count(line.failed)} failed" if line.failed else ""
        return f" {self._glyphs.times}{format_count(line.count)}{failed}"

    def _fitted_name(self, line: Line) -> str:
        """Return the name in its column; what is cut is the name, never how often it failed."""
        how_many = self._how_many(line)
        room = self._name_width - cell_width(how_many)
        name = self._name(line)
        if cell_width(name) > room > _FEWEST_COLUMNS:
            name = fit(name, room, ellipsis=self._glyphs.ellipsis)
        return fit(name + how_many, self._name_width, ellipsis=self._glyphs.ellipsis)

    def _amount(self, line: Line) -> str:
        if line.count == 1 and line.total_ns is None:
            return next(iter(line.statuses))
        return self._duration(line.total_ns)

    def _axis(self) -> list[_Piece]:
        head = " " * (self._name_width + 4) + "total".rjust(self._amount_width) + "  "
        scale = [" "] * self._columns
        span_ns = self._times.span_ns
        ascii_only = self._glyphs.level.isascii()
        for at_ns, label in ticks(span_ns, self._columns // _TICK_WIDTH, ascii_only=ascii_only):
            column = at_ns * self._columns // span_ns
            text = self._glyphs.rule + label
            if column + len(text) <= self._columns and (not column or scale[column - 1] == " "):
                scale[column : column + len(text)] = text
        return [(head + "".join(scale), "dim")]

    def _row(self, line: Line, amount: str) -> list[_Piece]:
        status = _status(line)
        mark = self._glyphs.marks["orphan"] if line.orphans and status == "completed" else ""
        mark = self._glyphs.marks.get(status, mark) or " "
        colour = status if status in ("failed", "running", "interrupted") else ""
        pieces = [
            (f"{mark} ", colour or "dim"),
            (self._fitted_name(line), colour),
            (f"  {amount.rjust(self._amount_width)}  ", "" if line.total_ns is not None else "dim"),
        ]
        return pieces + (self._bars(line) if self._columns else [])

    def _bars(self, line: Line) -> list[_Piece]:
        calm = "leaf" if line.is_leaf else "inner"
        if line.count > 1:
            return self._levels(line, calm)
        [position] = line.positions
        start, end = self._times.starts[position], self._times.ends[position]
        status = self._trace.nodes[position].status
        drawn = bar(start, end, span_ns=self._times.span_ns, columns=self._columns, glyphs=self._glyphs)
        if status == "skipped":
            column = len(drawn) - len(drawn.lstrip())
            return [(" " * column + self._glyphs.tick, "dim")]
        if status in ("running", "interrupted"):
            drawn = "".join(cell if cell == " " else self._glyphs.open for cell in drawn)
            return [(drawn, status)]
        return [(drawn, "failed" if status == "failed" else calm)]

    def _levels(self, line: Line, calm: str) -> list[_Piece]:
        times, columns = self._times, self._columns
        spans = [(times.starts[position], times.ends[position]) for position in line.positions]
        loads = load(spans, span_ns=times.span_ns, columns=columns)
        first = [min(start * columns // times.span_ns, columns - 1) for start, _ in spans]
        drawn = heights(loads, first, glyphs=self._glyphs)
        colours = [calm] * columns
        for position in line.positions:
            status = self._trace.nodes[position].status
            if status in ("failed", "running", "interrupted"):
                left = min(times.starts[position] * columns // times.span_ns, columns - 1)
                right = min(times.ends[position] * columns // times.span_ns, columns - 1)
                for column in range(left, right + 1):
                    colours[column] = status if colours[column] != "failed" else "failed"
        return [(cell, colour) for cell, colour in zip(drawn, colours, strict=True)]

    def _notes(self) -> list[str]:
        trace, found = self._trace, self._outline
        notes = []
        if found.left_out:
            some = "execution is" if found.left_out == 1 else "executions are"
            notes.append(f"{format_count(found.left_out)} {some} in lines that do not fit")
        if self._columns and any(line.count > 1 for line in found.lines):
            times = self._glyphs.times
            notes.append(f"{times}N: all executions in one line, bar height = how many ran at once")
        if any(line.orphans for line in found.lines):
            notes.append(f"{self._glyphs.marks['orphan']} the parent of this execution is not in the log")
        return [self._safe(note) for note in notes + record_notes(trace)]


def _status(line: Line) -> str:
    for status in ("failed", "interrupted", "running"):
        if status in line.statuses:
            return status
    return "skipped" if line.statuses.get("skipped") == line.count else "completed"


def _clip(pieces: list[_Piece], width: int, *, ellipsis: str) -> list[_Piece]:
    """Cut a line where the window ends, and the spaces that nobody sees."""
    kept: list[_Piece] = []
    room = width
    for text, colour in _without_end_spaces(pieces):
        shown = fit(text, room, ellipsis=ellipsis) if cell_width(text) > room else text
        kept.append((shown, colour))
        room -= cell_width(shown)
        if room <= 0:
            break
    return _without_end_spaces(kept)


def _without_end_spaces(pieces: list[_Piece]) -> list[_Piece]:
    kept = list(pieces)
    while kept and not kept[-1][0].rstrip():
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0].rstrip(), kept[-1][1])
    return kept


def _paint(pieces: list[_Piece], *, colour: bool) -> str:
    if not colour:
        return "".join(text for text, _ in pieces)
    painted: list[str] = []
    joined: list[_Piece] = []
    for text, name in pieces:
        if joined and joined[-1][1] == name:
            joined[-1] = (joined[-1][0] + text, name)
        else:
            joined.append((text, name))
    for text, name in joined:
        code = _COLOURS.get(name)
        painted.append(f"\x1b[{code}m{text}{_RESET}" if code and text.strip() else text)
    return "".join(painted)
