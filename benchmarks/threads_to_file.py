"""Do events of four threads all reach a file, and how soon?

First a million events as fast as four threads record them, through `clew run --telemetry-file`: every event must be in
the file and in the journal, every line must be valid. Then 20,000 events a second: how long it takes from the call
until another process, which reads the file as it grows, has the line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from array import array
from pathlib import Path

from places import CLEW, environment, scratch_folder
from table import Row, duration, print_benchmark

THREADS = 4
RATE = 20_000
BAR_NS = 100_000_000

FLAT_OUT = """
import sys, threading, time
import clew

def work(thread, count):
    event = clew.event
    for number in range(count):
        event("step_done", thread=thread, number=number)

begin = time.perf_counter()
threads = [threading.Thread(target=work, args=(n, int(sys.argv[1]))) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(time.perf_counter() - begin)
"""

AT_A_RATE = """
import sys, threading, time
import clew

def work(rate, count):
    event, now_ns = clew.event, time.monotonic_ns
    begin_ns, done = now_ns(), 0
    while done < count:
        due = min(count, (now_ns() - begin_ns) * rate // 1_000_000_000)
        for _ in range(due - done):
            event("step_done", called_ns=now_ns())
        done = max(done, due)
        time.sleep(0.001)

rate, seconds = int(sys.argv[1]) // 4, int(sys.argv[2])
threads = [threading.Thread(target=work, args=(rate, rate * seconds)) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
"""


def measure(arguments: argparse.Namespace) -> list[Row]:
    events = 100_000 if arguments.quick else arguments.events
    with scratch_folder() as folder:
        rows = [_flat_out(folder, events)]
    with scratch_folder() as folder:
        rows.append(_latency(folder, seconds=3 if arguments.quick else 20))
    return rows


def _start(folder: Path, program: str, *arguments: str) -> subprocess.Popen[str]:
    script = folder / "program.py"
    script.write_text(program, encoding="utf-8")
    return subprocess.Popen(
        [CLEW, "run", "--telemetry-file", str(folder / "events.jsonl"), str(script), *arguments],
        env=environment(folder / "home", CLEW_TELEMETRY_MAX_BYTES="100GB", CLEW_TELEMETRY_LEVEL="debug"),
        stdout=subprocess.PIPE,
        text=True,
    )


def _flat_out(folder: Path, events: int) -> Row:
    process = _start(folder, FLAT_OUT, str(events // THREADS))
    seconds = float(process.communicate()[0])
    in_file, invalid = _count([folder / "events.jsonl"])
    in_journal, torn = _count(sorted((folder / "home" / "journal").glob("*/*.jsonl")))
    wanted = {(thread, number) for thread in range(THREADS) for number in range(events // THREADS)}
    lost, lost_journal = len(wanted - in_file), len(wanted - in_journal)
    return Row(
        what=f"{THREADS} threads, {events:,} events, journal and JSON lines file",
        ours=f"{lost} lost in the file, {lost_journal} in the journal, {invalid + torn} bad lines",
        rounds=f"{events / seconds:,.0f} events/s recorded",
        bar="nothing lost, every line valid",
        kept=not (lost or lost_journal or invalid or torn),
    )


def _count(files: list[Path]) -> tuple[set[tuple[int, int]], int]:
    found, invalid = set(), 0
    for file in files:
        with file.open("rb") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    invalid += 1
                    continue
                if event.get("event") == "step_done":
                    found.add((event["data"]["thread"], event["data"]["number"]))
    return found, invalid


def _latency(folder: Path, *, seconds: int) -> Row:
    process = _start(folder, AT_A_RATE, str(RATE), str(seconds))
    path = folder / "events.jsonl"
    seen: list[tuple[int, bytes]] = []
    while not path.exists():
        time.sleep(0.001)
        assert process.poll() is None
    fd = os.open(path, os.O_RDONLY)
    while True:
        ended = process.poll() is not None
        chunk = os.read(fd, 1 << 20)
        if chunk:
            seen.append((time.monotonic_ns(), chunk))
        elif ended:
            break
        else:
            time.sleep(0.001)
    os.close(fd)
    delays = array("q", sorted(_delays(seen)))
    events = RATE * seconds
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    return Row(
        what=f"from the call to visible in the file, {RATE:,} events/s, p99",
        ours=duration(p99),
        rounds=f"p50 {duration(p50)}, max {duration(delays[-1])}, mean {duration(statistics.fmean(delays))}",
        bar="<= 100 ms",
        kept=p99 <= BAR_NS and len(delays) == events,
        note=f"Visible: read by another process. {len(delays):,} of {events:,} events were seen.",
    )


def _delays(seen: list[tuple[int, bytes]]) -> list[int]:
    """The delay of each event: from the call until the read that brought the end of its line."""
    delays: list[int] = []
    rest = b""
    for seen_ns, chunk in seen:
        *lines, rest = (rest + chunk).split(b"\n")
        events = (json.loads(line) for line in lines if b'"step_done"' in line)
        delays += [seen_ns - event["data"]["called_ns"] for event in events]
    return delays


if __name__ == "__main__":
    print_benchmark(
        measure,
        __doc__,
        lambda p: p.add_argument("--events", type=int, default=1_000_000, metavar="N", help="how many"),
    )
