from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from clew.errors import ConfigError
from clew.model.ports import Source
from clew.stream.options import StreamOptions, build_sinks, start_pumps
from tests.stream.fakes import WAIT_S, ListSource, event_line, numbered


class Screen(io.StringIO):
    """A stream of the program that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    return Screen()


def stream(
    options: StreamOptions, lines: list[bytes], *, screen: Screen, said: list[str] | None = None
) -> dict[str, int | None]:
    report = None if said is None else said.append
    with redirect_stdout(screen):
        pumps = start_pumps(options, new_source=lambda: ListSource(lines), report=report)
    return pumps.close(WAIT_S)


def test_a_stream_that_is_not_enabled_asks_for_no_source() -> None:
    def new_source() -> Source:
        raise AssertionError

    assert start_pumps(StreamOptions(), new_source=new_source).close(WAIT_S) == {}


def test_a_stream_without_further_settings_is_json_lines_on_stdout(screen: Screen) -> None:
    lines = numbered(3)
    assert stream(StreamOptions(enabled=True), lines, screen=screen) == {"telemetry to stdout": 0}
    assert screen.getvalue().encode().splitlines() == lines


def test_every_destination_gets_every_line(screen: Screen, tmp_path: Path) -> None:
    errors = io.StringIO()
    path = tmp_path / "logs" / "x.log"
    options = StreamOptions(enabled=True, to=("stdout", "stderr", "stdout"), file=path)
    with redirect_stderr(errors):
        left = stream(options, numbered(3), screen=screen)
    assert left == {"telemetry to stdout": 0, "telemetry to stderr": 0, "telemetry to file": 0}
    assert screen.getvalue() == errors.getvalue() == path.read_text()
    assert len(path.read_text().splitlines()) == 3


def test_only_a_terminal_gets_colours(screen: Screen, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    stream(StreamOptions(enabled=True, format="human", file=str(path)), numbered(1), screen=screen)
    assert "\x1b[" in screen.getvalue()
    assert "\x1b[" not in path.read_text()
    assert "NODE_COMPLETED run=0199c2f1a3b4" in path.read_text()


def test_filter_and_level_choose_the_events(screen: Screen) -> None:
    lines = [event_line("node_started"), event_line("node_failed", "ERROR"), event_line("token_usage")]
    stream(StreamOptions(enabled=True, filter="node", level="warning"), lines, screen=screen)
    assert [json.loads(line)["event"] for line in screen.getvalue().splitlines()] == ["node_failed"]


@pytest.mark.parametrize("level, whole", [("debug", True), ("verbose", False)])
def test_debug_shows_payloads_whole(screen: Screen, level: str, whole: bool) -> None:
    stream(
        StreamOptions(enabled=True, format="human", level=level),
        [event_line(data={"k": "x" * 1000})],
        screen=screen,
    )
    assert ("x" * 1000 in screen.getvalue()) is whole


def test_the_file_is_rotated_as_the_options_say(screen: Screen, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    stream(
        StreamOptions(enabled=True, to=(), file=path, max_bytes=200, max_files=2), numbered(9), screen=screen
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.log", "x.log.1"]


def test_a_file_that_cannot_be_written_is_reported_once_and_counted(screen: Screen, tmp_path: Path) -> None:
    said: list[str] = []
    left = stream(StreamOptions(enabled=True, file=str(tmp_path)), numbered(3), screen=screen, said=said)
    assert left == {"telemetry to stdout": 0, "telemetry to file": 3}
    assert said == [
        f"telemetry to file: {tmp_path}: Is a directory; trying again, and the journal keeps every event"
    ]
    assert len(screen.getvalue().splitlines()) == 3


def test_a_journal_that_cannot_be_followed_is_reported(screen: Screen) -> None:
    def new_source() -> Source:
        raise OSError("no journal")

    said: list[str] = []
    pumps = start_pumps(StreamOptions(enabled=True), new_source=new_source, report=said.append)
    assert pumps.close(WAIT_S) == {}
    assert said == ["telemetry to stdout: no journal; the journal keeps every event"]


@pytest.mark.parametrize(
    "options, message",
    [
        (StreamOptions(format="xml"), "telemetry format 'xml' does not exist; write jsonl or human"),
        (StreamOptions(to=("stdin",)), "telemetry destination 'stdin' does not exist"),
        (StreamOptions(level="loud"), "telemetry level 'loud' is neither"),
        (StreamOptions(filter="!"), "write a name after '!'"),
        (StreamOptions(max_bytes=0), "at least 1 byte"),
        (StreamOptions(max_files=0), "at least 1 file"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(options: StreamOptions, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_sinks(options)
