"""What the script of a page needs to know: the boxes, and what is shown of one when it is chosen."""

from __future__ import annotations

import heapq
import json
from typing import TYPE_CHECKING, Any, Final

from clew.view import labels, palette
from clew.view.durations import format_count, format_duration, format_usd
from clew.view.preview import preview

if TYPE_CHECKING:
    from clew.analyze.boxes import Box, Timeline
    from clew.model.records import NodeExecution
    from clew.model.trace import ExecutionTrace

PAYLOAD_BYTES: Final = 1_000_000
"""Of inputs, outputs, tags and errors in one page. What failed or is open comes first, then what took longest."""
_VALUE_LENGTH: Final = 600


def page_data(
    timeline: Timeline, trace: ExecutionTrace, *, most_bytes: int = PAYLOAD_BYTES
) -> tuple[str, int]:
    """Return the data as JSON that may stand in a script element, and how many boxes have no details in it.

    Nothing in it can end the element: `<`, `>` and `&` are written as escapes, and so is all that is not ASCII.
    """
    fills = palette.node_fills(timeline)
    details, left_out = _details(timeline, trace, most_bytes)
    data = {
        "span": timeline.span_ns,
        "rows": timeline.rows,
        "boxes": [
            [
                box.row,
                box.start_ns,
                box.end_ns,
                palette.FAILED if box.failed else fills.get(box.node_id, palette.OTHER),
                _look(box),
                round(box.busy_ratio, 3),
                labels.shortened(labels.box_label(box), 80),
                _time(box, trace),
                labels.box_title(box, trace),
                details.get(number, []),
            ]
            for number, box in enumerate(timeline.boxes)
        ],
    }
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"), left_out


def _look(box: Box) -> str:
    """Return how a box is drawn: block, failed, skipped, open, orphan or plain."""
    if box.count > 1:
        return "failed block" if box.failed else "block"
    if box.failed or box.status == "skipped":
        return box.status
    return "open" if box.open else "orphan" if box.orphans else "plain"


def _time(box: Box, trace: ExecutionTrace) -> str:
    duration_ns = trace.nodes[box.index].duration_ns
    return format_duration(duration_ns) if box.count == 1 and duration_ns is not None else ""


def _details(timeline: Timeline, trace: ExecutionTrace, most_bytes: int) -> tuple[dict[int, Any], int]:
    single = [(number, box) for number, box in enumerate(timeline.boxes) if box.count == 1]
    ranked = heapq.nsmallest(
        len(single), single, key=lambda pair: (not (pair[1].failed or pair[1].open), -pair[1].busy_ns)
    )
    details: dict[int, Any] = {}
    room = most_bytes
    for number, box in ranked:
        told = _told(trace.nodes[box.index])
        room -= len(json.dumps(told))
        if room < 0:
            break
        details[number] = told
    return details, len(single) - len(details)


def _told(node: NodeExecution) -> list[tuple[str, str]]:
    told: list[tuple[str, str | None]] = [
        ("Status", node.status),
        ("Kind", node.kind),
        ("Duration", None if node.duration_ns is None else format_duration(node.duration_ns)),
        ("Self time", None if node.self_time_ns is None else format_duration(node.self_time_ns)),
        ("Started", None if node.started_at is None else f"{node.started_at:%Y-%m-%d %H:%M:%S.%f} UTC"),
        ("Iteration", None if node.iteration is None else str(node.iteration)),
        ("Attempt", None if node.attempt is None else str(node.attempt)),
        ("Model", node.model),
    ]
    if node.usage is not None:
        told.append(("Input tokens", format_count(node.usage.input_tokens)))
        told.append(("Output tokens", format_count(node.usage.output_tokens)))
    told.append(("Cost", None if node.cost_usd is None else format_usd(node.cost_usd)))
    if node.error is not None:
        told.append(("Error", labels.error_text(node.error.error_type, node.error.message, 1000)))
        told.append(("Stack", None if node.error.stack is None else node.error.stack[-2000:]))
    if node.skip:
        told.append(("Skipped", preview(node.skip, _VALUE_LENGTH)))
    for name, value in (
        ("Tags", node.attributes),
        ("Metrics", node.metrics),
        ("Inputs", node.inputs),
        ("Outputs", node.outputs),
        ("Tools", node.tools_called),
    ):
        if value not in (None, {}, []):
            told.append((name, preview(value, _VALUE_LENGTH)))
    told.append(("Span", node.span_id))
    told.append(("Process", node.writer))
    return [(name, labels.shortened(value, 2000)) for name, value in told if value is not None]
