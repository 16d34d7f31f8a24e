"""A benchmark's result: rows of one table, and the command line that every benchmark has."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

HEADINGS = ("what", "ours", "peer", "ratio", "rounds", "bar", "kept?")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One question and its answer, as text."""

    what: str
    ours: str
    peer: str = ""
    ratio: str = ""
    rounds: str = ""
    """How the ratio varied: the middle half of the rounds, and the ratio of the fastest ones."""
    bar: str = ""
    kept: bool | None = None
    """None where no bar was set."""
    note: str = ""
    """A sentence below the table; equal ones are printed once."""

    def cells(self) -> tuple[str, ...]:
        kept = "" if self.kept is None else ("yes" if self.kept else "NO")
        return (self.what, self.ours, self.peer, self.ratio, self.rounds, self.bar, kept)


def as_text(rows: Iterable[Row]) -> str:
    rows = list(rows)
    cells = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(HEADINGS))]
    rule = tuple("-" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (cells[0], rule, *cells[1:])
    ]
    return "\n".join([*lines, *_notes(rows)])


def as_markdown(rows: Iterable[Row]) -> str:
    rows = list(rows)
    cells = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in rows)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join([*lines, *(f"\n{note}" for note in _notes(rows) if note)])


def _notes(rows: list[Row]) -> list[str]:
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    return ["", *notes] if notes else []


def fraction(ratio: float) -> str:
    """Write a ratio the way that the bars are written: 1/8.3 where it is small, else 0.74 or 1.2."""
    return f"1/{1 / ratio:.1f}" if 0 < ratio < 0.5 else f"{ratio:.2f}"


def duration(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.2f} {unit}"
    return f"{ns:.0f} ns"


def mebibytes(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"


def print_benchmark(
    measure: Callable[[argparse.Namespace], Sequence[Row]],
    doc: str | None,
    options: Callable[[argparse.ArgumentParser], object] = lambda _: None,
) -> None:
    """Run one benchmark from the command line: a table, or with --json one JSON object a row."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print rows as JSON lines")
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: to see that it runs, not for numbers"
    )
    options(parser)
    arguments = parser.parse_args()
    rows = measure(arguments)
    if arguments.json:
        for row in rows:
            print(json.dumps(asdict(row)))
    else:
        print(as_text(rows))
    sys.stdout.flush()


def row_from_json(line: str) -> Row:
    return Row(**json.loads(line))
