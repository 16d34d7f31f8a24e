"""What tools write while the live tree is drawn stands above it, whole and harmless; how a run in a terminal ends."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from clew.cli.above_tree import PrintedAbove
from clew.cli.run_project import bounded, resume_command

MANIFEST = """
clew: "1"
name: writes
tools: {speak: {type: python, module: speak, function: speak}}
nodes: {input: {type: input}, output: {type: output}}
edges: {a: {from: input, to: speak}, b: {from: speak, to: output}}
"""
SPEAK = """
import os, signal, sys, time
def speak():
    os.write(1, b"raw\\n")
    print("printed")
    sys.stdout.flush()
    print("told", file=sys.stderr)
    if os.environ.get("STOP"):
        time.sleep(0.3)  # until the main thread waits, which a signal then wakes
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    if os.environ.get("END"):
        time.sleep(0.3)
        exec(os.environ["END"])
        time.sleep(60)
    return {"n": 1}
"""


def written(*pieces: bytes) -> list[str]:
    """Return the lines that a console gets of what is written to descriptor 2."""
    out = io.StringIO()
    with PrintedAbove() as above:
        above.console = Console(file=out, width=20, color_system=None)
        for piece in pieces:
            os.write(2, piece)
    return out.getvalue().splitlines()


def test_pieces_become_whole_lines_and_the_last_needs_no_end() -> None:
    assert written(b"one li", b"ne\ntwo\n\nunended") == ["one line", "two", "", "unended"]


def test_a_long_line_is_not_cut() -> None:
    assert written(b"x" * 300 + b"\n") == ["x" * 300]


def test_a_bar_that_is_drawn_over_and_over_is_one_line() -> None:
    assert written(b"10%\r50%\r100%\r\n", b"next\r\n") == ["100%", "next"]


def test_what_a_terminal_would_obey_is_shown_and_colours_are_kept() -> None:
    assert written(b"\x1bc\x1b]0;title\x07\x1b[2J\xff\n") == [r"\x1bc\x1b]0;title\x07\x1b[2J\xff"]
    out = io.StringIO()
    with PrintedAbove() as above:
        above.console = Console(file=out, color_system="standard", force_terminal=True)
        os.write(2, b"\x1b[32mgreen\x1b[0m\n")
    assert out.getvalue() == "\x1b[32mgreen\x1b[0m\n"


def test_afterwards_descriptor_2_is_what_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = opened()
    assert written(b"away\n") == ["away"]
    os.write(2, b"here\n")
    assert capfd.readouterr().err == "here\n"
    assert opened() == before


def opened() -> set[int]:
    """Return the descriptors that are open."""
    found = set()
    for number in range(256):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.add(number)
    return found


def in_a_terminal(place: Path, **environ: str) -> tuple[int, str]:
    """Run the project in a terminal of its own; return its exit code and all that the terminal got."""
    (place / "tools").mkdir(parents=True)
    (place / "clew.yaml").write_text(MANIFEST)
    (place / "tools" / "speak.py").write_text(SPEAK)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "clew.cli.main", "run", str(place), "-o", "json"]
    settings = {**os.environ, "CLEW_HOME": str(place / ".clew"), "TERM": "xterm", "COLUMNS": "200", **environ}
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=settings
    )
    os.close(theirs)
    got = b""
    try:
        while piece := os.read(ours, 65536):
            got += piece
    except OSError:  # Linux says so that the other end is closed
        pass
    os.close(ours)
    out, _ = running.communicate(timeout=30)
    return running.returncode, got.decode() + out.decode()


@pytest.mark.needs_extra("workflow")
def test_what_a_tool_writes_stands_on_lines_of_its_own(tmp_path: Path) -> None:
    code, shown = in_a_terminal(tmp_path / "p")
    assert code == 0, shown
    assert "raw\r\nprinted\r\ntold\r\n" in shown
    assert "3 of 3 nodes done" in shown
    assert shown.endswith('{"success":true,"outputs":{"output":{"n":1}}}\n')


@pytest.mark.needs_extra("workflow")
@pytest.mark.parametrize(
    "end, code, last",
    [
        ("os._exit(0)", 1, "clew: a tool ended the process with os._exit(0), in the middle of the run\r\n"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -15, "\x1b[?25h\r\n"),
    ],
)
def test_where_the_process_ends_at_once_the_last_words_are_seen_and_the_cursor_is_back(
    tmp_path: Path, end: str, code: int, last: str
) -> None:
    found, shown = in_a_terminal(tmp_path / "p", END=end)
    assert found == code, shown
    assert shown.endswith(last)
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


@pytest.mark.needs_extra("workflow")
def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    code, shown = in_a_terminal(tmp_path / "p", STOP="1")
    assert code in {-2, 130}, shown
    assert "■" in shown
    assert "✗" not in shown
    assert f"clew: interrupted; go on with: clew run {tmp_path / 'p'} --resume latest\r\n" in shown


def test_the_command_that_goes_on_is_quoted_and_has_the_options_that_matter() -> None:
    nothing = {"dry_run": False, "emit_signal": False, "entrypoint": None, "until": None, "param": ()}
    assert resume_command("my project", "01", {**nothing, "dry_run": True}, home=Path("/h")) == (
        "clew run 'my project' --resume latest --dry-run --home /h"
    )
    given = {**nothing, "entrypoint": "a", "until": "b", "param": ("a.model=x y",), "emit_signal": True}
    assert resume_command("p", "01", given, home=None) == (
        "clew run p --resume latest --emit-signal --entrypoint a --until b --param 'a.model=x y'"
    )
    assert resume_command("p", None, nothing, home=None) is None


def test_a_long_message_is_bounded_and_says_how_long_it_was() -> None:
    assert bounded("short", 10) == "short"
    assert bounded("x" * 30, 10) == "xxxxxxxxxx... (30 characters in all)"
    # A tool's error was cut before, and tells its real length.
    assert bounded("x" * 30 + "... (1000000 characters in all)", 10) == (
        "xxxxxxxxxx... (1000000 characters in all)"
    )
