"""`clew import` brings runs into the journal once, however often it is called."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clew.export import source
from clew.model.events import decode_event
from clew.store.doctor import examine
from clew.store.store import Store
from tests.cli.conftest import Done, program
from tests.export.sample_files import sample

Call = Callable[..., Done]

TRIDENT: list[dict[str, object]] = [
    {
        "timestamp": "2026-01-02T03:04:05.000Z",
        "run_id": "t-1",
        "event": "workflow_started",
        "data": {"name": "hello"},
    },
    {"timestamp": "2026-01-02T03:04:05.100Z", "run_id": "t-1", "event": "node_started", "node_id": "ask"},
    {
        "timestamp": "2026-01-02T03:04:05.300Z",
        "run_id": "t-1",
        "event": "node_completed",
        "node_id": "ask",
        "data": {"duration_ms": 200},
    },
    {"timestamp": "2026-01-02T03:04:05.400Z", "run_id": "t-1", "event": "workflow_completed", "data": {}},
]


def write_lines(path: Path, events: list[dict[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "hello.jsonl", TRIDENT)


def test_an_imported_run_is_a_run_like_any_other(call: Call, tmp_path: Path, file: Path) -> None:
    done = call("import", file)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1].split()[1:5] == ["hello", "4", "4", "trident"]
    (row,) = Store(tmp_path / ".clew").runs()
    assert (row.name, row.status, row.nodes) == ("hello", "completed", 1)
    assert "200ms" in call("show", "hello").out


def test_the_same_file_changes_nothing_the_second_time(call: Call, tmp_path: Path, file: Path) -> None:
    call("import", file)
    before = list(Store(tmp_path / ".clew").lines(Store(tmp_path / ".clew").resolve("hello")))
    segments = sorted((tmp_path / ".clew").glob("journal/*/*"))
    done = call("import", file)
    assert done.out.splitlines()[1].split()[1:4] == ["hello", "4", "0"]
    assert done.out.splitlines()[-1] == "all of it was in the journal already"
    assert list(Store(tmp_path / ".clew").lines(Store(tmp_path / ".clew").resolve("hello"))) == before
    assert sorted((tmp_path / ".clew").glob("journal/*/*")) == segments


def test_a_file_named_twice_is_imported_once(call: Call, file: Path) -> None:
    receipts = json.loads(call("import", file, file, "--json").out)
    assert [receipt["new_events"] for receipt in receipts] == [4, 0]


def test_a_file_that_grew_brings_what_is_new(call: Call, tmp_path: Path) -> None:
    call("import", write_lines(tmp_path / "hello.jsonl", TRIDENT[:2]))
    (receipt,) = json.loads(call("import", write_lines(tmp_path / "hello.jsonl", TRIDENT), "--json").out)
    assert (receipt["events"], receipt["new_events"], receipt["ended"]) == (4, 2, True)
    (row,) = Store(tmp_path / ".clew").runs()
    assert (row.events, row.nodes, row.status, row.lost) == (4, 1, "completed", 0)


def test_a_run_whose_end_is_not_in_the_file_is_interrupted_until_the_end_is_imported(
    call: Call, tmp_path: Path
) -> None:
    """It did not die with the import: it was last heard of where the file ends."""
    call("import", write_lines(tmp_path / "hello.jsonl", TRIDENT[:2]))
    store = Store(tmp_path / ".clew")
    (row,) = store.runs()
    trace = store.trace(row.run_id)
    assert (row.status, trace.status, trace.nodes[0].status) == ("interrupted",) * 3
    assert trace.interrupted_by == "no end in what was imported"
    assert trace.last_event_at == datetime(2026, 1, 2, 3, 4, 5, 100_000, tzinfo=UTC)
    assert [report.problems for report in examine(tmp_path / ".clew")] == [[]]
    call("import", write_lines(tmp_path / "hello.jsonl", TRIDENT))
    trace = store.trace(row.run_id)
    assert (trace.status, trace.nodes[0].status, trace.interrupted_by) == ("completed", "completed", None)


def test_following_an_imported_run_without_an_end_ends(tmp_path: Path) -> None:
    """Imported by another process, as a person does: a run of Clew's own whose worker was in the middle of a node."""
    lines = [
        f'{{"timestamp":"2026-11-21T03:59:12.12345{number}Z","run_id":"0193514c5d2a7b3e8f10a2b3c4d5e6f7",'
        f'"event":"{event}","level":"INFO","span_id":"00000000000000{number}a","node_id":"n",'
        f'"writer":"a1b2c3d4e5f6071{number}","seq":1,"data":{{}}}}\n'
        for number, event in enumerate(("workflow_started", "node_started"), start=1)
    ]
    file = tmp_path / "cut.jsonl"
    file.write_text("".join(lines) + lines[1][:70], encoding="utf-8")
    assert program(["import", file]).code == 0
    trace = Store(tmp_path / ".clew").trace("0193514c5d2a7b3e8f10a2b3c4d5e6f7")
    assert [node.status for node in trace.nodes] == ["interrupted"]
    done = program(["tail", "-f", "0193"], timeout_s=30)
    assert done.err.endswith("run 0193514c5d2a7b3e8f10a2b3c4d5e6f7 was interrupted\n")


def test_a_run_without_its_beginning_and_its_end_is_interrupted_too(
    call: Call, home: Path, tmp_path: Path
) -> None:
    whole = call("export", "agent", "--to", "jsonl").out.splitlines(keepends=True)
    other = tmp_path / "other"
    middle = tmp_path / "middle.jsonl"
    middle.write_text("".join(whole[1:-1]), encoding="utf-8")
    call("import", middle, "--home", other)
    assert [row.status for row in Store(other).runs()] == ["interrupted"]
    (tmp_path / "all.jsonl").write_text("".join(whole), encoding="utf-8")
    call("import", tmp_path / "all.jsonl", "--home", other)
    assert [row.status for row in Store(other).runs()] == [
        json.loads(call("show", "agent", "--json").out)["status"]
    ]


def test_an_import_leaves_a_sound_journal(call: Call, tmp_path: Path, file: Path) -> None:
    call("import", file)
    assert [report.problems for report in examine(tmp_path / ".clew")] == [[]]
    assert call("doctor").code == 0


def test_a_run_of_clew_arrives_event_by_event_as_it_was(call: Call, home: Path, tmp_path: Path) -> None:
    exported = tmp_path / "agent.jsonl"
    call("export", "agent", "--to", "jsonl", "-o", exported)
    other = tmp_path / "other"
    done = call("import", exported, "--home", other)
    assert done.code == 0
    run_id = Store(home).resolve("agent")
    assert [decode_event(line) for line in Store(other).lines(run_id)] == [
        decode_event(line) for line in exported.read_bytes().splitlines()
    ]
    theirs, ours = Store(other).trace(run_id), Store(home).trace(run_id)
    assert theirs == ours


def test_a_run_of_this_journal_is_not_imported_into_it(call: Call, home: Path, tmp_path: Path) -> None:
    exported = tmp_path / "agent.jsonl"
    call("export", "agent", "--to", "jsonl", "-o", exported)
    (receipt,) = json.loads(call("import", exported, "--json").out)
    assert receipt["new_events"] == 0


def test_nothing_is_imported_if_one_file_cannot_be(call: Call, tmp_path: Path, file: Path) -> None:
    foreign = tmp_path / "letter.txt"
    foreign.write_text("to whom it may concern", encoding="utf-8")
    done = call("import", file, foreign)
    assert (done.code, done.out) == (2, "")
    assert not (tmp_path / ".clew").exists()


def test_lines_that_are_not_usable_are_counted(call: Call, file: Path) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write("torn {\n")
    done = call("import", file)
    assert (done.code, done.err) == (0, f"clew: {file}: 1 line of it was not usable\n")


def test_a_journal_that_cannot_be_written_is_a_failure(call: Call, tmp_path: Path, file: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "journal").touch()
    (tmp_path / "state").touch()  # where the stand-in of such a home would be
    done = call("import", file, "--home", home)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "not everything could be written" in done.err


def test_a_journal_that_cannot_be_written_has_a_stand_in(call: Call, tmp_path: Path, file: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "journal").touch()
    done = call("import", file, "--home", home)
    (spare,) = (tmp_path / "state" / "clew").iterdir()
    assert done.code == 0
    assert str(spare) in done.err
    assert len(Store(spare).runs()) == 1


def test_the_folder_of_a_run_is_one_run_however_often_it_is_named(call: Call, tmp_path: Path) -> None:
    folder = sample("trident/hello-world")
    done = call("import", folder)
    assert (done.code, done.err) == (0, "")
    (row,) = Store(tmp_path / ".clew").runs()
    assert (row.name, row.status, row.nodes) == ("hello-world", "completed", 3)
    assert call("import", folder).out.splitlines()[-1] == "all of it was in the journal already"


def test_another_account_of_a_run_does_not_give_it_its_nodes_twice(call: Call, tmp_path: Path) -> None:
    folder = sample("trident/hello-world")
    call("import", folder)
    done = call("import", folder / "checkpoint.json")
    assert done.code == 0
    assert "is in the journal already, from another source; nothing was added" in done.err
    (row,) = Store(tmp_path / ".clew").runs()
    assert row.nodes == 3


def test_what_clew_exported_for_trident_does_not_change_the_run_itself(
    call: Call, home: Path, tmp_path: Path
) -> None:
    run_id = Store(home).resolve("agent")
    before = Store(home).trace(run_id)
    call("export", "agent", "--to", "trident", "-o", tmp_path / "made")
    done = call("import", tmp_path / "made")
    assert (done.code, done.err.count("from another source")) == (0, 1)
    assert Store(home).trace(run_id) == before
    call("import", tmp_path / "made", "--home", tmp_path / "other")
    again = Store(tmp_path / "other").trace(run_id)
    assert [(n.node_id, n.status, n.kind, n.cost_usd) for n in again.nodes] == [
        (n.node_id, n.status, n.kind, n.cost_usd) for n in before.nodes
    ]


@pytest.mark.parametrize(
    "name, told",
    [
        ("checkpoint.json", "a checkpoint has the nodes that completed"),
        ("metadata.json", "its nodes, outputs and end are not known"),
    ],
)
def test_part_of_a_run_s_files_says_what_is_not_known(call: Call, name: str, told: str) -> None:
    done = call("import", sample(f"trident/tools/{name}"))
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert told in done.err


def test_a_folder_in_which_one_file_is_torn_imports_nothing(call: Call, tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(sample("trident/hello-world"), folder)
    (folder / "trace.json").write_text('{"run_id": ', encoding="utf-8")
    done = call("import", file, folder)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert not (tmp_path / ".clew").exists()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/random"])
def test_a_device_is_refused_at_once(call: Call, tmp_path: Path, device: str) -> None:
    link = tmp_path / "hello.jsonl"
    link.symlink_to(device)
    for path in (Path(device), link):
        done = call("import", path)
        assert (done.code, done.out) == (2, "")
        assert done.err == f"clew: {path} is neither a file nor a pipe; name a file\n"
    assert not (tmp_path / ".clew").exists()


def test_a_pipe_is_read_to_its_end(tmp_path: Path, file: Path) -> None:
    done = program(["import", "/dev/stdin"], stdin=file.read_text(encoding="utf-8"), timeout_s=30)
    assert (done.code, done.err) == (0, "")
    (row,) = Store(tmp_path / ".clew").runs()
    assert (row.name, row.nodes) == ("hello", 1)


def test_of_an_endless_pipe_only_the_beginning_is_read(tmp_path: Path) -> None:
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        done = subprocess.run(
            [sys.executable, "-m", "clew.cli.main", "import", "/dev/stdin"],
            stdin=endless.stdout,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        endless.kill()
    assert done.returncode == 2
    assert done.stderr.startswith("clew: /dev/stdin cannot be imported: it is in none of the formats")


def test_a_line_that_is_too_long_is_refused_and_one_that_is_not_is_taken(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LONGEST_LINE_BYTES", 3 << 20)
    events = [dict(event) for event in TRIDENT]
    events[2]["data"] = {"outputs": {"text": "x" * (2 << 20)}}
    done = call("import", write_lines(tmp_path / "long.jsonl", events))
    assert (done.code, done.err) == (0, "")
    events[2]["data"] = {"outputs": {"text": "x" * (5 << 20)}}
    path = write_lines(tmp_path / "longer.jsonl", events)
    done = call("import", path)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"clew: {path} has a line of more than 3 MiB, which is no log of a run\n"


def test_a_run_with_runs_inside_goes_out_to_trident_s_folders_and_comes_back(
    call: Call, tmp_path: Path
) -> None:
    call("import", sample("trident/projects/loop/original.dot-trident"))
    done = call("export", "loop-real", "--to", "trident", "-o", tmp_path / "made")
    assert done.code == 0
    assert done.err.splitlines()[-1] == (
        f"clew: wrote 21 files of the runs inside it below {tmp_path / 'made'}"
    )
    call("import", tmp_path / "made", "--home", tmp_path / "other")
    here, there = Store(tmp_path / ".clew").runs(), Store(tmp_path / "other").runs()
    assert sorted((row.run_id, row.parent_run_id, row.status, row.nodes) for row in there) == sorted(
        (row.run_id, row.parent_run_id, row.status, row.nodes) for row in here
    )
    assert len(here) == 4


def test_an_imported_run_can_be_named_as_the_other_system_named_it(call: Call, file: Path) -> None:
    (receipt,) = json.loads(call("import", file, "--json").out)
    assert receipt["original_run_id"] == "t-1"
    for reference in ("t-1", "T-", receipt["run_id"][:12]):
        assert json.loads(call("show", reference, "--json").out)["run_id"] == receipt["run_id"]
    (row,) = json.loads(call("runs", "--json").out)
    assert row["original_run_id"] == "t-1"
