"""The formats by name, and by what is in a file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.errors import ImportFormatError, UnknownFormatError, UsageError
from clew.export.folder import whole_file
from clew.export.formats import EXPORTERS, HEAD_BYTES, IMPORTERS, detect, exporter, importer, read
from clew.model.events import encode_event
from tests.export.made_traces import random_trace
from tests.export.sample_files import RUN_FOLDERS, SPANS, TELEMETRY, sample


def test_every_format_that_is_promised_is_there_under_its_name() -> None:
    assert list(EXPORTERS) == ["jsonl", "json", "csv", "chrome", "speedscope", "modelops", "trident"]
    assert list(IMPORTERS) == ["jsonl", "clew", "json", "trident", "modelops"]
    assert all(exporter(name).name == name for name in EXPORTERS)
    assert importer("clew") is importer("jsonl")
    descriptions = [each.description for each in EXPORTERS.values()]
    descriptions += [each.description for each in IMPORTERS.values()]
    assert all(text and "\n" not in text for text in descriptions)
    folders = [name for name, each in EXPORTERS.items() if each.write_directory is not None]
    assert folders == ["modelops", "trident"]


@pytest.mark.parametrize("find, what", [(exporter, "export"), (importer, "import")])
def test_a_name_that_is_nearly_one_is_answered_with_that_one(
    find: Callable[[str], object], what: str
) -> None:
    with pytest.raises(UnknownFormatError) as refused:
        find("Jsonll")
    message = str(refused.value)
    assert message.startswith(f"There is no {what} format 'Jsonll': did you mean jsonl? choose from ")
    assert "modelops, " in message
    assert isinstance(refused.value, UsageError)
    with pytest.raises(UnknownFormatError, match=r"^There is no .* format 'parquet': choose from "):
        find("parquet")


@pytest.mark.parametrize("name", [*TELEMETRY, SPANS, *(f"{folder}/trace.json" for folder in RUN_FOLDERS)])
@pytest.mark.parametrize("head_bytes", [300, HEAD_BYTES])
def test_the_format_of_a_sample_is_told_from_its_head(name: str, head_bytes: int) -> None:
    path = sample(name)
    expected = "modelops" if name == SPANS else "trident"
    assert detect(Path("any name"), path.read_bytes()[:head_bytes]).name == expected


@pytest.mark.parametrize("head_bytes", [400, 5000, HEAD_BYTES])
@pytest.mark.parametrize("seed", range(3))
def test_our_own_formats_are_told_from_their_heads(seed: int, head_bytes: int) -> None:
    trace = random_trace(seed)
    lines = b"\n".join(encode_event(event) for event in trace.to_events())
    assert detect(Path("x"), lines[:head_bytes]).name == "jsonl"
    for document in (trace.to_json(), trace.to_json(indent=2)):
        assert detect(Path("x"), document[:head_bytes]).name == "json"


def test_text_before_the_first_line_does_not_hide_a_format() -> None:
    content = sample(TELEMETRY[0]).read_bytes()
    assert detect(Path("x"), b"Loading project ...\n[OK] ready\n\n" + content).name == "trident"


@pytest.mark.parametrize(
    "name, hint",
    [
        ("modelops/summary.json", "import the spans.jsonl beside it"),
        ("trident/hello-world/outputs.json", "outputs say neither of which run nor of when they are"),
        (
            "trident/projects/loop/original.dot-trident/runs/manifest.json",
            "it is in none of the formats json, jsonl, modelops, trident",
        ),
        ("dats/simple.spans.json", "it is in none of the formats"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_with_what_to_do(name: str, hint: str) -> None:
    path = sample(name)
    with pytest.raises(UnknownFormatError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path} cannot be imported: ")
    assert hint in str(refused.value)


def test_files_that_cannot_be_read_are_refused_in_one_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(UnknownFormatError, match="is empty"):
        read(empty)
    with pytest.raises(ImportFormatError, match="No such file or directory"):
        read(tmp_path / "nothing")
    with pytest.raises(
        ImportFormatError, match=r"is a folder without trace\.json, checkpoint\.json or metadata\.json"
    ):
        read(tmp_path)
    with pytest.raises(ImportFormatError, match="cannot be read"):
        read(Path("a\0b"))
    with pytest.raises(UnknownFormatError, match="did you mean trident"):
        read(tmp_path / "nothing", format_name="tridant")


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_stream_stays_open_and_gets_one_run(name: str) -> None:
    out = io.BytesIO()
    exporter(name).write(random_trace(1), out)
    assert not out.closed
    assert out.getvalue().endswith(b"\n") or name == "json"
    if exporter(name).suffix.endswith(".json"):
        json.loads(out.getvalue())


def test_a_file_that_fails_on_the_way_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.csv"
    with whole_file(path) as out:
        out.write(b"first")
    with pytest.raises(io.UnsupportedOperation), whole_file(path) as out:
        out.write(b"second" + out.read())
    assert [file.name for file in path.parent.iterdir()] == ["run.csv"]
    assert path.read_bytes() == b"first"
    with whole_file(path) as out:
        out.write(b"third")
    assert path.read_bytes() == b"third"
    reference = tmp_path / "plain"
    reference.touch()
    assert path.stat().st_mode == reference.stat().st_mode


@pytest.mark.parametrize("name", ["modelops", "trident"])
def test_a_folder_is_written_over_what_an_earlier_export_left(name: str, tmp_path: Path) -> None:
    write_directory = exporter(name).write_directory
    assert write_directory is not None
    write_directory(random_trace(1), tmp_path / "run")
    paths = write_directory(random_trace(2), tmp_path / "run")
    again = write_directory(random_trace(2), tmp_path / "fresh")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert sorted((tmp_path / "run").iterdir()) == sorted(paths)
