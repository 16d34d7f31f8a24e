"""What a picture of a timeline consists of, in pixels from the top left, before it is SVG or PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from clew.analyze.failures import find_failures
from clew.analyze.tree import build_tree
from clew.view import labels, palette
from clew.view.axis import ticks
from clew.view.durations import format_count, format_duration
from clew.view.labels import clipped, text_px

if TYPE_CHECKING:
    from clew.analyze.boxes import Box, Timeline
    from clew.model.trace import ExecutionTrace

MARGIN: Final = 16
PITCH: Final = 20
"""From one row to the next."""
BOX_HEIGHT: Final = 18
TEXT_SIZE: Final = 11
TITLE_SIZE: Final = 15
DIAMOND: Final = 5
"""Half the height of the mark of a skipped execution."""

_BOLD: Final = 1.12
"""How much wider bold letters are."""
_TICK_PX: Final = 90
_SHORTEST_LABEL: Final = 5
"""Characters of a cut name below which it says nothing."""
_MOST_FAILURES: Final = 3


class Rule(NamedTuple):
    """A line of the axis."""

    x: float
    top: float
    bottom: float


class Rectangle(NamedTuple):
    """A box, or a sample of one in the legend."""

    left: float
    top: float
    width: float
    height: float
    fill: str
    is_open: bool = False
    is_orphan: bool = False
    is_block: bool = False
    title: str = ""


class Diamond(NamedTuple):
    """Something that was skipped."""

    x: float
    y: float
    title: str


class Text(NamedTuple):
    """One line, from its left end; `y` is the line on which the letters stand."""

    x: float
    y: float
    text: str
    tone: str
    """ink, faint, alarm, or, in a box, on_fill, on_failed."""
    is_title: bool = False


Shape = Rule | Rectangle | Diamond | Text


class LegendEntry(NamedTuple):
    """What a look means."""

    name: str
    fill: str
    is_open: bool = False
    is_orphan: bool = False
    is_skipped: bool = False


def legend(timeline: Timeline) -> list[LegendEntry]:
    """Return the looks that a timeline has, and no others: nodes in the order of their first start, then states."""
    boxes = timeline.boxes
    fills = palette.node_fills(timeline)
    coloured = {box.node_id for box in boxes if not box.failed and box.status != "skipped"}
    entries = [LegendEntry(node_id, fill) for node_id, fill in fills.items() if node_id in coloured]
    others = coloured - set(fills)
    if others:
        name = "1 other node" if len(others) == 1 else f"{format_count(len(others))} other nodes"
        entries.append(LegendEntry(name, palette.OTHER))
    if any(box.failed for box in boxes):
        entries.append(LegendEntry(f"{labels.FAILED_MARK} failed", palette.FAILED))
    if any(box.open for box in boxes):
        entries.append(LegendEntry(f"{labels.OPEN_MARK} no end in the log", palette.OTHER, is_open=True))
    if any(box.orphans for box in boxes):
        entries.append(
            LegendEntry(f"{labels.ORPHAN_MARK} parent not in the log", palette.OTHER, is_orphan=True)
        )
    if any(box.skipped for box in boxes):
        entries.append(LegendEntry("skipped", "", is_skipped=True))
    return entries


class Scene:
    """Draws from the top downwards: `height` is how far it has come, and in the end the height of the picture."""

    def __init__(
        self, timeline: Timeline, trace: ExecutionTrace, *, width: int, heading: bool = True
    ) -> None:
        self.width = width
        self.height = MARGIN
        self.shapes: list[Shape] = []
        self._timeline = timeline
        self._trace = trace
        self._room = width - 2 * MARGIN
        self._fills = palette.node_fills(timeline)
        if heading:
            self._heading()
        self._axis()
        self._boxes()
        self._legend()
        for note in labels.timeline_notes(timeline, trace):
            self.height += 17
            self._text(MARGIN, note, "faint")
        self.height += MARGIN - 4

    def _text(self, x: float, text: str, tone: str) -> None:
        """Write a line at the present height, cut where the picture ends."""
        shown = clipped(text, self.width - MARGIN - x, size_px=TEXT_SIZE)
        self.shapes.append(Text(x, self.height, shown, tone))

    def _heading(self) -> None:
        name = clipped(labels.run_name(self._trace), self._room * 0.5, size_px=TITLE_SIZE)
        self.height += TITLE_SIZE
        self.shapes.append(Text(MARGIN, self.height, name, "ink", is_title=True))
        facts = " · ".join(labels.run_facts(self._trace))
        self._text(MARGIN + text_px(name, TITLE_SIZE) * _BOLD + 12, facts, "faint")
        found = find_failures(self._trace, build_tree(self._trace.nodes))
        for failure in [failure for failure in found if failure.ended_run is not False][:_MOST_FAILURES]:
            self.height += 18
            self._text(MARGIN, f"{labels.FAILED_MARK} {labels.failure_text(failure)}", "alarm")
        self.height += 14

    def _axis(self) -> None:
        self.height += 10
        bottom = self.height + 8 + self._timeline.rows * PITCH
        for at_ns, label in ticks(self._timeline.span_ns, self._room // _TICK_PX):
            x = self._x(at_ns)
            self.shapes.append(Rule(x, self.height - 8, bottom))
            if x + 4 + text_px(label, TEXT_SIZE) <= self.width - 4:
                self.shapes.append(Text(x + 4, self.height, label, "faint"))
        self.height += 8

    def _boxes(self) -> None:
        top = self.height
        # What is drawn wider than it is comes last, or its neighbour would hide it.
        late = {"failed": 1, "skipped": 2}
        for box in sorted(self._timeline.boxes, key=lambda box: late.get(box.status, 0)):
            self._box(box, top + box.row * PITCH)
        self.height = top + self._timeline.rows * PITCH
        if not self._timeline.boxes:
            self.height += 14
            self._text(MARGIN, "no executions recorded", "faint")

    def _box(self, box: Box, top: int) -> None:
        left = self._x(box.start_ns)
        width = max(self._x(box.end_ns) - left, 2.5 if box.failed else 1.0)
        title = labels.box_title(box, self._trace)
        if box.status == "skipped" and box.count == 1:
            self.shapes.append(Diamond(left, top + BOX_HEIGHT / 2, title))
            return
        height = max(5, round(BOX_HEIGHT * box.busy_ratio)) if box.count > 1 else BOX_HEIGHT
        self.shapes.append(
            Rectangle(
                left,
                top + BOX_HEIGHT - height,
                width - (1 if width > 3 else 0),
                height,
                palette.FAILED if box.failed else self._fills.get(box.node_id, palette.OTHER),
                is_open=box.count == 1 and box.open > 0,
                is_orphan=box.count == 1 and box.orphans > 0,
                is_block=box.count > 1,
                title=title,
            )
        )
        if width > 16 and height > 13:
            self._label(box, left + 5, top + 13, room=width - 9)

    def _label(self, box: Box, x: float, y: float, *, room: float) -> None:
        label = labels.box_label(box)
        shown = clipped(label, room, size_px=TEXT_SIZE)
        if shown != label and len(shown) <= _SHORTEST_LABEL:
            shown = labels.FAILED_MARK if box.failed else ""
        duration_ns = self._trace.nodes[box.index].duration_ns
        if box.count == 1 and duration_ns is not None:
            longer = f"{label}  {format_duration(duration_ns)}"
            if text_px(longer, TEXT_SIZE) <= room:
                shown = longer
        if shown:
            tone = "on_failed" if box.failed else "ink" if box.open else "on_fill"
            self.shapes.append(Text(x, y, shown, tone))

    def _legend(self) -> None:
        """Write the legend in as many lines as it takes."""
        x = float(MARGIN)
        entries = legend(self._timeline)
        self.height += 20 if entries else 0
        for entry in entries:
            shown = clipped(labels.shortened(entry.name), 240, size_px=TEXT_SIZE)
            needed = 32 + text_px(shown, TEXT_SIZE)
            if x + needed > self.width and x > MARGIN:
                x = float(MARGIN)
                self.height += 18
            if entry.is_skipped:
                self.shapes.append(Diamond(x + 6, self.height - 4, ""))
            else:
                sample = Rectangle(
                    x, self.height - 10, 12, 12, entry.fill, is_open=entry.is_open, is_orphan=entry.is_orphan
                )
                self.shapes.append(sample)
            self.shapes.append(Text(x + 17, self.height, shown, "ink"))
            x += needed

    def _x(self, at_ns: int) -> float:
        return MARGIN + at_ns / self._timeline.span_ns * self._room
