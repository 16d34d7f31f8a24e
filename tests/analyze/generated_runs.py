"""Runs for the tests: public JSON lines, folded by the product, beside a log that the test wrote itself.

A `RunLog` keeps what really happened in plain tuples of nanoseconds, so that a test has something to compare with
that has never been near the fold.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from clew.model.events import Event, decode_event, encode_event
from clew.model.trace import ExecutionTrace

BEGIN = datetime(2026, 11, 21, 3, 59, 12, 123456, tzinfo=UTC)
RUN_ID = "0193514c5d2a7b3e8f10a2b3c4d5e6f7"
US = 1_000
MS = 1_000_000
S = 1_000_000_000


@dataclass
class Done:
    """What the test knows of one execution. Nanoseconds since the run began."""

    node_id: str
    span_id: str
    parent_id: str | None
    begin_ns: int
    end_ns: int | None = None
    status: str = "running"
    error: tuple[str, str] | None = None
    metrics: dict[str, float] = field(default_factory=dict)


class RunLog:
    """Emits the events of one run and remembers what it did."""

    def __init__(
        self, name: str | None = "calibration", *, kind: str = "job", begin: datetime = BEGIN
    ) -> None:
        self.lines: list[bytes] = []
        self.done: dict[str, Done] = {}
        self._begin = begin
        self._seq: dict[str, int] = {}
        self._emit("workflow_started", 0, data={"name": name, "type": kind})

    def _emit(
        self,
        event: str,
        at_ns: int,
        *,
        writer: str = "w1",
        data: dict[str, Any],
        done: Done | None = None,
    ) -> None:
        self._seq[writer] = self._seq.get(writer, -1) + 1
        line = encode_event(
            Event(
                timestamp=self._begin + timedelta(microseconds=at_ns // US),
                run_id=RUN_ID,
                event=event,
                node_id=None if done is None else done.node_id,
                span_id=None if done is None else done.span_id,
                parent_id=None if done is None else done.parent_id,
                writer=writer,
                seq=self._seq[writer],
                data=msgspec.Raw(msgspec.json.encode(data)),
            )
        )
        self.lines.append(line)

    def note(self, event: str, at_ns: int, *, span: str | None = None, **data: Any) -> None:
        """Emit an event that is no boundary."""
        self._emit(event, at_ns, data=data, done=None if span is None else self.done[span])

    def start(
        self,
        node_id: str,
        at_ns: int,
        *,
        parent: str | None = None,
        writer: str = "w1",
        **data: Any,
    ) -> str:
        span = f"{len(self.done) + 1:016x}"
        self.done[span] = Done(node_id, span, parent, at_ns)
        self._emit("node_started", at_ns, writer=writer, data=data, done=self.done[span])
        return span

    def end(
        self,
        span: str,
        at_ns: int,
        *,
        error: tuple[str, str] | None = None,
        writer: str = "w1",
        **data: Any,
    ) -> str:
        done = self.done[span]
        done.end_ns = at_ns
        done.error = error
        done.status = "failed" if error else "completed"
        done.metrics = data.get("metrics", {})
        data["duration_ms"] = (at_ns - done.begin_ns) / 1e6
        if error:
            data |= {"error_type": error[0], "error": error[1], "stack": f"Traceback:\n  in {done.node_id}"}
        self._emit("node_failed" if error else "node_completed", at_ns, writer=writer, data=data, done=done)
        return span

    def span(
        self, node_id: str, begin_ns: int, end_ns: int, *, parent: str | None = None, **data: Any
    ) -> str:
        """Start and end an execution."""
        writer = data.pop("writer", "w1")
        error = data.pop("error", None)
        start = {
            name: data.pop(name)
            for name in ("type", "attempt", "iteration", "attributes", "inputs")
            if name in data
        }
        span = self.start(node_id, begin_ns, parent=parent, writer=writer, **start)
        return self.end(span, end_ns, error=error, writer=writer, **data)

    def skip(self, node_id: str, at_ns: int, *, parent: str | None = None, reason: str = "cached") -> str:
        span = f"{len(self.done) + 1:016x}"
        self.done[span] = Done(node_id, span, parent, at_ns, None, "skipped")
        self._emit("node_skipped", at_ns, data={"reason": reason}, done=self.done[span])
        return span

    def finish(self, at_ns: int, *, error: tuple[str, str] | None = None, exit_code: int = 0) -> RunLog:
        data: dict[str, Any] = {"duration_ms": at_ns / 1e6, "exit_code": exit_code}
        if error:
            data |= {"error_type": error[0], "error": error[1]}
        self._emit("workflow_failed" if error else "workflow_completed", at_ns, data=data)
        return self

    def interrupt(self, at_ns: int, *, reason: str = "process died", writer: str = "w1") -> RunLog:
        self._emit("run_interrupted", at_ns, writer=writer, data={"reason": reason})
        return self

    def trace(self) -> ExecutionTrace:
        """Fold the lines as a reader of the journal would."""
        events = [decode_event(line) for line in self.lines]
        return ExecutionTrace.from_events([event for event in events if event is not None])


def calibration(*, batches: int = 5, per_batch: int = 8, workers: int = 4, seed: int = 7) -> RunLog:
    """Return a run as a calibration makes it: a loop of ask, a parallel batch on some workers, tell."""
    dice = random.Random(seed)
    log = RunLog("influenza", kind="script")
    job = log.start("calibration.job", 100 * US, attributes={"algorithm": "TPE", "seed": 1978})
    now = 2 * MS
    for number in range(batches):
        batch = log.start("calibration.iteration", now, parent=job, iteration=number)
        ask = now + dice.randrange(4, 30) * MS
        log.span("algorithm.ask", now + 30 * US, ask, parent=batch, metrics={"n_trials": per_batch})
        gather = log.start("simulation.gather", ask + 40 * US, parent=batch)
        free = [ask + 80 * US] * workers
        for trial in range(per_batch):
            worker = free.index(min(free))
            begin = free[worker]
            end = begin + dice.randrange(20_000, 120_000) * US
            log.span(
                "simulation.execute",
                begin,
                end,
                parent=gather,
                writer=f"worker{worker}",
                attributes={"trial": number * per_batch + trial, "R0": round(dice.uniform(2, 5), 3)},
                metrics={"loss": dice.uniform(1e3, 1e5)},
            )
            free[worker] = end + 50 * US
        done = max(free) + 100 * US
        log.end(gather, done)
        now = done + dice.randrange(1, 5) * MS
        log.span("algorithm.tell", done + 60 * US, now, parent=batch)
        log.end(batch, now + 20 * US)
        now += 200 * US
    log.end(job, now)
    return log.finish(now + MS)


def agent(*, failing: bool = True) -> RunLog:
    """Return an agent's run: model calls, tools, a retry, and an error that is raised through three levels."""
    log = RunLog("support-agent", kind="workflow")
    root = log.start("agent", 1 * MS, type="agent", inputs={"question": "Where is my order 4711?"})
    log.span(
        "plan", 3 * MS, 812 * MS, parent=root, type="prompt",
        model="large-1", input_tokens=1200, output_tokens=180, cached_tokens=1000, cost_usd=0.0123,
    )  # fmt: skip
    log.skip("classify", 813 * MS, parent=root)
    lookup = log.start("lookup", 820 * MS, parent=root, type="tool")
    timeout = ("TimeoutError", "orders.example did not answer within 500 ms")
    log.span("http.get", 821 * MS, 1321 * MS, parent=lookup, attempt=1, error=timeout, retried=True)
    log.span("http.get", 1400 * MS, 1460 * MS, parent=lookup, attempt=2)
    log.end(lookup, 1465 * MS)
    bad = ("ValueError", "order 4711 has no address")
    answer = log.start("answer", 1500 * MS, parent=root, type="prompt", inputs={"order": 4711})
    if failing:
        log.span("render", 1900 * MS, 1950 * MS, parent=answer, error=bad)
        log.end(answer, 1960 * MS, error=bad, input_tokens=900, output_tokens=20)
        log.end(root, 1970 * MS, error=("AgentError", "the answer could not be rendered"))
        return log.finish(1975 * MS, error=("AgentError", "the answer could not be rendered"), exit_code=1)
    log.end(answer, 1960 * MS, input_tokens=900, output_tokens=20, cost_usd=0.004)
    log.end(root, 1970 * MS)
    return log.finish(1975 * MS)


def interrupted() -> RunLog:
    """Return a run that was killed: two workers were busy, one orphan had lost its parent."""
    log = RunLog("nightly", kind="script")
    root = log.start("main", 2 * MS, inputs={"day": "2026-11-20"})
    log.span("extract", 3 * MS, 400 * MS, parent=root)
    load = log.start("load", 405 * MS, parent=root, inputs={"table": "orders", "rows": 12_000})
    log.start("load.part", 410 * MS, parent=load, writer="w2", attributes={"part": 1}, inputs=[1, 2, 3])
    log.span("load.part", 411 * MS, 700 * MS, parent=load, writer="w3", attributes={"part": 2})
    log.span("heartbeat", 500 * MS, 640 * MS, parent="ffffffffffffffff", writer="w3")
    return log.interrupt(910 * MS)


def loop(count: int, *, node_id: str = "step", step_ns: int = 10 * US) -> RunLog:
    """Return a run of many short executions, one after the other, inside one."""
    log = RunLog("loop")
    root = log.start("main", 0)
    for number in range(count):
        begin = (number + 1) * step_ns
        log.span(node_id, begin, begin + step_ns * 8 // 10, parent=root)
    log.end(root, (count + 2) * step_ns)
    return log.finish((count + 2) * step_ns)
