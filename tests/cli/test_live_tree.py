"""The live tree shows what the events say: which node runs, which ended how, and what it used."""

from __future__ import annotations

import contextlib
import io

import pytest
from rich.console import Console

import clew
from clew.cli.live_tree import LiveTree
from clew.record.span import open_span
from clew.testing import FakeClock, recording


def shown(tree: LiveTree) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=100, color_system=None).print(tree.drawing())
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.fixture
def tree() -> LiveTree:
    return LiveTree(Console(file=io.StringIO(), width=100, height=14), name="triage")


def test_every_node_has_a_line_with_its_state_time_tokens_and_last_word(tree: LiveTree) -> None:
    clock = FakeClock()
    with recording(clock=clock, capture="full") as log:
        with clew.run("triage"):
            with open_span(("classify", "prompt"), {}):
                clew.event("token_usage", input_tokens=1000, output_tokens=234)
                clew.event("cost_incurred", cost_usd=0.0125)
                clock.advance(1.5)
            for attempt in (1, 2):
                with (
                    contextlib.suppress(ValueError),
                    open_span(("fetch", "tool"), {}, start={"attempt": attempt}),
                ):
                    clock.advance(0.25)
                    if attempt == 1:
                        raise ValueError("busy \x1b[2J\nsecond line")
            clew.event(
                "node_skipped",
                node="refund",
                type="prompt",
                reason="edge_condition_false",
                condition="topic == 1",
            )
            agent = open_span(("research", "agent"), {})
            with agent:
                clew.event("agent_turn_started", turn_number=2)
                clew.event("agent_tool_called", tool_name="search", tool_input={})
                tree.write(log.lines())
        lines = shown(tree)
    tree.close(timeout_s=1)
    assert lines[0].startswith("triage  3 of 4 nodes done")
    assert lines[1].split() == ["✓", "classify", "prompt", "1.50", "s", "1,234", "tok", "$0.0125"]
    assert lines[2].split() == ["✓", "fetch", "tool", "2", "times", "250", "ms"]
    assert lines[3].split() == ["-", "refund", "prompt", "topic", "==", "1"]
    assert lines[4].startswith("● research  agent")
    assert lines[4].endswith("turn 2  called search")
    assert len(lines) == 5
    assert "\x1b" not in "".join(lines)


def test_what_a_model_says_is_shown_while_it_says_it(tree: LiveTree) -> None:
    with recording() as log, clew.run("triage"), open_span(("answer", "prompt"), {}):
        tree.write(log.lines())
        for piece in ("Dear ", "customer,\n", "we are sorry"):
            tree.hear("answer", piece)
        tree.hear("nobody", "lost")
        assert shown(tree)[1].endswith("Dear customer, we are sorry")
    tree.close(timeout_s=1)


def test_in_a_low_window_what_ended_well_gives_way_to_what_runs(tree: LiveTree) -> None:
    with recording() as log, clew.run("triage"):
        for number in range(30):
            with open_span((f"n{number}", "tool"), {}):
                pass
        with open_span(("slow", "tool"), {}):
            tree.write(log.lines())
            lines = shown(tree)
    tree.close(timeout_s=1)
    assert len(lines) <= 14
    assert lines[-1].startswith("● slow")


def test_a_long_error_takes_no_room_from_the_numbers(tree: LiveTree) -> None:
    clock = FakeClock()
    with recording(clock=clock) as log, clew.run("triage"):
        with contextlib.suppress(ValueError), open_span(("fetch", "tool"), {}):
            clock.advance(1.5)
            raise ValueError("it went wrong because " * 20)
        clew.event("decision_made", node="fetch", chosen=["answer"], alternatives=["escalate"])
        tree.write(log.lines())
    lines = shown(tree)
    tree.close(timeout_s=1)
    assert "1.50 s" in lines[1]
    assert lines[1].endswith("…")
    assert lines[2] == "decision_made fetch takes answer, not escalate"


def test_what_runs_in_a_node_stands_below_it_and_never_in_another_ones_place(tree: LiveTree) -> None:
    """Two branches at the same time, whose workflows have nodes of the same name; the rounds of one are one node."""
    with recording(capture="full") as log:
        with clew.run("triage", kind="workflow"):
            first, second = open_span(("left", "branch"), {}), open_span(("right", "branch"), {})
            for branch, rounds in ((first, 2), (second, 1)):
                with branch:
                    for iteration in range(rounds):
                        step = clew.run("step", kind="workflow", node=branch.node_id, iteration=iteration)
                        with step, open_span(("count", "tool"), {}):
                            pass
        lines = log.lines()
    # As they come where both run at once: both branches begin before anything in them does.
    begins = [line for line in lines if b'"node_id":"left"' in line or b'"node_id":"right"' in line]
    starts = [line for line in begins if b"node_started" in line]
    tree.write([lines[0], *starts, *(line for line in lines[1:] if line not in starts)])
    said = [line.split() for line in shown(tree)[1:5]]
    tree.close(timeout_s=1)
    assert [words[1] for words in said] == ["left", "count", "right", "count"]
    assert said[1][3:5] == ["2", "times"]
