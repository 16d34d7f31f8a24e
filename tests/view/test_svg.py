"""The timeline as SVG: well-formed whatever the names are, and true to the log."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.view import palette
from clew.view.svg import timeline_svg
from tests.analyze.generated_runs import MS, US, RunLog, S, agent, calibration, interrupted
from tests.analyze.test_lanes import runs
from tests.view.test_terminal import named

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</title></svg><script>alert(1)</script>",
    "]]>&amp;<!--",
    '"onload="alert(1)',
    "\x00\x0b\x1b[31m\ufffe\uffff",
    "\u202eevil",
]


def boxes(svg: str) -> list[ET.Element]:
    """Return the rectangles with a tooltip, which are the boxes."""
    return [rect for rect in ET.fromstring(svg).iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]


def title_of(element: ET.Element) -> str:
    return element.findtext(f"{SVG}title") or ""


@ANY_SPEED
@given(st.text(max_size=60) | st.sampled_from(HOSTILE))
def test_any_name_leaves_the_picture_well_formed_and_is_only_text(name: str) -> None:
    root = ET.fromstring(timeline_svg(named(name).trace()))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "style", "rect", "path", "text", "title"}
    assert not [
        key for element in root.iter() for key in element.attrib if key.startswith("on") or "href" in key
    ]


@ANY_SPEED
@given(runs(), st.integers(1, 2000))
def test_any_run_in_any_width_is_well_formed(log: RunLog, width: int) -> None:
    root = ET.fromstring(timeline_svg(log.trace(), width=width))
    assert int(root.attrib["width"]) == max(320, width)


def test_boxes_stand_where_and_as_long_as_the_log_says() -> None:
    log = calibration(batches=2, per_batch=4)
    whole = max(done.end_ns or 0 for done in log.done.values()) + MS
    found = sorted(
        (float(rect.attrib["x"]), float(rect.attrib["width"]), title_of(rect).split(",")[0])
        for rect in boxes(timeline_svg(log.trace(), width=1032))
    )
    expected = sorted((16 + d.begin_ns * 1000 / whole, ((d.end_ns or 0) - d.begin_ns) * 1000 / whole, d.node_id)
                      for d in log.done.values())  # fmt: skip
    assert [name for _, _, name in found] == [name for _, _, name in expected]
    for (left, width, _), (true_left, true_width, _) in zip(found, expected, strict=True):
        assert left == pytest.approx(true_left, abs=0.1)
        assert width == pytest.approx(max(1, true_width), abs=1.1)  # a gap of one pixel to the next box


def test_nothing_is_fetched_from_outside() -> None:
    svg = timeline_svg(agent().trace())
    assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"url\(|@import|<image|<use|<script|<foreignObject", svg)


def test_only_what_failed_is_red_and_it_has_a_mark() -> None:
    log = agent()
    svg = timeline_svg(log.trace())
    red = {title_of(rect).split(",")[0] for rect in boxes(svg) if rect.attrib["fill"] == palette.FAILED}
    assert red == {"agent", "answer", "render", "http.get"}
    assert sum(rect.attrib["fill"] == palette.FAILED for rect in boxes(svg)) == 4
    assert "✗ http.get" in svg
    assert "✗ ValueError: order 4711 has no address" in svg


def test_the_whole_name_and_the_duration_are_in_the_tooltip_though_the_label_is_cut() -> None:
    log = RunLog()
    name = "a.name.that.is.much.longer.than.the.box.that.it.stands.in"
    log.span(name, 0, 100 * MS)
    svg = timeline_svg(log.finish(1 * S).trace(), width=600)
    assert title_of(boxes(svg)[0]) == f"{name}, 100 ms, from 0 s"
    labels = [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert any(label.endswith("…") and name.startswith(label[:-1]) for label in labels)


def test_labels_are_never_wider_than_their_boxes() -> None:
    """Counted with half an em a character, which no font that browsers choose goes below on average."""
    svg = timeline_svg(calibration(batches=5, per_batch=12).trace())
    rects = [(float(r.attrib["x"]), float(r.attrib["y"]), float(r.attrib["width"])) for r in boxes(svg)]
    inside = [
        text
        for text in ET.fromstring(svg).iter(f"{SVG}text")
        if text.attrib["class"] in {"clew-on_fill", "clew-on_failed"}
    ]
    assert inside
    for text in inside:
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        [width] = [w for left, top, w in rects if abs(left + 5 - x) < 0.06 and top <= y <= top + 18]
        assert len(text.text or "") * 5.5 <= width


def test_light_and_dark_readers_get_their_own_colours() -> None:
    svg = timeline_svg(agent().trace())
    light, dark = svg.split("@media (prefers-color-scheme:dark)")
    assert palette.LIGHT["paper"] in light
    assert palette.DARK["paper"] in dark


def test_open_skipped_and_orphaned_executions_have_a_look_of_their_own_that_the_legend_explains() -> None:
    svg = timeline_svg(interrupted().trace())
    looks = {title_of(rect).split(",")[0]: rect.attrib.get("class") for rect in boxes(svg)}
    assert looks["main"] == "clew-open"
    assert looks["heartbeat"] == "clew-orphan"
    assert "no end in the log" in svg
    assert "parent not in the log" in svg
    skipped = timeline_svg(agent().trace())
    assert ">skipped</text>" in skipped
    assert "<title>classify, from 813 ms, skipped</title>" in skipped


def test_a_run_of_thousands_keeps_its_bound_and_says_what_it_put_together() -> None:
    log = calibration(batches=40, per_batch=100, workers=8)
    svg = timeline_svg(log.trace(), most_boxes=300)
    assert len(boxes(svg)) <= 300
    assert len(svg) < 100_000
    drawn = len([rect for rect in boxes(svg) if " executions of " not in title_of(rect)])
    said = re.search(r"([\d,]+) of 4,161 executions are too short to be drawn alone", svg)
    assert said is not None
    assert int(said[1].replace(",", "")) == len(log.done) - drawn


def test_a_tiny_failure_in_a_long_run_can_be_seen() -> None:
    log = RunLog()
    log.span("step", 1 * S, 1 * S + US, error=("E", "m"))
    svg = timeline_svg(log.finish(3600 * S).trace())
    [box] = boxes(svg)
    assert (box.attrib["fill"], float(box.attrib["width"])) == (palette.FAILED, 2.5)


def test_names_of_a_megabyte_cost_nothing_and_are_cut() -> None:
    log = RunLog("n" * 1_000_000)
    log.span("x" * 1_000_000, 0, 1 * MS, error=("E" * 1_000_000, "m" * 1_000_000))
    assert len(timeline_svg(log.finish(1 * MS).trace())) < 10_000


def test_each_of_the_fills_can_be_read_on() -> None:
    """The contrast ratio of WCAG 2.2, success criterion 1.4.3: at least 4.5 for text of this size."""

    def light(colour: str) -> float:
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted((light(one), light(other)))
        return (high + 0.05) / (low + 0.05)

    for fill in (*palette.FILLS, palette.OTHER):
        assert contrast(fill, palette.ON_FILL) >= 4.5
    assert contrast(palette.FAILED, palette.ON_FAILED) >= 4.5
    for theme in (palette.LIGHT, palette.DARK):
        for name in ("ink", "faint", "alarm"):
            assert contrast(theme[name], theme["paper"]) >= 4.5
