"""The graph of a workflow as one SVG: levels downwards, conditions on the edges."""

from __future__ import annotations

from typing import Final

from clew.view import palette
from clew.view.labels import clipped, markup, text_px
from clew.workflow.drawing import facts, kind, mapped
from clew.workflow.layers import Layout, Point, lay_out
from clew.workflow.project import Project

_NAME_PX: Final = 13
_SMALL_PX: Final = 11
_NODE_HEIGHT: Final = 44
_ROW: Final = 104
_MARGIN: Final = 24
_TITLE: Final = 34
_GAP: Final = 28.0
_NARROWEST_NODE: Final = 84.0
_WIDEST_NODE: Final = 240.0
_WIDEST_LABEL: Final = 190.0
_NARROWEST: Final = 320.0
_FONT: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def as_svg(project: Project) -> str:
    """Return the graph as a complete SVG document without anything from outside.

    It follows the reader's light or dark setting. Names are escaped, and shortened where they do not fit; the whole of
    them is in the tooltips.
    """
    about = {name: f"{kind(node)} {facts(project, node)}".strip() for name, node in project.nodes.items()}
    widths = {
        name: min(
            _WIDEST_NODE, max(_NARROWEST_NODE, text_px(name, _NAME_PX) + 28, text_px(text, _SMALL_PX) + 28)
        )
        for name, text in about.items()
    }
    conditions: dict[tuple[str, str], list[str]] = {}
    tips: dict[tuple[str, str], list[str]] = {}
    for edge in project.edges:
        pair = (edge.source, edge.target)
        conditions.setdefault(pair, []).extend([edge.condition] if edge.condition else [])
        when = f" if {edge.condition}" if edge.condition else ""
        tips.setdefault(pair, []).append(f"{edge.id}: {mapped(edge) or 'everything'}{when}")
    pairs = list(conditions)
    layout = lay_out(list(project.nodes), pairs, widths=widths, gap=_GAP)
    width = max(_NARROWEST, layout.width + 2 * _MARGIN)
    shift = (width - layout.width) / 2
    edges = [
        _edge(route, shift, label=" or ".join(conditions[pair]), tip="\n".join(map(markup, tips[pair])))
        for pair, route in zip(pairs, layout.routes, strict=True)
    ]
    nodes = [
        _node(layout.spots[name], shift, widths[name], name=name, about=about[name], word=kind(node))
        for name, node in project.nodes.items()
    ]
    return _document(
        project.name, width, layout, [*(line for line, _ in edges), *nodes, *(label for _, label in edges)]
    )


def _document(name: str, width: float, layout: Layout, parts: list[str]) -> str:
    height = _TITLE + _MARGIN + (layout.level_count - 1) * _ROW + _NODE_HEIGHT + _MARGIN
    title = clipped(name, width - 2 * _MARGIN, size_px=15)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="clew-graph" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" role="img" aria-label="Workflow {markup(name)}">'
        f"<style>{_style()}</style>"
        '<defs><marker id="clew-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path class="clew-head" d="M0 0L8 4L0 8z"/></marker></defs>'
        f'<rect class="clew-paper" width="{width:.0f}" height="{height}"/>'
        f'<text class="clew-title clew-ink" x="{_MARGIN}" y="26">{markup(title)}</text>'
        f"{''.join(parts)}</svg>\n"
    )


def _style() -> str:
    rules = [
        f".clew-graph{{font-family:{_FONT};font-size:{_NAME_PX}px}}",
        ".clew-graph text{white-space:pre}.clew-title{font-size:15px;font-weight:600}",
        f".clew-name{{font-weight:600}}.clew-small{{font-size:{_SMALL_PX}px}}.clew-line{{fill:none;stroke-width:1.4}}",
        ".clew-box{stroke-width:1.4}.clew-back{stroke-dasharray:4 3}",
    ]
    for colours, around in (
        (palette.LIGHT, "{}"),
        (palette.DARK, "@media (prefers-color-scheme:dark){{{}}}"),
    ):
        rules.append(
            around.format(
                f".clew-paper{{fill:{colours['paper']}}}.clew-ink{{fill:{colours['ink']}}}"
                f".clew-faint,.clew-head{{fill:{colours['faint']}}}.clew-line{{stroke:{colours['faint']}}}"
                f".clew-box{{fill:{colours['paper']};stroke:{colours['ink']}}}"
            )
        )
    return "".join(rules)


def _top(level: int) -> float:
    return _TITLE + _MARGIN + level * _ROW


def _node(spot: Point, shift: float, width: float, *, name: str, about: str, word: str) -> str:
    x, y = spot.x + shift - width / 2, _top(spot.level)
    radius = {"input": _NODE_HEIGHT / 2, "output": _NODE_HEIGHT / 2, "tool": 2, "branch": 12}.get(word, 7)
    middle = x + width / 2
    room = width - 20
    return (
        f"<g><title>{markup(name)}\n{markup(about)}</title>"
        f'<rect class="clew-box" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_NODE_HEIGHT}" rx="{radius}"/>'
        f'<text class="clew-name clew-ink" text-anchor="middle" x="{middle:.1f}" y="{y + 19}">'
        f"{markup(clipped(name, room, size_px=_NAME_PX + 1))}</text>"
        f'<text class="clew-small clew-faint" text-anchor="middle" x="{middle:.1f}" y="{y + 34}">'
        f"{markup(clipped(about, room, size_px=_SMALL_PX))}</text></g>"
    )


def _edge(route: list[Point], shift: float, *, label: str, tip: str) -> tuple[str, str]:
    """Return the line of an edge, and its label, which lies over all lines and nodes."""
    first, last = route[0], route[-1]
    x, y = first.x + shift, _top(first.level) + _NODE_HEIGHT
    goes_back = last.level <= first.level
    path = [f"M{x:.1f} {y:.1f}"]
    for index, point in enumerate(route[1:], 1):
        to_x, to_y = point.x + shift, _top(point.level)
        bend = 60.0 if goes_back else (to_y - y) / 2
        path.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
        if index < len(route) - 1:  # straight past the nodes of the level
            y += _NODE_HEIGHT
            path.append(f"V{y:.1f}")
    back = " clew-back" if goes_back else ""
    line = (
        f'<path class="clew-line{back}" marker-end="url(#clew-tip)" d="{"".join(path)}">'
        f"<title>{tip}</title></path>"
    )
    if not label:
        return line, ""
    text = clipped(label, _WIDEST_LABEL, size_px=_SMALL_PX)
    width = text_px(text, _SMALL_PX) + 8
    near = route[1]
    # Nearer to the target, where the edges of one node have parted.
    label_x = shift + first.x + (near.x - first.x) * 0.62
    label_y = _top(first.level) + _NODE_HEIGHT + (_ROW - _NODE_HEIGHT) * 0.56
    return line, (
        f'<g><title>{tip}</title><rect class="clew-paper" x="{label_x - width / 2:.1f}" y="{label_y - 9:.1f}" '
        f'width="{width:.1f}" height="16" rx="3"/><text class="clew-small clew-ink" text-anchor="middle" '
        f'x="{label_x:.1f}" y="{label_y + 3:.1f}">{markup(text)}</text></g>'
    )
