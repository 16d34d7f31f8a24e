"""The live view of a workflow: a tree of its nodes that is drawn anew as events come in."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.text import Text

from clew.cli.above_tree import PrintedAbove
from clew.cli.tree_rows import UNDER_WAY, NodeState, chosen, head, left_out, lines
from clew.journal.follow import JournalFollower
from clew.model.events import Event, decode_event
from clew.stream.pump import Pump
from clew.view.cells import harmless

_LAST_LINES: Final = 4
_HEARD_CHARS: Final = 60
_FRAMES_A_SECOND: Final = 8
_ROWS_LEAST: Final = 3
_SAID_ELSEWHERE: Final = frozenset(
    {
        "node_failed",  # the tree says these three, or the command when it ends
        "workflow_failed",
        "run_interrupted",
        "payload_truncated",  # of no use while it runs; `clew show` says it
    }
)
_STOPPED: Final = frozenset({"CancelledError", "KeyboardInterrupt"})
"""Errors of a node that did nothing wrong: the run was stopped, or another node failed."""


_Path = tuple[str, ...]
"""Names of nodes, each a workflow's that runs in the one before."""


class LiveTree:
    """A sink that draws on a terminal. Called from one thread; what was drawn last stays."""

    def __init__(self, console: Console, *, name: str, node_count: int | None = None) -> None:
        """Begin to draw.

        Args:
            console: what is drawn on.
            name: of the run.
            node_count: of the nodes that take part, those of workflows in it not counted. None: not known.
        """
        self.before_the_end: Callable[[], None] | None = None
        """Called before it is drawn for the last time."""
        self._name = name
        self._node_count = node_count
        self._changes = 0
        self._began_s = time.monotonic()
        self._nodes: dict[_Path, NodeState] = {}
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
            redirect_stderr=console.file is sys.stderr,
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
        with self._lock:
            for node in self._nodes.values():
                if node.state in UNDER_WAY:  # its end was not recorded, or it waited for another attempt
                    node.took_ns = round((time.monotonic() - node.began_s) * 1e9)
                    node.state = "interrupted"
        if self.before_the_end is not None:
            self.before_the_end()
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
        """Return the view as it stands, for a terminal of the size that it has now."""
        self._measure()
        width, height = self._console.size
        with self._lock:
            nodes = [self._nodes[path] for path in sorted(self._nodes, key=self._rank)]
            last = self._last[-max(1, min(_LAST_LINES, height // 5)) :]
            took_ns = round((time.monotonic() - self._began_s) * 1e9)
            # The head has a line, and the prompt that comes behind.
            shown, hidden = chosen(nodes, max(_ROWS_LEAST, height - len(last) - 2))
            rows = lines(shown, width=width)
            top = head(self._name, nodes, node_count=self._node_count, took_ns=took_ns, width=width)
        if hidden:
            waiting = (self._node_count or 0) - sum(not node.depth for node in nodes)
            rows.append(_told(left_out(hidden, waiting=waiting), "dim"))
        return Group(top, *rows, *[_told(text, style) for text, style in last])

    def _measure(self) -> None:
        """Ask the terminal that is drawn on: rich asks descriptors 0 to 2, and none of them need be one."""
        with contextlib.suppress(OSError, ValueError):
            columns, rows = os.get_terminal_size(self._console.file.fileno())
            if columns and rows:  # some that no window belongs to say 0
                self._console.size = ConsoleDimensions(columns, rows)

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
                node = NodeState(event.node_id, str(data.get("type") or ""), len(path) - 1)
                self._nodes[path], self._ranks[path] = node, len(self._nodes)
            node.began_s, node.took_ns, node.turn, node.said = time.monotonic(), None, "", ""
            node.state = "running" if event.event == "node_started" else "skipped"
            node.times += event.event == "node_started"
            if node.state == "skipped":
                node.said = str(data.get("condition") or data.get("reason") or "")
        elif node is not None:
            _update(node, event.event, data)
        if node is not None:
            self._changes += 1
            node.changed = self._changes

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
        if event.event in _SAID_ELSEWHERE:
            return
        text = str(data.get("error") or data.get("reason") or "").split("\n", 1)[0]
        if event.event == "decision_made":
            ways = [", ".join(map(str, data.get(name) or ["nothing"])) for name in ("chosen", "alternatives")]
            text = f"takes {ways[0]}, not {ways[1]}"
        elif event.event == "run_resumed":
            kept = len(data.get("kept_nodes") or [])
            text = f"{str(data.get('resumed_run_id'))[:16]}, {kept} {'node' if kept == 1 else 'nodes'} kept"
        style = {"ERROR": "red", "WARNING": "yellow"}.get(event.level, "")
        line = harmless(" ".join(part for part in (event.event, event.node_id, text) if part))
        self._last = [*self._last, (line, style)][-_LAST_LINES:]


def _told(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _update(node: NodeState, name: str, data: dict[str, Any]) -> None:
    if name in {"node_completed", "node_failed"}:
        node.took_ns = round(float(data.get("duration_ms") or 0) * 1e6)
        node.state = "completed" if name == "node_completed" else _how_it_failed(data)
        error = str(data.get("error") or "").removeprefix(f"{node.kind} {node.name} failed: ")
        node.said = error.split("\n", 1)[0]
    elif name == "token_usage":
        used = int(data.get("input_tokens") or 0) + int(data.get("output_tokens") or 0)
        node.tokens = (node.tokens or 0) + used
    elif name == "cost_incurred" and data.get("cost_usd") is not None:
        node.cost_usd = (node.cost_usd or 0.0) + float(data["cost_usd"])
    elif name == "agent_turn_started":
        node.turn = f"turn {data.get('turn_number')}"
    elif name == "agent_tool_called":
        node.said = f"called {data.get('tool_name')}"
    elif name == "branch_iteration":
        node.turn = f"round {int(data.get('iteration') or 0) + 1}"
        node.said = f"of at most {data.get('max_iterations')}"


def _how_it_failed(data: dict[str, Any]) -> str:
    if data.get("error_type") in _STOPPED:
        return "interrupted"
    return "retrying" if data.get("retried") else "failed"


@contextlib.contextmanager
def live_tree(
    run_id: str, *, name: str, node_count: int, home: Path, writer: str
) -> Iterator[tuple[LiveTree, Pump]]:
    """Draw a run on standard error until the pump is closed; what others write there is printed above the tree."""
    with contextlib.ExitStack() as stack:
        above: PrintedAbove | None = None
        with contextlib.suppress(OSError, ValueError):
            above = stack.enter_context(PrintedAbove()) if sys.stderr.fileno() == 2 else None
        console = Console(stderr=True) if above is None else Console(file=above.terminal)
        tree = LiveTree(console, name=name, node_count=node_count)
        if above is not None:
            above.console, tree.before_the_end = console, above.drain
        pump = Pump(JournalFollower(home, runs={run_id}, own_writer=writer), tree, name="the live view")
        pump.start()
        yield tree, pump
