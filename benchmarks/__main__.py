"""Every benchmark, one after the other, each in a process of its own; one table at the end.

python -m benchmarks [--quick] [--only NAME ...] [--write FILE.md]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(
    0, str(HERE)
)  # so that a benchmark finds its neighbours, here as well as when it is run alone

from table import Row, as_markdown, as_text, row_from_json  # noqa: E402 - needs the line before

BENCHMARKS = (
    "span_cost",
    "event_cost",
    "disabled_cost",
    "threads_to_file",
    "memory_flat",
    "import_cost",
    "fold_speed",
    "runs_index",
    "workflow_cost",
    "tail_latency",
    "influenza_overhead",
)
BEGIN, END = "<!-- table:", "<!-- end of table -->"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="What recording and reading cost."
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: to see that it runs, not for numbers"
    )
    parser.add_argument(
        "--only", action="append", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS)
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="also put the table into this Markdown page"
    )
    arguments = parser.parse_args()
    rows: list[Row] = []
    failed = []
    for name in arguments.only or BENCHMARKS:
        sys.stderr.write(f"{name} ...\n")
        command = [
            sys.executable,
            str(HERE / f"{name}.py"),
            "--json",
            *(["--quick"] if arguments.quick else []),
        ]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        rows += map(row_from_json, done.stdout.splitlines())
        if done.returncode:
            failed.append(name)
    print(as_text(rows))
    print(f"\n{_where()}")
    for name in failed:
        print(f"{name} did not come to an end")
    if arguments.write:
        _write(arguments.write, rows)
    return 1 if failed else 0


def _where() -> str:
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()} on "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs{load}."
    )


def _write(page: Path, rows: list[Row]) -> None:
    """Put the table between the page's two marks. Rows and notes of benchmarks that were not run now stay."""
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    opening, _, rest = rest.partition("-->\n")
    old, _, tail = rest.partition(END)
    table = "\n".join(_merged(old.splitlines(), as_markdown(rows).splitlines()))
    page.write_text(f"{head}{BEGIN}{opening}-->\n{table}\n\n{_where()}\n{END}{tail}", encoding="utf-8")


def _merged(old: list[str], new: list[str]) -> list[str]:
    """Return the old lines, each replaced where there is a new one on the same question, and then the others."""
    lines = {_question(line): line for line in old if line and not line.startswith("Measured on ")}
    lines |= {_question(line): line for line in new if line}
    table = [line for line in lines.values() if line.startswith("|")]
    notes = [line for line in lines.values() if not line.startswith("|")]
    return [*table, *(text for note in notes for text in ("", note))]


def _question(line: str) -> str:
    """Return what a row or a note is about: its first cell, or the words before its colon."""
    return line.split("|")[1].strip() if line.startswith("|") else line.partition(":")[0]


if __name__ == "__main__":
    sys.exit(main())
