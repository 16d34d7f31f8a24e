"""A run with loops, threads, retries and failures, compared field by field with a log that the test writes itself."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import clew
from clew.journal.writer import JournalWriter
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.record.clock import SystemClock
from clew.record.recorder import Recorder
from clew.session import SystemIds
from clew.testing import using
from tests.record.reading import check_lines, lines_in, traces_in


@dataclass
class Seen:
    """One execution as the program itself saw it, by its own clocks."""

    name: str
    kind: str
    parent: Seen | None
    attributes: dict[str, Any]
    before_ns: int = 0
    inside_ns: int = 0
    ending_ns: int = 0
    after_ns: int = 0
    began_wall: tuple[datetime, datetime] = (datetime.min.replace(tzinfo=UTC),) * 2
    metrics: dict[str, float] = field(default_factory=dict)
    output: Any = None
    error: BaseException | None = None
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    span_id: str | None = None


class Program:
    """Does random work from a seed, in spans, and notes everything."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seen: list[Seen] = []
        self.lock = threading.Lock()

    def work(self, parent: Seen | None, depth: int, seed: int) -> None:
        """Do one piece of work: it may fail, retry, call itself, and start others at once."""
        choose = random.Random(seed)
        mine = Seen(
            choose.choice(["fetch", "parse", "route", "näher bestimmen"]),
            choose.choice(["tool", "prompt", "retrieval"]),
            parent,
            {"seed": seed, "depth": depth, "note": "x" * choose.randrange(30)},
        )
        with self.lock:
            self.seen.append(mine)
        early = datetime.now(UTC)
        mine.before_ns = time.monotonic_ns()
        try:
            with clew.span(mine.name, kind=mine.kind, **mine.attributes) as span:
                mine.inside_ns = time.monotonic_ns()
                mine.began_wall = (early, datetime.now(UTC))
                mine.span_id = span.span_id
                self.inside(mine, span, choose, depth)
                mine.ending_ns = time.monotonic_ns()
        except ValueError as error:
            mine.error = error
        mine.after_ns = time.monotonic_ns()

    def inside(self, mine: Seen, span: Any, choose: random.Random, depth: int) -> None:
        for n in range(choose.randrange(3)):
            data: dict[str, Any] = {"n": n, "word": choose.choice(["short", "a much longer word than that"])}
            clew.event("decision_made", **data)
            mine.events.append(("decision_made", data))
        seeds = [choose.randrange(2**32) for _ in range(choose.randrange(3) if depth else 0)]
        if len(seeds) == 2 and choose.random() < 0.5:
            with ThreadPoolExecutor(2) as pool:
                for job in [pool.submit(self.work, mine, depth - 1, seed) for seed in seeds]:
                    job.result()
        else:
            for seed in seeds:
                self.work(mine, depth - 1, seed)
        if choose.random() < 0.5:
            mine.metrics = {"loss": choose.random(), "n": float(choose.randrange(100))}
            span.metrics.update(mine.metrics)
        if choose.random() < 0.5:
            mine.output = {"answer": choose.randrange(100)}
            span.output(mine.output)
        if choose.random() < 0.3:
            mine.ending_ns = time.monotonic_ns()
            raise ValueError(f"failed with {choose.randrange(1000)}")


MICROSECOND = timedelta(microseconds=1)


def check_node(node: NodeExecution, mine: Seen, by_span: dict[str | None, Seen], *, skew: timedelta) -> None:
    """Every field of a record against what the program saw."""
    assert (node.node_id, node.kind, node.attributes) == (mine.name, mine.kind, mine.attributes)
    assert node.metrics == mine.metrics
    assert node.outputs == mine.output
    assert by_span.get(node.parent_id) is mine.parent
    assert (node.parent_id is None) == (mine.parent is None)
    assert node.status == ("failed" if mine.error else "completed")
    if mine.error is not None:
        assert node.error is not None
        assert (node.error.error_type, node.error.message) == ("ValueError", str(mine.error))
        assert (node.error.node_id, node.error.span_id) == (mine.name, mine.span_id)
        assert "in inside" in (node.error.stack or "")
    else:
        assert node.error is None
    assert node.duration_ns is not None
    assert mine.ending_ns - mine.inside_ns <= node.duration_ns <= mine.after_ns - mine.before_ns
    assert node.self_time_ns is not None
    assert 0 <= node.self_time_ns <= node.duration_ns
    assert node.started_at is not None
    assert node.ended_at is not None
    early, late = mine.began_wall
    assert early - skew - MICROSECOND <= node.started_at <= late + skew
    took = node.ended_at - node.started_at
    assert abs(took / MICROSECOND - node.duration_ns / 1000) <= 1
    assert [(event.event, event.values()) for event in node.events] == mine.events
    assert (node.attempt, node.iteration, node.usage, node.cost_usd, node.model) == (None,) * 5
    assert (node.inputs, node.links, node.tools_called, node.skip, node.extra, node.end_extra) == (
        *(None, [], [], None),
        *({}, {}),
    )
    assert not node.start_lost


@pytest.mark.parametrize("mode", ["mapped", "written"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_field_of_every_record_is_what_the_program_saw(mode: str, seed: int, tmp_path: Path) -> None:
    home = tmp_path / ".clew"
    ids, clock = SystemIds(), SystemClock()
    recorder = Recorder(
        lambda: JournalWriter(home, clock, ids=ids, mode=mode, segment_bytes=64 * 1024),
        ids=ids,
        clock=clock,
        home=home,
        capture="full",
    )
    program = Program(seed)
    wall_then, monotonic_then = datetime.now(UTC), time.monotonic_ns()
    with (
        using(recorder),
        clew.run("calibration", kind="job", thread_id="t1", params={"n": 3}, city="Reims") as run,
    ):
        for _ in range(40):
            program.work(None, 3, program.random.randrange(2**32))
        run.output({"best": 1})
    recorder.writer.close()
    # The log derives dates from one reading of the wall clock; the system may adjust that clock meanwhile.
    skew = abs(
        (datetime.now(UTC) - wall_then)
        - timedelta(microseconds=(time.monotonic_ns() - monotonic_then) / 1000)
    )
    skew += timedelta(milliseconds=5)
    check_lines(lines_in(home))
    (trace,) = traces_in(home).values()
    by_span: dict[str | None, Seen] = {mine.span_id: mine for mine in program.seen}
    assert len(by_span) == len(program.seen) == len(trace.nodes)
    for node in trace.nodes:
        check_node(node, by_span[node.span_id], by_span, skew=skew)
    starts = [node.started_at for node in trace.nodes if node.started_at is not None]
    assert starts == sorted(starts)
    assert [node.index for node in trace.nodes] == list(range(len(trace.nodes)))
    assert (trace.name, trace.kind, trace.thread_id, trace.params) == ("calibration", "job", "t1", {"n": 3})
    assert (trace.attributes, trace.outputs, trace.status) == ({"city": "Reims"}, {"best": 1}, "completed")
    assert [e.message for e in trace.errors] == [n.error.message for n in trace.nodes if n.error]
    assert (trace.lost, trace.redacted, trace.truncated, trace.causal_inversion_ns) == (0, 0, 0, 0)
    assert ExecutionTrace.from_events(trace.to_events()) == trace
