"""`clew replay`: a workflow once more, with the answers that its models and tools gave then."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from clew.cli.options import FilePath, json_option
from clew.cli.output import note
from clew.cli.run_project import leave, read_project, result_text, resume_command, run_of
from clew.config import load_settings
from clew.errors import ProjectError, UsageError
from clew.session import session
from clew.store.store import Store

if TYPE_CHECKING:
    from clew.model.trace import ExecutionTrace
    from clew.workflow.project import Project
    from clew.workflow.runner import ProjectRun, RunOptions


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--fork",
    metavar="NODE",
    help="Leave the old run at this node (BRANCH.NODE in a branch), with what --set says.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="input.FIELD=VALUE of the run; with --fork also prompt=TEXT, model=NAME, or another field of the node.",
)
@click.option("--offline", is_flag=True, help="With --fork: stop at the first request that differs.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["json", "text", "pretty"]), help="How the result is printed."
)
@json_option
@click.option("--home", type=FilePath(path_type=Path), metavar="PATH", help="Where the journal lies.")
def replay(
    run: str,
    *,
    fork: str | None,
    changes: tuple[str, ...],
    offline: bool,
    form: str | None,
    as_json: bool,
    home: Path | None,
) -> None:
    """Execute the workflow of RUN again, with model and tool answers from its record.

    Nothing goes over the network. With --fork, the first request that differs and all that follow it are asked for
    real, unless --offline. The new run names the old one; `clew diff` compares them.
    """
    # A command that only reads does without these.
    from clew.workflow.tools.output import quiet_stdout, result_on_stdout
    from clew.workflow.tools.process_end import hasty_ends_told

    if as_json and form not in {None, "json"}:
        raise UsageError(f"--json and -o {form} contradict each other")
    form = "json" if as_json else form

    settings = load_settings({} if home is None else {"home": home})
    session.configure(msgspec.structs.replace(settings, capture="full"))
    store = Store(session.home)
    old = store.trace(store.resolve(run))
    prepared, options = _prepared(old, fork=fork, changes=changes, offline=offline)
    run_id = prepared.run.run_id
    failure: Exception | None = None
    outputs: dict[str, Any] = {}
    with quiet_stdout(), hasty_ends_told(note):
        try:
            outputs = prepared.execute()
        except Exception as error:
            failure = error
    for sentence in prepared.warnings:
        note(sentence)
    _tell(old, prepared, outputs, fork=fork, failed=failure is not None)
    with result_on_stdout():
        if failure is not None:
            leave(failure, run_id=run_id, form=form, again=_again(old, run_id, options, home=home))
        click.echo(result_text(outputs, form), color=True)  # whole, as `clew run` prints it


def _prepared(
    old: ExecutionTrace, *, fork: str | None, changes: tuple[str, ...], offline: bool
) -> tuple[ProjectRun, RunOptions]:
    manifest = old.attributes.get("manifest")
    if not isinstance(manifest, str):
        raise UsageError(
            f"run {old.run_id[:16]} is not one of a workflow project, so there is nothing to replay"
        )
    if not Path(manifest).is_file():
        raise UsageError(f"the project of run {old.run_id[:16]} is gone: there is no file {manifest}")
    project, options = _changed(read_project(Path(manifest)), old, fork, changes)
    attributes: dict[str, Any] = {} if fork is None else {"fork": fork, "changes": list(changes)}
    if old.attributes.get("dry_run"):
        attributes["dry_run"] = True  # its answers are made up, and no real run goes on with them
    options = dataclasses.replace(
        options, replay=old.run_id, offline=offline or fork is None, attributes=attributes
    )
    return run_of(project, options), options


def _again(old: ExecutionTrace, run_id: str | None, options: RunOptions, *, home: Path | None) -> str | None:
    """Return the command that goes on with a failed replay; None where there is none that changes what it changed."""
    from clew.workflow.changes import with_params
    from clew.workflow.manifest import load_project

    if run_id is None:
        return None
    manifest = str(old.attributes["manifest"])
    try:  # `--param` does not reach into the workflows of branches
        with_params(load_project(Path(manifest), environ=os.environ), options.params)
    except (UsageError, ProjectError):
        return None
    flags = {
        "dry_run": False,
        "emit_signal": False,
        "entrypoint": options.entrypoint,
        "until": options.until,
        "param": [f"{name}={_typed(value)}" for name, value in options.params.items()],
    }
    return resume_command(manifest, run_id, flags, home=home, resume=run_id[:16])


def _typed(value: Any) -> str:
    """Return a value as a person types it in NAME=VALUE."""
    from clew.workflow.changes import read_assignment

    if isinstance(value, str) and read_assignment(f"_={value}", option="--param")[1] == value:
        return value
    return msgspec.json.encode(value).decode()


def _changed(
    project: Project, old: ExecutionTrace, fork: str | None, changes: tuple[str, ...]
) -> tuple[Project, RunOptions]:
    """Return the project as the old run had it, with what --set says of its nodes; and the options of that run."""
    from clew.workflow.addresses import find_node
    from clew.workflow.changes import read_assignment
    from clew.workflow.changes_inside import with_params_inside
    from clew.workflow.manifest import load_project
    from clew.workflow.runner import RunOptions

    def load(path: Path) -> Project:
        return load_project(path, environ=os.environ)

    inputs: dict[str, Any] = {}
    now: dict[str, Any] = {}
    if fork is not None:
        find_node(project, fork, load=load, what="--fork")
    for text in changes:
        name, value = read_assignment(text, option="--set")
        if name.startswith("input."):
            inputs[name.removeprefix("input.")] = value
        elif fork is None:
            raise UsageError(
                "--set needs --fork NODE, the node to change; only --set input.FIELD=VALUE does without"
            )
        else:
            now[f"{fork}.{'prompt_text' if name == 'prompt' else name}"] = value
    then = old.params or {}
    project, workflows = with_params_inside(
        project, then, load=load, option=f"--param of run {old.run_id[:16]}"
    )
    again, more = with_params_inside(
        project, now, load=lambda path: workflows.get(path.resolve()) or load(path), option="--set"
    )
    return again, RunOptions(
        inputs=inputs,
        params={**then, **now},
        workflows={**workflows, **more},
        entrypoint=_text(old, "entrypoint"),
        until=_text(old, "until"),
    )


def _text(old: ExecutionTrace, name: str) -> str | None:
    found = old.attributes.get(name)
    return found if isinstance(found, str) else None


def _tell(
    old: ExecutionTrace, prepared: ProjectRun, outputs: dict[str, Any], *, fork: str | None, failed: bool
) -> None:
    replayed = prepared.replay
    if replayed is None:
        return
    answers = "1 answer" if replayed.served == 1 else f"{replayed.served} answers"
    note(f"{answers} came from run {old.run_id[:16]}")
    if replayed.first_difference is not None:
        note(f"the first that is not in it: {replayed.first_difference}")
    if fork is not None and not _ran(prepared, fork):
        note(f"{fork} did not run in this replay, so what --set says of it had no effect")
    if not failed:
        note(prepared.compared(outputs))
    if prepared.run.run_id is not None:
        note(f"compare: clew diff {old.run_id[:16]} {prepared.run.run_id[:16]}")


def _ran(prepared: ProjectRun, address: str) -> bool:
    """Whether a node ran, in the run or in one within it."""
    if prepared.run.run_id is None:
        return True
    node_id = address.rpartition(".")[2]
    children: dict[str, list[str]] = {}
    for row in Store(session.home).runs():
        if row.parent_run_id is not None:
            children.setdefault(row.parent_run_id, []).append(row.run_id)
    waiting = [prepared.run.run_id]
    while waiting:
        each = waiting.pop()
        nodes = session.read_trace(each).nodes
        if any(node.node_id == node_id and node.status != "skipped" for node in nodes):
            return True
        waiting += children.get(each, [])
    return False
