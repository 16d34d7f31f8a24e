"""What the journal says, in the words of the logs that the tests write themselves."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from clew.store.store import Store

_ENDS = {"node_started": "started", "node_completed": "completed", "node_failed": "completed"}


def events_of(store: Store, run_id: str) -> list[dict[str, Any]]:
    """Return a run's events, each of which must be one line of valid JSON with a number that nothing else has."""
    events: list[dict[str, Any]] = [json.loads(line) for line in store.lines(run_id)]
    numbers = Counter((e["writer"], e["seq"]) for e in events if "seq" in e)
    twice = [number for number, count in numbers.items() if count > 1]
    assert not twice, f"numbers that were given out twice: {twice[:5]}"
    return events


def steps_of(events: list[dict[str, Any]]) -> dict[int, list[tuple[str, int, int]]]:
    """Return what each source did, in the order of the log: what, which source, which round."""
    steps: dict[int, list[tuple[str, int, int]]] = {}
    spans: dict[str, tuple[int, int]] = {}
    for event in events:
        data = event["data"]
        name = event["event"]
        if name == "node_started":
            named = data.get("attributes") or data.get("inputs") or {}
            spans[event["span_id"]] = named["source"], named["number"]
        if name in _ENDS:
            source, number = spans[event["span_id"]]
            node = event["node_id"].rpartition(".")[2]
            steps.setdefault(source, []).append((f"{node} {_ENDS[name]}", source, number))
        elif name == "tick":
            steps.setdefault(data["source"], []).append((name, data["source"], data["number"]))
    return steps


def all_steps(home: Path) -> Counter[tuple[str, int, int]]:
    """Return how often each step stands in the journal, over all runs."""
    store = Store(home)
    return Counter(
        step
        for row in store.runs()
        for steps in steps_of(events_of(store, row.run_id)).values()
        for step in steps
    )
