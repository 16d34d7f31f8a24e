"""Workflows within a workflow: the rounds of a branch, and what a trigger starts. Each is a run within the run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clew.errors import WorkflowError
from clew.record.hot import event
from clew.workflow.definition import workflow_path
from clew.workflow.expression import parse
from clew.workflow.flow import look_at
from clew.workflow.models_inside import models_of
from clew.workflow.places import inside
from clew.workflow.plan import Plan, whole
from clew.workflow.project import BranchNode, OutputNode, Project, TriggerNode
from clew.workflow.services import MOST_DEPTH, Executing


def flattened(outputs: dict[str, Any], project: Project) -> dict[str, Any]:
    """Return the outputs of a workflow without the names of its output nodes."""
    if not any(isinstance(project.nodes.get(name), OutputNode) for name in outputs):
        return outputs
    flat: dict[str, Any] = {}
    for values in outputs.values():
        flat.update(values)
    return flat


async def run_branch(execution: Executing, node: BranchNode, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run a branch's workflow, again as long as `loop_while` holds for what the last round gave.

    Raises: WorkflowError: it still holds after `max_iterations` rounds; whatever a round raises.
    """
    with _attempt(execution, node):
        return await _rounds(execution, node, inputs)


async def _rounds(execution: Executing, node: BranchNode, inputs: dict[str, Any]) -> dict[str, Any]:
    again = None if node.loop_while is None else parse(node.loop_while)
    values = inputs
    if again is not None:
        execution.note_state(node.id, values)
    for iteration in range(node.max_iterations):
        event("branch_iteration", iteration=iteration, max_iterations=node.max_iterations)
        values = await _round(execution, node, values, iteration=iteration)
        if again is None:
            return values
        execution.note_state(node.id, values)
        verdict = look_at(again, values)
        more = {} if verdict.error is None else {"error": verdict.error}
        if verdict.error is not None:
            execution.services.told(
                f"the loop of {node.id} ended, because {node.loop_while!r} cannot be worked out: {verdict.error}"
            )
        event(
            "condition_evaluated",
            level="INFO" if verdict.error is None else "WARNING",
            condition=node.loop_while,
            result=verdict.holds,
            values=verdict.values,
            **more,
        )
        if not verdict.holds:
            return values
    raise WorkflowError(
        f"branch {node.id} still holds after {node.max_iterations} rounds ({node.loop_while}); raise max_iterations"
        if node.max_iterations != 1
        else f"branch {node.id} still holds after 1 round ({node.loop_while}); raise max_iterations"
    )


async def run_trigger(execution: Executing, node: TriggerNode, inputs: dict[str, Any]) -> dict[str, Any]:
    """Start a trigger's workflow, and wait for it where the trigger says so."""
    services = execution.services
    given = inputs if node.pass_outputs else {}
    if node.mode == "wait":
        with _attempt(execution, node):
            outputs = await _waited_for(execution, node, given)
        return {"triggered": True, "status": "completed", "output": outputs}
    if services.spawn is None or services.dry_run:
        return {"triggered": True, "status": "dry-run" if services.dry_run else "not started"}
    _check_depth(execution, node)
    path = workflow_path(execution.project, node.workflow)
    pid = await asyncio.to_thread(
        services.spawn, path, given, emit_signal=node.emit_signal, depth=execution.depth + 1
    )
    return {"triggered": True, "status": "started", "pid": pid}


async def _waited_for(execution: Executing, node: TriggerNode, given: dict[str, Any]) -> dict[str, Any]:
    """Run a trigger's workflow and tell others how it stands, where the trigger wants that."""
    services = execution.services
    signals = services.signals if node.emit_signal else None
    if signals is None:
        return await _round(execution, node, given, iteration=None)
    name = services.load(workflow_path(execution.project, node.workflow)).name
    signals.clear(name)
    signals.emit("started", name, run_id=None, metadata={})
    try:
        outputs = await _round(execution, node, given, iteration=None)
    except BaseException as error:
        signals.emit("failed", name, run_id=None, metadata={"error": str(error) or type(error).__name__})
        raise
    signals.emit("completed", name, run_id=None, metadata={})
    signals.emit("ready", name, run_id=None, metadata={})
    return outputs


@contextmanager
def _attempt(execution: Executing, node: BranchNode | TriggerNode) -> Iterator[None]:
    """Be in an attempt at a workflow. Another one after it keeps nothing: what was kept may be why this one failed."""
    try:
        yield
    except BaseException:
        execution.again |= {node.id}
        raise


def _check_depth(execution: Executing, node: BranchNode | TriggerNode) -> None:
    if execution.depth >= MOST_DEPTH:
        raise WorkflowError(
            f"workflows are nested {MOST_DEPTH} deep at {node.id}; a condition has to end that"
        )


async def _round(
    execution: Executing, node: BranchNode | TriggerNode, inputs: dict[str, Any], *, iteration: int | None
) -> dict[str, Any]:
    """Run the workflow once, or take its outputs from an earlier run, and return them flat."""
    services = execution.services
    _check_depth(execution, node)
    project = services.load(workflow_path(execution.project, node.workflow))
    earlier_id = None
    plan: Plan = whole(project)
    earlier = None if node.id in execution.again else services.earlier
    if earlier is not None and execution.resumed_run_id is not None:
        earlier_id = earlier.round_of(
            execution.resumed_run_id, execution.project, node.id, iteration=iteration or 0, inputs=inputs
        )
        if earlier_id is not None:
            kept = earlier.kept(earlier_id, project)
            plan = Plan(plan.nodes, kept.outputs)
            for name, reason in kept.changed.items():
                services.told(f"in the workflow of {node.id}, {name} runs again: {reason}")
    attributes = {
        "node": node.id,
        "iteration": iteration,
        "project_root": str(project.root),
        "resumed": earlier_id,
    }
    said = {name: value for name, value in attributes.items() if value is not None}
    with (
        services.new_run(project, inputs, attributes=said) as run,
        inside(node.id, iteration),
        models_of(project, execution.project),
    ):
        inner = execution.inner(
            project, inputs=inputs, plan=plan, resumed_run_id=earlier_id, iteration=iteration
        )
        try:
            inner.keep()
            outputs = await inner.run()
            run.output(outputs)
        finally:
            execution.spend(inner.cost_usd)
    return flattened(outputs, project)
