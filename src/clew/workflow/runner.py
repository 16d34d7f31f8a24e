"""Running a project from its beginning to its end: what a command or a program calls."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from clew.errors import UsageError, WorkflowError
from clew.record.recorder import Recorder
from clew.record.run import NoopRun, Run
from clew.store.store import Store
from clew.workflow.chat import ChatModel
from clew.workflow.definition import Definitions
from clew.workflow.example_input import example_of
from clew.workflow.execution import Execution
from clew.workflow.json_text import why_not_json
from clew.workflow.manifest import load_project
from clew.workflow.models_inside import ModelsInside
from clew.workflow.plan import Plan, after, cut, from_entrypoint, known_node
from clew.workflow.project import InputNode, Project, ToolNode
from clew.workflow.publishing import publish
from clew.workflow.replay import Replay, was_cut_short
from clew.workflow.resume import START_FROM, EarlierRuns
from clew.workflow.sameness import compared
from clew.workflow.services import Services, Spawn
from clew.workflow.shape import complaint, with_defaults
from clew.workflow.signals import Signals
from clew.workflow.tools.children import signals_end_children
from clew.workflow.tools.lifeline import run_on_loop
from clew.workflow.tools.toolbox import Toolbox, open_toolbox
from clew.workflow.wholeness import CAPTURE

DEPTH: Final = "CLEW_WORKFLOW_DEPTH"
"""Variable of the environment: how many workflows the one that a process was started for is in."""


def depth_of(environ: Mapping[str, str]) -> int:
    """Return how many workflows the one that this process runs is in; 0 where nothing is said, or nonsense."""
    said = environ.get(DEPTH, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What one run of a project does differently from all others."""

    inputs: dict[str, Any] = field(default_factory=dict)
    entrypoint: str | None = None
    until: str | None = None
    start_from: str | None = None
    """Needs `resume`: this node and everything after it runs again."""
    resume: str | None = None
    """Id of the run to go on with."""
    replay: str | None = None
    """Id of the run whose answers are used."""
    workflows: Mapping[Path, Project] = field(default_factory=dict)
    """Workflows of branches that are not what their files say, by the file."""
    offline: bool = False
    """Of a replay: what was not recorded is an error."""
    dry_run: bool = False
    wait_for: list[str] = field(default_factory=list)
    wait_timeout_s: float = 300.0
    emit_signals: bool = False
    params: dict[str, Any] = field(default_factory=dict)
    """What was changed for this run, by `node.field`."""
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run is given by whoever starts it."""

    recorder: Recorder | None
    home: Path
    environ: Mapping[str, str]
    models: Callable[[Project], ChatModel]
    """Opens what answers for real."""
    spawn: Spawn | None = None
    told: Callable[[str], None] = lambda _sentence: None
    """Told what a person should know before it begins: which nodes run again, and why."""


class ProjectRun:
    """One run of a project. `run` is entered by `execute`; its id is known before."""

    def __init__(self, project: Project, options: RunOptions, surroundings: Surroundings) -> None:
        """Prepare; nothing is written or started yet.

        Raises: UsageError and ProjectError: it cannot be run like this; NoSuchRunError: there is no run to go on with.
        """
        self._project = project
        self._options = options
        self._surroundings = surroundings
        self._loaded: dict[Path, Project] = {**options.workflows, project.place.path: project}
        self._toolboxes: dict[Path, Toolbox] = {}
        self._definitions = Definitions(self._load)
        self._store = Store(surroundings.home)
        self._earlier = EarlierRuns(self._store, self._definitions)
        self._signals = Signals(surroundings.home)
        self.on_text: Callable[[str, str], None] | None = None
        """Told of each piece of text that a model sends: node, text. None: no streaming is wanted."""
        self.replay: Replay | None = None
        self.inputs = self._inputs()
        self._plan = self._make_plan()
        self.warnings: list[str] = []
        """What a person should know when the run is over, each sentence once."""
        self._check_waiting()
        self.run: Run | NoopRun = self._new_run()

    def compared(self, outputs: dict[str, Any]) -> str:
        """Say in a sentence whether the run that is replayed gave the same outputs."""
        replayed = self._options.replay
        assert replayed is not None
        return compared(self._earlier.payloads(replayed), outputs)

    def execute(self) -> dict[str, Any]:
        """Run to the end and return the outputs.

        Raises: NodeError: a node failed; SignalTimeoutError: what it waits for did not come; KeyboardInterrupt.
        """
        with self.run:
            # What others go by is what really happened last, not a look back at it.
            is_replay = self._options.replay is not None
            emits = not is_replay and (self._options.emit_signals or self._project.orchestration.emit_signals)
            if emits:
                self._signals.clear(self._project.name)
                self._signal("started")
            try:
                with signals_end_children() as heed_interrupts:
                    outputs = run_on_loop(self._execute(heed_interrupts))
            except BaseException as error:
                if emits:
                    self._signal("failed", error=str(error) or type(error).__name__)
                if isinstance(error, SystemExit):  # raised where no node was at work
                    raise WorkflowError(
                        f"code of the project wanted to end the process: {error!r}"
                    ) from error
                raise
            self.run.output(outputs)
            published = None
            if not is_replay:
                home = self._surroundings.home
                published = publish(self._project, outputs, home=home, told=self._warn)
            if emits:
                self._signal("completed", outputs_path=published)
                self._signal("ready", outputs_path=published)
            return outputs

    async def _execute(self, heed_interrupts: Callable[[], None]) -> dict[str, Any]:
        heed_interrupts()
        options, surroundings = self._options, self._surroundings
        live = ModelsInside(self._project, surroundings.models)
        models: ChatModel = live
        spawn = surroundings.spawn
        around_tool = around_toolbox = around_attempt = None
        if options.replay is not None:
            models = self.replay = self._make_replay(options.replay, None if options.offline else live)
            around_tool, around_toolbox = self.replay.around_tool, self.replay.around_toolbox
            around_attempt = self.replay.around_attempt
            spawn = None if spawn is None else self.replay.around_start(spawn)
        elif options.resume is not None:
            paid = self._make_replay(options.resume, live, interrupted=True)
            models, around_tool = paid, paid.around_tool
            for sentence in paid.asked_again():
                surroundings.told(sentence)
        services = Services(
            models=models,
            definitions=self._definitions,
            open_toolbox=self._open_toolbox,
            load=self._load,
            recorder=surroundings.recorder,
            earlier=self._earlier if options.resume is not None else None,
            around_tool=around_tool,
            around_toolbox=around_toolbox,
            around_attempt=around_attempt,
            signals=None if options.replay is not None else self._signals,
            spawn=spawn,
            told=self._warn,
            dry_run=options.dry_run,
            waits=self._waits,
            on_text=self.on_text,
        )
        execution = Execution(
            self._project,
            services,
            inputs=self.inputs,
            plan=self._plan,
            depth=depth_of(surroundings.environ),
            resumed_run_id=options.resume,
        )
        try:
            execution.keep()
            if options.wait_for:
                await self._signals.wait(options.wait_for, timeout_s=options.wait_timeout_s)
            return _printable(await execution.run())
        finally:
            await live.close()
            for toolbox in self._toolboxes.values():
                await toolbox.close()

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _check_waiting(self) -> None:
        timeout_s = self._options.wait_timeout_s
        if not (math.isfinite(timeout_s) and timeout_s >= 0):
            raise UsageError(f"--timeout is {timeout_s:g}, and should be a number of seconds from 0 on")
        for text in self._options.wait_for:
            self._signals.wanted(text)

    def _inputs(self) -> dict[str, Any]:
        options = self._options
        inputs = options.inputs
        self._refuse_unknown(options.inputs)
        if options.resume is not None:
            inputs = self._earlier.inputs_given(options.resume, inputs, again="-i JSON")
        elif options.replay is not None:
            again = "--set input.NAME=VALUE"
            inputs = self._earlier.inputs_given(options.replay, inputs, again=again)
        for node in self._project.nodes.values():
            if isinstance(node, InputNode) and node.schema and not self._project.trident:
                wrong = complaint(with_defaults(inputs, node.schema), node.schema)
                if wrong is not None:
                    raise UsageError(
                        f"the input of {self._project.name} does not fit: {wrong}; give it with "
                        f"-i {shlex.quote(example_of(self._project))}"
                    )
        return inputs

    def _refuse_unknown(self, inputs: dict[str, Any]) -> None:
        """A misspelt field would silently be another's default. Inputs without a schema take anything."""
        nodes = [node for node in self._project.nodes.values() if isinstance(node, InputNode)]
        if self._project.trident or not nodes or not all(node.schema for node in nodes):
            return
        known = [name for node in nodes for name in node.schema]
        for name in inputs:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
                raise UsageError(f"the input of {self._project.name} has no field {name!r}; {hint}")

    def _make_plan(self) -> Plan:
        project, options = self._project, self._options
        nodes = cut(project, from_entrypoint(project, options.entrypoint), until=options.until)
        if options.start_from is not None and options.resume is None:
            raise UsageError("--start-from needs --resume RUN, whose outputs stand for the nodes before it")
        if options.resume is None:
            return Plan(nodes, {})
        kept = self._earlier.kept(options.resume, project, inputs=self.inputs)
        outputs = {name: found for name, found in kept.outputs.items() if name in nodes}
        changed = {name: reason for name, reason in kept.changed.items() if name in nodes}
        again: frozenset[str] = frozenset()
        if options.start_from is not None:
            again = after(project, [known_node(project, options.start_from, what="--start-from")])
            changed |= dict.fromkeys(sorted(again & outputs.keys()), "it was asked for")
            outputs = {name: found for name, found in outputs.items() if name not in again}
        told = self._surroundings.told
        told(f"kept of {options.resume}: {', '.join(outputs) or 'nothing'}")
        for name, reason in changed.items():
            told(f"{name} runs again: {reason}")
        return Plan(nodes, outputs, again)

    def _make_replay(self, run_id: str, live: ChatModel | None, *, interrupted: bool = False) -> Replay:
        """Return what answers from a run and the runs in it.

        Args:
            run_id: the run.
            live: answers what was not recorded.
            interrupted: for a run that goes on. What an interrupted node was answered is paid for already; what a
                failed one was answered may be why it failed.
        """
        replay = Replay(run_id, live=live)
        if not interrupted:
            for found in self._earlier.answered(run_id):
                replay.learn(found.trace, found.payloads, path=found.path, which=found.counts)
            return replay
        for each in reversed(self._earlier.chain(run_id)):
            for trace, payloads, path in self._earlier.runs_in(each):
                replay.forget(trace, payloads, path=path)
            for trace, payloads, path in self._earlier.runs_in(each):
                replay.learn(trace, payloads, path=path, which=was_cut_short)
        return replay

    def _waits(self) -> bool:
        """Nothing in a replay gets better by waiting, as long as it has not left the old run."""
        return self.replay is None or self.replay.first_difference is not None

    def _new_run(self) -> Run | NoopRun:
        options, project, recorder = self._options, self._project, self._surroundings.recorder
        if recorder is None:
            return NoopRun(project.name)
        attributes = {
            "project_root": str(project.root),
            "manifest": str(project.place.path),
            "resumed": options.resume,
            START_FROM: options.start_from,
            "replay_of": options.replay,
            "dry_run": options.dry_run or None,
            "entrypoint": options.entrypoint,
            "until": options.until,
            CAPTURE: None if recorder.values.capture == "full" else recorder.values.capture,
            **options.attributes,
        }
        start = {
            "inputs": self.inputs,
            "entrypoint": options.entrypoint,
            "dry_run": options.dry_run or None,
            "params": options.params or None,
        }
        told = {name: value for name, value in attributes.items() if value is not None}
        return Run(recorder, project.name, kind="workflow", start=start, attributes=told)

    def _signal(self, kind: str, *, outputs_path: Path | None = None, **metadata: Any) -> None:
        name, run_id = self._project.name, self.run.run_id
        self._signals.emit(kind, name, run_id=run_id, metadata=metadata, outputs_path=outputs_path)

    def _load(self, path: Path) -> Project:
        path = path.resolve()
        if path not in self._loaded:
            self._loaded[path] = load_project(path, environ=self._surroundings.environ)
        return self._loaded[path]

    def _open_toolbox(self, project: Project) -> Toolbox:
        path = project.place.path
        if path not in self._toolboxes:
            tools = {name: node for name, node in project.nodes.items() if isinstance(node, ToolNode)}
            self._toolboxes[path] = open_toolbox(
                tools,
                root=project.root,
                folder=path.parent,
                environ={**project.env, **self._surroundings.environ},
                allow_commands=project.defaults.allow_commands,
                timeout_s=project.defaults.timeout_s,
            )
        return self._toolboxes[path]


def _printable(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs. Raises: WorkflowError: nobody could be given them, for they cannot be written down."""
    wrong = why_not_json(outputs)
    if wrong is not None:
        raise WorkflowError(f"the workflow ran, but its result {wrong}")
    return outputs
