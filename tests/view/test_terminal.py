"""The timeline in a terminal: it fits, it lines up, and nothing in it can steer the terminal."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.view.terminal import timeline_text
from tests.analyze.generated_runs import MS, US, RunLog, S, agent, calibration, interrupted, loop
from tests.analyze.test_lanes import runs

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure
COLOUR = re.compile(r"\x1b\[\d+m")


def cells(line: str) -> int:
    """Count as terminals do, independently of the product: wide characters two, marks on others none."""
    return sum(
        0
        if unicodedata.category(char) in {"Mn", "Me", "Cf"} and char != "\ufe0f"
        else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in line
    )


def named(name: str) -> RunLog:
    log = RunLog(name)
    root = log.start(name, 0)
    log.span(name, 1 * MS, 3 * MS, parent=root, error=(name or "E", name))
    for number in range(5):
        log.span(name + "x", (4 + number) * MS, (5 + number) * MS, parent=root)
    return log.interrupt(20 * MS, reason=name)


@ANY_SPEED
@given(st.text(max_size=60), st.integers(1, 140), st.booleans())
def test_no_line_is_wider_than_the_window_whatever_the_names_are(name: str, width: int, colour: bool) -> None:
    for line in timeline_text(named(name).trace(), width=width, colour=colour).split("\n"):
        assert cells(COLOUR.sub("", line)) <= width


@ANY_SPEED
@given(runs(), st.integers(10, 120))
def test_no_line_of_any_run_is_wider_than_the_window(log: RunLog, width: int) -> None:
    for line in timeline_text(log.trace(), width=width).split("\n"):
        assert cells(line) <= width
        assert line == line.rstrip()


@ANY_SPEED
@given(st.text(max_size=60))
def test_colours_are_the_only_escapes_and_change_no_character(name: str) -> None:
    trace = named(name).trace()
    plain = timeline_text(trace, width=100)
    coloured = timeline_text(trace, width=100, colour=True)
    assert COLOUR.sub("", coloured) == plain
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in plain.replace("\n", ""))


@ANY_SPEED
@given(st.text(max_size=30), st.sampled_from(["ascii", "latin-1", "cp1252", "shift_jis"]))
def test_every_character_is_one_that_the_terminal_has(name: str, encoding: str) -> None:
    timeline_text(named(name).trace(), width=90, encoding=encoding).encode(encoding)


def test_the_picture_of_a_small_run_is_exactly_this() -> None:
    log = RunLog("demo")
    root = log.start("job", 0)
    log.span("ask", 0, 250 * MS, parent=root)
    log.span("run", 250 * MS, 1 * S, parent=root)
    log.end(root, 1 * S)
    assert timeline_text(log.finish(1 * S).trace(), width=57).split("\n") == [
        "demo  completed · 1.00 s · 3 executions",
        "",
        "          total  │0                  │0.5 s",
        "  job    1.00 s  ████████████████████████████████████████",
        "    ask  250 ms  ██████████",
        "    run  750 ms            ██████████████████████████████",
    ]


def test_bars_stand_where_and_as_long_as_the_log_says() -> None:
    """Read back from the picture: every bar's first and last cell against the test's own log."""
    log = calibration(batches=1, per_batch=3, workers=3)
    lines = timeline_text(log.trace(), width=120).split("\n")
    ruler = next(line for line in lines if "total" in line)
    left = ruler.index("│")
    columns = 120 - left
    span_ns = log.done["0000000000000001"].end_ns
    assert span_ns is not None
    whole = span_ns + 1 * MS
    drawn = [line for line in lines if "█" in line or "▏" in line]
    assert len(drawn) == len(log.done)
    for line, done in zip(drawn, sorted(log.done.values(), key=lambda d: d.span_id), strict=True):
        assert done.node_id in line
        assert done.end_ns is not None
        bar = line[left:]
        first, last = len(bar) - len(bar.lstrip()), len(bar)
        assert first == pytest.approx(done.begin_ns * columns / whole, abs=1)
        assert last == pytest.approx(done.end_ns * columns / whole, abs=1)


def test_durations_line_up_on_the_right() -> None:
    lines = timeline_text(agent().trace(), width=100).split("\n")
    ends = {match.end() for line in lines if (match := re.search(r"\d (ms|s)(?=  .*█)", line))}
    assert len(ends) == 1


def test_a_loop_is_one_line_with_its_count_and_its_sum() -> None:
    lines = timeline_text(loop(400, node_id="simulation.execute").trace(), width=100).split("\n")
    [line] = [line for line in lines if "simulation.execute" in line]
    assert "simulation.execute ×400  3.20 ms" in line  # noqa: RUF001 - the sign itself is meant


def test_failures_are_told_before_the_timeline_and_marked_in_it() -> None:
    lines = timeline_text(agent().trace(), width=100).split("\n")
    assert lines[1] == "✗ ValueError: order 4711 has no address  in agent › answer › render"  # noqa: RUF001
    assert lines[2] == "✗ AgentError: the answer could not be rendered  in agent"
    assert [line.split()[1] for line in lines[4:] if line.startswith("✗")] == [
        "agent",
        "http.get",
        "answer",
        "render",
    ]
    assert any(line.startswith("·   classify") and "skipped" in line and "◇" in line for line in lines)


def test_how_often_a_node_failed_is_never_cut() -> None:
    log = RunLog()
    for number in range(50):
        error = ("E", "m") if number < 7 else None
        log.span(
            "a.very.long.name.of.a.node.in.a.window.that.is.small",
            number * US,
            number * US + 900,
            error=error,
        )
    assert "… ×50, 7 failed" in timeline_text(log.trace(), width=80)  # noqa: RUF001 - the sign itself is meant


def test_what_has_no_end_is_drawn_open_with_its_state_in_place_of_a_duration() -> None:
    text = timeline_text(interrupted().trace(), width=100)
    lines = {line.split()[1]: line for line in text.split("\n") if "▒" in line}
    assert set(lines) == {"main", "load", "load.part"}
    assert lines["main"].startswith("! main           interrupted  ▒▒▒")
    assert "nightly  interrupted (process died)" in text
    assert "? heartbeat" in text
    assert "the parent of this execution is not in the log" in text


def test_what_does_not_fit_is_counted() -> None:
    log = RunLog()
    for number in range(30):
        log.span(f"step{number}", number * MS, (number + 1) * MS)
    text = timeline_text(log.trace(), width=80, max_rows=10)
    assert sum("step" in line for line in text.split("\n")) == 10
    assert "20 executions are in lines that do not fit" in text


def test_lost_events_and_removed_secrets_are_told() -> None:
    log = RunLog()
    log.span("step", 0, 1 * MS)
    log.note("events_lost", 1 * MS, count=3)
    log.note("redacted", 1 * MS, count=1)
    text = timeline_text(log.trace())
    assert "3 events are lost" in text
    assert "1 secret was removed" in text


def test_a_window_too_narrow_for_bars_keeps_names_and_durations() -> None:
    text = timeline_text(agent().trace(), width=30)
    assert "✗     http.get   500 ms" in text
    assert "█" not in text


def test_a_run_without_executions_says_so() -> None:
    assert "no executions recorded" in timeline_text(RunLog().trace())


def test_names_of_a_megabyte_cost_nothing_and_are_cut() -> None:
    log = RunLog("n" * 1_000_000)
    log.span("x" * 1_000_000, 0, 1 * MS, error=("E" * 1_000_000, "m" * 1_000_000))
    assert len(timeline_text(log.finish(1 * MS).trace(), width=100)) < 1000
