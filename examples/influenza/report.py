"""What the program says: progress while it runs, then the fit, the time, and what to try next."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

import clew
from data import DAYS, IN_BED
from model import infectious, peak

if TYPE_CHECKING:
    from calibrate import Fit

BAR_WIDTH = 48


def progress_bar() -> Progress:
    """Return a bar on standard error that goes away when done, and is not there unless that is a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("calibrating"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("[bold]{task.fields[best]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def one_line(fit: Fit) -> str:
    return f"R0 {fit.rates.reproduction_number:.2f}  squared error {fit.squared_error:,.0f}"


def print_heading(console: Console, heading: str) -> None:
    console.print(heading, style="bold underline")


def print_fit(console: Console, fit: Fit) -> None:
    rates = fit.rates
    day, boys = peak(rates)
    miss = math.sqrt(fit.squared_error / len(DAYS))
    rows = (
        ("R0", f"{rates.reproduction_number:.2f}", "infections by one case while all others are susceptible"),
        ("beta", f"{rates.beta:.3f}", "infections per case and day"),
        ("gamma", f"{rates.gamma:.3f}", f"recoveries per case and day: {1 / rates.gamma:.2f} days in bed"),
        ("SSE", f"{fit.squared_error:.0f}", f"sum of squared errors; {miss:.1f} boys, root mean square"),
        ("peak", f"{boys:.0f}", f"boys in bed on day {day:.1f}"),
    )
    print_heading(console, f"The fit, best of {fit.trials} trials")
    for name, value, meaning in rows:
        console.print(Text.assemble((f"{name:<5}", "bold"), (f"  {value:>5}", "cyan"), f"  {meaning}"))


def print_days(console: Console, fit: Fit) -> None:
    """Draw a bar a day for the boys in bed, and a mark where the model has them."""
    fine = console.encoding.lower().startswith("utf")
    block, mark = ("█", "◆") if fine else ("#", "o")
    model = infectious(fit.rates, np.array(DAYS, dtype=np.float64))
    scale = BAR_WIDTH / max(*IN_BED, *model)
    console.print(
        Text.assemble(("day  in bed  model", "bold"), f"   {block} in bed  ", (mark, "yellow"), " model")
    )
    for day, seen, fitted in zip(DAYS, IN_BED, model, strict=True):
        bar, place = block * round(seen * scale), round(fitted * scale)
        left, right = bar.ljust(place)[:place], bar[place + 1 :]
        line = Text.assemble(
            f"{day:3}  {seen:6}  {fitted:5.0f}   ", (left, "blue"), (mark, "yellow"), (right, "blue")
        )
        console.print(line)


def print_time(console: Console) -> None:
    """Print how long each kind of span took, from the record of this very run."""
    run = clew.current_run()
    if run is None:
        console.print("Nothing was recorded (CLEW_ENABLED=false): no times to show.")
        return
    totals, own, counts = Counter[str](), Counter[str](), Counter[str]()
    for node in run.trace.nodes:
        if node.duration_ns is not None and node.self_time_ns is not None:
            totals[node.node_id] += node.duration_ns
            own[node.node_id] += node.self_time_ns
            counts[node.node_id] += 1
    print_heading(console, "What took the time")
    console.print(f"{'':<24}{'count':>7}{'total s':>10}{'self s':>10}{'mean ms':>11}", style="bold")
    for name, total in totals.most_common():
        count = counts[name]
        console.print(
            f"{name:<24}{count:>7}{total / 1e9:>10.2f}{own[name] / 1e9:>10.2f}{total / count / 1e6:>11.2f}"
        )


def command() -> str:
    """Return what has to be typed for the clew of this Python: `make demo` puts it where no PATH leads."""
    own = Path(sys.executable).with_name("clew")
    found = shutil.which("clew")
    if found is not None and Path(found).resolve() == own.resolve():
        return "clew"
    return (
        shlex.quote(os.path.relpath(own))
        if own.exists()
        else f"{shlex.quote(sys.executable)} -m clew.cli.main"
    )


def print_next(console: Console) -> None:
    clew_here = command()
    print_heading(console, "Try next")
    for arguments in ("show latest", "timeline latest", "export latest --to chrome -o influenza.trace.json"):
        console.print(f"{clew_here} {arguments}", soft_wrap=True, markup=False)


def print_report(fit: Fit) -> None:
    """Print to standard output; plain text unless that is a terminal."""
    console = Console(highlight=False)
    print_fit(console, fit)
    console.print()
    print_days(console, fit)
    console.print()
    print_time(console)
    if clew.current_run() is not None:
        console.print()
        print_next(console)
