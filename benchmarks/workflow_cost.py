"""What does the runner of workflows cost, and what does recording add to it?

Scheduling: nodes that do nothing, in a chain, and all side by side, against the bare cost of as many asyncio tasks.
Recording: a project of 200 trivial tool nodes, payloads whole and streamed to a file, against the same with recording off:
`clew run` as a person types it, and then the execution alone, in a process that has everything loaded.
Off: nodes of one millisecond, in the same runner with its recording calls taken out. Two such runs differ by more than
these calls can take, so their time is measured directly as well: each is repeated where it stands.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from places import CLEW, environment, measured, record_in, scratch_folder
from table import Row, duration, print_benchmark

NODES = 200
REPEATS = 100
SIZES = (1_000, 10_000)
NODE_BAR_S = 150e-6


def measure(arguments: argparse.Namespace) -> list[Row]:
    rounds = 3 if arguments.quick else 15
    with scratch_folder() as folder:
        record_in(folder / "home")
        return [
            *(_schedule_row(shape, size) for shape in ("chain", "side by side") for size in SIZES),
            *_command_rows(folder, 3 if arguments.quick else 30),
            _overhead_row(folder, 3 * rounds),
            _off_row(folder, 4 * rounds),
            _calls_row(folder, rounds),
        ]


def _schedule_row(shape: str, size: int) -> Row:
    from clew.workflow.schedule import Schedule

    names = [str(number) for number in range(size)]
    follows = {name: [names[i + 1]] if i + 1 < size else [] for i, name in enumerate(names)}
    edges: dict[str, list[str]] = follows if shape == "chain" else {name: [] for name in names}

    async def nothing(_node: str) -> None:
        pass

    async def tasks() -> None:
        for _ in names:
            await asyncio.create_task(nothing(""))

    ours, bare = [], []
    for _ in range(5):
        ours.append(
            _seconds(
                lambda: asyncio.run(Schedule(names, edges, concurrency=16, on_error="finish").run(nothing))
            )
        )
        bare.append(_seconds(lambda: asyncio.run(tasks())))
    each, peer = statistics.median(ours) / size, statistics.median(bare) / size
    return Row(
        what=f"scheduling a node, {size:,} in a graph, {shape}",
        ours=duration(each * 1e9),
        peer=duration(peer * 1e9),
        ratio=f"{each / peer:.1f}",
        bar="<= 150 us",
        kept=each <= NODE_BAR_S,
        note="Scheduling: the peer is one asyncio task after the other that does nothing.",
    )


def _command_rows(folder: Path, rounds: int) -> list[Row]:
    project = str(_project(folder / "typed", "    return {}"))
    streamed = ["--telemetry-file", str(folder / "typed.jsonl")]
    recorded = environment(folder / "typed home", CLEW_CAPTURE="full")
    off = environment(folder / "typed home", CLEW_ENABLED="false")
    commands = {
        "on": ([CLEW, "run", *streamed, project], recorded),
        "off": ([CLEW, "run", project], off),
        "off again": ([CLEW, "run", project], off),
        "no stream": ([CLEW, "run", "--no-telemetry", project], recorded),
    }
    times: dict[str, list[float]] = {kind: [] for kind in commands}
    kinds = list(commands)
    for number in range(-1, rounds):
        for kind in kinds[number % 4 :] + kinds[: number % 4]:
            command, env = commands[kind]
            seconds, _, code = measured(command, env=env)
            assert code == 0
            if number >= 0:  # the first one fills the caches
                times[kind].append(seconds)
    what = f"`clew run` of {NODES} trivial tool nodes, whole payloads and a file"
    same = _change(times["off again"], times["off"])
    return [
        _trivial_row(
            f"{what}, against recording off", times["on"], times["off"], f"off against off {same:+.1%}"
        ),
        _trivial_row(
            f"{what}, against `--no-telemetry`, recorded all the same", times["on"], times["no stream"], ""
        ),
    ]


def _trivial_row(what: str, ours: list[float], peer: list[float], rounds: str) -> Row:
    change = _change(ours, peer)
    return Row(
        what=what,
        ours=duration(statistics.median(ours) * 1e9),
        peer=duration(statistics.median(peer) * 1e9),
        ratio=f"{change:+.1%}",
        rounds=rounds,
        bar="< +5 %",
        kept=change < 0.05,
        note="Trivial nodes: Python functions that return at once, each called in a thread.",
    )


def _change(ours: list[float], peer: list[float]) -> float:
    """Return the median of the ratios of runs side by side, above 1."""
    return statistics.median(a / b for a, b in zip(ours, peer, strict=True)) - 1


def _overhead_row(folder: Path, rounds: int) -> Row:
    project = _project(folder / "trivial", "    return {}")
    on, off = [], []
    for number in range(rounds):
        for recorded in (True, False) if number % 2 else (False, True):
            (on if recorded else off).append(_run(project, folder, recorded=recorded))
    change = statistics.median(a / b for a, b in zip(on, off, strict=True)) - 1
    return Row(
        what="the execution of these nodes alone, in a process that has everything loaded",
        ours=duration(statistics.median(on) * 1e9),
        peer=duration(statistics.median(off) * 1e9),
        ratio=f"{change:+.1%}",
        note="Trivial nodes: Python functions that return at once, each called in a thread.",
    )


def _off_row(folder: Path, rounds: int) -> Row:
    project = _project(folder / "slow", "    time.sleep(0.001)\n    return {}")
    off, bare = [], []
    for number in range(rounds):
        for calls in (True, False) if number % 2 else (False, True):
            with _nothing() if calls else _without_calls():
                (off if calls else bare).append(_run(project, folder, recorded=False))
    change = statistics.median(a / b for a, b in zip(off, bare, strict=True)) - 1
    return Row(
        what=f"{NODES} nodes of 1 ms, recording off, against no recording calls at all",
        ours=duration(statistics.median(off) * 1e9),
        peer=duration(statistics.median(bare) * 1e9),
        ratio=f"{change:+.2%}",
        note=(
            f"No calls: `event` and `open_span` of the runner replaced by functions that do nothing; median of {rounds} "
            "rounds, which differ by more than the bar of 0.1 %, so the row of the calls themselves decides."
        ),
    )


def _calls_row(folder: Path, rounds: int) -> Row:
    project = _project(folder / "repeated", "    time.sleep(0.001)\n    return {}")
    whole = statistics.median(_run(project, folder, recorded=False) for _ in range(rounds))
    with _repeated_calls() as found:
        _run(project, folder, recorded=True)
    when_on = len(found)
    with _repeated_calls() as found:
        _run(project, folder, recorded=False)
    share = sum(found) / whole
    return Row(
        what=f"the calls of recording that these {NODES} nodes make, recording off, each repeated where it stands",
        ours=duration(sum(found) * 1e9),
        peer=duration(whole * 1e9),
        ratio=f"{share:+.3%}",
        rounds=f"{len(found)} calls; {when_on} with recording on",
        bar="< +0.1 %",
        kept=share < 0.001,
        note=f"Repeated: {REPEATS} times each, by the thread's own clock; peer: the whole run.",
    )


def _run(project: Path, folder: Path, *, recorded: bool) -> float:
    """Run the project once and return the seconds of its execution, with its end of the stream."""
    import msgspec

    from clew.config import load_settings
    from clew.session import session
    from clew.stream.options import StreamOptions
    from clew.workflow.manifest import load_project
    from clew.workflow.providers.choose import open_models
    from clew.workflow.runner import ProjectRun, RunOptions, Surroundings

    settings = msgspec.structs.replace(load_settings({}), capture="full", enabled=recorded)
    session.configure(settings)
    surroundings = Surroundings(
        recorder=session.recorder(),
        home=session.home,
        environ=os.environ,
        models=lambda _project: open_models(environ=os.environ),
    )
    run = ProjectRun(load_project(project, environ=os.environ), RunOptions(), surroundings)
    options = StreamOptions(enabled=recorded, to=(), file=str(folder / "events.jsonl"))
    pumps = session.start_stream(run.run.run_id, options, report=print)
    seconds = _seconds(run.execute)
    pumps.close(3.0)
    session.close()
    return seconds


def _project(folder: Path, body: str) -> Path:
    """Write a chain of tool nodes."""
    (folder / "tools").mkdir(parents=True)
    (folder / "tools" / "t.py").write_text(f"import time\n\n\ndef work():\n{body}\n")
    lines = ['clew: "1"', "name: trivial", "tools:"]
    lines += [f"  t{n}: {{type: python, module: t, function: work}}" for n in range(NODES)]
    lines += ["edges:", *(f"  e{n}: {{from: t{n}, to: t{n + 1}, mapping: {{}}}}" for n in range(NODES - 1))]
    (folder / "clew.yaml").write_text("\n".join(lines) + "\n")
    return folder


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _silent(*_: object, **__: object) -> None:
    pass


def _no_span(*_: object, **__: object) -> object:
    from clew.record.noop import NOOP_SPAN

    return NOOP_SPAN


@contextmanager
def _without_calls() -> Iterator[None]:
    with _instead(event=_silent, open_span=_no_span):
        yield


@contextmanager
def _repeated_calls() -> Iterator[list[float]]:
    """Repeat each call of recording where it stands; yields the seconds that one of each takes."""
    import clew
    from clew.record.span import open_span

    found: list[float] = []

    def repeated(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            began = time.thread_time()
            for _ in range(REPEATS):
                function(*args, **options)
            found.append((time.thread_time() - began) / REPEATS)
            return function(*args, **options)

        return call

    with _instead(event=repeated(clew.event), open_span=repeated(open_span)):
        yield found


@contextmanager
def _instead(**functions: Callable[..., Any]) -> Iterator[None]:
    """Have the runner call other functions to record."""
    from clew.workflow import asking, execution, nesting, publishing, signals

    with ExitStack() as stack:
        for module in (asking, execution, nesting, publishing, signals):
            for name, function in functions.items():
                if hasattr(module, name):
                    stack.enter_context(mock.patch.object(module, name, function))
        yield


if __name__ == "__main__":
    print_benchmark(measure, __doc__)
