"""Real files of other systems, and how a test reads them without any code of ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"

TELEMETRY = (
    "trident/hello-world/hello-world.telemetry.jsonl",
    "trident/branching/branching.telemetry.jsonl",
    "trident/tools/tools.telemetry.jsonl",
    "trident/projects/ticket/original.telemetry.jsonl",
    "trident/projects/fail/original.stdout.txt",
    "trident/projects/par/original.stdout.txt",
    "trident/projects/loop/original.stdout.txt",
)
_LOOP = "trident/projects/loop/original.dot-trident/runs/loop1"
RUN_FOLDERS = (
    "trident/hello-world",
    "trident/branching",
    "trident/tools",
    "trident/projects/ticket/original.dot-trident/runs/t1",
    _LOOP,
    f"{_LOOP}/branches/loop/iter_1/runs/52101d7f-4f7e-49f1-9bc0-997105ff7ff5",
)
SPANS = "modelops/spans.jsonl"


def sample(name: str) -> Path:
    """Return the path of a sample; the test is skipped where the samples are not there."""
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"the samples of other systems are not beside the project: {path} does not exist")
    return path


def json_lines(text: str) -> list[dict[str, Any]]:
    """Read the lines of a text that are JSON objects."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"')]


def ordered(value: object) -> object:
    """Return a decoded JSON value in which the order of keys counts when it is compared."""
    if isinstance(value, dict):
        return [(name, ordered(item)) for name, item in value.items()]
    return [ordered(item) for item in value] if isinstance(value, list) else value


def date(text: str) -> datetime:
    """Read a date by hand."""
    return datetime.strptime(text.replace("Z", "+00:00"), "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)
