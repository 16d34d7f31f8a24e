"""Does the memory of the recording process grow with what it records?

Ten million events take 2.3 GB of disk while this runs; --events N records fewer.
"""

from __future__ import annotations

import argparse
import json

from places import environment, run_python, scratch_folder
from table import Row, mebibytes, print_benchmark

BAR_BYTES = 32 * 2**20
PROGRAM = """
import json, sys
import clew

def resident():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return [int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon", "RssFile")]

events, seen = int(sys.argv[1]), []
with clew.run("benchmark"), clew.span("fit"):
    for number in range(events):
        if number % (events // 100) == 0 or number == 10_000:
            seen.append(resident())
        clew.event("step_done", step=number, phase="fit")
    seen.append(resident())
print(json.dumps(seen))
"""


def measure(arguments: argparse.Namespace) -> list[Row]:
    events = 200_000 if arguments.quick else arguments.events
    with scratch_folder() as folder:
        seen = json.loads(run_python("-c", PROGRAM, str(events), env=environment(folder / "home")))
        disk = sum(path.stat().st_size for path in (folder / "home").rglob("*") if path.is_file())
    # The first sample is from before the first event, when no template, no window and no segment was there.
    growth = [max(sample[kind] for sample in seen) - seen[0][kind] for kind in range(3)]
    rss, anonymous, of_files = (mebibytes(size) for size in growth)
    return [
        Row(
            what=f"memory of the recording process over {events:,} events",
            ours=f"+{rss}, from {mebibytes(seen[0][0])}",
            rounds=f"anonymous +{anonymous}, of files +{of_files}",
            bar="<= +32 MiB",
            kept=growth[0] <= BAR_BYTES,
            note=f"Memory: the most of 100 samples, against before the first event; {mebibytes(disk)} of journal.",
        )
    ]


if __name__ == "__main__":
    print_benchmark(
        measure,
        __doc__,
        lambda p: p.add_argument("--events", type=int, default=10_000_000, metavar="N", help="how many"),
    )
