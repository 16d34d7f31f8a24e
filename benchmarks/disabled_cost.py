"""What does `with clew.span("x")` cost where nothing is recorded, against OpenTelemetry's own no-op tracer?"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

from places import environment, record_in, run_python, scratch_folder
from rounds import compare
from table import Row, duration, fraction, print_benchmark, row_from_json

BAR = 1 / 15


def measure(arguments: argparse.Namespace) -> list[Row]:
    with scratch_folder() as folder:
        if arguments.off:
            return _switched_off(arguments)
        record_in(folder / "home")
        rows = [_noop_row(arguments, "span outside a run")]
        options = ["--json", "--off", *(["--quick"] if arguments.quick else [])]
        printed = run_python(__file__, *options, env=environment(folder / "home", CLEW_ENABLED="false"))
        assert not (folder / "home").exists()
        return [*rows, *map(row_from_json, printed.splitlines())]


def _switched_off(arguments: argparse.Namespace) -> list[Row]:
    assert os.environ["CLEW_ENABLED"] == "false"
    import clew

    def function() -> None:
        pass

    with clew.run("benchmark"):
        row = _noop_row(arguments, "span, CLEW_ENABLED=false")
    same = clew.traced(function) is function and clew.traced(kind="tool")(function) is function
    return [
        row,
        Row(
            what="function decorated while disabled",
            ours="the same object" if same else "another object",
            bar="the same object",
            kept=same,
        ),
    ]


def _noop_row(arguments: argparse.Namespace, what: str) -> Row:
    from opentelemetry.trace import NoOpTracer

    import clew

    start = NoOpTracer().start_as_current_span
    span = clew.span

    def ours(count: int) -> None:
        for _ in range(count):
            with span("x"):
                pass

    def peer(count: int) -> None:
        for _ in range(count):
            with start("x"):
                pass

    found = compare(ours, peer, rounds=20 if arguments.quick else 300)
    return Row(
        what=what,
        ours=duration(statistics.median(found.ours_ns)),
        peer=duration(statistics.median(found.peer_ns)),
        ratio=fraction(found.ratio),
        rounds=found.spread(),
        bar="<= 1/15",
        kept=found.ratio <= BAR,
        note="Disabled peer: OpenTelemetry's NoOpTracer. The time of the loop itself is in both.",
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    print_benchmark(
        measure, __doc__, lambda p: p.add_argument("--off", action="store_true", help=argparse.SUPPRESS)
    )
