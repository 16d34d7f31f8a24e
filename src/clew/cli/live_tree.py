"""The live view of a workflow: a tree of its nodes that is drawn anew as events come in."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clew.journal.follow import JournalFollower
from clew.model.events import Event, decode_event
from clew.stream.pump import Pump
from clew.view.cells import harmless
from clew.view.durations import format_count, format_duration

MARKS: Final = {
    "running": ("●", "cyan"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
}
_LAST_LINES: Final = 4
_HEARD_CHARS: Final = 60
_NAME_CELLS: Final = 48
_FRAMES_A_SECOND: Final = 8
_KEPT_FOR_OTHERS: Final = 8
"""Lines of the window that the tree leaves: to the head, the last lines, and the prompt below."""
_ENDS: Final = {"node_completed": "completed", "node_failed": "failed"}


_Path = tuple[str, ...]
"""Names of nodes, each a workflow's that runs in the one before."""


@dataclass
class _Node:
    """One node as it stands: of a node that ran several times, the latest execution."""

    name: str
    kind: str
    depth: int
    state: str = "running"
    began_s: float = field(default_factory=time.monotonic)
    took_ns: int | None = None
    times: int = 0
    tokens: int | None = None
    cost_usd: float | None = None
    turn: int | None = None
    said: str = ""
    heard: str = ""


class LiveTree:
    """A sink that draws on a terminal. Called from one thread; what was drawn last stays."""

    def __init__(self, console: Console, *, name: str) -> None:
        self._name = name
        self._began_s = time.monotonic()
        self._nodes: dict[_Path, _Node] = {}
        self._ranks: dict[_Path, int] = {}
        self._places: dict[str, _Path] = {}
        self._last: list[tuple[str, str]] = []
        self._lock = threading.Lock()  # rich draws from a thread of its own
        self._console = console
        self._live = Live(
            console=console,
            get_renderable=self.drawing,
            refresh_per_second=_FRAMES_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=True,
        )
        self._live.start()

    def write(self, lines: Sequence[bytes], /) -> None:
        """Take events in."""
        with self._lock:
            for line in lines:
                event = decode_event(line)
                if event is not None:
                    self._take(event)

    def close(self, *, timeout_s: float) -> None:  # noqa: ARG002 - nothing here waits
        """Draw no more; how it ended stays to be read."""
        self._live.stop()

    def hear(self, node_id: str, text: str) -> None:
        """Take in a piece of what a model says: the end of it is shown beside its node. Called from any thread."""
        with self._lock:
            for path, node in reversed(self._nodes.items()):
                if path[-1] == node_id and node.state == "running":
                    node.heard = (node.heard + text)[-_HEARD_CHARS:]
                    node.said = " ".join(node.heard.split())
                    return

    def drawing(self) -> Group:
        """Return the view as it stands."""
        with self._lock:
            nodes = [self._nodes[path] for path in sorted(self._nodes, key=self._rank)]
            last = list(self._last)
        done = sum(node.state in {"completed", "skipped"} for node in nodes)
        head = Text.assemble(
            (self._name, "bold"),
            f"  {done} of {len(nodes)} nodes done  ",
            (format_duration(round((time.monotonic() - self._began_s) * 1e9)), "dim"),
        )
        return Group(
            head, _table(self._that_fit(nodes)), *[Text(text, style, no_wrap=True) for text, style in last]
        )

    def _that_fit(self, nodes: list[_Node]) -> list[_Node]:
        """Leave out what ended well first, where the window is too low for all."""
        room = max(3, self._console.height - _KEPT_FOR_OTHERS)
        if len(nodes) <= room:
            return nodes
        quiet = [node for node in nodes if node.state in {"completed", "skipped"}]
        leave = {id(node) for node in quiet[: len(nodes) - room]}
        return [node for node in nodes if id(node) not in leave][-room:]

    def _take(self, event: Event) -> None:
        data = event.values()
        if event.event == "workflow_started":
            self._places[event.run_id] = self._place(data)
        if event.level in {"WARNING", "ERROR"} or event.event in {
            "signal_received",
            "run_resumed",
            "decision_made",
        }:
            self._say(event, data)
        if event.node_id is None:
            return
        path = (*self._places.get(event.run_id, ()), event.node_id)
        node = self._nodes.get(path)
        if event.event in {"node_started", "node_skipped"}:
            if node is None:
                node = _Node(event.node_id, str(data.get("type") or ""), len(path) - 1)
                self._nodes[path], self._ranks[path] = node, len(self._nodes)
            node.began_s, node.took_ns, node.turn, node.said = time.monotonic(), None, None, ""
            node.state = "running" if event.event == "node_started" else "skipped"
            node.times += event.event == "node_started"
            if node.state == "skipped":
                node.said = str(data.get("condition") or data.get("reason") or "")
        elif node is not None:
            _update(node, event.event, data)

    def _place(self, started: dict[str, Any]) -> _Path:
        """Return the nodes that lead to a run: those of all rounds of a loop are the same."""
        above = self._places.get(str(started.get("parent_run_id")))
        if above is None:
            return ()
        attributes = started.get("attributes") or {}
        return (*above, str(attributes.get("node") or started.get("name") or ""))

    def _rank(self, path: _Path) -> tuple[int, ...]:
        """Return what puts a node right below the one that it runs in, however their events came."""
        return tuple(self._ranks.get(path[: length + 1], 0) for length in range(len(path)))

    def _say(self, event: Event, data: dict[str, Any]) -> None:
        if event.event in {"node_failed", "workflow_failed"}:
            return  # the tree and the command say that
        text = str(data.get("error") or data.get("reason") or "").split("\n", 1)[0]
        if event.event == "decision_made":
            ways = [", ".join(map(str, data.get(name) or ["nothing"])) for name in ("chosen", "alternatives")]
            text = f"takes {ways[0]}, not {ways[1]}"
        style = {"ERROR": "red", "WARNING": "yellow"}.get(event.level, "")
        line = harmless(f"{event.event} {event.node_id or ''} {text}".strip())
        self._last = [*self._last, (line, style)][-_LAST_LINES:]


def _update(node: _Node, name: str, data: dict[str, Any]) -> None:
    if name in _ENDS:
        node.state = _ENDS[name]
        node.took_ns = round(float(data.get("duration_ms") or 0) * 1e6)
        node.said = str(data.get("error") or "").split("\n", 1)[0]
    elif name == "token_usage":
        used = int(data.get("input_tokens") or 0) + int(data.get("output_tokens") or 0)
        node.tokens = (node.tokens or 0) + used
    elif name == "cost_incurred" and data.get("cost_usd") is not None:
        node.cost_usd = (node.cost_usd or 0.0) + float(data["cost_usd"])
    elif name == "agent_turn_started":
        node.turn = data.get("turn_number")
    elif name == "agent_tool_called":
        node.said = f"called {data.get('tool_name')}"
    elif name == "branch_iteration":
        node.said = f"round {int(data.get('iteration') or 0) + 1} of at most {data.get('max_iterations')}"


def _table(nodes: Sequence[_Node]) -> Table:
    rows = [_cells(node) for node in nodes]
    table = Table.grid(padding=(0, 2), expand=True)
    for place in range(4):  # what is said at the end is cut before any number is
        width = max((cell_len(row[place].plain) for row in rows), default=0)
        table.add_column(
            justify="right" if place else "left", no_wrap=True, min_width=min(width, _NAME_CELLS)
        )
    table.add_column(no_wrap=True, overflow="ellipsis", style="dim", ratio=1)
    for row in rows:
        table.add_row(*row)
    return table


def _cells(node: _Node) -> tuple[Text, ...]:
    mark, style = MARKS[node.state]
    took_ns = node.took_ns
    if node.state == "running":
        took_ns = round((time.monotonic() - node.began_s) * 1e9)
    shown = harmless(node.name)
    name = Text.assemble("  " * node.depth, (mark, style), f" {shown}", (f"  {harmless(node.kind)}", "dim"))
    if node.times > 1:
        name.append(f"  {node.times} times", "dim")
    turn = "" if node.turn is None else f"turn {node.turn}  "
    return (
        name,
        Text("" if node.state == "skipped" else format_duration(took_ns)),
        Text("" if node.tokens is None else f"{format_count(node.tokens)} tok"),
        Text("" if node.cost_usd is None else f"${node.cost_usd:.4f}"),
        Text(harmless(f"{turn}{node.said}")),
    )


def start_live_tree(tree: LiveTree, run_id: str, *, home: Path, writer: str) -> Pump:
    """Draw a run until the pump is closed."""
    pump = Pump(JournalFollower(home, runs={run_id}, own_writer=writer), tree, name="the live view")
    pump.start()
    return pump
