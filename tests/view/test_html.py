"""The page: it holds the run, needs nothing else, and cannot be broken out of."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.analyze.summary import summarize
from clew.view.html import NOTEBOOK_BYTES, PAGE_BYTES, timeline_html, trace_repr_html
from tests.analyze.generated_runs import MS, US, RunLog, agent, calibration, interrupted
from tests.analyze.test_lanes import runs

ANY_SPEED = settings(deadline=None, max_examples=25)  # a busy machine is no failure, and a page is large
HOSTILE = [
    "</script><script>alert(1)</script>",
    "</script x",
    "<!--<script>",
    "</style><img src=x onerror=alert(1)>",
    "</title></svg></textarea>",
    "' onclick='alert(1)",
    '" autofocus onfocus="alert(1)',
    "]]>&lt;script&gt;",
    "\u2028\u2029",
    "\x00\x1b[31m",
]
BREAKING = st.text(max_size=40) | st.sampled_from(HOSTILE)


class Page(HTMLParser):
    """Reads a page as a browser would, as far as these tests need."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.cells: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag in ("script", "style"):
            self.raw.append((tag, ""))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            self.raw[-1] = (self.raw[-1][0], self.raw[-1][1] + data)
        if "td" in self._open or "th" in self._open:
            self.cells[-1][-1] += data

    @property
    def data(self) -> dict[str, Any]:
        script = next(text for tag, text in self.raw if tag == "script")
        found: dict[str, Any] = json.loads(script)
        return found


def run_with(text: str) -> RunLog:
    """Return a run that has some text in every place where a text can be."""
    log = RunLog(text, kind=text)
    root = log.start(text, 0, type=text, inputs={text: text}, attributes={text: [text]})
    log.span(
        text, 1 * MS, 2 * MS, parent=root, error=(text, text),
        outputs=text, model=text, tools_called=[text], metrics={text: 1.0}, attributes={text: text},
    )  # fmt: skip
    log.skip(text, 3 * MS, parent=root, reason=text)
    return log.interrupt(4 * MS, reason=text)


def tags_of(text: str) -> list[str]:
    return [tag for tag, _ in Page(text).tags]


@ANY_SPEED
@given(BREAKING)
def test_no_text_of_a_run_becomes_a_tag_or_an_attribute(text: str) -> None:
    harmless = tags_of(timeline_html(run_with("harmless").trace()))
    page = Page(timeline_html(run_with(text).trace()))
    assert {tag for tag, _ in page.tags} == set(harmless)
    for tag, attributes in page.tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in {"src", "style", "srcdoc"}
        ], tag
    assert [tag for tag, _ in page.raw].count("script") == 2
    assert page.data["boxes"]


@ANY_SPEED
@given(BREAKING)
def test_no_text_of_a_run_becomes_a_tag_in_a_notebook(text: str) -> None:
    page = Page(trace_repr_html(run_with(text).trace()))
    assert "script" not in {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in {"src", "href", "style"}]


def test_what_could_end_the_script_is_in_the_data_as_it_was_recorded() -> None:
    payload = "</script><script>alert(1)</script></script x"
    text = timeline_html(run_with(payload).trace())
    assert "</script x" not in text
    assert text.count("</script") == 2
    told = dict(next(box[9] for box in Page(text).data["boxes"] if box[4] == "failed"))
    assert told["Error"] == f"{payload}: {payload}"
    assert told["Outputs"] == json.dumps(payload)


def test_the_page_allows_only_its_own_script_and_styles_by_their_hash() -> None:
    page = Page(timeline_html(agent().trace()))
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a) or ""
    allowed = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert allowed["default-src"] == "'none'"
    scripts = [text for tag, text in page.raw if tag == "script"][1:]
    styles = [text for tag, text in page.raw if tag == "style"]
    for texts, rule in ((scripts, "script-src"), (styles, "style-src")):
        hashes = {
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts
        }
        assert hashes == set(allowed[rule].split())
    assert "unsafe" not in policy


def test_the_page_fetches_nothing() -> None:
    text = timeline_html(agent().trace())
    assert set(re.findall(r"https?://[^\"' )]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|eval)\(|url\(|@import|<link|<iframe", text)


def test_every_box_of_the_data_is_an_execution_of_the_log() -> None:
    log = calibration(batches=3, per_batch=6)
    page = Page(timeline_html(log.trace()))
    found = sorted((box[1], box[2], box[7].split(",")[0] if "," in box[7] else box[7], box[4]) for box in
                   [(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[8], b[9]) for b in page.data["boxes"]])  # fmt: skip
    expected = sorted((d.begin_ns, d.end_ns, d.node_id, "plain") for d in log.done.values())
    assert found == expected


def test_details_of_a_box_are_those_of_its_execution() -> None:
    page = Page(timeline_html(agent().trace()))
    told = {box[6]: dict(box[9]) for box in page.data["boxes"]}
    assert told["plan"]["Duration"] == "809 ms"
    assert (told["plan"]["Input tokens"], told["plan"]["Cost"], told["plan"]["Model"]) == (
        "1,200",
        "$0.0123",
        "large-1",
    )
    assert told["✗ render"]["Stack"] == "Traceback:\n  in render"
    assert told["✗ agent"]["Inputs"] == '{"question": "Where is my order 4711?"}'
    assert told["classify"]["Skipped"] == '{"reason": "cached"}'


def test_failures_come_first_causes_before_what_was_handled() -> None:
    text = timeline_html(agent().trace())
    order = [
        text.index(part)
        for part in ("<h1>", "What failed", "ValueError", "AgentError", "TimeoutError", "<h2>Timeline")
    ]
    assert order == sorted(order)
    assert "passed on by answer" in text
    assert "was tried again" in text
    assert "What failed" not in timeline_html(calibration(batches=1).trace())


def test_the_table_of_nodes_has_the_numbers_of_the_summary_to_sort_by() -> None:
    trace = calibration().trace()
    text = timeline_html(trace)
    rows = Page(text).cells
    head = next(row for row in rows if row[0] == "Node" and "p95" in row)
    for node in summarize(trace).nodes:
        row = next(row for row in rows if row[0] == node.node_id and len(row) == len(head))
        assert row[head.index("Count")] == str(node.count)
        assert f'data-value="{node.p95_ns}"' in text
        assert f'data-value="{node.self_ns}"' in text


def test_open_executions_are_listed_with_their_inputs() -> None:
    rows = Page(timeline_html(interrupted().trace())).cells
    assert ["load", "main", "505 ms", "-", '{"table": "orders", "rows": 12000}'] in rows


def test_without_a_script_and_on_paper_there_is_the_still_picture() -> None:
    text = timeline_html(agent().trace())
    assert '<div id="live" hidden>' in text
    assert re.search(r'<div id="still"><svg .*?<title>lookup, 645 ms', text, re.DOTALL)
    assert re.search(r"@media print \{.*#still\[hidden\] \{ display: block; \}", text, re.DOTALL)


@ANY_SPEED
@given(runs())
def test_any_run_makes_a_page_whose_data_can_be_read(log: RunLog) -> None:
    data = Page(timeline_html(log.trace())).data
    assert len(data["boxes"]) <= len(log.done)
    assert all(0 <= box[1] <= box[2] <= data["span"] and box[0] < data["rows"] for box in data["boxes"])


def test_a_run_of_thousands_keeps_its_bounds_and_says_what_it_put_together() -> None:
    trace = calibration(batches=60, per_batch=100, workers=8).trace()
    text = timeline_html(trace)
    assert len(text.encode()) < PAGE_BYTES
    assert re.search(r"[\d,]+ of 6,241 executions are too short to be drawn alone", text)
    assert len(trace_repr_html(trace).encode()) < NOTEBOOK_BYTES


@pytest.mark.parametrize("name", ["<&>'\"", "検索", "🎉", "\u202e"])
def test_a_page_of_long_hostile_names_stays_below_its_bound(name: str) -> None:
    log = RunLog(name * 5000)
    root = log.start("main", 0)
    for number in range(2000):
        begin = number * MS
        error = (name * 500, name * 500) if number % 3 == 0 else None
        log.span(f"{number}{name * 500}", begin, begin + 900 * US, parent=root, error=error)
    trace = log.finish(2001 * MS).trace()
    assert len(timeline_html(trace).encode()) <= PAGE_BYTES
    assert len(trace_repr_html(trace).encode()) <= NOTEBOOK_BYTES


def test_what_a_notebook_shows_is_a_picture_and_a_table_and_no_script() -> None:
    page = Page(trace_repr_html(agent().trace()))
    tags = {tag for tag, _ in page.tags}
    assert {"svg", "table"} <= tags
    assert "script" not in tags
    assert [row[0] for row in page.cells][:3] == ["Node", "plan", "http.get"]


def test_a_run_without_executions_has_a_page() -> None:
    assert "no executions recorded" in timeline_html(RunLog().trace())
    assert "<svg" in trace_repr_html(RunLog().trace())
