"""The colours of every picture, so that a node looks the same in SVG, HTML and PNG.

The fills are the "light" scheme of Paul Tol's colour notes (SRON/EPS/TN/09-002, issue 3.2), made for dark text on
coloured cells and for readers with colour-blindness. Red is kept for failures, and never stands without a mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clew.analyze.boxes import Timeline

FILLS: Final = ("#77aadd", "#eedd88", "#44bb99", "#ffaabb", "#99ddff", "#bbcc33", "#aaaa00")
"""One for each of the nodes with most time."""
OTHER: Final = "#dddddd"
"""For all other nodes."""
FAILED: Final = "#cc3311"
"""For what failed, with white text."""
ON_FILL: Final = "#1a1d21"
ON_FAILED: Final = "#ffffff"

LIGHT: Final = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "faint": "#656d76",
    "grid": "#e4e7eb",
    "alarm": "#b42a0d",
}
DARK: Final = {
    "paper": "#14171c",
    "ink": "#e6e9ee",
    "faint": "#98a2ae",
    "grid": "#2b3038",
    "alarm": "#ff7b5c",
}


def node_fills(timeline: Timeline) -> dict[str, str]:
    """Return the fill of the nodes that have one of their own, in the order in which they first appear."""
    taken: dict[str, int] = {}
    for box in timeline.boxes:
        taken[box.node_id] = taken.get(box.node_id, 0) + box.busy_ns
    most = set(sorted(taken, key=lambda node_id: -taken[node_id])[: len(FILLS)])
    first = dict.fromkeys(
        box.node_id for box in sorted(timeline.boxes, key=lambda box: (box.start_ns, box.row))
    )
    return dict(zip((node_id for node_id in first if node_id in most), FILLS, strict=False))
