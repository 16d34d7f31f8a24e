"""Calibrate an epidemic model to a real outbreak, every step recorded.

clew run examples/influenza        records into the local journal, like any other program
python examples/influenza          the same: the program opens a run of its own where there is none
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="influenza", description="Fit an SIR model to influenza in a boarding school, 1978."
    )
    parser.add_argument("--iterations", type=int, default=25, metavar="N", help="batches of trials (25)")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="trials in a batch (16)")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="threads that simulate (one a CPU)",
    )
    given = parser.parse_args()
    for name in ("iterations", "batch_size", "workers"):
        if getattr(given, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return given


def main() -> int:
    given = arguments()
    try:
        import clew
        from calibrate import Fit, calibrate
        from report import one_line, print_report, progress_bar
    except ModuleNotFoundError as error:
        if error.name not in {"clew", "numpy", "optuna", "scipy"}:
            raise
        print(f"{error.name} is not installed; get it with: pip install 'clew[optuna]'", file=sys.stderr)
        return 2

    with nullcontext() if clew.current_run() else clew.run("influenza"):
        with progress_bar() as progress:
            task = progress.add_task("", total=given.iterations, best="")

            def show(iteration: int, fit: Fit) -> None:
                progress.update(task, completed=iteration, best=one_line(fit))

            fit = calibrate(given.iterations, given.batch_size, workers=given.workers, on_iteration=show)
        print_report(fit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
