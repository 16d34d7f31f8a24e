"""How long does `clew runs` take with 10,000 runs in the journal?"""

from __future__ import annotations

import argparse
import statistics

from places import CLEW, environment, measured, scratch_folder
from recorded import record_many_runs
from table import Row, duration, print_benchmark

BAR_S = 0.5


def measure(arguments: argparse.Namespace) -> list[Row]:
    count = 500 if arguments.quick else arguments.runs
    with scratch_folder() as folder:
        env = environment(folder / "home")
        record_many_runs(folder / "home", count)
        segments = len(list((folder / "home").glob("journal/*/*.jsonl")))
        cold_s, _, code = measured([CLEW, "runs"], env=env)
        assert code == 0
        rows = []
        for command in (["runs"], ["runs", "--json"]):
            times = [measured([CLEW, *command], env=env) for _ in range(5 if arguments.quick else 21)]
            assert all(code == 0 for _, _, code in times)
            walls = [wall for wall, _, _ in times]
            middle = statistics.median(walls)
            cpu = statistics.median(usage.ru_utime + usage.ru_stime for _, usage, _ in times)
            first = command == ["runs"]
            rows.append(
                Row(
                    what=f"clew {' '.join(command)} with {count:,} runs, index warm",
                    ours=duration(middle * 1e9),
                    rounds=f"fastest {duration(min(walls) * 1e9)}, CPU {duration(cpu * 1e9)}",
                    bar="<= 500 ms" if first else "",
                    kept=middle <= BAR_S if first else None,
                    note=(
                        f"Runs: {segments:,} segments; the whole command, start of the interpreter included; the first "
                        f"time, without an index, took {cold_s:.1f} s."
                    ),
                )
            )
        return rows


if __name__ == "__main__":
    print_benchmark(
        measure,
        __doc__,
        lambda p: p.add_argument("--runs", type=int, default=10_000, metavar="N", help="how many"),
    )
