"""`clew diff`: what a run did differently from another, the first divergence first."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from clew.analyze.alignment import align
from clew.analyze.comparison import MOST_DIVERGENCES, Comparison, compare
from clew.cli.gates import Gate, parse_gate
from clew.cli.options import home_option, home_to_read, json_option
from clew.cli.output import Page, note, print_json
from clew.cli.side_by_side import print_comparison
from clew.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.model.trace import ExecutionTrace


class ShutGate(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of `--fail-on` that holds."""

    gate: str
    reason: str


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    comparison: Comparison
    failed_on: list[ShutGate]
    """The conditions of `--fail-on` that hold: with any, the exit code is 1."""


@click.command()
@click.argument("old")
@click.argument("new")
@click.option(
    "--fail-on",
    multiple=True,
    metavar="WHAT",
    help="End with exit code 1 where it holds: any, outputs, status, nodes, duration>20%, tokens>10%, cost>5%."
    " Can be given several times.",
)
@click.option("--all", "show_all", is_flag=True, help="List every node, divergence and changed place.")
@json_option
@home_option
def diff(
    old: str, new: str, *, fail_on: tuple[str, ...], show_all: bool, as_json: bool, home: Path | None
) -> None:
    """Compare two runs: where NEW first did something else than OLD, and what it cost.

    OLD and NEW are the start of an id, a name, or latest, latest~1 (the one before) and so on. Executions are aligned
    as trees, so further rounds, retries and nodes leave the rest comparable; runs inside of them are compared too.
    The exit code is 0 also where the runs differ, unless a condition of --fail-on holds.
    """
    gates = [parse_gate(text) for text in fail_on]
    found = _compare(old, new, home=home, most=None if show_all else MOST_DIVERGENCES)
    shut = _shut(gates, found)
    if as_json:
        print_json(Document(comparison=found, failed_on=shut))
    else:
        print_comparison(Page(), found, show_all=show_all)
    if shut:
        note(f"--fail-on {'; '.join(f'{one.gate}: {one.reason}' for one in shut)}")
        click.get_current_context().exit(1)


def _compare(old: str, new: str, *, home: Path | None, most: int | None) -> Comparison:
    store = Store(home_to_read(home))
    traces = [_with_inner(store, store.resolve(reference)) for reference in (old, new)]
    # Two traces of a million events live as long as the command does, and there is no cycle among them.
    gc.freeze()
    (ours, old_inner), (theirs, new_inner) = traces
    if theirs.attributes.get("replay_of") == ours.run_id and "fork" not in theirs.attributes:
        old_inner = _in_its_process(ours, old_inner)
    return compare(align(ours, theirs, old_inner=old_inner, new_inner=new_inner), most=most)


def _in_its_process(run: ExecutionTrace, inner: list[ExecutionTrace]) -> list[ExecutionTrace]:
    """Return the runs inside a run that its own process did: a replay of it starts no other."""
    own = set(run.writers)
    kept = [each for each in inner if not own.isdisjoint(each.writers)]
    if len(kept) < len(inner):
        note(f"not compared, for a replay starts no process: {len(inner) - len(kept)} of the runs inside OLD")
    return kept


def _with_inner(store: Store, run_id: str) -> tuple[ExecutionTrace, list[ExecutionTrace]]:
    """Return a run and the runs inside it, at any depth."""
    inside: dict[str | None, list[str]] = {}
    for row in store.runs():
        inside.setdefault(row.parent_run_id, []).append(row.run_id)
    found = {run_id: None}
    waiting = [run_id]
    while waiting:
        for inner in inside.get(waiting.pop(), ()):
            if inner not in found:
                found[inner] = None
                waiting.append(inner)
    return store.trace(run_id), [store.trace(inner) for inner in found if inner != run_id]


def _shut(gates: Sequence[Gate], found: Comparison) -> list[ShutGate]:
    reasons = {gate.text: gate.reason(found) for gate in gates}
    return [ShutGate(gate=text, reason=reason) for text, reason in reasons.items() if reason is not None]
