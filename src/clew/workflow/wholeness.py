"""Whether what the log holds of a value is that value: secrets are removed before the write, and what is too large is cut."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from clew.errors import ClewError
from clew.journal.blobs import read_blob
from clew.model.events import Event
from clew.model.records import NodeExecution
from clew.model.trace import ExecutionTrace
from clew.record.plain import WHOLE
from clew.record.redact import REDACTED

NOT_JSON: Final = "objects"
"""The attribute of a node whose outputs are more than JSON, and so are not whole in the log."""
SECRETS: Final = "secrets were removed"
OBJECTS: Final = "Python objects, which the log does not hold"
BEYOND: Final = "nested too deep, or a number too large, for the log"
CAPTURE: Final = "capture"
"""The attribute of a run of which inputs and outputs are not kept whole: the setting of that name."""
_SHORTENED: Final = ("…", "nested deeper than", " bytes>")
"""What stands in the place of what `capture = "summary"` leaves out."""
_ENDED: Final = frozenset({"completed", "failed", "skipped"})


class Payload(NamedTuple):
    """A value of the log, with what is stored beside it put back."""

    value: Any
    lack: str | None = None
    """Why it is not what it was then; None where it is."""


class Payloads:
    """Reads the payloads of one run."""

    def __init__(self, trace: ExecutionTrace, *, home: Path) -> None:
        self._trace = trace
        self._home = home

    def inputs(self) -> Payload:
        """What the run was given."""
        return self._kept(self._trace.inputs)

    def outputs(self) -> Payload:
        """What the run gave, Python objects not looked for: see `with_objects`."""
        return self._kept(self._trace.outputs)

    def outputs_of(self, node: NodeExecution) -> Payload:
        """What a node gave."""
        if node.attributes.get(NOT_JSON):
            return Payload(None, OBJECTS)
        return self._told(node, "output_produced", "outputs", node.outputs)

    def inputs_of(self, node: NodeExecution) -> Payload:
        """What a node was given."""
        return self._told(node, "input_received", "inputs", node.inputs)

    def read(self, value: Any, *, node: NodeExecution | None = None) -> Payload:
        """Return a payload of the run, or of a node of it."""
        found = put_back(value, home=self._home)
        if found.lack is None and self._may_lack_secrets(node) and holds(found.value, REDACTED):
            return Payload(found.value, SECRETS)
        return found

    def with_objects(self) -> list[str]:
        """Return the nodes that the outputs of the run come from and that gave Python objects."""
        done = [node for node in self._trace.nodes if node.status == "completed" and node.parent_id is None]
        ends = [node for node in done if node.kind == "output"]
        if not ends:  # one of the nodes gave what the run gave
            ends = [node for node in done if node.outputs == self._trace.outputs]
        return [node.node_id for node in ends if node.attributes.get(NOT_JSON)]

    def _told(self, node: NodeExecution, name: str, field: str, kept: Any) -> Payload:
        """Return a payload as an event of the node tells it, which is whole whatever the setting `capture` is."""
        for event in reversed(node.events):
            if event.event == name:
                return self.read(event.values().get(field), node=node)
        return self._kept(kept, node=node)

    def _kept(self, value: Any, *, node: NodeExecution | None = None) -> Payload:
        """Return a payload that is only kept as the setting `capture` says."""
        capture = self._trace.attributes.get(CAPTURE)
        if capture is not None and any(holds(value, mark) for mark in _SHORTENED):
            return Payload(None, f"shortened by capture = {capture}")
        return self.read(value, node=node)

    def _may_lack_secrets(self, node: NodeExecution | None) -> bool:
        """Whether `[redacted]` stands for a secret. Else it is a text that somebody wrote.

        What was removed is told right after; only a process that died between the two did not come to it, and an
        imported log may have been filtered.
        """
        trace = self._trace
        if "imported_from" in trace.attributes:
            return True
        if node is None:
            return trace.status not in _ENDED or _tells_removal(trace.events)
        return node.status not in _ENDED or _tells_removal(node.events)


def put_back(value: Any, *, home: Path) -> Payload:
    """Return a payload with what is stored beside the log put back."""
    match value:
        case {"$cut": int(size), **rest} if rest.keys() <= {"preview"}:
            return Payload(None, f"{size:,} bytes, cut at max_payload_bytes")
        case {"$blob": str(name), **rest} if rest.keys() <= {"bytes", "preview"}:
            try:
                return Payload(msgspec.json.decode(read_blob(home, name)))
            except (ClewError, msgspec.DecodeError):
                return Payload(
                    None, f"the file beside the log that holds it, {name[:16]}, is gone or damaged"
                )
    return Payload(value)


def is_json(value: Any) -> bool:
    """Whether a value is the same after it was recorded whole and read again."""
    room = WHOLE.total_items

    def same(value: Any, depth: int) -> bool:
        nonlocal room
        kind = type(value)
        if kind is str:
            return _is_text(value)
        if kind is float:
            return bool(value - value == 0)
        if kind is int:
            return bool(-(2**63) <= value < 2**64)
        if kind is not dict and kind is not list:
            return value is None or kind is bool
        room -= len(value) + 8  # as recording counts
        if depth >= WHOLE.depth or room < 0:
            return False
        if kind is list:
            return all(same(item, depth + 1) for item in value)
        return all(
            type(name) is str and same(name, depth) and same(item, depth + 1) for name, item in value.items()
        )

    return same(value, 0)


def holds(value: Any, text: str) -> bool:
    """Whether a text is part of any text in a value."""
    match value:
        case str():
            return text in value
        case list():
            return any(holds(item, text) for item in value)
        case dict():
            return any(holds(name, text) or holds(item, text) for name, item in value.items())
    return False


def _is_text(value: str) -> bool:
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:  # half of a pair
        return False


def _tells_removal(events: Iterable[Event]) -> bool:
    return any(event.event == "redacted" for event in events)
