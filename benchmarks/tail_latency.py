"""How soon is an event of a running workflow seen in a second terminal, by `clew tail -f`?

A project of tool nodes runs in one process, `clew tail -f` in another; this one reads what it prints. The time is from the
event's own timestamp until its line came out of the pipe.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from datetime import datetime
from pathlib import Path

from places import CLEW, environment, scratch_folder
from table import Row, duration, print_benchmark

BAR_NS = 100_000_000


def measure(arguments: argparse.Namespace) -> list[Row]:
    nodes = 50 if arguments.quick else 400
    with scratch_folder() as folder:
        project = _project(folder / "project", nodes)
        env = environment(folder / "home")
        follow = [CLEW, "tail", "-f", "--json", "--lines", "0"]
        with subprocess.Popen(follow, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tail:
            time.sleep(1.5)  # until it follows
            run = subprocess.Popen(
                [CLEW, "run", str(project)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            waits = []
            assert tail.stdout is not None
            for line in tail.stdout:
                now = time.time()
                event = json.loads(line)
                waits.append(now - datetime.fromisoformat(event["timestamp"]).timestamp())
                if event["event"] == "workflow_completed":
                    break
            assert run.wait() == 0
            tail.terminate()
    waits.sort()
    p99, middle = waits[round(0.99 * (len(waits) - 1))], waits[len(waits) // 2]
    return [
        Row(
            what=f"an event of a workflow in a second `clew tail -f`, {len(waits):,} events, p99",
            ours=duration(p99 * 1e9),
            rounds=f"p50 {duration(middle * 1e9)}, max {duration(waits[-1] * 1e9)}",
            bar="<= 100 ms",
            kept=p99 * 1e9 <= BAR_NS,
        )
    ]


def _project(folder: Path, nodes: int) -> Path:
    """Write a chain of tool nodes of ten milliseconds each."""
    (folder / "tools").mkdir(parents=True)
    (folder / "tools" / "t.py").write_text(
        "import time\n\n\ndef work():\n    time.sleep(0.01)\n    return {}\n"
    )
    lines = ["name: chain", "tools:"]
    lines += [f"  t{n}: {{type: python, module: t, function: work}}" for n in range(nodes)]
    lines += ["edges:", *(f"  e{n}: {{from: t{n}, to: t{n + 1}, mapping: {{}}}}" for n in range(nodes - 1))]
    (folder / "clew.yaml").write_text("\n".join(lines) + "\n")
    return folder


if __name__ == "__main__":
    print_benchmark(measure, __doc__)
