"""The live tree shows what the events say: which node runs, which ended how, and what it used."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re

import pytest
from rich.console import Console

import clew
from clew.cli.live_tree import LiveTree
from clew.cli.tree_rows import shortened
from clew.record.span import open_span
from clew.testing import FakeClock, recording

TIMES = re.compile(r"  [\d.]+ (s|ms|µs)$")


def shown(tree: LiveTree, *, width: int = 100) -> list[str]:
    """Return the lines; the time of the head, which is that of the machine, is left out."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(tree.drawing())
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return [TIMES.sub("", lines[0]), *lines[1:]]


def tree_of(width: int, height: int, *, node_count: int | None = None) -> LiveTree:
    return LiveTree(
        Console(file=io.StringIO(), width=width, height=height), name="triage", node_count=node_count
    )


@pytest.fixture
def tree() -> LiveTree:
    return tree_of(100, 14)


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
    ran = lines.pop()
    assert lines == [
        "triage  3 nodes done",
        "✓ classify  prompt      1.50 s  1,234 tok  $0.0125",
        "✓ fetch  tool  2 times  250 ms",
        "- refund  prompt                                            topic == 1",
    ]
    assert ran.startswith("● research  agent")
    assert ran.endswith("turn 2  called search")


def test_what_a_model_says_is_shown_while_it_says_it(tree: LiveTree) -> None:
    with recording() as log, clew.run("triage"), open_span(("answer", "prompt"), {}):
        tree.write(log.lines())
        for piece in ("Dear ", "customer,\n", "we are sorry"):
            tree.hear("answer", piece)
        tree.hear("nobody", "lost")
        assert shown(tree)[1].endswith("Dear customer, we are sorry")
    tree.close(timeout_s=1)


def test_in_a_low_window_every_line_is_used_and_the_last_says_what_is_not_shown() -> None:
    """What runs and what failed is there however early it began; of what is done, the latest."""
    tree, clock = tree_of(100, 14, node_count=152), FakeClock()
    with recording(clock=clock) as log, clew.run("triage"):
        with contextlib.suppress(ValueError), open_span(("broken", "tool"), {}):
            raise ValueError("no")
        with open_span(("slow", "tool"), {}):
            for number in range(80):
                with open_span((f"n{number}", "tool"), {}):
                    clock.advance(1)
            tree.write(log.lines())
            lines = [" ".join(line.split()) for line in shown(tree)]  # how long `slow` runs is of any width
    tree.close(timeout_s=1)
    assert lines[0] == "triage 80 of 152 nodes done"
    assert lines[1] == "✗ broken tool 0 s no"
    assert lines[2].startswith("● slow tool")
    assert lines[3:-1] == [f"✓ n{number} tool 1.00 s" for number in range(71, 80)]
    assert lines[-1] == "… 71 done and 70 waiting not shown"
    assert len(lines) == 13  # and one for the prompt


def busy() -> list[bytes]:
    """Return the events of an agent with all that a line can have, and of a node that failed."""
    clock = FakeClock()
    with recording(clock=clock, capture="full") as log, clew.run("triage"):
        with open_span(("research_of_the_question", "agent"), {}):
            clew.event("agent_turn_started", turn_number=12)
            clew.event("token_usage", input_tokens=1000, output_tokens=234)
            clew.event("cost_incurred", cost_usd=0.00001234)
            clock.advance(12.5)
        with contextlib.suppress(ValueError), open_span(("fetch", "tool"), {}):
            clock.advance(0.25)
            raise ValueError("the service is busy, try again later")
        return log.lines()


@pytest.mark.parametrize(
    "width, wanted",
    [
        (
            120,
            [
                "✓ research_of_the_question  agent  12.5 s  1,234 tok  $0.0000123  turn 12",
                "✗ fetch  tool                      250 ms                                  the service is busy, try again later",
            ],
        ),
        (
            80,
            [
                "✓ research_o…stion  12.5 s  1,234 tok  $0.0000123  turn 12",
                "✗ fetch             250 ms                                  the service is busy…",
            ],
        ),
        (42, ["✓ research_o…tion 12.5 s 1,234 tok turn 12", "✗ fetch           250 ms"]),
        (20, ["✓ researc…ion 12.5 s", "✗ fetch       250 ms"]),
    ],
)
def test_in_a_narrow_window_mark_and_time_stay(width: int, wanted: list[str]) -> None:
    """Names are shortened first, then what is said; cost and tokens go before the turn does."""
    tree = tree_of(width, 24, node_count=7)
    tree.write(busy())
    lines = shown(tree, width=width)
    tree.close(timeout_s=1)
    assert lines[1:] == wanted
    assert all(len(line) <= width for line in lines)


def test_a_wide_name_is_cut_at_a_cell_and_the_columns_stay_in_line() -> None:
    assert shortened("日本語の長い名前", 9) == "日本語…前"
    assert shortened("step_007_of_the_list", 12) == "step_007…ist"
    assert [shortened("abcdef", width) for width in (6, 3, 1, 0)] == ["abcdef", "ab…", "…", ""]


def test_what_the_end_of_a_run_stopped_is_no_failure(tree: LiveTree) -> None:
    """Nor is a node that waits to be tried again, until nobody tries it any more."""
    with recording(capture="full") as log, clew.run("triage"):
        with contextlib.suppress(asyncio.CancelledError), open_span(("stopped", "tool"), {}):
            raise asyncio.CancelledError
        with open_span(("busy", "tool"), {}) as span:
            span.fail("no answer", retried=True)
        with open_span(("left", "tool"), {}):
            clew.event("run_interrupted", level="WARNING", reason="KeyboardInterrupt")
            tree.write(log.lines())
            during = [line[0] for line in shown(tree)[1:]]
    tree.close(timeout_s=1)
    assert during == ["■", "↻", "●"]
    assert [line[0] for line in shown(tree)[1:]] == ["■", "■", "■"]


def test_a_payload_that_was_cut_is_not_told_to_whoever_watches(tree: LiveTree) -> None:
    with recording() as log, clew.run("triage"), open_span(("n", "tool"), {}):
        clew.event("payload_truncated", level="WARNING", field="output", original_bytes=9, kept_bytes=1)
        tree.write(log.lines())
    assert len(shown(tree)) == 2
    tree.close(timeout_s=1)


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


def test_a_run_that_goes_on_says_with_which_and_how_much_of_it_is_kept(tree: LiveTree) -> None:
    with recording(capture="full") as log, clew.run("triage"):
        clew.event("run_resumed", resumed_run_id="01a220055c578a2e" * 2, kept_nodes=["a", "b"])
        tree.write(log.lines())
    assert shown(tree)[1:] == ["run_resumed 01a220055c578a2e, 2 nodes kept"]
    tree.close(timeout_s=1)


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
