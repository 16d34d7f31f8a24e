"""Reading back what a test or its programs recorded, without the parts of Clew that do the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clew.model.events import decode_event
from clew.model.trace import ExecutionTrace

REPOSITORY = Path(__file__).parent.parent.parent


def strict(line: bytes) -> dict[str, Any]:
    """Decode one line as JSON and nothing but JSON: no NaN, no name twice in an object, UTF-8."""

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON: {line[:200]!r}")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names), f"a name twice in {line[:200]!r}"
        return dict(pairs)

    assert b"\n" not in line
    assert b"\0" not in line
    text = line.decode("utf-8")
    text.encode("utf-8")
    found = json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    assert isinstance(found, dict)
    return found


def check_lines(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """Every line is an event in the public form, and the numbers of each writer have no gap."""
    found = [strict(line) for line in lines]
    numbers: dict[str, list[int]] = {}
    for line in found:
        assert {"timestamp", "run_id", "event", "level", "data"} <= line.keys()
        numbers.setdefault(line["writer"], []).append(line["seq"])
    for seqs in numbers.values():
        assert sorted(seqs) == list(range(1, len(seqs) + 1))
    return found


def lines_in(home: Path) -> list[bytes]:
    """Every event line under a home directory, read with nothing but `open`."""
    lines: list[bytes] = []
    for path in sorted((home / "journal").glob("*/*.jsonl")):
        content = path.read_bytes().split(b"\0")[0]
        lines += [line for line in content.splitlines() if not line.startswith(b'{"clew":')]
    return lines


def traces_in(home: Path) -> dict[str, ExecutionTrace]:
    """The trace of each run, by its name."""
    by_run: dict[str, list[Any]] = {}
    lines = lines_in(home)
    check_lines(lines)
    for line in lines:
        event = decode_event(line)
        assert event is not None
        by_run.setdefault(event.run_id, []).append(event)
    traces = [ExecutionTrace.from_events(events) for events in by_run.values()]
    return {trace.name or trace.run_id: trace for trace in traces}


def run_program(code: str, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own that may import this folder; it must end well and say nothing on stderr."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *args],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **variables},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    return done


def home() -> Path:
    """The home directory that the fixture of every test sets."""
    return Path(os.environ["CLEW_HOME"])
