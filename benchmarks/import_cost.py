"""What does `import clew` cost a program, above an interpreter that imports nothing?"""

from __future__ import annotations

import argparse
import json
import statistics
import sys

from places import environment, measured, run_python, scratch_folder
from table import Row, duration, print_benchmark

BAR_S = 0.080
HEAVY = {
    *("click", "rich", "sqlite3", "duckdb", "http", "socketserver", "ssl", "asyncio", "email", "html", "xml"),
    *("urllib.request", "importlib.metadata", "multiprocessing"),
}


def measure(arguments: argparse.Namespace) -> list[Row]:
    used: dict[str, list[float]] = {"pass": [], "import clew": []}
    with scratch_folder() as folder:
        env = environment(folder / "home")
        for program in used:  # compiled, and in the page cache
            measured([sys.executable, "-c", program], env=env)
        for number in range(10 if arguments.quick else 100):
            for program in sorted(used, reverse=number % 2 == 0):
                _, usage, code = measured([sys.executable, "-c", program], env=env)
                assert code == 0
                used[program].append(usage.ru_utime + usage.ru_stime)
        listing = "import json, sys; bare = set(sys.modules); import clew; print(json.dumps(sorted(set(sys.modules) - bare)))"
        modules = json.loads(run_python("-c", listing, env=env))
    extra = [ours - bare for ours, bare in zip(used["import clew"], used["pass"], strict=True)]
    heavy = sorted(HEAVY & {start for name in modules for start in (name, name.partition(".")[0])})
    low, middle, high = statistics.quantiles(extra, n=4)
    own = sum(name.partition(".")[0] == "clew" for name in modules)
    return [
        Row(
            what="import clew, CPU above a bare interpreter",
            ours=duration(middle * 1e9),
            peer=f"{duration(statistics.median(used['pass']) * 1e9)} bare",
            rounds=f"{duration(low * 1e9)} to {duration(high * 1e9)}, fastest "
            + duration((min(used["import clew"]) - min(used["pass"])) * 1e9),
            bar="<= 80 ms",
            kept=middle <= BAR_S,
            note="Import: user and system time of a process, compiled modules on disk as after an installation.",
        ),
        Row(
            what="modules that `import clew` loads",
            ours=f"{own} of Clew, {len(modules) - own} others; heavy: {', '.join(heavy) or 'none'}",
            bar="no CLI, SQL or web module",
            kept=not heavy,
        ),
    ]


if __name__ == "__main__":
    print_benchmark(measure, __doc__)
