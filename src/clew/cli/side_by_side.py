"""How `clew diff` says what differs: the verdict, the nodes, the places in the payloads, the totals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.cli.moments import format_age
from clew.cli.output import STATUS_STYLES, Page
from clew.cli.table import Cell, Column, print_table, shorten
from clew.view.cells import cell_width
from clew.view.durations import UNKNOWN, format_count, format_duration, format_usd
from clew.view.preview import preview

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clew.analyze.changes import Change, Measure
    from clew.analyze.comparison import ComparedRun, Comparison, NodeComparison
    from clew.analyze.divergence import Difference, Divergence, Place

DEFAULT_NODES: Final = 20
_READABLE: Final = 200
"""Columns where nothing limits them."""
_LONGEST_VALUE: Final = 2_000
_LONGEST_NAME: Final = 24
_CONTEXT: Final = 12
"""Characters that two long texts have in common and that are shown all the same."""
_ARROW: Final = " -> "


def print_comparison(page: Page, found: Comparison, *, show_all: bool) -> None:
    """Print everything that `clew diff` prints."""
    _print_verdict(page, found)
    page.line()
    _print_run(page, "old", found.old)
    _print_run(page, "new", found.new)
    nodes = [node for node in found.nodes if show_all or node.differs or _spent_otherwise(node)]
    if nodes:
        page.heading("Nodes" if show_all else "Nodes that differ")
        listed = nodes if show_all else nodes[:DEFAULT_NODES]
        _print_nodes(page, listed)
        _print_left_out(page, len(nodes) - len(listed), "node")
    if found.divergences:
        page.heading("What differs")
        for divergence in found.divergences:
            _print_divergence(page, divergence)
        _print_left_out(page, found.divergences_left_out, "divergence")
    page.heading("Totals")
    _print_totals(page, found)


# --- the verdict -------------------------------------------------------------------------------------


def _print_verdict(page: Page, found: Comparison) -> None:
    if found.first is None:
        what = "1 execution" if found.paired == 1 else f"all {found.paired:,} executions"
        page.line(page.paint("same", "green"), "  ", _cut(page, f"{what} did the same in both runs", used=6))
    else:
        verdict = f"first at {_where(found.first)}: {_in_what(found.first)}"
        page.line(page.paint("differs", "red"), "  ", _cut(page, verdict, used=9))
        for difference in found.first.differences:
            _print_changes(page, difference, indent="  ", most=2)
        page.line(_cut(page, _counts(found), used=0))
    if found.reordered:
        page.line(_cut(page, f"{found.reordered:,} ran in another order", used=0))
    for name, run in (("old", found.old), ("new", found.new)):
        if run.lost:
            page.line(page.paint(f"{run.lost:,} events are missing from the log of the {name} run", "yellow"))


def _counts(found: Comparison) -> str:
    """Return in how much the runs differ."""
    verbs = (
        (found.differing, "differs", "differ"),
        (found.missing, "is missing", "are missing"),
        (found.added, "is new", "are new"),
    )
    parts = [f"{count:,} {one if count == 1 else many}" for count, one, many in verbs if count]
    return f"{found.paired:,} executions correspond; {', '.join(parts)}"


def _where(divergence: Divergence) -> str:
    """Return which execution it is: its name, its round and attempt or which of how many, and what is around it."""
    name = f"the run {_named(divergence.place)}" if divergence.place.is_run else _named(divergence.place)
    return f"{name} in {' > '.join(map(_named, divergence.path))}" if divergence.path else name


def _named(place: Place) -> str:
    numbers = [("iteration", place.iteration), ("attempt", place.attempt)]
    labels = [f"{name}={value}" for name, value in numbers if value is not None]
    if place.iteration is None and place.occurrences > 1:
        labels.append(f"{place.occurrence} of {place.occurrences}")
    return f"{place.node_id} ({', '.join(labels)})" if labels else place.node_id


def _in_what(divergence: Divergence) -> str:
    more = f", with {divergence.executions - 1:,} inside it" if divergence.executions > 1 else ""
    if divergence.what == "missing":
        return f"missing in the new run{more}"
    if divergence.what == "added":
        return f"only in the new run{more}"
    return ", ".join(difference.field for difference in divergence.differences)


def _print_run(page: Page, name: str, run: ComparedRun) -> None:
    took = f" in {format_duration(run.duration_ns)}" if run.duration_ns is not None else ""
    now = datetime.now(UTC)
    began = f", {format_age(run.started_at, now)} ago" if run.started_at is not None else ""
    inner = f", {run.inner_runs:,} run{'' if run.inner_runs == 1 else 's'} inside" if run.inner_runs else ""
    title = shorten(page.safe(run.name or "run"), _LONGEST_NAME, ellipsis=page.ellipsis)
    page.line(
        page.paint(name, "dim"),
        "  ",
        page.paint(title, "bold"),
        "  ",
        page.paint(run.status, STATUS_STYLES.get(run.status)),
        _cut(page, f"{took}{began}{inner}  {run.run_id}", used=7 + cell_width(title) + len(run.status)),
    )


# --- tables ------------------------------------------------------------------------------------------


def _spent_otherwise(node: NodeComparison) -> bool:
    return any(one.old != one.new for one in (node.input_tokens, node.output_tokens, node.cost_usd))


def _print_nodes(page: Page, nodes: Sequence[NodeComparison]) -> None:
    columns = [
        Column(title="NODE", least=10),
        Column(title="EXECS", right=True, missable=3),
        Column(title="DIFFERS", least=12),
        *_measured("TIME", missable=(4, 1, 2)),
    ]
    tokens = [_sum(node.input_tokens, node.output_tokens) for node in nodes]
    has_tokens = any(old is not None or new is not None for old, new in tokens)
    has_cost = any(node.cost_usd.old is not None or node.cost_usd.new is not None for node in nodes)
    columns += _measured("TOKENS", missable=(7, 5, 6)) if has_tokens else []
    columns += _measured("COST", missable=(10, 8, 9)) if has_cost else []
    rows = []
    for node, spent in zip(nodes, tokens, strict=True):
        row = [
            Cell(node.node_id),
            Cell(_both(node.old_executions, node.new_executions)),
            Cell(_how(node), "yellow" if node.differs else None),
            *_cells((node.duration_ns.old, node.duration_ns.new), _brief),
        ]
        row += _cells(spent, _count) if has_tokens else []
        row += _cells((node.cost_usd.old, node.cost_usd.new), format_usd) if has_cost else []
        rows.append(row)
    print_table(page, columns, rows, indent="  ")


def _print_totals(page: Page, found: Comparison) -> None:
    columns = [Column(title=""), *(Column(title=title, right=True) for title in ("OLD", "NEW", "CHANGE"))]
    measures: list[tuple[str, Measure, Callable[[float | None], str]]] = [
        ("time", found.duration_ns, _brief),
        ("tokens in", found.input_tokens, _count),
        ("tokens out", found.output_tokens, _count),
        ("cost", found.cost_usd, format_usd),
    ]
    rows = [[Cell(name), *_cells((one.old, one.new), write)] for name, one, write in measures]
    print_table(page, columns, rows, indent="  ")


def _measured(title: str, *, missable: tuple[int, int, int]) -> list[Column]:
    titles = (f"OLD {title}", f"NEW {title}", f"+{title}")
    return [Column(title=t, right=True, missable=m) for t, m in zip(titles, missable, strict=True)]


def _cells(numbers: tuple[float | None, float | None], write: Callable[[float | None], str]) -> list[Cell]:
    old, new = numbers
    change = UNKNOWN
    if old is not None and new is not None:
        # What was 0 has grown by no share of itself.
        change = "+0.0%" if old == new else f"{(new - old) / old:+.1%}" if old else UNKNOWN
    return [Cell(write(old)), Cell(write(new)), Cell(change)]


def _sum(one: Measure, other: Measure) -> tuple[float | None, float | None]:
    def total(numbers: Sequence[float | None]) -> float | None:
        known = [number for number in numbers if number is not None]
        return sum(known) if known else None

    return total((one.old, other.old)), total((one.new, other.new))


def _how(node: NodeComparison) -> str:
    parts = list(node.fields)
    parts += [f"{node.missing:,} missing"] if node.missing else []
    parts += [f"{node.added:,} added"] if node.added else []
    return ", ".join(parts)


def _both(old: int, new: int) -> str:
    return f"{old:,}" if old == new else f"{old:,}{_ARROW}{new:,}"


def _brief(ns: float | None) -> str:
    return format_duration(None if ns is None else round(ns)).replace(" ", "")


def _count(number: float | None) -> str:
    return format_count(None if number is None else round(number))


# --- what differs ------------------------------------------------------------------------------------


def _print_divergence(page: Page, divergence: Divergence) -> None:
    place = _cut(page, _where(divergence), used=2)
    page.line("  ", page.paint(place, "bold"))
    if divergence.what != "differs":
        page.line("    ", _cut(page, _in_what(divergence), used=4))
    for difference in divergence.differences:
        _print_changes(page, difference, indent="    ")


def _print_changes(page: Page, difference: Difference, *, indent: str, most: int | None = None) -> None:
    for change in difference.changes[:most]:
        label = f"{difference.field}{' ' if change.path else ''}{change.path}"
        _print_change(page, label, change, indent=indent)
    rest = len(difference.changes[most:] if most is not None else ()) + difference.left_out
    if rest:
        page.line(indent, page.paint(_cut(page, f"{rest:,} more in {difference.field}", used=4), "dim"))


def _print_change(page: Page, label: str, change: Change, *, indent: str) -> None:
    """Print old and new in one line where they fit, else one below the other."""
    room = (page.width or _READABLE) - len(indent)
    old, new = (page.safe(text) for text in _texts(change))
    safe = page.safe(label)
    line = f"{safe}: {old}{_ARROW}{new}"
    if cell_width(line) <= room:
        page.line(indent, page.paint(safe, "dim"), f": {old}{_ARROW}{new}")
        return
    page.line(indent, page.paint(shorten(safe, room, ellipsis=page.ellipsis), "dim"))
    for sign, text, style in (("-", old, "red"), ("+", new, "green")):
        shown = shorten(text, room - 4, ellipsis=page.ellipsis)
        page.line(indent, "  ", page.paint(f"{sign} {shown}", style))


def _texts(change: Change) -> tuple[str, str]:
    old, new = change.old, change.new
    if isinstance(old, str) and isinstance(new, str):
        # Of long texts that begin alike the beginning says nothing.
        pairs = enumerate(zip(old, new, strict=False))
        skipped = next((at for at, (a, b) in pairs if a != b), min(len(old), len(new))) - _CONTEXT
        if skipped > _CONTEXT:
            return f"...{_text(old[skipped:])}", f"...{_text(new[skipped:])}"
    return _text(old), _text(new)


def _text(value: Any) -> str:
    return "nothing" if value is msgspec.UNSET else preview(value, _LONGEST_VALUE)


def _cut(page: Page, text: str, *, used: int) -> str:
    """Return harmless text that fits behind `used` columns."""
    safe = page.safe(text)
    return safe if page.width is None else shorten(safe, page.width - used, ellipsis=page.ellipsis)


def _print_left_out(page: Page, count: int, what: str) -> None:
    if count > 0:
        text = f"{count:,} {what}{'' if count == 1 else 's'} not listed; --all lists all"
        page.line("  ", page.paint(_cut(page, text, used=2), "dim"))
