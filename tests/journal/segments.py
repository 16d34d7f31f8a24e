"""Writers, and what lies on the disk after them, for the tests of the journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clew.journal.writer import JournalWriter
from clew.model.ports import Clock
from clew.testing import FakeClock, SequentialIds

RUN = "0199c2f1a3b4" + "5" * 20


class Ids(SequentialIds):
    """Ids of several writers in one test: each begins at its own number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._writers = number - 1


def event(writer: JournalWriter, *, run: str = RUN, name: str = "x", **data: Any) -> bytes:
    """One line as Clew writes it, with the writer's next number, newline included."""
    return (
        f'{{"timestamp":"2026-11-21T03:59:12.123456Z","run_id":"{run}","event":"{name}","level":"INFO",'
        f'"writer":"{writer.id}","seq":{writer.next_seq()},"data":{json.dumps(data)}}}\n'
    ).encode()


def new_writer(
    home: Path,
    number: int = 1,
    *,
    clock: Clock | None = None,
    reports: list[str] | None = None,
    **settings: Any,
) -> JournalWriter:
    """Return a writer with a number of its own, that tells its troubles to a list."""
    told = [] if reports is None else reports
    return JournalWriter(home, clock or FakeClock(), ids=Ids(number), report=told.append, **settings)


def content(path: Path) -> list[bytes]:
    """Every line of a file, without what is reserved behind them."""
    return path.read_bytes().rstrip(b"\0").splitlines()


def events_in(home: Path) -> list[bytes]:
    """Every event under a home directory, segment by segment."""
    paths = sorted(
        (home / "journal").glob("*/*.jsonl"),
        key=lambda path: (path.stem.split("-")[0], int(path.stem.split("-")[1])),
    )
    return [line for path in paths for line in content(path) if not line.startswith(b'{"clew":')]


def numbers(lines: list[bytes]) -> list[int]:
    """The number of each event."""
    return [json.loads(line)["seq"] for line in lines]
