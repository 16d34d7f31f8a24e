"""The timeline of a run as one HTML page that needs nothing but itself, and the small one for notebooks."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Final

import msgspec

from clew.analyze.boxes import lay_out
from clew.analyze.lanes import assign_lanes
from clew.analyze.summary import summarize
from clew.view.details import page_data
from clew.view.durations import format_count
from clew.view.labels import markup, run_facts, run_name, shortened, timeline_notes
from clew.view.scene import MARGIN, legend
from clew.view.svg import style, timeline_picture
from clew.view.tables import executions_table, facts_list, failures_list, inside_table, nodes_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.analyze.boxes import Timeline
    from clew.analyze.lanes import Lanes
    from clew.analyze.runs_inside import RunInside
    from clew.analyze.summary import RunSummary
    from clew.model.trace import ExecutionTrace

PAGE_BYTES: Final = 4_000_000
"""A page is never larger than this."""
NOTEBOOK_BYTES: Final = 200_000
"""More than this is never put into a notebook, which keeps all outputs in one file."""
_BOXES: Final = (5000, 1500, 400, 100)
"""How many boxes a page can zoom into: as many as leave it small enough."""
_STILL_BOXES: Final = 1500
_COLUMNS: Final = 4000
"""Finer than a screen, so that there is something to zoom into."""
_STILL_WIDTH: Final = 1160
_NOTEBOOK_WIDTH: Final = 960
_NOTEBOOK_STYLE: Final = (
    ".clew-trace svg{max-width:100%;height:auto}"
    ".clew-trace table{border-collapse:collapse;margin:4px 16px;font-size:12px}"
    ".clew-trace th,.clew-trace td{padding:3px 12px 3px 0;text-align:left;font-variant-numeric:tabular-nums}"
    ".clew-trace th{font-weight:600}.clew-trace .number{text-align:right;white-space:nowrap}"
)


def timeline_html(trace: ExecutionTrace, *, inside: Sequence[RunInside] = ()) -> str:
    """Return a complete page: what failed, the timeline to zoom into, the nodes, the slowest executions.

    It loads nothing and works from a file; its security policy allows only its own script and styles, by their
    hash. Without a script, and on paper, it shows the timeline as a still picture. Never larger than 4 MB.
    O(n log n): about 15 us an execution.

    Args: inside: the runs inside it, which are listed and not drawn.
    """
    summary = msgspec.structs.replace(summarize(trace), inside=inside)
    lanes = assign_lanes(trace)
    page = ""
    for most_boxes in _BOXES:
        page = _page(trace, summary, lanes=lanes, most_boxes=most_boxes)
        if len(page.encode()) <= PAGE_BYTES:
            break
    return page


def _page(trace: ExecutionTrace, summary: RunSummary, *, lanes: Lanes, most_boxes: int) -> str:
    css = resources.files("clew.view").joinpath("page.css").read_text(encoding="utf-8")
    script = resources.files("clew.view").joinpath("page.js").read_text(encoding="utf-8")
    still = lay_out(
        trace, columns=_STILL_WIDTH - 2 * MARGIN, most_boxes=min(_STILL_BOXES, most_boxes), lanes=lanes
    )
    picture = timeline_picture(still, trace, width=_STILL_WIDTH, heading=False)
    fine = lay_out(trace, columns=_COLUMNS, most_boxes=most_boxes, lanes=lanes)
    data, without_details = page_data(fine, trace)
    notes = timeline_notes(fine, trace)
    if without_details:
        notes.append(
            f"{format_count(without_details)} boxes have no details here, or the page would be too large"
        )
    name = markup(run_name(trace, 200))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(css)} {_hash(style())}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{name} · timeline</title>\n<style>{css}</style>\n</head>\n<body>\n"
        f"{_heading(summary, trace)}\n<main>\n{_failures(summary)}"
        f"{_timeline_section(picture, fine, notes)}{_tables(summary)}</main>\n"
        f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def trace_repr_html(trace: ExecutionTrace) -> str:
    """Return what a notebook shows of a trace: the timeline and a table, without a script, below 200,000 bytes."""
    summary = summarize(trace, most=0)
    lanes = assign_lanes(trace)
    table = nodes_table(summary.nodes, most=12, is_sortable=False)
    head = f'<div class="clew-trace"><style>{_NOTEBOOK_STYLE}</style>'
    for most_boxes in (500, 200, 60):
        columns = _NOTEBOOK_WIDTH - 2 * MARGIN
        most_rows = most_boxes // 12
        timeline = lay_out(trace, columns=columns, most_rows=most_rows, most_boxes=most_boxes, lanes=lanes)
        page = f"{head}{timeline_picture(timeline, trace, width=_NOTEBOOK_WIDTH)}{table}</div>"
        if len(page.encode()) < NOTEBOOK_BYTES:
            return page
    return f"{head}{table}</div>"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _heading(summary: RunSummary, trace: ExecutionTrace) -> str:
    name = markup(run_name(trace, 200))
    status, *facts = run_facts(trace)
    return (
        f'<header>\n<h1>{name}</h1>\n<p><span class="status {summary.status}">{markup(status)}</span> '
        f"{markup(' · '.join(facts))}</p>\n{facts_list(summary)}\n</header>"
    )


def _failures(summary: RunSummary) -> str:
    if not summary.failures:
        return ""
    listed = failures_list(summary.failures, summary.failures_left_out)
    return f'<section class="failures">\n<h2>What failed</h2>\n{listed}\n</section>\n'


def _timeline_section(picture: str, timeline: Timeline, notes: list[str]) -> str:
    items = "".join(f"<li>{markup(note)}</li>" for note in notes)
    told = f'<ul class="notes">{items}</ul>' if notes else ""
    live = (
        '<div id="live" hidden>\n<div class="bar">'
        '<button type="button" id="in" aria-label="Zoom in">+</button>'
        '<button type="button" id="out" aria-label="Zoom out">−</button>'  # noqa: RUF001 - the sign itself
        '<button type="button" id="all">Whole run</button>'
        '<input type="search" id="find" placeholder="Find a node" aria-label="Find a node">'
        '<span class="hint">Drag to move, Ctrl + wheel or + and − to zoom, '  # noqa: RUF001 - as above
        "arrow keys to go from box to box, Enter to zoom to it, 0 for the whole run</span></div>\n"
        '<canvas id="canvas" tabindex="0" role="application" aria-label="Timeline" '
        'aria-describedby="details"></canvas>\n<div id="tip" role="presentation" hidden></div>\n'
        f"{_legend(timeline)}\n"
        '<aside id="details" aria-live="polite"><p>Choose a box to see what it is.</p></aside>\n</div>\n'
    )
    return (
        '<section class="timeline">\n<h2>Timeline</h2>\n'
        f'{live if timeline.boxes else ""}<div id="still">{picture}</div>\n{told}\n</section>\n'
    )


def _legend(timeline: Timeline) -> str:
    items = []
    for entry in legend(timeline):
        sample = f'<rect x=".5" y=".5" width="11" height="11" rx="2" fill="{entry.fill}"/>'
        if entry.is_skipped:
            sample = '<path class="clew-faint" d="M6 1l4 5l-4 5l-4-5z"/>'
        elif entry.is_open or entry.is_orphan:
            kind = "clew-open" if entry.is_open else "clew-orphan"
            sample = sample.replace("<rect", f'<rect class="{kind}"')
        swatch = f'<svg width="12" height="12" aria-hidden="true">{sample}</svg>'
        items.append(f"<li>{swatch}{markup(shortened(entry.name, 60))}</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'


def _tables(summary: RunSummary) -> str:
    sections = []
    if summary.open:
        more = f"<p>and {format_count(summary.open_left_out)} more</p>" if summary.open_left_out else ""
        table = executions_table(summary.open, are_open=True)
        sections.append(
            f"<section>\n<h2>Open when the run was last heard of</h2>\n{table}{more}\n</section>\n"
        )
    if summary.nodes:
        sections.append(f"<section>\n<h2>Nodes</h2>\n{nodes_table(summary.nodes)}\n</section>\n")
    if summary.inside:
        sections.append(f"<section>\n<h2>Runs inside</h2>\n{inside_table(summary.inside)}\n</section>\n")
    if summary.slowest:
        table = executions_table(summary.slowest, are_open=False)
        sections.append(f"<section>\n<h2>Slowest executions</h2>\n{table}\n</section>\n")
    return "".join(sections)
