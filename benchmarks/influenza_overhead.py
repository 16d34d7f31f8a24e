"""What does recording cost a real program? `examples/influenza` with everything on, and with CLEW_ENABLED=false.

On: payloads captured whole, events streamed to a file. Each round runs the program three times in a turning order: on,
off, and off once more. Off against off says how much two equal runs differ on this machine: an overhead below that
cannot be told from noise. So it is measured in two more ways. Side by side: on and off at the same time, each on a
processor of its own, which they exchange in every round; what slows the machine slows both, and equal runs differ by a
third as much. And by own clocks: what Clew itself did in such a run, added up over its threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from places import CLEW, REPOSITORY, environment, measured, scratch_folder
from table import Row, duration, print_benchmark

BAR = 0.01
ACCOUNTS = 7
KINDS = ("on", "off", "off again")


def measure(arguments: argparse.Namespace) -> list[Row]:
    rounds = 2 if arguments.quick else arguments.rounds
    wall: dict[str, list[float]] = {kind: [] for kind in KINDS}
    cpu: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with scratch_folder() as folder:
        example = str(REPOSITORY / "examples" / "influenza")
        off = environment(folder / "home", CLEW_ENABLED="false")
        on = environment(folder / "home", CLEW_CAPTURE="full", CLEW_TELEMETRY_LEVEL="debug")
        commands = {
            "on": ([CLEW, "run", "--telemetry-file", str(folder / "events.jsonl"), example], on),
            "off": ([CLEW, "run", example], off),
            "off again": ([CLEW, "run", example], off),
        }
        for command, env in commands.values():
            assert measured(command, env=env)[2] == 0
        for number in range(rounds):
            start = number % len(KINDS)
            for kind in KINDS[start:] + KINDS[:start]:
                command, env = commands[kind]
                seconds, usage, code = measured(command, env=env)
                assert code == 0
                wall[kind].append(seconds)
                cpu[kind].append(usage.ru_utime + usage.ru_stime)
        pairs = _side_by_side(commands, rounds=2 if arguments.quick else arguments.pairs)
        shares = [_accounted(folder, example, on) for _ in range(2 if arguments.quick else ACCOUNTS)]
    return [
        *(_row(name, times, rounds) for name, times in (("CPU", cpu), ("wall", wall))),
        *([_pairs_row(pairs)] if pairs else []),
        _share_row(shares),
    ]


def _side_by_side(
    commands: dict[str, tuple[list[str], dict[str, str]]], *, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Return the CPU seconds of two runs at a time, of `on` and `off` and of `off again` and `off`."""
    processors = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else []
    if len(processors) < 2:
        return {}
    found: dict[str, list[tuple[float, float]]] = {"on": [], "off again": []}
    for number in range(rounds):
        for kind, pairs in found.items():
            here, there = processors if number % 2 else processors[::-1]
            ours, peer = _started(commands[kind], here), _started(commands["off"], there)
            pairs.append((_cpu_seconds(ours), _cpu_seconds(peer)))
    return found


def _started(command: tuple[list[str], dict[str, str]], processor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["taskset", "-c", str(processor), *command[0]],
        env=command[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def _pairs_row(pairs: dict[str, list[tuple[float, float]]]) -> Row:
    changes = {kind: [a / b - 1 for a, b in found] for kind, found in pairs.items()}
    change, noise = (statistics.median(changes[kind]) for kind in ("on", "off again"))
    spread = statistics.median(abs(each) for each in changes["off again"])
    return Row(
        what="examples/influenza, on and off side by side, each on a processor of its own (CPU time)",
        ours=duration(statistics.median(a for a, _ in pairs["on"]) * 1e9),
        peer=duration(statistics.median(b for _, b in pairs["on"]) * 1e9),
        ratio=f"{change:+.2%}",
        rounds=f"mean {statistics.mean(changes['on']):+.2%}; off against off {noise:+.2%}, typically ±{spread:.1%}",
        bar="< +1 %",
        kept=change < BAR,
        note=f"Side by side: median of {len(pairs['on'])} rounds; the two exchange their processors in every round.",
    )


def _accounted(folder: Path, example: str, env: dict[str, str]) -> tuple[float, float]:
    """Return the CPU seconds of a run, and those that Clew took in it."""
    accounts = str(Path(__file__).with_name("accounts.py"))
    command = [sys.executable, accounts, "run", "--telemetry-file", str(folder / "events.jsonl"), example]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    found = json.loads(done.stderr.splitlines()[-1])
    return found["cpu_s"], found["clew_s"]


def _share_row(shares: Sequence[tuple[float, float]]) -> Row:
    share = statistics.median(own / (whole - own) for whole, own in shares)
    return Row(
        what="examples/influenza, what Clew did in it by its threads' own clocks (CPU time)",
        ours=duration(statistics.median(own for _, own in shares) * 1e9),
        peer=duration(statistics.median(whole - own for whole, own in shares) * 1e9),
        ratio=f"{share:+.2%}",
        rounds=", ".join(f"{own / (whole - own):+.2%}" for whole, own in shares),
        bar="< +1 %",
        kept=share < BAR,
        note="Own clocks: spans, the run, the stream's thread and the report; peer: the rest of that same run.",
    )


def _row(clock: str, times: dict[str, list[float]], rounds: int) -> Row:
    change = _median_change(times["on"], times["off"])
    noise = _median_change(times["off again"], times["off"])
    spread = statistics.median(abs(a / b - 1) for a, b in zip(times["off again"], times["off"], strict=True))
    fastest = min(times["on"]) / min(times["off"] + times["off again"]) - 1
    return Row(
        what=f"examples/influenza, everything on against off ({clock} time)",
        ours=duration(statistics.median(times["on"]) * 1e9),
        peer=duration(statistics.median(times["off"]) * 1e9),
        ratio=f"{change:+.1%}",
        rounds=f"fastest {fastest:+.1%}; off against off {noise:+.1%}, typically ±{spread:.1%}",
        bar="< +1 %",
        kept=change < BAR,
        note=(
            f"Influenza: median of {rounds} rounds. Where equal runs differ by more than the bar, this cannot decide "
            "about it; the number of events times the cost of one can."
        ),
    )


def _median_change(these: Sequence[float], those: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(these, those, strict=True)) - 1


if __name__ == "__main__":
    print_benchmark(
        measure,
        __doc__,
        lambda p: (
            p.add_argument("--rounds", type=int, default=20, metavar="N", help="rounds of three"),
            p.add_argument("--pairs", type=int, default=12, metavar="N", help="rounds of two at a time"),
        ),
    )
