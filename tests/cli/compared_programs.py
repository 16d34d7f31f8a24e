"""A program that records one run in a variant, both named by its arguments, and prints what it did as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import clew

LONG = "a text that goes on and on, the same in both runs, " * 8
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "again": {"reversed": True},
    "rounds": {"rounds": 5},
    "dearer": {"tokens": 130, "cost_usd": 0.002},
    "other": {"answer": "no"},
    "failed": {"failures": 9},
    "retried": {"failures": 1},
    "silent": {"tokens": None, "cost_usd": None},
    "odd": {"answer": "\x1b[31mred\x9b2J\u202e \u9ed2\u4e95" * 9, "extra": "no\x1b]0;title\x07de\r\n\u9ed2"},
    "nested": {"inner": "b"},
    "many": {"rounds": 12},
    "more": {"rounds": 12, "prefix": "other"},
}
ASKING: dict[str, Any] = {
    "rounds": 3,
    "tokens": 100,
    "cost_usd": 0.001,
    "answer": "yes",
    "prefix": "",
    "failures": 0,
    "reversed": False,
    "extra": "",
    "inner": "a",
}


def ask(number: int, given: dict[str, Any]) -> None:
    """One round: a prompt, then branches at the same time."""
    with clew.span("round", iteration=number):
        with clew.span("ask", kind="prompt") as span:
            span.usage(input_tokens=given["tokens"], output_tokens=7, cost_usd=given["cost_usd"], model="m1")
            span.output(
                {
                    "text": LONG + given["prefix"] + (given["answer"] if number == 1 else "yes"),
                    "round": number,
                }
            )
        everybody = threading.Barrier(3)

        def branch(which: int) -> None:
            with clew.span("branch", which=which):
                everybody.wait()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(branch, range(2, -1, -1) if given["reversed"] else range(3)))


def fetch(failures: int) -> None:
    """Two tries, numbered; the error of the second is raised."""
    for attempt in (1, 2):
        with (
            contextlib.suppress(*[TimeoutError] if attempt == 1 else []),
            clew.span("fetch", attempt=attempt),
        ):
            if attempt <= failures:
                raise TimeoutError("no answer")
            return


def main(variant: str) -> None:
    given = ASKING | VARIANTS[variant]
    with (
        contextlib.suppress(TimeoutError),
        clew.run(variant, kind="workflow", params={"temperature": 0.1}),
    ):
        for number in range(given["rounds"]):
            ask(number, given)
        with clew.run("inside"), clew.span("work") as span:
            span.output(given["inner"])
        if given["extra"]:
            with clew.span(given["extra"]):
                pass
        fetch(given["failures"])
    sys.stdout.write(json.dumps(given))


if __name__ == "__main__":
    main(sys.argv[1])
