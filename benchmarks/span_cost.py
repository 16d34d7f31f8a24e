"""What does a span cost, against opentelemetry-sdk?

Ours: a span with two attributes, its start and its end each in the journal when the call returns.
Peer: the same span of opentelemetry-sdk with a BatchSpanProcessor at its defaults and an exporter that does nothing.

    python benchmarks/span_cost.py                  time
    python benchmarks/span_cost.py --instructions   instructions, under valgrind: slow, but the same on a busy machine
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

from instructions import add_instruction_options, instruction_row, work_alone
from peers import OpenTelemetry
from places import SealedSegments, record_in, scratch_folder
from rounds import compare
from table import Row, duration, fraction, print_benchmark

BAR = 1 / 8
WHAT = "span, two attributes, start and end durable"
PEER = "opentelemetry-sdk, BatchSpanProcessor, exporter does nothing"


def measure(arguments: argparse.Namespace) -> list[Row]:
    if arguments.instructions:
        return [instruction_row(__file__, WHAT, PEER, "otel", bar=BAR, operations=arguments.operations)]
    with scratch_folder() as folder:
        record_in(folder)
        import clew

        if arguments.work is not None:
            with clew.run("benchmark"):
                otel = OpenTelemetry()
                work_alone(arguments, {"ours": clew_spans, "otel": otel.spans_exported})
            return []
        otel = OpenTelemetry()
        sealed = SealedSegments(folder)

        def between() -> None:
            otel.flush()
            sealed.remove()

        rows = []
        with clew.run("benchmark"):
            for clock, clock_ns in (("wall", time.perf_counter_ns), ("CPU", time.process_time_ns)):
                found = compare(
                    clew_spans,
                    otel.spans,
                    rounds=20 if arguments.quick else 300,
                    between=between,
                    clock_ns=clock_ns,
                )
                rows.append(
                    Row(
                        what=f"{WHAT} ({clock} time)",
                        ours=duration(statistics.median(found.ours_ns)),
                        peer=duration(statistics.median(found.peer_ns)),
                        ratio=fraction(found.ratio),
                        rounds=found.spread(),
                        bar="<= 1/8",
                        kept=found.ratio <= BAR,
                    )
                )
        note = (
            f"Span peer: {PEER}, every setting at its default. It dropped {otel.dropped} of {otel.ended} spans; those "
            "in its queue are lost if the process is killed."
        )
        return [replace(row, note=note) for row in rows]


def clew_spans(count: int) -> None:
    import clew

    span = clew.span
    for number in range(count):
        with span("retrieve", k=number, index="wiki"):
            pass


if __name__ == "__main__":
    print_benchmark(measure, __doc__, add_instruction_options)
