"""The index is made from the segments, so whatever is in its file, every reader says what they say."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clew.store.database import look_at
from clew.store.index import Index
from clew.store.store import Store
from tests.store.segments import OTHER, OTHER_RUN, RUN, WRITER, Segment, run_program

TIMES = 300


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for writer, run, name in ((WRITER, RUN, "nightly"), (OTHER, OTHER_RUN, "daily")):
        segment = Segment(tmp_path, writer)
        segment.run(name, run=run)
        segment.write(sealed=True)
    close(tmp_path)
    return tmp_path


def close(home: Path) -> None:
    """Bring the index up to date and everything of it into its one file."""
    store = Store(home)
    store.refresh()
    store.close()


def readings(home: Path) -> list[Any]:
    """Return what a person can ask for, each by a store of its own, as each command does."""
    questions: list[Callable[[Store], Any]] = [
        lambda store: store.runs(),
        lambda store: store.trace(store.resolve("nightly")),
        lambda store: list(store.lines(store.resolve("daily"))),
        lambda store: store.spending([RUN]),
    ]
    answers = []
    for ask in questions:
        store = Store(home)
        answers.append(ask(store))
        store.close()
    return answers


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return the bytes of a file cut off, or with random bytes in random places."""
    if chance.random() < 0.2:
        return content[: chance.randrange(len(content))]
    spoiled = bytearray(content)
    for _ in range(chance.choice([1, 4, 30, 300])):
        place, length = chance.randrange(len(content)), chance.choice([1, 1, 8, 200])
        spoiled[place : place + length] = chance.randbytes(min(length, len(content) - place))
    return bytes(spoiled)


def test_no_damage_of_the_index_is_seen_in_what_is_read(home: Path) -> None:
    expected = readings(home)
    content = (home / "index.sqlite").read_bytes()
    for seed in range(TIMES):
        for path in home.glob("index.sqlite*"):
            path.unlink()
        (home / "index.sqlite").write_bytes(damaged(content, random.Random(seed)))
        assert readings(home) == expected, f"seed {seed}"


@pytest.mark.parametrize(
    "word", [b'"status":"completed"', b'"name":"nightly"', b"CREATE TABLE", b"run_id TEXT"]
)
def test_a_text_of_the_index_that_is_no_utf_8_is_made_again(home: Path, word: bytes) -> None:
    expected = readings(home)
    path = home / "index.sqlite"
    content = path.read_bytes()
    assert word in content
    path.write_bytes(content.replace(word, b"\x9a" + word[1:]))
    assert readings(home) == expected
    assert look_at(home) == "sound"
    index = Index(home)
    assert not index.in_memory
    index.close()


def test_a_digit_of_the_index_that_changed_is_not_believed(home: Path) -> None:
    expected = readings(home)
    path = home / "index.sqlite"
    content = path.read_bytes()
    assert b'"nodes":2' in content
    path.write_bytes(content.replace(b'"nodes":2', b'"nodes":7'))
    assert readings(home) == expected


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_pipe_in_place_of_the_index_is_not_waited_for(home: Path, suffix: str) -> None:
    """In another process, which can be given up."""
    for path in home.glob("index.sqlite*"):
        path.unlink()
    os.mkfifo(home / f"index.sqlite{suffix}")
    done = run_program(
        home,
        """
        import signal, sys
        from pathlib import Path
        from clew.store.database import look_at
        from clew.store.store import Store
        signal.alarm(20)
        home = Path(sys.argv[1])
        print(look_at(home), len(Store(home).runs()))
        """,
        str(home),
    )
    assert done.stdout.split()[1] == "2"
    assert (home / f"index.sqlite{suffix}").is_fifo()
