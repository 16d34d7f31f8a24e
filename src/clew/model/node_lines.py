"""The lines where nodes begin and end, decoded at one go with their payload.

They are nearly all of most logs. The fold works with these records, whether they come straight from a line or
from an `Event` that somebody else decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

import msgspec

from clew.model.boundaries import NodeCompleted, NodeFailed, NodeSkipped, NodeStarted, Payload
from clew.model.events import Event, decode_payload


class Unknown(msgspec.Struct, frozen=True):
    """Fields of a line that this version does not know, or that have another type than it expects."""

    payload: dict[str, Any]
    envelope: dict[str, Any] | None


# gc=False: these records come by the million and hold no cycle.
class NodeLine(msgspec.Struct, tag_field="event", kw_only=True, forbid_unknown_fields=True, gc=False):
    """What the beginning and the end of a node have in common."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    run_id: str
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """A line of any other level is decoded as an `Event` first, and keeps it here."""
    node_id: str | None = None
    span_id: str | None = None
    parent_id: str | None = None
    writer: str | None = None
    seq: int | None = None
    unknown: Unknown | None = msgspec.field(default=None, name="$unknown")
    """Never in a line: a line with unknown fields is decoded as an `Event` first."""


class StartLine(NodeLine, tag="node_started", gc=False):
    """A node begins."""

    data: NodeStarted = msgspec.field(default_factory=NodeStarted)


class CompletedLine(NodeLine, tag="node_completed", gc=False):
    """A node ends well."""

    data: NodeCompleted = msgspec.field(default_factory=NodeCompleted)


class FailedLine(NodeLine, tag="node_failed", gc=False):
    """A node ends with an error."""

    data: NodeFailed = msgspec.field(default_factory=NodeFailed)


class SkippedLine(NodeLine, tag="node_skipped", gc=False):
    """A node did not run."""

    data: NodeSkipped = msgspec.field(default_factory=NodeSkipped)


EndLine: TypeAlias = CompletedLine | FailedLine | SkippedLine
AnyLine: TypeAlias = StartLine | EndLine

_KINDS: Final[dict[str, tuple[type[AnyLine], type[Payload]]]] = {
    "node_started": (StartLine, NodeStarted),
    "node_completed": (CompletedLine, NodeCompleted),
    "node_failed": (FailedLine, NodeFailed),
    "node_skipped": (SkippedLine, NodeSkipped),
}
NODE_EVENTS: Final = frozenset(_KINDS)

LOOK_BYTES: Final = 12
"""So much of an event's name tells the four apart; the decoder refuses whatever else begins so."""
DECODERS: Final[dict[bytes, Callable[[bytes], AnyLine]]] = {
    name.encode()[:LOOK_BYTES]: cast("Callable[[bytes], AnyLine]", msgspec.json.Decoder(kind).decode)
    for name, (kind, _) in _KINDS.items()
}
"""Decoder of a line by the beginning of its event's name. It raises msgspec.DecodeError for unusual lines."""


def node_line(event: Event) -> AnyLine:
    """Return the same for an event of a node, with what its payload's type does not know kept apart."""
    kind, payload_type = _KINDS[event.event]
    payload, extra = decode_payload(payload_type, event.data)
    make = cast("Callable[..., AnyLine]", kind)
    return make(
        timestamp=event.timestamp,
        run_id=event.run_id,
        level=event.level,
        node_id=event.node_id,
        span_id=event.span_id,
        parent_id=event.parent_id,
        writer=event.writer,
        seq=event.seq,
        unknown=Unknown(extra, event.extra) if extra or event.extra else None,
        data=payload,
    )
