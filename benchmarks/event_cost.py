"""What does an event cost, against a JSON emitter with a flushed file, and against msgspec with `os.write`?

python benchmarks/event_cost.py                  time
python benchmarks/event_cost.py --instructions   instructions, under valgrind (leaves out the kernel's part)
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from instructions import add_instruction_options, instruction_row, work_alone
from peers import LineEmitter, RawLines
from places import SealedSegments, record_in, scratch_folder
from rounds import compare
from table import Row, duration, fraction, print_benchmark

EMITTER = "dataclass, json.dumps(default=str), print(flush=True) to a file"
RAW = "one msgspec record, os.write to a file"
PEERS = {"emitter": (EMITTER, 1 / 8, "<= 1/8"), "raw": (RAW, 0.8, "<= 0.80")}


def measure(arguments: argparse.Namespace) -> list[Row]:
    if arguments.instructions:
        return [
            instruction_row(
                __file__, f"event, against {name}", peer, name, bar=bar, operations=arguments.operations
            )
            for name, (peer, bar, _) in PEERS.items()
        ]
    with scratch_folder() as folder:
        record_in(folder / "home")
        import clew

        with clew.run("benchmark"), clew.span("fit"):
            return _rows(arguments, folder)


def _rows(arguments: argparse.Namespace, folder: Path) -> list[Row]:
    emitter, raw = LineEmitter(folder / "emitter.jsonl"), RawLines(folder / "raw.jsonl")
    if arguments.work is not None:
        work_alone(arguments, {"ours": clew_events, "emitter": emitter.events, "raw": raw.events})
        return []
    sealed = SealedSegments(folder / "home")

    def between() -> None:
        sealed.remove()
        emitter.empty()
        raw.empty()

    rows = []
    for name, work in (("emitter", emitter.events), ("raw", raw.events)):
        peer, bar, bar_text = PEERS[name]
        for clock, clock_ns in (("wall", time.perf_counter_ns), ("CPU", time.process_time_ns)):
            found = compare(
                clew_events,
                work,
                rounds=20 if arguments.quick else 300,
                between=between,
                clock_ns=clock_ns,
            )
            rows.append(
                Row(
                    what=f"event written, against {name} ({clock} time)",
                    ours=duration(statistics.median(found.ours_ns)),
                    peer=duration(statistics.median(found.peer_ns)),
                    ratio=fraction(found.ratio),
                    rounds=found.spread(),
                    bar=bar_text,
                    kept=found.ratio <= bar,
                    note=f"Event peer `{name}`: {peer}.",
                )
            )
    return rows


def clew_events(count: int) -> None:
    import clew

    event = clew.event
    for number in range(count):
        event("step_done", step=number, phase="fit")


if __name__ == "__main__":
    print_benchmark(measure, __doc__, add_instruction_options)
