"""Running a project in this process, as the command does, with a journal of the test's own."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from clew.config import load_settings
from clew.model.trace import ExecutionTrace
from clew.session import session
from clew.store.store import Store
from clew.workflow.chat import ChatModel
from clew.workflow.manifest import load_project
from clew.workflow.project import Project
from clew.workflow.providers.choose import open_models
from clew.workflow.runner import ProjectRun, RunOptions, Surroundings

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "trident" / "projects"


class Ran(NamedTuple):
    """What a run came to."""

    outputs: dict[str, Any] | None
    error: Exception | None
    trace: ExecutionTrace
    told: list[str]
    run: ProjectRun

    def statuses(self) -> dict[str, str]:
        """How each node ended; of several executions the last."""
        return {node.node_id: node.status for node in self.trace.nodes}


def write_project(folder: Path, **files: str) -> Path:
    """Write files: `clew_yaml` becomes clew.yaml, `tools__t_py` tools/t.py."""
    for name, text in files.items():
        stem, _, ending = name.replace("__", "/").rpartition("_")
        path = folder / f"{stem}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def run_project(
    folder: Path,
    inputs: dict[str, Any] | None = None,
    *,
    models: Callable[[Project], ChatModel] | None = None,
    **options: Any,
) -> Ran:
    """Run a project to its end, with a writer of its own that is closed then."""
    session.configure(msgspec.structs.replace(load_settings({}), capture="full"))
    project = load_project(folder, environ=os.environ)
    told: list[str] = []

    def open_for(project: Project) -> ChatModel:
        script = None if project.defaults.script is None else project.root / project.defaults.script
        return open_models(environ=os.environ, script=script, dry_run=bool(options.get("dry_run")))

    surroundings = Surroundings(
        recorder=session.recorder(),
        home=session.home,
        environ=os.environ,
        models=models or open_for,
        told=told.append,
    )
    prepared = ProjectRun(project, RunOptions(inputs=inputs or {}, **options), surroundings)
    outputs: dict[str, Any] | None = None
    error: Exception | None = None
    try:
        outputs = prepared.execute()
    except Exception as failure:
        error = failure
    assert prepared.run.run_id is not None
    trace = Store(session.home).trace(prepared.run.run_id)
    session.close()
    return Ran(outputs, error, trace, told, prepared)
