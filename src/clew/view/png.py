"""The timeline of a run as a PNG for a report or a paper, drawn by Matplotlib."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from clew.analyze.boxes import lay_out
from clew.extras import require
from clew.view import palette
from clew.view.cells import harmless
from clew.view.scene import DIAMOND, MARGIN, TEXT_SIZE, TITLE_SIZE, Diamond, Rectangle, Rule, Scene, Text

if TYPE_CHECKING:
    from os import PathLike
    from types import ModuleType

    from clew.model.trace import ExecutionTrace
    from clew.view.scene import Shape

_DOTS_PER_INCH: Final = 100
_SHARPNESS: Final = 2
_POINT: Final = 72 / _DOTS_PER_INCH
"""Points in a pixel of the scene, which is then drawn twice as fine."""
_TONES: Final = {**palette.LIGHT, "on_fill": palette.ON_FILL, "on_failed": palette.ON_FAILED}


def timeline_png(
    trace: ExecutionTrace,
    path: str | PathLike[str],
    *,
    width: int = 1200,
    most_rows: int = 120,
    most_boxes: int = 2000,
) -> None:
    """Write a run's timeline as a PNG, `width` points wide and drawn twice as fine, on white.

    Raises: MissingExtraError without Matplotlib; OSError where the file cannot be written.
    """
    figures = require("matplotlib.figure", extra="plot")
    agg = require("matplotlib.backends.backend_agg", extra="plot")
    patches = require("matplotlib.patches", extra="plot")
    timeline = lay_out(trace, columns=width - 2 * MARGIN, most_rows=most_rows, most_boxes=most_boxes)
    scene = Scene(timeline, trace, width=width)
    figure = figures.Figure(
        figsize=(width / _DOTS_PER_INCH, scene.height / _DOTS_PER_INCH), facecolor="white"
    )
    agg.FigureCanvasAgg(figure)  # without pyplot there is no display, no global state and nothing to close
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(scene.height, 0)
    for shape in scene.shapes:
        _draw(axes, patches, shape)
    with warnings.catch_warnings():
        # A name may have characters that the font has not; an empty box stands for them in the picture.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(path, format="png", dpi=_DOTS_PER_INCH * _SHARPNESS)


def _draw(axes: Any, patches: ModuleType, shape: Shape) -> None:
    match shape:
        case Rule(x, top, bottom):
            axes.plot((x, x), (top, bottom), color=_TONES["grid"], linewidth=_POINT, zorder=0)
        case Diamond(x, y, _):
            corners = [(x, y - DIAMOND), (x + DIAMOND - 1, y), (x, y + DIAMOND), (x - DIAMOND + 1, y)]
            axes.add_patch(patches.Polygon(corners, facecolor=_TONES["faint"], linewidth=0, zorder=3))
        case Text(x, y, text, tone, is_title):
            axes.text(
                x,
                y,
                harmless(text),
                parse_math=False,  # a dollar sign in a name is no formula
                color=_TONES[tone],
                fontsize=(TITLE_SIZE if is_title else TEXT_SIZE) * _POINT,
                fontweight="bold" if is_title else "normal",
                zorder=4,
            )
        case Rectangle():
            axes.add_patch(_rectangle(patches, shape))


def _rectangle(patches: ModuleType, shape: Rectangle) -> Any:
    look: dict[str, Any] = {"facecolor": shape.fill, "linewidth": 0, "zorder": 2}
    if shape.is_open or shape.is_orphan:
        look |= {
            "edgecolor": _TONES["faint" if shape.is_open else "ink"],
            "linewidth": _POINT,
            "linestyle": (0, (3, 2)),
        }
    if shape.is_open:
        look["facecolor"] = (*_channels(shape.fill), 0.45)
    corner = (shape.left, shape.top)
    if shape.is_block or shape.width <= 6:
        return patches.Rectangle(corner, shape.width, shape.height, **look)
    rounded = patches.BoxStyle("Round", pad=0, rounding_size=2)
    return patches.FancyBboxPatch(corner, shape.width, shape.height, boxstyle=rounded, **look)


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red / 255, green / 255, blue / 255
