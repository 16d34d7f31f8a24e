"""The entry point: which commands there are, and how every error ends.

Exit codes: 0 done; 1 what was asked for failed; 2 used in a way that cannot work; 130 interrupted. `clew run` has
the exit code of the program that it ran.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import click

from clew.errors import ClewError, ProjectError, UsageError
from clew.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

OK: Final = 0
FAILED: Final = 1
BAD_USE: Final = 2
INTERRUPTED: Final = 130
_PATIENCE_S: Final = 5.0
"""How long why a command failed waits for a pager that reads nothing just now."""


class Place(NamedTuple):
    """Where a command is; its module is loaded only when it is called."""

    module: str
    attribute: str
    summary: str


COMMANDS: Final = {
    "run": Place(
        "clew.cli.run",
        "run",
        "Run TARGET and record it: a script, a directory with __main__.py, module:function, or a workflow project.",
    ),
    "replay": Place(
        "clew.cli.replay",
        "replay",
        "Execute the workflow of RUN again, with model and tool answers from its record.",
    ),
    "init": Place("clew.cli.init_", "init", "Write a new workflow project that runs at once."),
    "validate": Place(
        "clew.cli.validate", "validate", "Say everything that is wrong with a workflow project."
    ),
    "graph": Place("clew.cli.graph", "graph", "Draw a workflow project: as text, Mermaid or SVG."),
    "runs": Place("clew.cli.runs", "runs", "List runs, newest first."),
    "show": Place(
        "clew.cli.show", "show", "Show what a run did: failures first, then times, tokens and costs."
    ),
    "tail": Place(
        "clew.cli.tail", "tail", "Print the events of a run, or of all runs, and follow them live."
    ),
    "timeline": Place("clew.cli.timeline", "timeline", "Draw when each step of a run ran."),
    "diff": Place(
        "clew.cli.diff",
        "diff",
        "Compare two runs: where NEW first did something else than OLD, and what it cost.",
    ),
    "export": Place("clew.cli.export", "export", "Write a run in a format that other programs read."),
    "import": Place("clew.cli.import_", "import_", "Read runs that other systems recorded into the journal."),
    "doctor": Place("clew.cli.doctor", "doctor", "Check the journal, and repair what can be repaired."),
    "gc": Place("clew.cli.gc", "gc", "Delete old runs from the journal."),
    "config": Place("clew.cli.config", "config", "Show every setting and where its value comes from."),
}


class LazyCommands(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None where there is none of that name."""
        del ctx
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command = getattr(importlib.import_module(place.module), place.attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches  # only a typo pays for it

            near = get_close_matches(name, COMMANDS, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"there is no command {name!r}{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any command."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])


@click.group(
    cls=LazyCommands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name="clew", message="%(prog)s %(version)s")
@click.pass_context
def commands(context: click.Context) -> None:
    """Record what a program did, and read it live and afterwards."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> NoReturn:
    """Run the command that the arguments name, and exit."""
    _open_missing_streams()
    if "_CLEW_COMPLETE" in os.environ:
        commands.main(prog_name="clew")  # the shell asks what may follow; click answers and exits
    try:
        code = run_command(sys.argv[1:])
    except BaseException as error:
        if type(error).__name__ != "ProgramInterrupted":
            raise
        # Its traceback is printed already. Python itself now ends as it does after Ctrl-C: by the signal.
        sys.excepthook = lambda *_: None
        raise KeyboardInterrupt from None
    sys.exit(code)


def _open_missing_streams() -> None:
    """Where a standard descriptor is closed, lead it to nothing: else the next file would get its number and its prints."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def run_command(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code. SystemExit of a recorded program passes through."""
    try:
        code = _invoke(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # so that a full disk is seen here, where it can be told
        return code
    except KeyboardInterrupt:
        return _after_interrupt()
    except (click.ClickException, ClewError, OSError) as error:
        return _failure(error)
    except Exception as error:
        if os.environ.get("CLEW_DEBUG"):
            import traceback

            traceback.print_exc()
        else:
            _say(
                f"unexpected {type(error).__name__}: {error}; CLEW_DEBUG=1 shows where, and it is worth a report"
            )
        return FAILED


def _invoke(arguments: Sequence[str]) -> int:
    try:
        with commands.make_context("clew", list(arguments)) as context:
            commands.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    return OK


def _failure(error: click.ClickException | ClewError | OSError) -> int:
    """Tell what went wrong in one sentence, and return its exit code."""
    match error:
        case click.UsageError():
            _say(f"{_sentence(error.format_message())}{_where_to_look(error)}")
            return BAD_USE
        case click.ClickException():
            _say(_sentence(error.format_message()))
            return FAILED
        case ProjectError():
            for line in str(error).splitlines():  # one for each problem
                _say(line)
            return BAD_USE
        case UsageError():
            _say(_sentence(str(error)))
            return BAD_USE
        case ClewError():
            _say(_sentence(str(error)))
            return FAILED
        case BrokenPipeError() | OSError(errno=errno.EPIPE):
            _give_up_output()
            return OK
    place = f"{error.filename}: " if isinstance(error.filename, str) else ""
    _say(f"{place}{error.strerror or error}")
    _give_up_output()
    return FAILED


def _sentence(message: str) -> str:
    """Return a message as what follows `clew:`: a small letter first, no full stop, on one line."""
    message = " ".join(message.split()).removesuffix(".")
    message = message.replace("is not a valid integer range", "is not a whole number")
    # A second small letter or a space tells a word from CLEW_HOME, `-o` and the like.
    return message[:1].lower() + message[1:] if message[1:2].islower() or message[1:2] == " " else message


def _where_to_look(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx is not None else "clew"
    return f"; see {path} --help"


def _after_interrupt() -> int:
    _give_up_output()
    return INTERRUPTED


def _give_up_output() -> None:
    """Point standard output at nothing, so that what is still in its buffer raises no error at exit."""
    try:
        if sys.stdout is not None:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, sys.stdout.fileno())
            os.close(nothing)
    except (OSError, ValueError, AttributeError):
        return


def _say(message: str) -> None:
    from clew.cli.output import note

    note(" ".join(message.split()), patience_s=_PATIENCE_S)


if __name__ == "__main__":
    main()
