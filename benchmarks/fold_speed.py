"""How fast is a million events read back?

python benchmarks/fold_speed.py --events N
"""

from __future__ import annotations

import argparse
import json
import statistics

from places import CLEW, environment, measured, run_python, scratch_folder
from recorded import record_one_run
from table import Row, mebibytes, print_benchmark

BAR_PER_S = 150_000
BAR_SHOW_S = 10
BAR_SHOW_BYTES = 1.5 * 2**30

FOLD = """
import json, sys, time
from pathlib import Path
from clew.store.store import Store

store = Store(Path(sys.argv[1]))
run_id = store.resolve("latest")
begin, cpu = time.perf_counter(), time.process_time()
trace = store.trace(run_id)
wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
events = sum(1 for _ in store.lines(run_id))
assert trace.status == "completed" and trace.lost == 0
print(json.dumps([events, len(trace.nodes), wall, cpu]))
"""


def measure(arguments: argparse.Namespace) -> list[Row]:
    wanted = 100_000 if arguments.quick else arguments.events
    with scratch_folder() as folder:
        home = folder / "home"
        env = environment(home)
        record_one_run(home, wanted)
        first = measured([CLEW, "show", "latest"], env=env)  # there is no index yet: it makes one
        again = measured([CLEW, "show", "latest"], env=env)
        folds = [json.loads(run_python("-c", FOLD, str(home), env=env)) for _ in range(3)]
    assert first[2] == again[2] == 0
    events, nodes, _, _ = folds[0]
    per_s = statistics.median(events / wall for _, _, wall, _ in folds)
    rows = [
        Row(
            what=f"fold of {events:,} events, reading and decoding included",
            ours=f"{per_s:,.0f} events/s",
            rounds=f"{', '.join(f'{events / fold[2]:,.0f}' for fold in folds)}; of CPU time "
            f"{statistics.median(events / fold[3] for fold in folds):,.0f}",
            bar=">= 150,000 events/s",
            kept=per_s >= BAR_PER_S,
            note=f"Fold: from the journal to an ExecutionTrace of {nodes:,} executions, index warm, median of 3.",
        )
    ]
    for what, (wall_s, usage, _) in (("first time, no index", first), ("index warm", again)):
        peak = usage.ru_maxrss * 1024
        rows.append(
            Row(
                what=f"clew show of that run, {what}",
                ours=f"{wall_s:.2f} s, {mebibytes(peak)}",
                rounds=f"CPU {usage.ru_utime + usage.ru_stime:.2f} s",
                bar="<= 10 s, <= 1.5 GiB",
                kept=wall_s <= BAR_SHOW_S and peak <= BAR_SHOW_BYTES,
            )
        )
    return rows


if __name__ == "__main__":
    print_benchmark(
        measure,
        __doc__,
        lambda p: p.add_argument("--events", type=int, default=1_000_000, metavar="N", help="how many"),
    )
