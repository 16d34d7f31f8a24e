"""Whatever lies under .clew, no command crashes: damaged files are read as far as they can be."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.conftest import Done

Call = Callable[..., Done]

READERS = [
    ["runs", "--all"],
    ["runs", "--json"],
    ["show"],
    ["show", "--json"],
    ["tail", "-n", "all", "--level", "debug"],
    ["tail", "--json"],
    ["timeline"],
    ["timeline", "--json"],
    ["export", "latest", "--to", "json"],
    ["doctor"],
    ["gc", "--keep-bytes", "0", "--dry-run"],
]
GARBAGE = {
    "nothing": b"",
    "zeros": b"\0" * 5000,
    "text": b"to whom it may concern\n" * 50,
    "binary": bytes(range(256)) * 20,
    "deep": b'{"timestamp":' + b"[" * 50_000 + b"\n",
    "odd event": b'{"timestamp":"2026-01-01T00:00:00Z","run_id":"\\ud800","event":"x","data":1}\n',
    "huge numbers": b'{"clew":"segment","schema_version":9e999,"writer":"x","number":-1}\n'
    b'{"timestamp":"9999-12-31T23:59:59.999999Z","run_id":"r","event":"node_completed","seq":99999999999999999999,'
    b'"node_id":"n","data":{"duration_ms":1e308,"input_tokens":-5}}\n',
}


@pytest.fixture(params=GARBAGE)
def garbage(request: pytest.FixtureRequest) -> bytes:
    return GARBAGE[request.param]


@pytest.mark.parametrize("where", ["instead of", "after", "inside"])
def test_no_segment_can_make_a_command_crash(call: Call, home: Path, garbage: bytes, where: str) -> None:
    for path in home.glob("journal/*/*.jsonl"):
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(
            {
                "instead of": garbage,
                "after": content + garbage,
                "inside": content[:middle] + garbage + content[middle:],
            }[where]
        )
    for arguments in READERS:
        done = call(*arguments)
        assert "unexpected" not in done.err, (arguments, done.err)
        assert done.code in {0, 1, 2}
        if done.code == 0 and "--json" in arguments and "tail" not in arguments:
            json.loads(done.out)


def test_no_index_can_make_a_command_crash(call: Call, home: Path, garbage: bytes) -> None:
    before = call("runs", "--all", "--json").out
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (home / name).write_bytes(garbage)
    assert call("runs", "--all", "--json").out == before


def test_files_and_folders_of_any_name_do_not_disturb(call: Call, home: Path) -> None:
    before = call("runs", "--all", "--json").out
    (home / "journal" / "2026-01-01").mkdir()
    (home / "journal" / "2026-01-01" / "0000000000000000-1.jsonl").mkdir()
    (home / "journal" / "2026-01-01" / "0000000000000001-1.jsonl").symlink_to(home / "nowhere")
    (home / "journal" / "2026-01-01" / "0000000000000002-1.jsonl").symlink_to("0000000000000002-1.jsonl")
    (home / "journal" / "2026-99-99").write_bytes(b"x")
    os.mkfifo(home / "journal" / "pipe.jsonl")
    (home / "blobs").write_bytes(b"no folder")
    assert call("runs", "--all", "--json").out == before
    for arguments in READERS:
        assert "unexpected" not in call(*arguments).err


@given(st.data())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_bytes_at_any_place_of_a_segment_are_survived(
    recorded: Path, tmp_path: Path, call: Call, data: st.DataObject
) -> None:
    home = tmp_path / "damaged"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(recorded, home)
    paths = sorted(home.glob("journal/*/*.jsonl"))
    path = paths[data.draw(st.integers(0, len(paths) - 1))]
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 300))
        content[start : start + length] = data.draw(st.binary(max_size=300))
    path.write_bytes(bytes(content))
    arguments = data.draw(st.sampled_from(READERS))
    done = call(*arguments, "--home", home)
    assert done.code in {0, 1, 2}
    assert "unexpected" not in done.err, (arguments, done.err)
