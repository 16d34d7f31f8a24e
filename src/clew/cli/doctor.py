"""`clew doctor`: what is wrong with the journal, and what can be done about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clew.cli.options import home_option, home_to_read, json_option
from clew.cli.output import Page, note, print_json
from clew.store.doctor import examine, look_around, repair
from clew.view.durations import format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.store.doctor import Repair, SegmentReport, Surroundings


@click.command()
@click.option(
    "--repair", "with_repair", is_flag=True, help="Seal what dead processes left open; no event is changed."
)
@json_option
@home_option
@click.pass_context
def doctor(context: click.Context, *, with_repair: bool, as_json: bool, home: Path | None) -> None:
    """Check the journal, and repair what can be repaired.

    The exit code is 0 where nothing is damaged, and 1 where something is, after a repair where something still is. A
    process that was killed between two runs did not seal what it wrote, which is only remarked: nothing is lost.
    """
    place = home_to_read(home)
    repairs = repair(place) if with_repair else []
    segments, surroundings = examine(place), look_around(place)
    count = sum(len(report.problems) for report in segments) + len(surroundings.problems)
    count += sum(done.fault is not None for done in repairs)
    if as_json:
        print_json(
            {
                "home": place,
                "problems": count,
                "repairs": repairs,
                "segments": segments,
                "surroundings": surroundings,
            }
        )
    elif not place.is_dir():
        note(f"there is no journal in {place}")
    else:
        _print_report(Page(), segments, surroundings, home=place, repairs=repairs)
    context.exit(1 if count else 0)


def _print_report(
    page: Page,
    segments: Sequence[SegmentReport],
    surroundings: Surroundings,
    *,
    home: Path,
    repairs: Sequence[Repair],
) -> None:
    for done in repairs:
        _print_repair(page, done)
    if repairs:
        page.line()
    sick = [report for report in segments if report.problems or report.remarks]
    for report in sick:
        page.line(page.paint(report.path, "bold"))
        for problem in report.problems:
            page.line("  ", page.paint(problem, "red"))
        for remark in report.remarks:
            page.line("  ", page.paint(remark, "yellow"))
    for problem in surroundings.problems:
        page.line(page.paint(problem, "red"))
    if sick or surroundings.problems:
        page.line()
    _print_totals(page, segments, surroundings, home=home)
    able = sum(report.can_be_repaired for report in segments)
    if able:
        page.line(f"clew doctor --repair repairs {_counted(able, 'segment')}")
    elif not sick and not surroundings.problems:
        page.line(page.paint("all is well", "green"))


def _print_repair(page: Page, done: Repair) -> None:
    if done.fault is not None:
        page.line(page.paint(f"{done.path} could not be repaired: {done.fault}", "red"))
        return
    did = ["sealed"] if done.sealed else []
    if done.interrupted:
        did.append(f"{_counted(len(done.interrupted), 'run')} marked as interrupted")
    if done.torn_bytes:
        did.append(f"{done.torn_bytes:,} bytes of a torn line cut off")
    if done.freed_bytes:
        did.append(f"{format_bytes(done.freed_bytes)} given back")
    page.line(page.paint(f"{done.path}: {', '.join(did)}"))


def _print_totals(
    page: Page, segments: Sequence[SegmentReport], surroundings: Surroundings, *, home: Path
) -> None:
    size = sum(report.size_bytes for report in segments)
    events = sum(report.events for report in segments)
    alive = sum(report.sealed_by is None and report.process == "alive" for report in segments)
    unknown = sum(report.sealed_by is None and report.process == "unknown" for report in segments)
    page.line(page.paint(str(home), "bold"))
    page.line(f"  {_counted(len(segments), 'segment')}, {format_count(events)} events, {format_bytes(size)}")
    if alive:
        page.line(f"  {_counted(alive, 'segment')} being written")
    if unknown:
        page.line(f"  {_counted(unknown, 'open segment')} of processes that cannot be seen from here")
    if surroundings.blobs:
        page.line(
            f"  {_counted(surroundings.blobs, 'large payload')}, {format_bytes(surroundings.blob_bytes)}"
        )
    if surroundings.half_written:
        page.line(
            f"  {_counted(len(surroundings.half_written), 'half-written payload')}, which nothing refers to"
        )
    for name in surroundings.unknown:
        page.line("  ", page.paint(f"{name} is not of Clew", "dim"))
    if surroundings.index == "unusable":
        page.line("  the index cannot be used, and is made again when it is needed")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
