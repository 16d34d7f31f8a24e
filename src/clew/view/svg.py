"""The timeline of a run as one SVG: time to the right, what lies in what downwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clew.analyze.boxes import lay_out
from clew.view import labels, palette
from clew.view.labels import markup
from clew.view.scene import DIAMOND, MARGIN, TEXT_SIZE, TITLE_SIZE, Diamond, Rectangle, Rule, Scene, Text

if TYPE_CHECKING:
    from clew.analyze.boxes import Timeline
    from clew.model.trace import ExecutionTrace
    from clew.view.scene import Shape

NARROWEST: Final = 320
_FONT: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def timeline_svg(
    trace: ExecutionTrace,
    *,
    width: int = 1200,
    most_rows: int = 120,
    most_boxes: int = 2000,
) -> str:
    """Return a run's timeline as a complete SVG document without anything from outside.

    Args:    width: pixels, at least 320. most_rows, most_boxes: bounds of the picture whatever the size of the run.
    Returns: text to be written as UTF-8. It follows the reader's light or dark setting. Names are escaped, and
             shortened with an ellipsis where they do not fit; the whole name is in the tooltip.
    """
    width = max(NARROWEST, width)
    timeline = lay_out(trace, columns=width - 2 * MARGIN, most_rows=most_rows, most_boxes=most_boxes)
    return timeline_picture(timeline, trace, width=width)


def timeline_picture(timeline: Timeline, trace: ExecutionTrace, *, width: int, heading: bool = True) -> str:
    """Return the SVG of boxes that are already laid out; `heading` is the run's name, facts and failures."""
    scene = Scene(timeline, trace, width=width, heading=heading)
    name = markup(labels.run_name(trace))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="clew-svg" viewBox="0 0 {width} {scene.height}" '
        f'width="{width}" height="{scene.height}" role="img" aria-label="Timeline of {name}">'
        f"<style>{style()}</style>"
        f'<rect class="clew-paper" width="{width}" height="{scene.height}"/>'
        f"{''.join(map(_element, scene.shapes))}</svg>\n"
    )


def style() -> str:
    """Return the style sheet of the picture. Its class names begin with `clew-`, because a page may hold others."""
    rules = [
        f".clew-svg{{font-family:{_FONT};font-size:{TEXT_SIZE}px}}",
        ".clew-svg text{white-space:pre;pointer-events:none}",
        f".clew-title{{font-size:{TITLE_SIZE}px;font-weight:600}}",
        ".clew-open,.clew-orphan{stroke-width:1;stroke-dasharray:3 2}.clew-open{fill-opacity:.45}",
        f".clew-on_fill{{fill:{palette.ON_FILL}}}.clew-on_failed{{fill:{palette.ON_FAILED}}}",
    ]
    for colours, around in (
        (palette.LIGHT, "{}"),
        (palette.DARK, "@media (prefers-color-scheme:dark){{{}}}"),
    ):
        theme = (
            f".clew-paper{{fill:{colours['paper']}}}.clew-ink{{fill:{colours['ink']}}}"
            f".clew-faint{{fill:{colours['faint']}}}.clew-alarm{{fill:{colours['alarm']}}}"
            f".clew-grid{{stroke:{colours['grid']}}}"
            f".clew-open{{stroke:{colours['faint']}}}.clew-orphan{{stroke:{colours['ink']}}}"
        )
        rules.append(around.format(theme))
    return "".join(rules)


def _element(shape: Shape) -> str:
    match shape:
        case Rule(x, top, bottom):
            return f'<path class="clew-grid" d="M{x:.1f} {top}V{bottom}" shape-rendering="crispEdges"/>'
        case Diamond(x, y, title):
            half = DIAMOND
            path = f"M{x:.1f} {y - half}l{half - 1} {half}l{1 - half} {half}l{1 - half}-{half}z"
            return f'<path class="clew-faint" d="{path}">{_title(title)}</path>'
        case Text(x, y, text, tone, is_title):
            kind = f"clew-{tone} clew-title" if is_title else f"clew-{tone}"
            return f'<text x="{x:.1f}" y="{y}" class="{kind}">{markup(text)}</text>'
        case Rectangle():
            return _rectangle(shape)


def _rectangle(shape: Rectangle) -> str:
    kinds = [kind for kind, applies in (("open", shape.is_open), ("orphan", shape.is_orphan)) if applies]
    look = f' class="{" ".join(f"clew-{kind}" for kind in kinds)}"' if kinds else ""
    if not shape.is_block and shape.width > 6:
        look += ' rx="2"'
    place = f'x="{shape.left:.1f}" y="{shape.top}" width="{shape.width:.1f}" height="{shape.height}"'
    return f'<rect {place} fill="{shape.fill}"{look}>{_title(shape.title)}</rect>'


def _title(text: str) -> str:
    return f"<title>{markup(text)}</title>" if text else ""
