"""speedscope's file format: one evented profile a track, in nanoseconds from the run's start.

See https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from clew.export.contract import Exporter
from clew.export.tracks import ALONE, Tracks, assign_tracks
from clew.model.trace import ExecutionTrace
from clew.version import VERSION

_SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"


def write(trace: ExecutionTrace, out: BinaryIO) -> None:
    """Write one document, event by event. A frame is a node; executions whose end is lost say so in their frame."""
    tracks = assign_tracks(trace)
    names = [_frame(trace, position) for position in range(len(trace.nodes))]
    frames = {name: index for index, name in enumerate(dict.fromkeys(names))}
    head = {
        "$schema": _SCHEMA,
        "exporter": f"clew {VERSION}",
        "name": trace.name or trace.run_id,
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": name} for name in frames]},
    }
    out.write(msgspec.json.encode(head).removesuffix(b"}") + b',"profiles":[')
    comma = b"\n"
    for number, members in enumerate(_members(tracks), start=1):
        title = {"type": "evented", "name": _title(tracks, number), "unit": "nanoseconds"}
        first, last = tracks.begins[members[0]], max(tracks.ends[position] for position in members)
        profile = {**title, "startValue": first, "endValue": last}
        out.write(comma + msgspec.json.encode(profile).removesuffix(b"}") + b',"events":[')
        comma = b"\n"
        for kind, position, at in _openings(tracks, members):
            event = {"type": kind, "frame": frames[names[position]], "at": at}
            out.write(comma + msgspec.json.encode(event))
            comma = b",\n"
        out.write(b"\n]}")
        comma = b",\n"
    out.write(b"\n]}\n")


def _frame(trace: ExecutionTrace, position: int) -> str:
    node = trace.nodes[position]
    return node.node_id if node.ended_at is not None else f"{node.node_id} (no end)"


def _title(tracks: Tracks, number: int) -> str:
    writer = tracks.writers[number - 1]
    return f"track {number}" if writer is None else f"track {number}, writer {writer}"


def _members(tracks: Tracks) -> list[list[int]]:
    """Return the executions of each track, from left to right, outer ones first."""
    members: list[list[int]] = [[] for _ in tracks.writers]
    for position in tracks.order:
        members[tracks.track[position]].append(position)
    return members


def _openings(tracks: Tracks, members: list[int]) -> Iterator[tuple[str, int, int]]:
    """Give `O` and `C` with their times, in order, each closed before what it lies in."""
    stack: list[int] = []
    for position in members:
        under = tracks.under[position]
        while stack and (under == ALONE or stack[-1] != under):
            closed = stack.pop()
            yield "C", closed, tracks.ends[closed]
        yield "O", position, tracks.begins[position]
        stack.append(position)
    while stack:
        closed = stack.pop()
        yield "C", closed, tracks.ends[closed]


EXPORTER: Final = Exporter(
    name="speedscope",
    description="speedscope's file format, a flame graph over time, for speedscope.app",
    suffix=".speedscope.json",
    write=write,
)
