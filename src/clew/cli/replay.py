"""`clew replay`: a workflow once more, with the answers that its models and tools gave then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from clew.cli.options import json_option
from clew.cli.output import note
from clew.cli.run_project import leave, read_project, result_text, run_of
from clew.config import load_settings
from clew.errors import UsageError
from clew.session import session
from clew.store.store import Store

if TYPE_CHECKING:
    from clew.model.trace import ExecutionTrace
    from clew.workflow.project import Project
    from clew.workflow.runner import ProjectRun


@click.command()
@click.argument("run", default="latest")
@click.option("--fork", metavar="NODE", help="Leave the old run at this node, with what --set says.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --fork: prompt=TEXT, model=NAME, another field of the node, or input.FIELD=VALUE of the run.",
)
@click.option("--offline", is_flag=True, help="With --fork: stop at the first request that differs.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["json", "text", "pretty"]), help="How the result is printed."
)
@json_option
@click.option("--home", type=click.Path(path_type=Path), metavar="PATH", help="Where the journal lies.")
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
    from clew.workflow.tools.output import quiet_stdout  # a command that only reads does without

    if as_json and form not in {None, "json"}:
        raise UsageError(f"--json and -o {form} contradict each other")
    form = "json" if as_json else form

    settings = load_settings({} if home is None else {"home": home})
    session.configure(msgspec.structs.replace(settings, capture="full"))
    store = Store(session.home)
    old = store.trace(store.resolve(run))
    prepared = _prepared(old, fork=fork, changes=changes, offline=offline)
    run_id = prepared.run.run_id
    failure: Exception | None = None
    outputs: dict[str, Any] = {}
    with quiet_stdout():
        try:
            outputs = prepared.execute()
        except Exception as error:
            failure = error
    _tell(old, prepared, outputs, fork=fork, failed=failure is not None)
    if failure is not None:
        leave(failure, run_id=run_id, form=form)
    click.echo(result_text(outputs, form))


def _prepared(
    old: ExecutionTrace, *, fork: str | None, changes: tuple[str, ...], offline: bool
) -> ProjectRun:
    from clew.workflow.runner import RunOptions  # as above

    manifest = old.attributes.get("manifest")
    if not isinstance(manifest, str):
        raise UsageError(
            f"run {old.run_id[:16]} is not one of a workflow project, so there is nothing to replay"
        )
    if not Path(manifest).is_file():
        raise UsageError(f"the project of run {old.run_id[:16]} is gone: there is no file {manifest}")
    if changes and fork is None:
        raise UsageError("--set needs --fork NODE, the node to change")
    project, inputs, params = _changed(read_project(Path(manifest)), fork, changes)
    attributes = {} if fork is None else {"fork": fork, "changes": list(changes)}
    options = RunOptions(
        inputs=inputs,
        params=params,
        replay=old.run_id,
        offline=offline or fork is None,
        attributes=attributes,
    )
    return run_of(project, options)


def _changed(
    project: Project, fork: str | None, changes: tuple[str, ...]
) -> tuple[Project, dict[str, Any], dict[str, Any]]:
    from clew.workflow.changes import read_assignment, with_param  # as above
    from clew.workflow.plan import known_node

    inputs: dict[str, Any] = {}
    params: dict[str, Any] = {}
    if fork is not None:
        known_node(project, fork, what="--fork")
    for text in changes:
        name, value = read_assignment(text, option="--set")
        if name.startswith("input."):
            inputs[name.removeprefix("input.")] = value
        else:
            field = "prompt_text" if name == "prompt" else name
            params[f"{fork}.{field}"] = value
            project = with_param(project, f"{fork}.{field}", value, option="--set")
    return project, inputs, params


def _tell(
    old: ExecutionTrace, prepared: ProjectRun, outputs: dict[str, Any], *, fork: str | None, failed: bool
) -> None:
    replayed = prepared.replay
    if replayed is None:
        return
    note(f"{replayed.served} answers came from run {old.run_id[:16]}")
    if replayed.first_difference is not None:
        note(f"the first that is not in it: {replayed.first_difference}")
    if fork is not None and not _ran(prepared, fork):
        note(f"{fork} did not run in this replay, so what --set says of it had no effect")
    if not failed:
        same = msgspec.json.encode(outputs, enc_hook=str) == msgspec.json.encode(
            prepared.old_outputs, enc_hook=str
        )
        note(f"the outputs are {'the same' if same else 'others'}")
    if prepared.run.run_id is not None:
        note(f"compare: clew diff {old.run_id[:16]} {prepared.run.run_id[:16]}")


def _ran(prepared: ProjectRun, node_id: str) -> bool:
    run_id = prepared.run.run_id
    if run_id is None:
        return True
    nodes = session.read_trace(run_id).nodes
    return any(node.node_id == node_id and node.status != "skipped" for node in nodes)
