"""A program that records one run, named by its argument, for the tests of the command line."""

from __future__ import annotations

import contextlib
import sys

import clew


def calibration() -> None:
    """Rounds, retries that fail, tags, metrics."""
    with clew.run("nightly-calibration", kind="job", job_id="a1") as run, clew.span("calibration.job"):
        for iteration in range(3):
            with clew.span("calibration.iteration", iteration=str(iteration)):
                with clew.span("algorithm.ask") as span:
                    span.metrics["n_params"] = 12
                for trial in range(4):
                    with contextlib.suppress(ValueError), clew.span("simulation.execute", trial=trial):
                        if trial == 2:
                            raise ValueError("beta must be positive")
            clew.event("decision_made", chosen="large")
        run.set(fitted=True)


def agent() -> None:
    """Tokens, a cost, a score, a run inside the run, and an error that ends it."""
    with contextlib.suppress(RuntimeError), clew.run("agent", kind="workflow"):
        with clew.span("plan"):
            clew.event("token_usage", input_tokens=1200, output_tokens=340, cached_tokens=1000, model="m1")
            clew.event("cost_incurred", cost_usd=0.0123)
        with clew.span("delegate"), clew.run("inner"), clew.span("work"):
            pass
        clew.event("score_recorded", name="accuracy", value=0.93)
        with clew.span("answer"):
            ask()


def large() -> None:
    """A tag of the run and one of a node are too large for a line."""
    with clew.run("large", text="x" * 50_000), clew.span("node", text="x" * 50_000):
        clew.event("chose", among=[f"choice {number}" for number in range(10_000)])


def ask() -> None:
    """Fails one call further in."""
    refuse()


def refuse() -> None:
    """Fails."""
    raise RuntimeError("the model said no\nand gave no reason")


def odd() -> None:
    """Names and values that a terminal would obey."""
    with (
        contextlib.suppress(ValueError),
        clew.run("odd\x1b[31m\x07 \u202ename \u9ed2\u4e95", **{"ta\x1bg": "va\x9blue"}),
        clew.span("no\x1b]0;title\x07de\r\n", tag="\x1b[2J"),
    ):
        clew.event("strange\x1b[31m", text="\x1b[31m\x9b31m\n")
        raise ValueError("\x1b[31merror\x1b[0m\r\n\x9b1mmore")


def killed() -> None:
    """Stops in the middle and waits; records every line that comes, and goes on when there are no more."""
    with clew.run("killed"), clew.span("first"):
        with clew.span("second") as span:
            span.metrics["size"] = 3
        with clew.span("third", position=7):
            sys.stdout.write("in the middle\n")
            sys.stdout.flush()
            for line in sys.stdin:
                clew.event("went_on", line=line.strip())


if __name__ == "__main__":
    named = {"calibration": calibration, "agent": agent, "odd": odd, "killed": killed, "large": large}
    named[sys.argv[1]]()
