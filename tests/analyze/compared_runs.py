"""Runs that are really recorded, each beside a log in which the program itself says which execution is which.

A key in the log names one execution; two executions of two runs correspond where their keys are the same. Clew never
sees a key.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import clew
from clew.analyze.alignment import Alignment, align
from clew.model.trace import ExecutionTrace
from clew.testing import FakeClock, recording


class Log:
    """What a program says it did."""

    def __init__(self) -> None:
        self.spans: dict[str, str] = {}
        """Span ids by key."""

    @contextlib.contextmanager
    def span(self, key: str, name: str, **tags: Any) -> Iterator[Any]:
        """Open a span of Clew and write down which one it was."""
        with clew.span(name, **tags) as span:
            assert span.span_id is not None
            self.spans[key] = span.span_id
            yield span


class Recorded(NamedTuple):
    """A run, the runs inside it, and the program's own log."""

    trace: ExecutionTrace
    inner: list[ExecutionTrace]
    log: Log


def record(program: Callable[[Log], None], *, tick_ns: int = 1_000) -> Recorded:
    """Run a program under a clock that ticks at every reading, so that nothing depends on the machine."""
    log = Log()
    with recording(clock=FakeClock(tick_ns=tick_ns), capture="full") as journal:
        program(log)
        first, *others = journal.run_ids()
        return Recorded(journal.trace(first), [journal.trace(run_id) for run_id in others], log)


def aligned(old: Recorded, new: Recorded) -> Alignment:
    return align(old.trace, new.trace, old_inner=old.inner, new_inner=new.inner)


class Outcome(NamedTuple):
    """An alignment in the keys of the programs' logs."""

    pairs: set[tuple[str, str]]
    only_old: set[str]
    only_new: set[str]


def outcome(old: Recorded, new: Recorded) -> Outcome:
    """Align two runs; executions that are runs are left out, for the logs know of none."""
    found = aligned(old, new)
    olds, news = _keys(old, found.old.nodes), _keys(new, found.new.nodes)
    return Outcome(
        {(olds[one], news[other]) for one, other in found.pairs if one in olds or other in news},
        {olds[at] for at in found.only_old if at in olds},
        {news[at] for at in found.only_new if at in news},
    )


def expected(old: Recorded, new: Recorded) -> Outcome:
    """What corresponds according to the programs."""
    olds, news = set(old.log.spans), set(new.log.spans)
    return Outcome({(key, key) for key in olds & news}, olds - news, news - olds)


def _keys(recorded: Recorded, nodes: Sequence[Any]) -> dict[int, str]:
    keys = {span_id: key for key, span_id in recorded.log.spans.items()}
    return {at: keys[node.span_id] for at, node in enumerate(nodes) if node.span_id in keys}


# --- programs ----------------------------------------------------------------------------------------


def review(drafts: Sequence[tuple[str, str]]) -> Callable[[Log], None]:
    """A loop that nobody numbers: a draft and its review in each round. drafts: key and text."""

    def program(log: Log) -> None:
        with clew.run("review"):
            for key, text in drafts:
                with log.span(f"round {key}", "round"):
                    with log.span(f"draft {key}", "draft") as span:
                        span.output(text)
                    with log.span(f"check {key}", "check") as span:
                        span.output(len(text))
            with log.span("send", "send"):
                pass

    return program


def numbered(rounds: Sequence[tuple[int, str]]) -> Callable[[Log], None]:
    """A loop whose rounds are numbered in their tags."""

    def program(log: Log) -> None:
        with clew.run("numbered"):
            for number, text in rounds:
                with (
                    log.span(f"round {number}", "round", iteration=number),
                    log.span(f"ask {number}", "ask") as s,
                ):
                    s.output(text)

    return program


def calls(failures: Sequence[int]) -> Callable[[Log], None]:
    """Calls that fail so many times each before they succeed, attempts numbered."""

    def program(log: Log) -> None:
        with clew.run("calls"):
            for call, failing in enumerate(failures):
                with log.span(f"call {call}", "call", url=f"/{call}"):
                    for attempt in range(1, failing + 2):
                        with (
                            contextlib.suppress(TimeoutError),
                            log.span(f"get {call} {attempt}", "get", attempt=attempt),
                        ):
                            if attempt <= failing:
                                raise TimeoutError("no answer")

    return program


def fan_out(order: Sequence[int], answers: dict[int, str], *, tagged: bool) -> Callable[[Log], None]:
    """Branches in threads that run at the same time and start in a given order."""

    def program(log: Log) -> None:
        turns = [threading.Event() for _ in range(len(order) + 1)]
        everybody = threading.Barrier(len(order))
        turns[0].set()

        def branch(turn: int, number: int) -> None:
            turns[turn].wait()
            tags = {"branch": number} if tagged else {}
            with log.span(f"branch {number}", "branch", **tags) as span:
                turns[turn + 1].set()
                everybody.wait()
                with log.span(f"work {number}", "work"):
                    pass
                span.output(answers[number])

        with (
            clew.run("fan-out"),
            log.span("all", "all"),
            ThreadPoolExecutor(len(order)) as pool,
        ):
            for done in [pool.submit(branch, turn, number) for turn, number in enumerate(order)]:
                done.result()

    return program
