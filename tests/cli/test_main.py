"""How the program starts and how it ends."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from clew.cli.main import COMMANDS, LazyCommands, commands
from clew.version import VERSION
from tests.cli.conftest import Done, program

Call = Callable[..., Done]
HEAVY = ("rich", "sqlite3", "clew.store", "clew.export", "clew.view.terminal", "asyncio")


def loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys; from clew.cli.main import run_command\n"
        f"code = run_command({list(arguments)!r})\n"
        "print(chr(10).join(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stderr.split())


def test_the_version_is_that_of_the_package(call: Call) -> None:
    assert call("--version") == Done(0, f"clew {VERSION}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_the_help_names_every_command(call: Call, arguments: list[str]) -> None:
    done = call(*arguments)
    assert (done.code, done.err) == (0, "")
    assert all(f"  {name} " in done.out for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["tail", "--help"]])
def test_asking_for_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert sorted(loaded_by(*arguments) & set(HEAVY)) == []


def test_no_command_loads_rich(home: Path) -> None:
    for command in ("runs", "show", "tail", "timeline", "config"):
        assert "rich" not in loaded_by(command)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_of_itself_what_the_table_says(name: str) -> None:
    place = COMMANDS[name]
    command = getattr(importlib.import_module(place.module), place.attribute)
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200) == place.summary


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page_in_which_every_option_is_explained(call: Call, name: str) -> None:
    done = call(name, "--help")
    assert (done.code, done.err) == (0, "")
    command = LazyCommands().get_command(click.Context(commands), name)
    assert command is not None
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []


WITHOUT_A_JOURNAL = {"init", "validate", "graph"}
"""Commands that look at the files of a project only."""


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "run"])
def test_every_command_has_json_and_home(name: str) -> None:
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    needed = {"as_json"} if name in WITHOUT_A_JOURNAL else {"as_json", "home"}
    assert needed <= {parameter.name for parameter in command.params}


@pytest.mark.parametrize(
    "typed,meant", [("rnus", "runs"), ("shwo", "show"), ("time-line", "timeline"), ("exprot", "export")]
)
def test_a_mistyped_command_is_guessed(call: Call, typed: str, meant: str) -> None:
    done = call(typed)
    assert done == Done(
        2, "", f"clew: there is no command {typed!r}; did you mean {meant!r}?; see clew --help\n"
    )


def test_the_shell_is_told_what_may_follow() -> None:
    assert "_clew_completion" in program([], environ={"_CLEW_COMPLETE": "bash_source"}).out
    words = {"_CLEW_COMPLETE": "bash_complete", "COMP_WORDS": "clew ru", "COMP_CWORD": "1"}
    assert program([], environ=words).out.split() == ["plain,run", "plain,runs"]


def test_the_reader_of_a_pipe_may_leave_early(home: Path) -> None:
    """The pipe is closed before the command writes, however small its output."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    for arguments in (["runs"], ["show"], ["tail", "-n", "all"], ["runs", "--json"], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "clew.cli.main", *arguments],
            stdout=write_end,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b""), arguments
    os.close(write_end)


def test_head_gets_its_line_and_nobody_complains(home: Path) -> None:
    command = f"set -o pipefail; '{sys.executable}' -m clew.cli.main tail -n all --json | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


@pytest.mark.parametrize("arguments", [["runs"], ["show"], ["export", "agent", "--to", "json"], ["--help"]])
def test_a_full_disk_is_told_and_is_a_failure(home: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "clew.cli.main", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "clew: No space left on device\n")


@pytest.mark.parametrize(
    "arguments", [["runs"], ["show", "--json"], ["tail"], ["export", "inner", "--to", "csv"]]
)
def test_a_closed_standard_output_is_no_error(home: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "clew.cli.main", *arguments]
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" >&-', "bash", *command], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_ends_quietly_with_130(home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "clew.cli.main", "tail", "-f"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "Ctrl-C ends" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_a_fault_of_ours_is_one_sentence_and_its_traceback_on_demand(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def broken() -> None:
        raise LookupError("what\nis this")

    monkeypatch.setattr(LazyCommands, "get_command", lambda *_: broken)
    done = call("runs")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith("clew: unexpected LookupError: what is this; CLEW_DEBUG=1 ")
    monkeypatch.setenv("CLEW_DEBUG", "1")
    assert "Traceback (most recent call last)" in call("runs").err


def test_a_path_that_is_no_text_is_shown_with_escapes(call: Call, home: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m"))
    home.rename(odd)
    for arguments in (
        ["runs"],
        ["doctor", "--json"],
        ["config", "--json"],
        ["config"],
        ["show", "nosuchrun"],
    ):
        done = call(*arguments, "--home", odd)
        assert done.code in {0, 1, 2}
        assert "unexpected" not in done.err
        assert "\x1b" not in done.out + done.err
    exported = json.loads(
        call("export", "agent", "--to", "json", "-o", odd / "x", "--json", "--home", odd).out
    )
    assert exported["files"][0]["path"].endswith("caf\\udce9\x1b[31m/x")


def test_colours_are_for_terminals_unless_asked_for(home: Path) -> None:
    assert "\x1b" not in program(["show"]).out
    assert "\x1b[1m" in program(["show"], environ={"FORCE_COLOR": "1"}).out
    assert "\x1b" not in program(["show"], environ={"FORCE_COLOR": "1", "NO_COLOR": "1"}).out


def test_a_terminal_that_cannot_do_colours_gets_none(home: Path) -> None:
    for environ, coloured in (
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
    ):
        out = in_terminal(["runs"], environ=environ)
        assert ("\x1b[" in out) == coloured, environ


def in_terminal(arguments: list[str], *, environ: dict[str, str]) -> str:
    """Run a command with a pseudo terminal as its output, and return what reached it."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "clew.cli.main", *arguments],
        env={**os.environ, "TERM": "xterm", **environ},
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        out = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not chunk:
                break
            out += chunk
        process.wait()
    os.close(ours)
    return out.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["show", "latest~1"],
        ["tail", "latest~1", "-n", "all", "--level", "debug"],
        ["tail", "--json", "-n", "all"],
        ["timeline", "latest~1"],
        ["export", "latest~1", "--to", "csv"],
        ["export", "latest~1", "--to", "jsonl"],
        ["runs", "--json"],
    ],
)
def test_nothing_recorded_can_command_the_terminal(home: Path, arguments: list[str]) -> None:
    """Every control character that arrives is a line end."""
    out = in_terminal(arguments, environ={"NO_COLOR": "1"})
    assert out
    controls = {char for char in out if ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char == "\u202e"}
    assert controls <= {"\r", "\n"}
