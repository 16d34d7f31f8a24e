"""A drawing shows every node, edge and condition, and nothing in a name can break out of it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.workflow.drawing import as_mermaid, as_text
from clew.workflow.layers import lay_out, levels
from clew.workflow.manifest import load_project
from clew.workflow.picture import as_svg
from clew.workflow.project import Edge, InputNode, Place, Project
from tests.export.sample_files import sample
from tests.workflow.written_projects import write

pytestmark = pytest.mark.needs_extra("workflow")

SVG = "{http://www.w3.org/2000/svg}"
HERE = Place(Path("clew.yaml"), 1)


def made(names: list[str], edges: list[tuple[str, str, str | None]], name: str = "x") -> Project:
    return Project(
        place=HERE,
        name=name,
        root=Path(),
        nodes={node: InputNode(place=HERE, id=node) for node in names},
        edges=[
            Edge(place=HERE, id=f"e{n}", source=source, target=target, condition=condition)
            for n, (source, target, condition) in enumerate(edges)
        ],
    )


def test_a_real_project_is_drawn_level_by_level() -> None:
    project = load_project(sample("trident/projects/ticket"), environ={})
    assert (
        as_text(project)
        == """\
ticket: 5 nodes, 6 edges

1  input     input    message: string
     ├─▶ sort      message
     └─▶ answer    message
2  sort      prompt   anthropic/claude-sonnet-4-20250514
     ├─▶ escalate  topic         if urgency >= 3
     └─▶ answer    topic         if urgency < 3
3  escalate  prompt   anthropic/claude-sonnet-4-20250514
     └─▶ output    note
   answer    prompt   anthropic/claude-sonnet-4-20250514
     └─▶ output    reply = text
4  output    output
"""
    )
    assert (
        as_mermaid(project)
        == """\
flowchart TD
    n0(["input"])
    n1(["output"])
    n2["sort<br/>prompt"]
    n3["escalate<br/>prompt"]
    n4["answer<br/>prompt"]
    n0 --> n2
    n2 -->|"urgency #62;= 3"| n3
    n2 -->|"urgency #60; 3"| n4
    n0 --> n4
    n3 --> n1
    n4 --> n1
"""
    )


def test_every_kind_of_node_says_what_it_works_with(tmp_path: Path) -> None:
    text = """
name: x
nodes:
  a: {type: agent, prompt: p, model: openai/m, tools: [t, u]}
  b: {type: branch, workflow: ./in, condition: n > 1, loop_while: n < 3, max_iterations: 4}
  c: {type: trigger, workflow: ./in, condition: ok, mode: wait}
tools:
  t: {module: m, function: f}
  u: {type: http, method: post, url: "https://example.org"}
  v: {type: shell, command: [git, log]}
"""
    project = load_project(
        write(tmp_path, {"clew.yaml": text, "prompts/p.prompt": "---\n---\nx"}), environ={}
    )
    assert [line[3:] for line in as_text(project).splitlines()[2:]] == [
        "a  agent    prompt p; openai/m; tools t, u",
        "b  branch   ./in; if n > 1; while n < 3, at most 4 times",
        "c  trigger  ./in; wait; if ok",
        "t  tool     m:f",
        "u  tool     POST https://example.org",
        "v  tool     git log",
    ]


def test_a_terminal_that_has_no_lines_gets_ascii_and_obeys_nothing() -> None:
    project = made(
        ["a", "b\x1b[2J", "é"], [("a", "b\x1b[2J", "x == '\n'"), ("a", "é", None)], name="\x1b]0;x\a"
    )
    text = as_text(project, encoding="ascii")
    assert text.isascii()
    assert "|-> b\\x1b[2J" in text
    assert "`-> \\xe9" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", as_text(project))


def test_the_picture_has_every_node_edge_and_condition_and_is_xml_whatever_the_names() -> None:
    names = ['<i>"1"</i>', "b & c", "']]>", "日本語"]
    edges = [
        (names[0], names[1], "x < 3 and y > '\"'"),
        (names[1], names[2], None),
        (names[0], names[2], "ok"),
    ]
    root = ET.fromstring(as_svg(made([*names], edges, name="<&>")))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"<&>", *names, "x < 3 and y > '\"'", "ok"} <= set(texts)
    lines = [element for element in root.iter(f"{SVG}path") if "marker-end" in element.attrib]
    assert len(lines) == 3
    assert not list(root.iter(f"{SVG}script"))
    titles = [element.text or "" for element in root.iter(f"{SVG}title")]
    assert any("e0: everything if x < 3" in title for title in titles)


def test_the_picture_takes_nothing_from_outside_and_no_two_nodes_of_a_row_touch(tmp_path: Path) -> None:
    names = [f"node number {n}" for n in range(12)]
    edges = [(names[0], name, None) for name in names[1:]] + [(name, "end", None) for name in names[1:]]
    svg = as_svg(made([*names, "end"], [*edges, (names[0], "end", None)]))
    assert not re.search(r"href|url\((?!#)|@import|http(?!://www.w3.org/2000/svg)", svg)
    boxes = [
        (float(box.attrib["y"]), float(box.attrib["x"]), float(box.attrib["width"]))
        for box in ET.fromstring(svg).iter(f"{SVG}rect")
        if box.attrib["class"] == "clew-box"
    ]
    assert len(boxes) == 13
    boxes.sort()
    for (y, x, width), (other_y, other_x, _) in itertools.pairwise(boxes):
        assert y != other_y or x + width < other_x


def test_several_edges_between_two_nodes_are_one_line_with_all_conditions() -> None:
    root = ET.fromstring(as_svg(made(["a", "b"], [("a", "b", "x"), ("a", "b", "y")])))
    assert "x or y" in [element.text for element in root.iter(f"{SVG}text")]


GRAPHS = st.integers(1, 8).flatmap(
    lambda count: st.tuples(
        st.just([f"n{index}" for index in range(count)]),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=16),
    )
)


@given(GRAPHS)
def test_any_graph_can_be_drawn_circles_included(graph: tuple[list[str], list[tuple[int, int]]]) -> None:
    names, numbers = graph
    project = made(names, [(names[a], names[b], None) for a, b in numbers])
    assert as_text(project).count("─▶") == len(numbers)
    assert as_mermaid(project).count(" --> ") == len(numbers)
    ET.fromstring(as_svg(project))


@given(GRAPHS)
def test_without_circles_every_edge_goes_down(graph: tuple[list[str], list[tuple[int, int]]]) -> None:
    names, numbers = graph
    pairs = [(names[min(a, b)], names[max(a, b)]) for a, b in numbers if a != b]
    level = levels(names, pairs)
    assert all(level[source] < level[target] for source, target in pairs)
    layout = lay_out(names, pairs, widths=dict.fromkeys(names, 50.0), gap=10.0)
    for (source, target), route in zip(pairs, layout.routes, strict=True):
        assert [point.level for point in route] == list(range(level[source], level[target] + 1))


def test_a_thousand_nodes_are_laid_out_without_one_waypoint_too_many() -> None:
    names = [f"n{n}" for n in range(1000)]
    pairs = [(names[n], names[n + 1]) for n in range(999)] + [(names[0], name) for name in names[1:]]
    layout = lay_out(names, pairs, widths=dict.fromkeys(names, 50.0), gap=10.0)
    assert layout.level_count == 1000
    assert sum(map(len, layout.routes)) == 2 * len(pairs)


def test_no_project_at_all_is_drawn_too() -> None:
    assert as_text(made([], [])) == "x: 0 nodes, 0 edges\n\n"
    ET.fromstring(as_svg(made([], [])))
