"""`clew run`: run a program as Python would, and record it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO

import click
import msgspec

from clew.cli.options import FilePath
from clew.cli.output import note
from clew.cli.run_project import (
    is_project,
    leave,
    prepare,
    project_options,
    refuse_project_options,
    result_text,
    resume_command,
    take_project_options,
    write_artifacts,
)
from clew.cli.target import Target, find_target
from clew.config import load_settings
from clew.errors import ConfigError, TargetError, UsageError
from clew.record.redact import REDACTED, Redactor
from clew.session import run as new_run
from clew.session import session
from clew.stream.options import Pumps, StreamOptions, event_filter_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from clew.config import Settings
    from clew.workflow.runner import ProjectRun

_DRAIN_S: Final = 3.0
"""How long the end of a program waits for a slow destination of the stream."""

_STREAM_FLAGS: Final = tuple(
    f"telemetry{part}" for part in ("", "_format", "_file", "_stdout", "_filter", "_level")
)


class ProgramInterrupted(BaseException):
    """The program was stopped with Ctrl-C; Python is to end as it does then."""


class RunCommand(click.Command):
    """Leaves everything after a script to the script, and takes options after `module:function` too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look which target is meant before the arguments are shared out."""
        values, _, _ = self.make_parser(ctx).parse_args(list(args))
        target = values.get("target")
        if isinstance(target, str) and (is_project(target) or not os.path.exists(target)):  # noqa: PTH110 - never raises
            ctx.allow_interspersed_args = True
            ctx.ignore_unknown_options = False
        return super().parse_args(ctx, args)


@click.command(
    cls=RunCommand,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("target")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "-i",
    "--input",
    "input_json",
    metavar="JSON",
    help="Input of module:function or of a project: an object of keywords, a list of arguments, or one value.",
)
@project_options
@click.option("--name", help="What to call the run; the target's name by default.")
@click.option(
    "--telemetry/--no-telemetry",
    "telemetry",
    default=None,
    help="Stream events while the program runs, to stderr.",
)
@click.option(
    "--telemetry-format",
    type=click.Choice(["jsonl", "human"]),
    help="JSON lines (default), or text for people.",
)
@click.option(
    "--telemetry-file",
    type=FilePath(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Stream to this file instead; it is rotated.",
)
@click.option(
    "--telemetry-stdout", is_flag=True, default=None, help="Stream to standard output, also beside a file."
)
@click.option(
    "--telemetry-filter",
    metavar="PATTERNS",
    help="Events to stream: names, globs, families (node, agent ...), error; ! takes away.",
)
@click.option(
    "--telemetry-level",
    metavar="LEVEL",
    help="debug, info, warning or error; or minimal, normal, verbose or debug.",
)
@click.option(
    "--home",
    type=FilePath(path_type=Path),
    metavar="PATH",
    help="Where the journal lies, instead of the nearest .clew folder.",
)
def run(target: str, args: tuple[str, ...], input_json: str | None, name: str | None, **flags: Any) -> None:
    """Run TARGET and record it: a script, a directory with __main__.py, module:function, or a workflow project.

    Everything after TARGET belongs to the script. Its exit code, its signals and its standard output are what they
    are without clew. Of a function the result is printed; of a generator the list of what it yields. A project is a folder with clew.yaml or a .tml file; its result is all that standard output gets.
    """
    if is_project(target):
        _run_project(target, args, _input(input_json), name=name, flags=flags)
        return
    refuse_project_options(flags)
    settings = _settings(flags)
    found = find_target(target, args, given_input=_input(input_json))
    options = _stream_options(settings)
    event_filter_of(options)  # a wrong filter or level is told before the program runs
    _tell_before(settings, flags)
    session.configure(settings)
    _run(found, args, name=name or found.name, options=options)


def _run_project(
    target: str, args: Sequence[str], given: object, *, name: str | None, flags: dict[str, Any]
) -> None:
    if args:
        raise UsageError(
            f"a project takes no arguments, but there is {args[0]!r}; give its input with -i JSON"
        )
    own = take_project_options(flags)
    settings = _settings(flags)
    if settings.origin("capture") == "default":  # to go on with a run, its payloads are needed whole
        settings = msgspec.structs.replace(settings, capture="full")
    form = own["output"]
    options = _stream_options(_with_result_on_stdout(settings, form))
    event_filter_of(options)
    _tell_before(settings, flags)
    session.configure(settings)
    prepared, node_count = prepare(target, given, own)
    if name is not None:
        prepared.run.name = name
    run_id = prepared.run.run_id
    from clew.workflow.tools.output import quiet_stdout, result_on_stdout
    from clew.workflow.tools.process_end import hasty_ends_told

    failure: BaseException | None = None
    outputs: dict[str, Any] = {}
    pid = os.getpid()
    with (
        _followed(prepared, options, node_count=node_count) as pumps,
        quiet_stdout(),
        hasty_ends_told(note),
    ):
        try:
            outputs = prepared.execute()
        except KeyboardInterrupt as error:
            signal.signal(
                signal.SIGINT, signal.SIG_DFL
            )  # there is nothing left that Ctrl-C would have to spare
            failure = error
        except Exception as error:
            failure = error
        finally:
            _finish(pumps, pid=pid)
    again = resume_command(target, run_id, own, home=flags.get("home"))
    if isinstance(failure, KeyboardInterrupt):
        note(f"interrupted; {f'go on with: {again}' if again else 'nothing of it was recorded'}")
        raise ProgramInterrupted from None
    for sentence in prepared.warnings:
        note(sentence)
    with result_on_stdout():
        if own["artifacts"] is not None:
            write_artifacts(run_id, own["artifacts"])
        if isinstance(failure, Exception):
            leave(failure, run_id=run_id, form=form, again=again)
        if form is not None or "stdout" not in options.to or not options.enabled:
            click.echo(
                result_text(outputs, form), color=True
            )  # whole: click would take out what looks like colours


@contextlib.contextmanager
def _followed(prepared: ProjectRun, options: StreamOptions, *, node_count: int) -> Iterator[Pumps]:
    """Start what follows a run while it runs: the stream that was asked for, or else in a terminal the live tree."""
    run_id, recorder = prepared.run.run_id, session.recorder()
    if run_id is None or recorder is None or options.enabled or not _is_terminal(sys.stderr):
        yield session.start_stream(run_id, options, report=note)
        return
    from clew.cli.live_tree import live_tree

    with live_tree(
        run_id,
        name=prepared.run.name,
        node_count=node_count,
        home=session.home,
        writer=recorder.writer.id,
    ) as (tree, pump):
        prepared.on_text = tree.hear
        yield Pumps((pump,))


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _settings(flags: dict[str, Any]) -> Settings:
    settings = load_settings({name: value for name, value in flags.items() if value is not None})
    wants = {"telemetry_file", "telemetry_stdout"}
    given = [flag for flag in wants if flags.get(flag)]
    if flags.get("telemetry") is False and given:
        raise ConfigError(f"--no-telemetry and --{given[0].replace('_', '-')} contradict each other")
    if flags.get("telemetry") is None and any(settings.origin(flag) != "default" for flag in wants):
        return msgspec.structs.replace(settings, telemetry=True)
    return settings


def _tell_before(settings: Settings, flags: dict[str, Any]) -> None:
    """Tell what of the settings cannot be used, and which options have no effect."""
    for complaint in settings.complaints:
        note(complaint.message)
    given = [f"--{flag.replace('_', '-')}" for flag in _STREAM_FLAGS if flags.get(flag) not in {None, False}]
    if not given or (settings.telemetry and settings.enabled):
        return
    why = "without --telemetry, --telemetry-file or --telemetry-stdout nothing is streamed"
    if not settings.enabled:
        why = "recording is switched off, so there is nothing to stream"
    note(f"{', '.join(given)} {'has' if len(given) == 1 else 'have'} no effect: {why}")


def _with_result_on_stdout(settings: Settings, form: str | None) -> Settings:
    """Standard output carries the result of a project or, where that is asked for, the stream; never both."""
    if form is None or not settings.telemetry_stdout:
        return settings
    if settings.origin("telemetry_stdout").startswith("flag"):
        raise UsageError(
            "-o and --telemetry-stdout contradict each other: standard output carries the result or the stream"
        )
    return msgspec.structs.replace(settings, telemetry_stdout=False)


def _stream_options(settings: Settings) -> StreamOptions:
    """Standard output is the program's own, or carries the result: the stream goes there only when told to."""
    to: tuple[str, ...] = ("stdout",) if settings.telemetry_stdout else ()
    if not to and settings.telemetry_file is None:
        to = ("stderr",)
    return StreamOptions(
        enabled=settings.telemetry and settings.enabled,
        format=settings.telemetry_format,
        to=to,
        file=None if settings.telemetry_file is None else str(settings.telemetry_file),
        filter=settings.telemetry_filter,
        level=settings.telemetry_level,
        max_bytes=settings.telemetry_max_bytes,
        max_files=settings.telemetry_max_files,
    )


def _input(text: str | None) -> object:
    if text is None:
        return msgspec.UNSET
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UsageError(f"-i is not JSON: {error}") from None
    except RecursionError:
        raise UsageError("-i is nested too deeply") from None


def _run(target: Target, args: Sequence[str], *, name: str, options: StreamOptions) -> None:
    result: Any = None
    failure: BaseException | None = None
    said: dict[str, Any] = {"argv": _without_secrets(args)} if args else {}
    if target.given is not msgspec.UNSET:
        said["inputs"] = target.given
    recorded = new_run(name, kind=target.kind, **said)
    pid = os.getpid()
    pumps = session.start_stream(recorded.run_id, options, report=note)
    try:
        with recorded:
            try:
                result = target.execute()
                if result is not None:
                    recorded.output(result)
                _wait_for_threads()
            except TargetError:
                raise
            except BaseException as error:
                _print_as_python_would(error)
                _wait_for_threads()
                raise
    except TargetError:
        raise
    except BaseException as error:
        failure = error
    _finish(pumps, pid=pid)
    if failure is not None:
        _leave(failure)
    if result is not None:
        _print_result(result)
    elif target.kind == "script":
        # What standard output does now is the program's own affair: Python itself ends it.
        raise SystemExit(0)


def _finish(pumps: Pumps, *, pid: int) -> None:
    if pid != os.getpid():
        return  # a forked child that came to the end of the program: the stream is its parent's
    for name, missing in pumps.close(_DRAIN_S).items():
        if missing or missing is None:
            count = "some" if missing is None else missing
            note(f"{name}: {count} events were not delivered; the journal has them")


def _leave(failure: BaseException) -> NoReturn:
    if isinstance(failure, SystemExit):
        is_code = failure.code is None or isinstance(failure.code, int)
        raise SystemExit(failure.code if is_code else 1)
    if isinstance(failure, KeyboardInterrupt):
        raise ProgramInterrupted from None
    raise SystemExit(1)


def _wait_for_threads() -> None:
    """The run lasts as long as the program does: until the last thread that Python itself would wait for."""
    here = threading.current_thread()
    while waiting := [t for t in threading.enumerate() if t is not here and not t.daemon]:
        for thread in waiting:
            thread.join()


def _print_as_python_would(error: BaseException) -> None:
    """Print a traceback that begins in the program, not in here; of `sys.exit("text")` the text."""
    if isinstance(error, SystemExit):
        if error.code is not None and not isinstance(error.code, int):
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            with contextlib.suppress(Exception):
                sys.stderr.write(f"{error.code}\n")
        return
    traceback = error.__traceback__
    while traceback is not None and _is_ours(traceback):
        traceback = traceback.tb_next
    error.__traceback__ = traceback
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    sys.excepthook(type(error), error, traceback)


def _is_ours(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(str(Path(__file__).parent))


def _print_result(result: Any) -> None:
    try:
        text = msgspec.json.format(msgspec.json.encode(result, enc_hook=str), indent=2).decode()
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        text = repr(result)
    click.echo(text)


def _without_secrets(args: Sequence[str]) -> list[str]:
    """Return arguments with the value behind `--password` and the like taken out."""
    redactor = Redactor()
    clean: list[str] = []
    hide = False
    for argument in args:
        clean.append(REDACTED if hide else argument)
        hide = argument.startswith("-") and "=" not in argument and redactor.secret_name(argument.lstrip("-"))
    return clean
