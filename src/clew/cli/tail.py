"""`clew tail`: the events themselves, as they were written and as they come."""

from __future__ import annotations

import itertools
import select as readiness
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from clew.cli.history import SeenEvents, Select, family_of_run, identify, last_lines
from clew.cli.options import home_option, home_to_read, json_option
from clew.cli.output import Page, note, write_bytes
from clew.journal.follow import JournalFollower
from clew.stream.filters import EventFilter
from clew.stream.formats import encoder

DEFAULT_LINES: Final = 10
_BATCH: Final = 1000
_POLL_S: Final = 0.04
_LIVENESS_S: Final = 1.0
_ENDS: Final = ("workflow_completed", "workflow_failed", "run_interrupted")


@click.command()
@click.argument("run", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with events as they come, until the run has ended.")
@click.option(
    "-n",
    "--lines",
    metavar="N",
    default=str(DEFAULT_LINES),
    show_default=True,
    help="How many events that are there already to print: a number, or all.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["human", "jsonl"]),
    help="Text for people, or the lines of the log.  [default: human]",
)
@click.option(
    "--filter",
    "wanted",
    metavar="NAMES",
    help="Which events: names, globs, families (node, state, error ...), with commas; ! takes away.",
)
@click.option(
    "--level",
    metavar="LEVEL",
    help="The least level (debug, info, warning, error), or how much to print (minimal, normal, verbose, debug)."
    "  [default: normal; with jsonl debug]",
)
@json_option
@home_option
def tail(
    run: str | None,
    *,
    follow: bool,
    lines: str,
    form: str | None,
    wanted: str | None,
    level: str | None,
    as_json: bool,
    home: Path | None,
) -> None:
    """Print the events of a run, or of all runs, and follow them live.

    The events of RUN are also those of the runs inside it; without RUN they are those of the whole journal. With -f it ends when RUN has ended, and says so on
    standard error; Ctrl-C ends it at any time, with exit code 130. --json is --format jsonl.
    """
    if as_json and form == "human":
        raise click.UsageError("--json and --format human contradict each other")
    form = "jsonl" if as_json else form or "human"
    chosen = EventFilter.parse(wanted, level or ("debug" if form == "jsonl" else None))
    tailing = _Tail(home_to_read(home), form=form, chosen=chosen)
    tailing.run(run, count=_count(lines), follow=follow)


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is neither a number nor all", param_hint="'--lines'")
    return int(text)


class _Tail:
    """One call of the command: what is printed, and of which runs."""

    def __init__(self, home: Path, *, form: str, chosen: EventFilter) -> None:
        from clew.store.store import Store

        page = Page()
        self._home = home
        self._form = form
        self._store = Store(home)
        self._select: Select = chosen.select
        self._encode = encoder(form, colour=page.colour, whole=chosen.whole_payloads)

    def run(self, reference: str | None, *, count: int | None, follow: bool) -> None:
        """Print what is there, and what comes."""
        run_id = None if reference is None else self._store.resolve(reference)
        follower = seen = None
        if follow:
            # First the place where reading goes on, then what is there: between the two nothing is missed, and
            # what lies in both is known by its number.
            follower = JournalFollower(self._home, runs=None if run_id is None else {run_id})
            seen = SeenEvents()
        rows = self._store.runs() if self._home.is_dir() else []
        rows = rows if run_id is None else family_of_run(rows, run_id)
        lines = last_lines(self._store, rows, count=count, select=self._select, seen=seen)
        while batch := list(itertools.islice(lines, _BATCH)):
            self._print(batch)
        if follower is None or seen is None:
            if not rows:
                note(f"there are no runs in {self._home} yet")
            return
        if run_id is None:
            self._follow_all(follower, seen)
        else:
            self._follow_run(follower, seen, run_id)

    def _follow_all(self, follower: JournalFollower, seen: SeenEvents) -> None:
        note(f"following all runs in {self._home}; Ctrl-C ends")
        while True:
            self._print_new(follower, seen)
            self._wait()

    def _follow_run(self, follower: JournalFollower, seen: SeenEvents, run_id: str) -> None:
        status = self._until_end(follower, seen, run_id)
        note(f"run {run_id} {'was' if status == 'interrupted' else 'has'} {status}")

    def _until_end(self, follower: JournalFollower, seen: SeenEvents, run_id: str) -> str:
        """Print what comes until the run has ended, and return how."""
        ends = [f'"run_id":"{run_id}","event":"{name}"'.encode() for name in _ENDS]
        looked_at = time.monotonic()
        status = self._status(run_id)
        while status == "running":
            new = self._print_new(follower, seen)
            ended = any(end in line[:200] for line in new for end in ends)
            if ended or (not new and time.monotonic() - looked_at >= _LIVENESS_S):
                status = self._status(run_id)
                looked_at = time.monotonic()
            self._wait()
        while self._print_new(follower, seen):
            pass
        # What only a reader can say has no number: that the process died, and how much of its log is missing.
        rest = [line for line in self._store.lines(run_id) if identify(line).seq is None]
        self._print(self._select([line for line in rest if line not in seen.unnumbered]))
        return status

    def _print_new(self, follower: JournalFollower, seen: SeenEvents) -> Sequence[bytes]:
        new = [line for line in follower.poll() if line not in seen]
        self._print(self._select(new))
        return new

    def _status(self, run_id: str) -> str:
        return next((row.status for row in self._store.runs() if row.run_id == run_id), "interrupted")

    def _print(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        write_bytes(self._encode(lines), is_json=self._form == "jsonl")
        if sys.stdout is not None:
            sys.stdout.flush()

    def _wait(self) -> None:
        """Wait a moment, and notice that nobody reads any more."""
        if _reader_is_gone():
            raise BrokenPipeError
        time.sleep(_POLL_S)


def _reader_is_gone() -> bool:
    """Say whether the other end of standard output was closed; a pipe tells that only to who asks or writes."""
    try:
        poll = readiness.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & readiness.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):
        return False  # no such call on this system, or no such stream
