"""Head sampling: by the run's id, the same in every process; counters and boundaries are always kept."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clew
from clew.model.ids import new_run_id, parse_traceparent
from clew.record.run import Run
from clew.testing import Recording, SequentialIds, memory_recorder, recording
from tests.record.reading import check_lines, home, run_program, traces_in


class GivenIds(SequentialIds):
    """Run ids of the test's choice."""

    def __init__(self, *run_ids: str) -> None:
        super().__init__()
        self._given = list(run_ids)

    def run_id(self) -> str:
        return self._given.pop(0)


NEVER, ALWAYS = "0" * 24 + "ffffffff", "1" + "0" * 30 + "1"


def work() -> None:
    with clew.span("s") as span:
        span.usage(input_tokens=3)
        clew.event("decision_made", chosen="a")
        clew.add_metric("queue_depth", 4)
        clew.event("token_usage", input_tokens=5, output_tokens=7)
        clew.event("cost_incurred", cost_usd=0.25)
        clew.event("timing_metric", name="t", duration_ms=1.5)


def test_a_run_that_is_not_sampled_keeps_its_boundaries_and_its_counters() -> None:
    with recording(sample_ratio=0.5, ids=GivenIds(NEVER)) as log:
        with contextlib.suppress(ValueError), clew.run("r", city="Reims") as run:
            assert clew.span("s") is clew.NOOP_SPAN
            assert clew.current_run() is run
            work()
            raise ValueError("x")
        trace = log.trace()
    assert [event.event for event in log.events()] == [
        "workflow_started",
        "metric_recorded",
        "token_usage",
        "cost_incurred",
        "timing_metric",
        "workflow_failed",
    ]
    assert log.events("workflow_started")[0].values()["sampled"] is False
    assert trace.nodes == []
    assert trace.status == "failed"
    assert trace.error is not None
    assert trace.usage is not None
    assert (trace.usage.input_tokens, trace.usage.output_tokens, trace.cost_usd) == (5, 7, 0.25)
    assert trace.attributes == {"city": "Reims"}
    check_lines(log.lines())


def test_a_run_that_is_sampled_is_whole_and_does_not_mention_it() -> None:
    with recording(sample_ratio=0.5, ids=GivenIds(ALWAYS)) as log, clew.run("r"):
        work()
    assert [node.node_id for node in log.trace().nodes] == ["s"]
    assert "sampled" not in log.events("workflow_started")[0].values()


@given(st.lists(st.integers(0, 2**128 - 1).map(lambda n: f"{n:032x}"), min_size=1), st.floats(0, 1))
def test_the_choice_depends_on_the_id_and_the_ratio_alone(ids: list[str], ratio: float) -> None:
    recorders = [memory_recorder(sample_ratio=ratio), memory_recorder(sample_ratio=ratio)]
    for run_id in ids:
        chosen = []
        for recorder in recorders:
            run = Run(recorder, "r")
            run.run_id = run_id
            chosen.append(run.sampled)
        assert chosen[0] == chosen[1] == (int(run_id[-8:], 16) < ratio * 2**32 or ratio == 1)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_about_the_wanted_share_of_runs_is_sampled(ratio: float) -> None:
    recorder = memory_recorder(sample_ratio=ratio)
    runs = []
    for _ in range(2000):
        runs.append(Run(recorder, "r"))
        runs[-1].run_id = new_run_id()
    share = sum(run.sampled for run in runs) / len(runs)
    assert abs(share - ratio) < 0.05
    if ratio in {0.0, 1.0}:
        assert share == ratio


def test_a_nested_run_is_sampled_only_where_its_parent_is() -> None:
    with (
        recording(sample_ratio=0.5, ids=GivenIds(NEVER, ALWAYS)) as log,
        clew.run("outer"),
        clew.run("inner"),
    ):
        work()
    assert log.events("node_started") == []
    assert len(log.events("workflow_started")) == 2


def test_the_choice_travels_to_other_processes() -> None:
    with recording(sample_ratio=0.5, ids=GivenIds(NEVER, ALWAYS)):
        for sampled in (False, True):
            with clew.run("r"):
                header = clew.traceparent()
                assert header is not None
                parent = parse_traceparent(header)
                assert parent is not None
                assert parent.sampled is sampled


def test_the_inside_of_an_unsampled_run_is_unsampled_in_every_kind_of_worker() -> None:
    run_program(
        """
        import subprocess, sys, threading
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        import clew
        from tests.record.jobs import in_span
        if __name__ == "__main__":
            with clew.run("r"):
                in_span("here", 1)
                thread = threading.Thread(target=in_span, args=("thread", 1)); thread.start(); thread.join()
                with ThreadPoolExecutor() as pool: pool.submit(in_span, "pool", 1).result()
                with ProcessPoolExecutor(1) as pool: pool.submit(in_span, "process", 1).result()
                subprocess.run([sys.executable, "-c", "from tests.record.jobs import in_span; in_span('x', 1)"], check=True)
        """,
        CLEW_SAMPLE_RATIO="0",
    )
    (trace,) = traces_in(home()).values()
    assert trace.nodes == []
    assert trace.status == "completed"


def test_a_decorated_function_in_an_unsampled_run_works_and_leaves_nothing(log: Recording) -> None:
    log.recorder.sample_ratio = 0.0

    @clew.traced
    def double(x: int) -> int:
        return 2 * x

    @clew.traced
    def numbers() -> object:
        yield 1
        yield 2

    with clew.run("r"):
        assert double(4) == 8
        assert list(numbers()) == [1, 2]  # type: ignore[call-overload]
    assert len(log.lines()) == 2
