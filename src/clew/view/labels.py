"""What is written in, on and about the boxes of a timeline."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING, Final

from clew.analyze.sampling import LEFT_OUT, is_sampled
from clew.view.cells import harmless
from clew.view.durations import format_count, format_duration

if TYPE_CHECKING:
    from clew.analyze.boxes import Box, Timeline
    from clew.analyze.failures import Failure
    from clew.model.trace import ExecutionTrace

FAILED_MARK: Final = "✗"
OPEN_MARK: Final = "▸"
ORPHAN_MARK: Final = "?"
MOST_CHARACTERS: Final = 300
"""Of one name or message in a tooltip. Whole texts are in the trace itself."""

_DEEPEST: Final = 8
"""Nodes of a path that are named; the middle of a longer one is left out."""
_NARROW: Final = frozenset("iljtfrI.,:;'|!()[]{} -")
_BROAD: Final = frozenset("mwMW@%")


def markup(text: str) -> str:
    """Return text for XML or HTML, in an element or an attribute: escaped, and without characters that XML forbids."""
    return html.escape(harmless(text), quote=True)


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return text with at most so many characters, the last an ellipsis where it was cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def text_px(text: str, size_px: float) -> float:
    """Estimate how wide text is in the fonts that a browser may choose; rather too much than too little."""
    return sum(map(_em, text)) * size_px


def clipped(text: str, room_px: float, *, size_px: float) -> str:
    """Return as much of the text as fits into so many pixels, with an ellipsis where it was cut; maybe nothing."""
    if len(text) * size_px < room_px or text_px(text, size_px) <= room_px:
        return text
    room = room_px / size_px - _em("…")
    kept = 0
    for char in text:
        room -= _em(char)
        if room < 0:
            break
        kept += 1
    return text[:kept].rstrip() + "…" if kept >= 2 else ""


def _em(char: str) -> float:
    if char in _NARROW:
        return 0.38
    if char in _BROAD:
        return 0.98
    if char.isascii():
        return 0.72 if char.isupper() else 0.63
    return 1.05 if unicodedata.east_asian_width(char) in "WF" else 0.8


def box_label(box: Box) -> str:
    """Return what stands in a box where there is room."""
    name = shortened(box.node_id)
    if box.count > 1:
        return f"{name} ×{format_count(box.count)}"  # noqa: RUF001 - the sign itself is meant
    if box.failed:
        return f"{FAILED_MARK} {name}"
    if box.open:
        return f"{OPEN_MARK} {name}"
    return f"{ORPHAN_MARK} {name}" if box.orphans else name


def box_title(box: Box, trace: ExecutionTrace) -> str:
    """Return what is to be known of a box in one line: the whole name, how long, how it ended."""
    parts = [shortened(box.node_id)]
    if box.count > 1:
        parts[0] = f"{format_count(box.count)} executions of {parts[0]}"
        if box.nodes > 1:
            parts[0] += f" and {format_count(box.nodes - 1)} other nodes"
        parts.append(f"{format_duration(box.busy_ns)} in all")
        parts.append(f"{box.busy_ratio:.0%} busy")
        for number, what in ((box.failed, "failed"), (box.open, "without an end"), (box.skipped, "skipped")):
            if number:
                parts.append(f"{format_count(number)} {what}")
        return ", ".join(parts)
    node = trace.nodes[box.index]
    if node.duration_ns is not None:
        parts.append(format_duration(node.duration_ns))
    parts.append(f"from {format_duration(box.start_ns)}")
    if node.iteration is not None:
        parts.append(f"iteration {node.iteration}")
    if node.attempt is not None and node.attempt > 1:
        parts.append(f"attempt {node.attempt}")
    if node.status != "completed":
        parts.append(node.status)
    if node.error is not None:
        parts.append(error_text(node.error.error_type, node.error.message))
    if box.orphans:
        parts.append("its parent is not in the log")
    return ", ".join(parts)


def error_text(error_type: str | None, message: str | None, most: int = MOST_CHARACTERS) -> str:
    """Return an error in one line, shortened."""
    return shortened(": ".join(part[:most] for part in (error_type, message) if part) or "failed", most)


def place_text(failure: Failure, inside: str = " › ") -> str:  # noqa: RUF001 - the sign itself is meant
    """Return where a failure was, outermost node first, shortened."""
    if failure.node_id is None:
        return "the run itself"
    names = [shortened(name, 80) for name in [*failure.path, failure.node_id]]
    if len(names) > _DEEPEST:
        names[2 : 3 - _DEEPEST] = ["…"]
    return inside.join(names)


def failure_text(failure: Failure) -> str:
    """Return a failure in one line: what, how often, where."""
    times = f" ×{format_count(failure.count)}" if failure.count > 1 else ""  # noqa: RUF001 - as above
    return f"{error_text(failure.error_type, failure.message)}{times}, in {place_text(failure)}"


def run_name(trace: ExecutionTrace, most: int = 120) -> str:
    """Return what a run is called, shortened."""
    return shortened(trace.name or trace.run_id, most)


def run_facts(trace: ExecutionTrace) -> list[str]:
    """Return what is to be known of the run in a few words each, its status first."""
    reason = f" ({shortened(trace.interrupted_by, 80)})" if trace.interrupted_by else ""
    facts = [f"{trace.status}{reason}"]
    if trace.duration_ns is not None:
        facts.append(format_duration(trace.duration_ns))
    facts.append(f"{format_count(len(trace.nodes))} {'execution' if len(trace.nodes) == 1 else 'executions'}")
    if trace.started_at is not None:
        facts.append(f"{trace.started_at:%Y-%m-%d %H:%M:%S} UTC")
    return facts


def timeline_notes(timeline: Timeline, trace: ExecutionTrace) -> list[str]:
    """Return what a reader must know so as not to take the picture for more than it is."""
    notes = []
    if timeline.aggregated:
        notes.append(
            f"{format_count(timeline.aggregated)} of {format_count(timeline.executions)} executions are too short to "
            "be drawn alone and share blocks; the height of a block is how busy it was"
        )
    if timeline.rows_folded:
        notes.append(f"{format_count(timeline.rows_folded)} rows do not fit and are folded into the last one")
    return notes + record_notes(trace)


def record_notes(trace: ExecutionTrace) -> list[str]:
    """Return what is known to be missing or uncertain in the record itself."""
    notes = [
        f"{format_count(count)} {one if count == 1 else many}"
        for count, one, many in (
            (trace.lost, "event is lost", "events are lost"),
            (trace.redacted, "secret was removed", "secrets were removed"),
            (trace.truncated, "payload was cut", "payloads were cut"),
        )
        if count
    ]
    if trace.causal_inversion_ns:
        notes.append(f"clocks disagree by up to {format_duration(trace.causal_inversion_ns)}")
    return notes if is_sampled(trace.boundaries) else [LEFT_OUT, *notes]
