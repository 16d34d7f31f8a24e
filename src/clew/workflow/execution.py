"""One execution of one workflow: each node settled once, every step recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from clew.errors import NodeError, ProviderError, ToolError, WorkflowError
from clew.model.records import CANCELLED_BY
from clew.record.hot import event
from clew.record.noop import NOOP_SPAN
from clew.record.plain import safe_str
from clew.record.span import Span, open_span
from clew.record.states import States
from clew.record.unusual import stack_of
from clew.workflow.attempts import MAY_RETRY, may_retry, retry_of, timeout_of
from clew.workflow.expression import Expression, parse
from clew.workflow.flow import Verdict, arriving, look_at
from clew.workflow.kinds import run_node
from clew.workflow.plan import Plan, edges_into, edges_out_of, in_order
from clew.workflow.project import AnyNode, BranchNode, Edge, OutputNode, Project, ToolNode, TriggerNode
from clew.workflow.schedule import Schedule
from clew.workflow.services import Executing, Services
from clew.workflow.wholeness import NOT_JSON, is_json

EDGE_FALSE: Final = "edge_condition_false"
"""The original's own word for it."""
_NOTED_WAIT_NS: Final = 1_000_000
"""A node that found a place sooner did not wait."""
_OURS: Final = Path(__file__).parent
OWN_FALSE: Final = "condition_false"
NOTHING_BEFORE: Final = "every node before it was skipped"


class Execution:
    """Runs a workflow inside the run that is open. Use it once."""

    def __init__(
        self,
        project: Project,
        services: Services,
        *,
        inputs: dict[str, Any],
        plan: Plan,
        depth: int = 0,
        resumed_run_id: str | None = None,
        iteration: int | None = None,
    ) -> None:
        """Prepare.

        Args:
            project: the workflow.
            services: shared with the workflows in it.
            inputs: what the input nodes hand on.
            plan: which nodes take part.
            depth: how many workflows this one is in.
            resumed_run_id: the run that this one goes on with.
            iteration: the round of the loop that this one is, from 0.
        """
        self.project = project
        self.services = services
        self.inputs = inputs
        self.depth = depth
        self.resumed_run_id = resumed_run_id
        self.toolbox = services.open_toolbox(project)
        self.again = plan.again
        self.outputs: dict[str, dict[str, Any]] = {}
        """Of each node that has some: completed ones, and branches that were skipped and pass on what they got."""
        self.cost_usd: float | None = 0.0
        """None as soon as a price is unknown."""
        self.iteration = iteration
        self.asked: dict[str, str] = {}
        """Of each node that waits for a model, or was cancelled while it did: which model."""
        self._plan = plan
        self._into = {
            name: [edge for edge in edges if edge.source in plan.nodes]
            for name, edges in edges_into(project).items()
        }
        self._choices = _choices(project, plan)
        self._completed: set[str] = set()
        self._loops: dict[str, dict[str, Any]] = {}
        self._is_recorded = services.recorder is not None
        """Where not, what runs for each node does not even ask the recording, which is quick to say no, but not so quick."""
        self._states = None if services.recorder is None else States(services.recorder)
        self._conditions: dict[str, Expression] = {}
        ways = edges_out_of(project)
        nodes = [name for name in project.nodes if name in plan.nodes and name not in plan.kept]
        self._schedule = Schedule(
            nodes,
            {name: [edge.target for edge in ways[name] if edge.target in plan.nodes] for name in nodes},
            concurrency=project.defaults.concurrency,
            on_error=project.defaults.on_error,
        )

    def inner(
        self,
        project: Project,
        *,
        inputs: dict[str, Any],
        plan: Plan,
        resumed_run_id: str | None,
        iteration: int | None,
    ) -> Executing:
        """Return an execution of a workflow within this one."""
        return Execution(
            project,
            self.services,
            inputs=inputs,
            plan=plan,
            depth=self.depth + 1,
            resumed_run_id=resumed_run_id,
            iteration=iteration,
        )

    def keep(self) -> None:
        """Record what is kept of an earlier run, before anything else: whatever ends this run, it can be gone on with."""
        if self.resumed_run_id is None:
            return
        kept = self._plan.kept
        event("run_resumed", resumed_run_id=self.resumed_run_id, kept_nodes=list(kept))
        for count, (name, outputs) in enumerate(kept.items(), start=1):
            node = self.project.nodes[name]
            start = {"definition": self._definition(node), "iteration": self.iteration}
            with open_span((name, _kind(node)), {"kept_from": self.resumed_run_id}, start=start) as span:
                span.output(outputs)
            self._done(node, outputs, pending=len(kept) - count + self._schedule.unsettled)

    async def run(self) -> dict[str, Any]:
        """Run to the end and return the outputs.

        Those are the outputs of each output node, or else of the node that completed and has the longest way behind it.
        Which one ended last makes no difference, for that is another one in each run.

        Raises: NodeError: the first node that failed, with its error as the cause.
        """
        if self._is_recorded:
            self._hash_tools()
        await self._schedule.run(self._settle)
        nodes, done = self.project.nodes, self._completed
        found = {
            name: self.outputs[name] for name in nodes if name in done and isinstance(nodes[name], OutputNode)
        }
        if found or not done:
            return found
        last = next(name for name in reversed(in_order(self.project)) if name in done)
        return dict(self.outputs[last])

    def spend(self, cost_usd: float | None) -> None:
        """Add what a call cost; None where nobody knows."""
        self.cost_usd = None if cost_usd is None or self.cost_usd is None else self.cost_usd + cost_usd

    def note_state(self, name: str, values: dict[str, Any]) -> None:
        """Record what the loop of a node goes on with: `state_changed`, in the run of this workflow."""
        if self._states is not None:
            self._loops[name] = values
            self._states.record(self._loops)

    async def _settle(self, name: str) -> None:
        node = self.project.nodes[name]
        incoming = self._into[name]
        live = [edge for edge in incoming if edge.source in self.outputs]
        if incoming and not live and not isinstance(node, OutputNode):
            self._skip(node, NOTHING_BEFORE)
            return
        for edge in live:
            if edge.condition is not None:
                verdict = self._look(node, edge.condition, self.outputs[edge.source], edge=edge)
                if not verdict.holds:
                    self._skip(node, EDGE_FALSE, condition=edge.condition, values=verdict.values)
                    return
        if isinstance(node, BranchNode | TriggerNode) and node.condition is not None:
            inputs = arriving(live, self.outputs, is_lenient=bool(self.project.trident))
            verdict = self._look(node, node.condition, inputs, edge=None)
            if not verdict.holds:
                self._skip(node, OWN_FALSE, condition=node.condition, values=verdict.values)
                self.outputs[name] = inputs  # the original passes on what came
                return
        await self._attempts(node, live)

    def _look(self, node: AnyNode, condition: str, values: dict[str, Any], *, edge: Edge | None) -> Verdict:
        verdict = look_at(self._read(condition), values)
        if not self._is_recorded:
            return verdict
        more = {} if verdict.error is None else {"error": verdict.error}
        event(
            "condition_evaluated",
            node=node.id,
            level="INFO" if verdict.error is None else "WARNING",
            condition=condition,
            result=verdict.holds,
            values=verdict.values,
            edge=None if edge is None else edge.id,
            **more,
        )
        return verdict

    def _skip(
        self,
        node: AnyNode,
        reason: str,
        *,
        condition: str | None = None,
        values: dict[str, Any] | None = None,
    ) -> None:
        said = {
            "type": _kind(node),
            "reason": reason,
            "condition": condition,
            "values": values,
            "definition": self._definition(node),
        }
        told: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        event("node_skipped", node=node.id, **told)

    def _done(self, node: AnyNode, outputs: dict[str, Any], *, pending: int) -> None:
        self.outputs[node.id] = outputs
        self._completed.add(node.id)
        if node.id in self._choices:
            self._tell_choice(node.id, outputs)
        if self._is_recorded:
            event(
                "checkpoint_saved",
                completed_nodes=len(self._completed),
                pending_nodes=pending,
                total_cost_usd=self.cost_usd,
            )

    def _tell_choice(self, name: str, outputs: dict[str, Any]) -> None:
        """Where several ways with conditions lead on: say which of them are taken."""
        ways = self._choices[name]
        open_ways = [e.target for e in ways if look_at(self._read(e.condition or "true"), outputs).holds]
        closed = [edge.target for edge in ways if edge.target not in open_ways]
        event("decision_made", node=name, chosen=open_ways, alternatives=closed, reason="conditions of edges")

    def _read(self, condition: str) -> Expression:
        expression = self._conditions.get(condition)
        if expression is None:
            expression = self._conditions[condition] = parse(condition)
        return expression

    def _definition(self, node: AnyNode) -> str | None:
        """Return the hash by which a later run knows the node again; None where nothing is recorded."""
        if self.services.recorder is None:
            return None
        return self.services.definitions.of(self.project, node, incoming=self._into[node.id])

    def _hash_tools(self) -> None:
        """Work out the definitions of all tools in one go: between two of them, with other work before, each takes twice as long."""
        for name in self._plan.nodes:
            node = self.project.nodes[name]
            if isinstance(node, ToolNode):
                self._definition(node)

    async def _attempts(self, node: AnyNode, live: list[Edge]) -> None:
        retry = retry_of(node, self.project.defaults)
        delay_s = retry.delay_s
        waited_ns = self._schedule.waited_ns(node.id)
        if waited_ns >= _NOTED_WAIT_NS:
            event("timing_metric", node=node.id, name="waited_for_a_place", duration_ms=waited_ns / 1e6)
        for attempt in range(1, retry.attempts + 1):
            try:
                outputs = await self._attempt(node, live, attempt=attempt)
            except Exception as error:
                if attempt == retry.attempts or not may_retry(node, error):
                    if isinstance(error, NodeError):
                        raise
                    raise _failure(node, error) from error
                wanted_s = getattr(error, "retry_after_s", None) or 0.0
                if self.services.waits():
                    await asyncio.sleep(min(max(delay_s, wanted_s), retry.max_delay_s))
                delay_s = min(delay_s * retry.factor, retry.max_delay_s)
            else:
                self._done(node, outputs, pending=self._schedule.unsettled - 1)
                return

    async def _attempt(self, node: AnyNode, live: list[Edge], *, attempt: int) -> dict[str, Any]:
        try:
            inputs, wrong = arriving(live, self.outputs, is_lenient=bool(self.project.trident)), None
        except NodeError as error:
            inputs, wrong = {}, error
        start = {
            "attempt": attempt,
            "iteration": self.iteration,
            "inputs": inputs,
            "definition": self._definition(node),
        }
        failure: BaseException | None = None
        with open_span((node.id, _kind(node)), {}, start=start) if self._is_recorded else NOOP_SPAN as span:
            try:
                work, around = self._outputs(node, inputs, wrong), self.services.around_attempt
                outputs = await (work if around is None else around(node.id, work))
            except Exception as error:
                failure = error
                self._note_failure(span, error, node, attempt=attempt)
            except SystemExit as error:  # from an object of a tool's that was asked for its text, say
                failure = ToolError(f"code of a tool wanted to end the process: sys.exit({safe_str(error)})")
                self._note_failure(span, failure, node, attempt=attempt)
            except asyncio.CancelledError as error:
                failure = error
                self._note_cancelled(span, error)
            else:
                if self._is_recorded:
                    event("output_produced", outputs=outputs)
                    span.output(outputs)
                    if not _is_json(outputs):
                        span.set(**{NOT_JSON: True})
                return outputs
        raise failure

    async def _outputs(
        self, node: AnyNode, inputs: dict[str, Any], wrong: NodeError | None
    ) -> dict[str, Any]:
        if wrong is not None:
            raise wrong
        if self._is_recorded:
            event("input_received", inputs=inputs)
        return await self._in_time(node, inputs)

    async def _in_time(self, node: AnyNode, inputs: dict[str, Any]) -> dict[str, Any]:
        timeout_s = timeout_of(node, self.project.defaults)
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                return await run_node(self, node, inputs)
        except TimeoutError:
            if not limit.expired():
                raise  # the node's own
            late = f"node {node.id} took longer than {timeout_s:g} s"
            model = self.asked.get(node.id)
            if model is None:
                raise WorkflowError(late) from None
            raise ProviderError(
                f"{model} did not answer in time: {late}", kind="timeout", may_retry=True
            ) from None
        finally:
            self.asked.pop(node.id, None)

    def _note_failure(self, span: Any, error: Exception, node: AnyNode, *, attempt: int) -> None:
        if isinstance(span, Span):
            attempts = retry_of(node, self.project.defaults).attempts
            retried = attempt < attempts and may_retry(node, error)
            span.fail(error, retried=retried)
            if isinstance(error, ProviderError) and error.may_retry and not retried:
                span.set(**{MAY_RETRY: True})
            where = _stack_of_the_users(error)
            if where is not None:
                span.note_stack(where)

    def _note_cancelled(self, span: Any, error: asyncio.CancelledError) -> None:
        """Say in a node's record which other one's failure ended it, where it was not the whole run that was ended."""
        cause = self._schedule.cancelled_by
        if isinstance(span, Span):
            span.fail(error if cause is None else str(cause), error_type="CancelledError")
            if cause is not None:
                span.set(**{CANCELLED_BY: cause.node_id})


def _stack_of_the_users(error: Exception) -> str | None:
    """Return where a tool failed, from its own first line on; None where no tool did."""
    cause = error.__cause__ if isinstance(error, ToolError) else None
    if cause is None:
        return None
    traceback = cause.__traceback__
    while traceback is not None and Path(traceback.tb_frame.f_code.co_filename).is_relative_to(_OURS):
        traceback = traceback.tb_next
    return stack_of(cause.with_traceback(traceback))


def _choices(project: Project, plan: Plan) -> dict[str, list[Edge]]:
    """Return the edges with conditions out of each node that has several."""
    found = {
        name: [edge for edge in edges if edge.condition is not None and edge.target in plan.nodes]
        for name, edges in edges_out_of(project).items()
    }
    return {name: edges for name, edges in found.items() if len(edges) > 1}


def _kind(node: AnyNode) -> str:
    return str(type(node).__struct_config__.tag)


def _failure(node: AnyNode, error: Exception) -> NodeError:
    said = str(error).encode("utf-8", "backslashreplace").decode()  # it goes into JSON and onto terminals
    return NodeError(f"node {node.id} ({_kind(node)}) failed: {said}", node_id=node.id)


def _is_json(value: Any) -> bool:
    try:
        return (type(value) is dict and not value) or is_json(value)
    except RecursionError:
        return False
