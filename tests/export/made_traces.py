"""Traces with everything in them: nested, parallel, repeated, failing, open, skipped, of several writers."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from clew.model.events import Event
from clew.model.trace import ExecutionTrace

RUN_ID = "0123456789abcdef0123456789abcdef"
BEGIN = datetime(2026, 11, 21, 4, 0, 0, 123456, tzinfo=UTC)


class Recording:
    """Events as a recorder would write them: the clock counts nanoseconds, and dates have microseconds."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now_ns = 0
        self._seq: dict[str, int] = {}
        self._begun: dict[str, tuple[str, str | None, int, str]] = {}

    def write(self, name: str, *, writer: str = "w1", **fields: Any) -> None:
        self._seq[writer] = self._seq.get(writer, 0) + 1
        data = msgspec.Raw(msgspec.json.encode(fields.pop("data", {})))
        at = BEGIN + timedelta(microseconds=self.now_ns // 1000)
        level = "ERROR" if name.endswith("failed") else "INFO"
        self.events.append(
            Event(
                timestamp=at,
                run_id=RUN_ID,
                event=name,
                level=level,
                writer=writer,
                seq=self._seq[writer],
                data=data,
                **fields,
            )
        )

    def start(
        self, span: str, *, node: str, parent: str | None = None, writer: str = "w1", **data: Any
    ) -> None:
        self._begun[span] = (node, parent, self.now_ns, writer)
        names = {"node_id": node, "span_id": span, "parent_id": parent}
        self.write("node_started", writer=writer, data=data, **names)

    def end(self, span: str, *, name: str = "node_completed", **data: Any) -> None:
        node, parent, begun_ns, writer = self._begun.pop(span)
        if name != "node_skipped":
            data = {"duration_ms": (self.now_ns - begun_ns) / 1e6, **data}
        names = {"node_id": node, "span_id": span, "parent_id": parent}
        self.write(name, writer=writer, data=data, **names)

    def inside(self, span: str, name: str, /, **data: Any) -> None:
        node, parent, _, writer = self._begun[span]
        self.write(name, writer=writer, data=data, node_id=node, span_id=span, parent_id=parent)

    def open_spans(self) -> list[str]:
        return list(self._begun)

    def trace(self) -> ExecutionTrace:
        return ExecutionTrace.from_events(self.events)


def random_trace(seed: int, *, steps: int = 60, step_ns: int = 3000) -> ExecutionTrace:
    """Return a run of threads that work at once in two processes; a small step makes times collide."""
    chance = random.Random(seed)
    made = Recording()
    made.write("workflow_started", data={"name": "made", "type": "script", "attributes": {"seed": seed}})
    stacks: list[list[str]] = [[] for _ in range(4)]
    made.start("root", node="main")
    for count in range(steps):
        made.now_ns += chance.randrange(step_ns)
        thread = chance.randrange(len(stacks))
        stack, writer = stacks[thread], "w2" if thread == 3 else "w1"
        if not stack or (len(stack) < 5 and chance.random() < 0.5):
            parent = stack[-1] if stack else chance.choice(["root", None])
            if chance.random() < 0.2:
                parent = chance.choice(made.open_spans())  # of another thread, and this may outlive it
            span = f"{thread}-{count}"
            node = chance.choice(["draft", "judge", "=cmd", "näht"])
            tags = {"attributes": {"seed": str(count), "thread": thread}} if chance.random() < 0.6 else {}
            made.start(span, node=node, parent=parent, writer=writer, type="prompt", **tags)
            stack.append(span)
        elif chance.random() < 0.3:
            made.inside(stack[-1], "metric_recorded", name="loss", value=count / 7)
        else:
            _finish(made, stack.pop(), chance)
    for stack in stacks:
        while stack and chance.random() < 0.7:
            made.now_ns += chance.randrange(step_ns)
            _finish(made, stack.pop(), chance)
    if not any(stacks):
        made.end("root")
        made.write(
            "workflow_completed", data={"name": "made", "duration_ms": made.now_ns / 1e6, "outputs": {"n": 1}}
        )
    return made.trace()


def _finish(made: Recording, span: str, chance: random.Random) -> None:
    draw = chance.random()
    if draw < 0.15:
        made.end(span, name="node_failed", error="boom\nsecond line", error_type="ValueError")
    elif draw < 0.3:
        made.end(span, name="node_skipped", reason="edge_condition_false")
    else:
        made.end(
            span,
            input_tokens=7,
            output_tokens=2,
            cost_usd=0.25,
            metrics={"score": draw},
            outputs={"text": "hi"},
        )
