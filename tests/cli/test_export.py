"""`clew export` writes whole files, or none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.export.formats import EXPORTERS
from clew.model.trace import ExecutionTrace
from clew.store.store import Store
from tests.cli.conftest import Done, record

Call = Callable[..., Done]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A run whose tags are too large for a line."""
    home = tmp_path / ".clew"
    with record(home, "large") as process:
        process.communicate()
    return home


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_format_is_the_same_on_standard_output_and_in_a_file(
    call: Call, home: Path, tmp_path: Path, name: str
) -> None:
    printed = call("export", "agent", "--to", name)
    path = tmp_path / "out.file"
    written = call("export", "agent", "--to", name, "-o", path)
    assert (printed.code, written.code, written.out) == (0, 0, "")
    assert printed.err.startswith("clew: not in it are the runs inside 1: ")
    assert path.read_bytes().decode() == printed.out
    assert len(printed.out) > 100
    assert written.err.startswith(f"clew: wrote {path}, ")


def test_the_exported_trace_is_the_trace(call: Call, home: Path) -> None:
    store = Store(home)
    trace = store.trace(store.resolve("agent"))
    assert ExecutionTrace.from_json(call("export", "agent", "--to", "json").out) == trace


def test_a_folder_gets_all_files_of_the_format(call: Call, home: Path, tmp_path: Path) -> None:
    done = call("export", "agent", "--to", "modelops", "-o", tmp_path / "out")
    assert done.code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["spans.jsonl", "summary.json"]


def test_a_folder_gets_a_file_named_after_the_run(call: Call, home: Path, tmp_path: Path) -> None:
    run_id = Store(home).resolve("agent")
    (tmp_path / "out").mkdir()
    assert call("export", "agent", "--to", "json", "-o", tmp_path / "out").code == 0
    (path,) = (tmp_path / "out").iterdir()
    assert path.name.startswith(run_id)
    assert json.loads(path.read_bytes())["run_id"] == run_id


def test_json_says_what_was_written(call: Call, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    receipt = json.loads(call("export", "agent", "--to", "csv", "-o", path, "--json").out)
    assert receipt == {
        "run_id": Store(home).resolve("agent"),
        "format": "csv",
        "files": [{"path": str(path), "bytes": path.stat().st_size}],
    }


def test_what_was_there_stays_if_the_new_file_cannot_be_finished(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text("precious", encoding="utf-8")
    # A limit on the size of files stands for a full disk.
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from clew.store.store import Store\n"
        "from clew.cli.main import run_command\n"
        f"Store({str(home)!r} and __import__('pathlib').Path({str(home)!r})).runs()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))\n"
        f"sys.exit(run_command(['export', 'agent', '--to', 'json', '-o', {str(path)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"clew: {path}: ")
    assert done.stderr.count("\n") == 1
    assert path.read_text(encoding="utf-8") == "precious"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != ".clew"] == ["trace.json"]


def test_a_link_stays_a_link(call: Call, home: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    target.touch()
    (tmp_path / "link.json").symlink_to(target)
    assert call("export", "agent", "--to", "json", "-o", tmp_path / "link.json").code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert target.stat().st_size > 100


def test_a_device_is_written_to_as_it_is(call: Call, home: Path) -> None:
    assert call("export", "agent", "--to", "json", "-o", os.devnull).code == 0
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("name", ["json", "csv"])
def test_a_dash_is_standard_output(
    call: Call, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("export", "agent", "--to", name, "-o", "-") == call("export", "agent", "--to", name)
    assert not (tmp_path / "-").exists()
    done = call("export", "agent", "--to", name, "-o", "-", "--json")
    assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize("name", ["json", "modelops"])
def test_a_folder_that_is_not_there_is_made_where_a_slash_says_that_it_is_one(
    call: Call, home: Path, tmp_path: Path, name: str
) -> None:
    run_id = Store(home).resolve("agent")
    assert call("export", "agent", "--to", name, "-o", f"{tmp_path}/new/out.d/").code == 0
    files = {"json": [f"{run_id}.json"], "modelops": ["spans.jsonl", "summary.json"]}
    assert sorted(path.name for path in (tmp_path / "new" / "out.d").iterdir()) == files[name]


def test_a_file_is_no_folder_whatever_stands_behind_it(call: Call, home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious", encoding="utf-8")
    done = call("export", "agent", "--to", "json", "-o", f"{tmp_path}/file/")
    assert done == Done(2, "", f"clew: --output: {tmp_path}/file is a file and no folder\n")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "precious"


def test_an_error_names_the_file_that_was_asked_for(call: Call, home: Path) -> None:
    """In /proc nobody can make a file."""
    done = call("export", "agent", "--to", "json", "-o", "/proc/self/x.json")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("clew: /proc/self/x.json: ")


@pytest.mark.parametrize("name", ["jsonl", "json", "modelops", "trident"])
def test_payloads_beside_the_log_are_in_the_export(call: Call, large: Path, name: str) -> None:
    done = call("export", "large", "--to", name)
    assert (done.code, done.err) == (0, "")
    assert "$blob" not in done.out
    assert ("x" * 50_000 in done.out) == (name != "trident")  # which has no place for tags


@pytest.mark.parametrize("name", ["jsonl", "json"])
def test_a_run_with_large_payloads_leaves_its_home_complete(
    call: Call, large: Path, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "large.out"
    call("export", "large", "--to", name, "-o", file)
    trace = Store(large).trace(Store(large).resolve("large"))
    shutil.rmtree(large)
    other = tmp_path / "other"
    done = call("import", file, "--home", other)
    assert (done.code, done.err) == (0, "")
    assert (
        len(list(other.glob("blobs/*/*.gz"))) == 2
    )  # the tag, which run and node have in common, and the choices
    assert Store(other).trace(trace.run_id).nodes == trace.nodes
    again = call("export", "large", "--to", name, "--home", other)
    assert again.out == file.read_text(encoding="utf-8")
    assert call("doctor", "--home", other).out.splitlines()[-1] == "all is well"


def test_payloads_that_cannot_be_put_into_an_export_are_counted(call: Call, large: Path) -> None:
    first, second, _ = large.glob("blobs/*/*.gz")
    first.unlink()
    second.write_bytes(b"garbage")
    done = call("export", "large", "--to", "jsonl")
    assert done.code == 0
    assert done.err == (
        f"clew: not in it are 2 large payloads that are gone from {large / 'blobs'} or damaged; clew doctor says more\n"
    )
    assert done.out.count('{"$blob":"') == 2
    assert call("export", "large", "--to", "csv").err == ""
