"""`clew run PROJECT`: run a workflow project; standard output carries its result and nothing else."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click
import msgspec

from clew.cli.options import FilePath
from clew.cli.output import note
from clew.cli.spawn import spawn
from clew.errors import NodeError, ProviderError, SignalTimeoutError, UsageError
from clew.session import session
from clew.workflow.boundary import is_file, is_folder, is_plain_name
from clew.workflow.manifest_names import MANIFESTS

if TYPE_CHECKING:
    from clew.workflow.project import Project
    from clew.workflow.runner import ProjectRun, RunOptions

_F = TypeVar("_F", bound=Callable[..., Any])
FAILED, PROVIDER, SIGNAL = 1, 3, 4
_JSON_CHARS: Final = 10_000
"""Of the message of an error: as many as the record keeps."""
_SHOWN_CHARS: Final = 500
_MOST_INPUT_BYTES: Final = 2**30
_BLOCK_BYTES: Final = 2**20
_CUT_BEFORE: Final = re.compile(r"\.\.\. \((\d+ characters in all)\)\Z")
"""How a tool ends the message that it cut itself: the true length is there."""
_OPTIONS: Final[tuple[tuple[tuple[str, ...], dict[str, Any]], ...]] = (
    (("-f", "--input-file"), {"type": FilePath(path_type=Path), "metavar": "FILE", "help": "Input from a JSON file."}),
    (("-e", "--entrypoint"), {"metavar": "NODE", "help": "Run only what this entrypoint or node leads to, and what that needs."}),
    (("-o", "--output"), {"type": click.Choice(["json", "text", "pretty"]), "help": "How the result is printed (pretty)."}),
    (("--dry-run",), {"is_flag": True, "help": "Answer for the models from the schemas; run everything else."}),
    (("--resume",), {"metavar": "RUN", "help": "Go on with an interrupted or failed run."}),
    (("--start-from",), {"metavar": "NODE", "help": "With --resume: run this node and all behind it again."}),
    (("--until",), {"metavar": "NODE", "help": "Stop behind this node."}),
    (("--input-from",), {"metavar": "RUN|FILE", "help": "Input from the outputs of a run, of alias:NAME, or from a JSON file."}),
    (("--wait-for",), {"multiple": True, "metavar": "SIGNAL", "help": "Wait for WORKFLOW.completed or a file first."}),
    (("--timeout",), {"type": float, "default": 300.0, "metavar": "S", "help": "How long to wait for signals (300)."}),
    (("--emit-signal",), {"is_flag": True, "help": "Tell others: started, completed, failed, ready."}),
    (("--param",), {"multiple": True, "metavar": "NODE.FIELD=VALUE", "help": "Change a node for this run."}),
    (("--artifacts",), {"type": FilePath(path_type=Path, file_okay=False), "metavar": "DIR", "help": "Write trace.json and its like."}),
)  # fmt: skip


def project_options(function: _F) -> _F:
    """Add the options that only projects have."""
    for names, settings in reversed(_OPTIONS):
        function = click.option(*names, **settings)(function)
    return function


def is_project(target: str) -> bool:
    """Say whether a target is a workflow project: a folder with a manifest, or a manifest."""
    path = Path(target)
    if is_folder(path):
        return any(is_file(path / name) for name in MANIFESTS)
    return is_file(path) and (
        path.suffix == ".tml" or path.name in MANIFESTS or path.suffix in {".yaml", ".yml"}
    )


def take_project_options(flags: dict[str, Any]) -> dict[str, Any]:
    """Take the options of projects out of all options, and return them."""
    return {field: flags.pop(field) for field in map(_field, _OPTIONS)}


def refuse_project_options(flags: dict[str, Any]) -> None:
    """Take the options of projects away.

    Raises: UsageError: one was given, but the target is no project.
    """
    given = take_project_options(flags)
    for option in _OPTIONS:
        names, settings = option
        if given[_field(option)] not in (None, False, (), settings.get("default")):
            raise UsageError(f"{names[-1]} is for workflow projects; the target is none")


def _field(option: tuple[tuple[str, ...], dict[str, Any]]) -> str:
    return option[0][-1].lstrip("-").replace("-", "_")


def prepare(target: str, given_input: object, flags: dict[str, Any]) -> tuple[ProjectRun, int]:
    """Read the project and make its run; return how many nodes take part, too, without those of workflows in it.

    Raises: UsageError, ProjectError: what is wrong with the project or the options.
    """
    from clew.workflow.changes import read_assignment, with_params
    from clew.workflow.plan import cut, from_entrypoint

    project = read_project(Path(target))
    params = dict(read_assignment(text, option="--param") for text in flags["param"])
    project = with_params(project, params)
    options = dataclasses.replace(_options(project, given_input, flags), params=params)
    run = run_of(project, options, dry_run=flags["dry_run"])
    return run, len(cut(project, from_entrypoint(project, options.entrypoint), until=options.until))


def read_project(path: Path) -> Project:
    """Read a project and look whether it can run; what is only doubtful is told.

    Raises: ProjectError, with all that is wrong.
    """
    from clew.workflow.document import refusal, sentence
    from clew.workflow.validate import judge

    project, found = judge(path, environ=os.environ)
    if project is None or any(problem.is_error for problem in found):
        raise refusal(found)
    for problem in found:
        note(sentence(problem))
    for name, value in project.env.items():
        os.environ.setdefault(name, value)
    return project


def run_of(project: Project, options: RunOptions, *, dry_run: bool = False) -> ProjectRun:
    """Make the run of a project, with what this process records to.

    Raises: UsageError.
    """
    from clew.workflow.runner import ProjectRun, Surroundings

    surroundings = Surroundings(
        recorder=session.recorder(),
        home=session.home,
        environ=os.environ,
        models=_models(dry_run=dry_run),
        spawn=spawn,
        told=note,
    )
    return ProjectRun(project, options, surroundings)


def _models(*, dry_run: bool) -> Callable[[Project], Any]:
    def open_for(project: Project) -> Any:
        from clew.workflow.providers.choose import open_models

        defaults = project.defaults
        script = None if defaults.script is None else project.root / defaults.script
        recorder = session.recorder()
        return open_models(
            environ=os.environ,
            base_url=defaults.base_url,
            script=script,
            dry_run=dry_run,
            hide=(lambda _secret: None) if recorder is None else recorder.hide,
        )

    return open_for


def _options(project: Project, given_input: object, flags: dict[str, Any]) -> RunOptions:
    from clew.store.store import Store
    from clew.workflow.resume import run_to_resume
    from clew.workflow.runner import RunOptions

    store = Store(session.home)
    resume = flags["resume"]
    return RunOptions(
        inputs=_inputs(given_input, flags, store=store),
        entrypoint=flags["entrypoint"],
        until=flags["until"],
        start_from=flags["start_from"],
        resume=None if resume is None else run_to_resume(store, project, resume, dry_run=flags["dry_run"]),
        dry_run=flags["dry_run"],
        wait_for=list(flags["wait_for"]),
        wait_timeout_s=flags["timeout"],
        emit_signals=flags["emit_signal"],
    )


def _inputs(given: object, flags: dict[str, Any], *, store: Any) -> dict[str, Any]:
    named = [name for name in ("input_file", "input_from") if flags[name] is not None]
    if given is not msgspec.UNSET:
        named.append("input")
    if len(named) > 1:
        shown = " and ".join(f"--{name.replace('_', '-')}" for name in named)
        raise UsageError(f"{shown} contradict each other; give the input once")
    found: object = {} if given is msgspec.UNSET else given
    if flags["input_file"] is not None:
        found = read_json(flags["input_file"], option="-f")
    elif flags["input_from"] is not None:
        found = _input_from(flags["input_from"], store)
    if not isinstance(found, dict):
        raise UsageError("the input of a workflow is a JSON object")
    return found


def _input_from(text: str, store: Any) -> object:
    from clew.workflow.publishing import alias_path
    from clew.workflow.resume import outputs_as_input, without_nodes

    if text.startswith("alias:"):
        alias = text.removeprefix("alias:")
        if not is_plain_name(alias):
            raise UsageError(
                f"--input-from: {alias[:60]!r} is no name that a workflow could have published as"
            )
        found = read_json(alias_path(store.home, alias), option="--input-from")
        return without_nodes(found) if isinstance(found, dict) else found
    if is_file(Path(text)):
        return read_json(Path(text), option="--input-from")
    return outputs_as_input(store, text)


def read_json(path: Path, *, option: str) -> object:
    """Read a JSON file, or a pipe. Raises: UsageError."""
    try:
        return msgspec.json.decode(_content(path, option=option))
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # also a path with a NUL in it
        raise UsageError(f"{option}: {path} is not JSON: {error}") from None
    except RecursionError:
        raise UsageError(f"{option}: {path} is nested too deeply") from None


def _content(path: Path, *, option: str) -> bytearray:
    content = bytearray()
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or file.isatty()):  # a device may never end
            raise UsageError(f"{option}: {path} is neither a file nor a pipe")
        while block := file.read(_BLOCK_BYTES):
            content += block
            if len(content) > _MOST_INPUT_BYTES:
                raise UsageError(f"{option}: {path} is larger than {_MOST_INPUT_BYTES // 2**20:,} MiB")
    return content


def write_artifacts(run_id: str | None, folder: Path) -> None:
    """Write the run's files in the shapes of the original."""
    if run_id is None:
        note("--artifacts: nothing was recorded (CLEW_ENABLED=false), so there is nothing to write")
        return
    from clew.export.trident import write_directory
    from clew.export.trident_inside import write_inside

    try:
        folder.mkdir(parents=True, exist_ok=True)
        trace = session.read_trace(run_id)
        write_directory(trace, folder)
        if any(node.kind in {"branch", "trigger"} for node in trace.nodes):
            from clew.cli.runs_inside import RunsInside
            from clew.store.store import Store

            inside = RunsInside(Store(session.home), run_id)
            write_inside(trace, inside.traces(with_payloads=False), folder)
    except OSError as error:
        note(f"--artifacts: {folder} cannot be written: {error.strerror or error}")


def result_text(outputs: dict[str, Any], form: str | None) -> str:
    """Return what standard output gets."""
    if form == "json":
        return msgspec.json.encode({"success": True, "outputs": outputs}, enc_hook=str).decode()
    if form == "text":
        values = [v for o in outputs.values() for v in (o.values() if isinstance(o, dict) else [o])]
        return "\n".join(v if isinstance(v, str) else _json(v) for v in values)
    return msgspec.json.format(_json(outputs), indent=2)


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def exit_code(error: BaseException) -> int:
    """Return the exit code of a failure."""
    if isinstance(error, SignalTimeoutError):
        return SIGNAL
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, ProviderError):
            return PROVIDER
        seen.add(id(cause))
        cause = cause.__cause__
    return FAILED


def resume_command(
    target: str, run_id: str | None, flags: dict[str, Any], *, home: Path | None, resume: str = "latest"
) -> str | None:
    """Return the command that goes on with a run of a project; None where it left no record.

    flags: as `take_project_options` returned them. Those that decide what runs have to be said again.
    resume: how the command names the run.
    """
    if run_id is None:
        return None
    more = [option for option in ("--dry-run", "--emit-signal") if flags[option[2:].replace("-", "_")]]
    for option in ("--entrypoint", "--until"):
        if flags[option[2:]] is not None:
            more += [option, flags[option[2:]]]
    for param in flags["param"]:
        more += ["--param", param]
    if home is not None:
        more += ["--home", str(home)]
    return shlex.join(["clew", "run", target, "--resume", resume, *more])


def leave(error: Exception, *, run_id: str | None, form: str | None, again: str | None = None) -> NoReturn:
    """Say what failed and what to do, and end.

    Args: error: what ended the run. run_id: None where nothing was recorded. form: of the result. again: the command
        that goes on with the run; None where there is none.
    """
    message = str(error)
    if form == "json":
        node_id = error.node_id if isinstance(error, NodeError) else None
        told = {"message": bounded(message, _JSON_CHARS), "node_id": node_id}
        try:
            click.echo(_json({"success": False, "outputs": {}, "error": told}))
        except OSError as unwritten:  # that must not hide why the run failed, nor change the exit code
            if not isinstance(unwritten, BrokenPipeError):
                note(f"standard output: {unwritten.strerror or unwritten}")
    note(bounded(message, _SHOWN_CHARS))
    if run_id is not None:
        short = run_id[:16]
        note(f"see: clew show {short}" + ("" if again is None else f"; go on with: {again}"))
    raise SystemExit(exit_code(error))


def bounded(message: str, most: int) -> str:
    """Return a message with at most so many characters of it, and how long it is where that is more."""
    if len(message) <= most:
        return message
    cut_before = _CUT_BEFORE.search(message)
    count = f"{len(message)} characters in all" if cut_before is None else cut_before[1]
    return f"{message[:most]}... ({count})"
