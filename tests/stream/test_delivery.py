from __future__ import annotations

import time

import pytest

from clew.errors import SinkError
from clew.stream.delivery import FEW_LINES, FIRST_RETRY_S, LARGE_BATCH, LAST_RETRY_S, Delivery, Pace, Round
from clew.stream.filters import EventFilter
from tests.stream.fakes import ListSink, ListSource, RefusingSink, event_line, numbered


class EndedSink(ListSink):
    """Is finished after some lines."""

    def __init__(self, *, room: int) -> None:
        super().__init__()
        self.room = room
        self.finished: str | None = None
        self.dropped = 0

    def write(self, lines: object, /) -> None:
        assert isinstance(lines, list)
        fitting = lines[: self.room]
        self.room -= len(fitting)
        if len(fitting) < len(lines):
            self.finished = "it was closed"
            self.dropped += len(lines) - len(fitting)
        super().write(fitting)


class BrokenSource(ListSource):
    """Breaks its promise never to raise, once."""

    def poll(self) -> list[bytes]:
        self.polls += 1
        if self.polls == 1:
            raise OSError("no such journal")
        return super().poll()


def deliver(
    source: ListSource, sink: ListSink, chosen: EventFilter | None = None
) -> tuple[Delivery, list[str]]:
    said: list[str] = []
    delivery = Delivery(
        source, sink, event_filter=chosen or EventFilter(), name="telemetry to x", report=said.append
    )
    return delivery, said


def test_every_line_goes_from_the_source_to_the_sink_in_order() -> None:
    lines = numbered(5)
    sink = ListSink()
    delivery, said = deliver(ListSource(lines[:2], [], lines[2:]), sink)
    rounds = [delivery.advance() for _ in range(4)]
    assert sink.lines == lines
    assert rounds == [
        Round(2, 2, failed=False),
        Round(0, 0, failed=False),
        Round(3, 3, failed=False),
        Round(0, 0, failed=False),
    ]
    assert (delivery.delivered, delivery.undelivered, delivery.failed, said) == (5, 0, 0, [])


def test_a_batch_that_passes_whole_is_handed_on_as_it_is() -> None:
    batch = numbered(3)
    sink = ListSink()
    delivery, _ = deliver(ListSource(batch), sink)
    delivery.advance()
    assert sink.offered[0] is batch


def test_only_what_passes_the_filter_is_delivered_and_counted() -> None:
    sink = ListSink()
    wanted, unwanted = event_line("node_failed", "ERROR"), event_line("node_started")
    delivery, _ = deliver(ListSource([unwanted, wanted], [unwanted]), sink, EventFilter(["error"]))
    assert delivery.advance() == Round(2, 1, failed=False)
    assert delivery.advance() == Round(1, 0, failed=False)
    assert sink.lines == [wanted]
    assert (delivery.delivered, delivery.undelivered) == (1, 0)


@pytest.mark.parametrize(
    "fault", [SinkError("disk full"), OSError(28, "disk full"), ValueError("bug"), SystemExit("disk full")]
)
def test_a_sink_that_raises_anything_is_offered_the_same_lines_again(fault: BaseException) -> None:
    source = ListSource(numbered(2), numbered(1, start=2))
    sink = ListSink(refusals=[fault, fault])
    delivery, said = deliver(source, sink)
    assert delivery.advance() == Round(2, 0, failed=True)
    assert delivery.undelivered == 2
    assert delivery.advance() == Round(0, 0, failed=True)
    assert source.polls == 1, "nothing is read on while lines are in hand"
    assert delivery.advance() == Round(0, 2, failed=False)
    assert delivery.advance() == Round(1, 1, failed=False)
    assert sink.lines == numbered(3)
    assert (delivery.delivered, delivery.undelivered, delivery.failed) == (3, 0, 2)
    assert said == [f"telemetry to x: {fault}; trying again, and the journal keeps every event"]


def test_what_a_refusing_sink_did_take_is_not_offered_again() -> None:
    sink = ListSink(refusals=[SinkError("full", taken=2)])
    delivery, _ = deliver(ListSource(numbered(5)), sink)
    assert delivery.advance() == Round(5, 2, failed=True)
    assert (delivery.delivered, delivery.undelivered) == (2, 3)
    delivery.advance()
    assert sink.lines == numbered(3, start=2)
    assert (delivery.delivered, delivery.undelivered) == (5, 0)


def test_a_fault_without_a_message_is_reported_by_its_name() -> None:
    delivery, said = deliver(ListSource(numbered(1)), ListSink(refusals=[MemoryError()]))
    delivery.advance()
    assert said == ["telemetry to x: MemoryError; trying again, and the journal keeps every event"]


def test_a_report_that_raises_stops_nothing() -> None:
    def report(_: str) -> None:
        raise BrokenPipeError

    sink = ListSink(refusals=[SinkError("no")])
    delivery = Delivery(ListSource(numbered(1)), sink, event_filter=EventFilter(), name="x", report=report)
    delivery.advance()
    delivery.advance()
    assert sink.lines == numbered(1)


def test_a_source_that_raises_is_asked_again() -> None:
    sink = ListSink()
    delivery, said = deliver(BrokenSource(numbered(1)), sink)
    assert delivery.advance() == Round(0, 0, failed=True)
    assert delivery.advance() == Round(1, 1, failed=False)
    assert sink.lines == numbered(1)
    assert said == ["telemetry to x: no such journal; trying again, and the journal keeps every event"]


def test_a_sink_that_is_finished_is_reported_once_and_what_it_drops_is_not_delivered() -> None:
    delivery, said = deliver(ListSource(numbered(3), numbered(4), numbered(1)), EndedSink(room=2))
    for _ in range(3):
        assert not delivery.advance().failed
    assert (delivery.delivered, delivery.undelivered) == (2, 6)
    assert said == ["telemetry to x: it was closed; the journal keeps every event"]


def test_what_a_refusing_sink_leaves_in_the_source_is_counted() -> None:
    source = ListSource(numbered(2), numbered(3), [], numbered(7))
    delivery, _ = deliver(source, RefusingSink())
    delivery.advance()
    assert delivery.count_rest(time.monotonic() + 60)
    assert delivery.undelivered == 5


def test_counting_the_rest_counts_what_passes_the_filter() -> None:
    source = ListSource(
        [event_line("node_failed", "ERROR")], [event_line("node_failed", "ERROR"), event_line()]
    )
    delivery, _ = deliver(source, RefusingSink(), EventFilter(["error"]))
    delivery.advance()
    assert delivery.count_rest(time.monotonic() + 60)
    assert delivery.undelivered == 2


def test_counting_the_rest_stops_when_the_time_is_over() -> None:
    delivery, _ = deliver(ListSource(numbered(2)), RefusingSink())
    assert not delivery.count_rest(time.monotonic() - 1)
    assert not deliver(BrokenSource(), ListSink())[0].count_rest(time.monotonic() + 60)


def test_a_sink_that_raises_on_closing_is_counted() -> None:
    class Unclosable(ListSink):
        def close(self, *, timeout_s: float) -> None:
            raise OSError

    delivery, _ = deliver(ListSource(), Unclosable())
    delivery.close_sink(1)
    assert delivery.failed == 1


def test_polls_begin_at_even_intervals() -> None:
    pace = Pace(0.02)
    assert pace.after(Round(100, 100, failed=False), elapsed_s=0.005) == pytest.approx(0.015)
    assert pace.after(Round(100, 100, failed=False), elapsed_s=0.0) == pytest.approx(0.02)


@pytest.mark.parametrize(
    "lines, waits_ms",
    [(0, [30, 40, 40]), (1, [30, 40, 40]), (FEW_LINES, [30, 40, 40])],
)
def test_where_little_happens_a_pump_looks_less_and_less_often_and_more_often_again_after_a_burst(
    lines: int, waits_ms: list[float]
) -> None:
    pace = Pace(0.02)
    idle = [pace.after(Round(lines, lines, failed=False), elapsed_s=0.0) for _ in range(3)]
    assert idle == pytest.approx([wait / 1000 for wait in waits_ms])
    many = 2 * FEW_LINES + 1  # in the two intervals that it slept
    burst = Round(many, many, failed=False)
    assert pace.after(burst, elapsed_s=0.0) == pytest.approx(0.02)


def test_a_slow_round_is_followed_by_the_next_at_once_but_an_empty_one_never() -> None:
    pace = Pace(0.02)
    assert pace.after(Round(5, 5, failed=False), elapsed_s=0.05) == 0
    assert pace.after(Round(LARGE_BATCH, 3, failed=False), elapsed_s=0.0) == 0
    assert pace.after(Round(0, 0, failed=False), elapsed_s=0.05) > 0


def test_failures_are_retried_at_doubling_intervals_that_begin_anew_after_a_success() -> None:
    pace = Pace(0.02)
    failed, fine = Round(0, 0, failed=True), Round(1, 1, failed=False)
    waits = [pace.after(failed, elapsed_s=1) for _ in range(9)]
    assert waits[0] == FIRST_RETRY_S
    assert waits[:3] == pytest.approx([0.05, 0.1, 0.2])
    assert waits[-1] == LAST_RETRY_S
    pace.after(fine, elapsed_s=0)
    assert pace.after(failed, elapsed_s=1) == FIRST_RETRY_S
