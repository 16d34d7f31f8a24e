"""A log that an earlier version wrote is read today as it was read then.

`v1/` holds two segments with every event and every field of schema version 1, and what they fold to.

If a test here fails, ask first who would notice. A person's old logs must go on saying what they said:
- Something is read differently by mistake: mend the code. These files never change to fit it.
- A field was added to the trace, or an event or a field to the log, and old lines read as before: write the
  expectations anew with `CLEW_GOLDEN=write python -m pytest tests/golden` and look at every line of the diff;
  then add the new event or field to the segments of the newest version, behind the lines that are there.
- Old lines must be read differently, on purpose: raise `SCHEMA_VERSION`, keep `v1/` with its segments, let the
  reader bring old lines up to the new version, and add a `v2/`.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from clew.model.events import SCHEMA_VERSION, decode_event, encode_event
from clew.model.payloads import PAYLOADS
from clew.model.trace import ExecutionTrace
from clew.store.store import Store

HERE = Path(__file__).parent
WRITE = os.environ.get("CLEW_GOLDEN") == "write"
VERSIONS = sorted(path for path in HERE.iterdir() if path.name.startswith("v"))
NEWEST = VERSIONS[-1]


@pytest.fixture(params=VERSIONS, ids=[path.name for path in VERSIONS])
def golden(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


@pytest.fixture
def store(golden: Path, tmp_path: Path) -> Store:
    folder = tmp_path / "home" / "journal" / "2026-11-21"
    folder.mkdir(parents=True)
    for segment in golden.glob("*.jsonl"):
        shutil.copy(segment, folder)
    return Store(tmp_path / "home")


def lines_of(golden: Path) -> list[bytes]:
    return [
        line
        for segment in sorted(golden.glob("*.jsonl"))
        for line in segment.read_bytes().splitlines()
        if not line.startswith(b'{"clew":')
    ]


def same(found: bytes, file: Path) -> bool:
    if WRITE:
        file.write_bytes(found)
    return found == file.read_bytes()


def test_every_run_of_the_log_is_the_trace_that_it_was(store: Store, golden: Path) -> None:
    for row in store.runs():
        document = store.trace(row.run_id).to_json(indent=2) + b"\n"
        assert same(document, golden / f"{row.run_id}.trace.json"), (
            f"see the docstring of {Path(__file__).name}"
        )


def test_the_list_of_runs_is_what_it_was(store: Store, golden: Path) -> None:
    rows = msgspec.json.format(msgspec.json.encode(store.runs()), indent=2) + b"\n"
    assert same(rows, golden / "runs.json"), f"see the docstring of {Path(__file__).name}"


def test_every_line_is_written_again_as_it_was_read(golden: Path) -> None:
    for line in lines_of(golden):
        event = decode_event(line)
        assert event is not None
        assert encode_event(event) == line


def test_the_documents_of_old_traces_are_read(golden: Path) -> None:
    for file in golden.glob("*.trace.json"):
        trace = ExecutionTrace.from_json(file.read_bytes())
        assert trace.to_json(indent=2) + b"\n" == file.read_bytes()
        assert ExecutionTrace.from_events(trace.to_events()) == trace


def test_every_event_and_every_field_of_the_schema_is_in_the_newest_golden_log() -> None:
    seen: dict[str, set[str]] = {}
    for line in lines_of(NEWEST):
        fields = json.loads(line)
        seen.setdefault(fields["event"], set()).update(fields["data"])
    missing = {
        f"{name}.{field}"
        for name, payload in PAYLOADS.items()
        for field in payload.__struct_fields__
        if field not in seen.get(name, set())
    }
    # A state is a snapshot or a patch, and both are there, in two lines.
    assert missing == set(), f"see the docstring of {Path(__file__).name}"


def test_the_newest_golden_log_is_of_the_schema_version_that_is_written_now() -> None:
    assert NEWEST.name == f"v{SCHEMA_VERSION}"
