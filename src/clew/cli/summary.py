"""How `clew show` says what a run did: what went wrong, what was open, where time, tokens and money went."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.analyze.runs_inside import spent_together
from clew.analyze.sampling import LEFT_OUT
from clew.cli.moments import format_age
from clew.cli.output import STATUS_STYLES, Page
from clew.cli.stacks import stack_end
from clew.cli.table import Cell, Column, print_table, shorten, shorten_end
from clew.view.cells import cell_width
from clew.view.durations import format_count, format_duration, format_usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.analyze.failures import Failure
    from clew.analyze.summary import ListedExecution, NodeSummary, RunSummary
    from clew.model.usage import Usage

_READABLE: Final = 100
"""Columns of running text where nothing limits them."""
LABEL_COLUMNS: Final = 20
"""What the name of a fact takes at most, and the space behind it."""
_MESSAGE_LINES: Final = 6


def print_summary(
    page: Page, summary: RunSummary, *, inside: str | None, slowest: int, nodes: int, stacks: bool
) -> None:
    """Print everything that `clew show` shows; `inside` says which runs are inside this one."""
    _print_ending(page, summary)
    if summary.failures:
        page.heading("What failed")
        for failure in summary.failures:
            _print_failure(page, failure, whole_stack=stacks)
        _print_left_out(page, summary.failures_left_out, "more failure", "--json --slowest N lists them")
    if summary.open:
        page.heading("What runs now" if summary.status == "running" else "What was open at the end")
        for execution in summary.open:
            _print_open(page, execution)
        _print_left_out(page, summary.open_left_out, "more open execution")
    if summary.failures or summary.open:
        page.line()
    _print_facts(page, summary, inside)
    if summary.nodes:
        page.heading("Where the time went")
        _print_times(page, summary.nodes[:nodes])
        _print_left_out(page, len(summary.nodes) - nodes, "node", "--nodes 0 lists all")
        _print_tokens(page, summary.nodes[:nodes])
    if slowest and len(summary.slowest) > 1:
        page.heading("Slowest executions")
        _print_slowest(page, summary.slowest[:slowest])
    if summary.scores:
        page.heading("Scores")
        _print_scores(page, summary)


# --- facts -------------------------------------------------------------------------------------------


def _print_ending(page: Page, summary: RunSummary) -> None:
    style = STATUS_STYLES.get(summary.status)
    _print_head(page, summary.name or summary.kind or "run", _ending(summary), style=style)
    if summary.lost:
        events = "event is" if summary.lost == 1 else "events are"
        missing = f"{summary.lost:,} {events} missing from the log; what follows is of what is left"
        _print_wrapped(page, missing, style="yellow", indent=0)
    if not summary.sampled:
        _print_wrapped(page, LEFT_OUT, style="yellow", indent=0)


def _print_facts(page: Page, summary: RunSummary, inside: str | None) -> None:
    began = summary.started_at or summary.last_event_at
    facts = [("run", summary.run_id)]
    if began is not None:
        now = datetime.now(UTC)
        facts.append(("started", f"{_moment(began)}, {format_age(began, now)} ago"))
    if summary.kind is not None:
        facts.append(("kind", summary.kind))
    if summary.exit_code is not None:
        facts.append(("exit code", str(summary.exit_code)))
    if summary.parent_run_id is not None:
        facts.append(("inside run", summary.parent_run_id))
    facts += [(name, _compact(value)) for name, value in summary.attributes.items()]
    facts.append(("executions", _executions(summary)))
    if inside is not None:
        facts.append(("runs inside", inside))
    usage, cost_usd = spent_together(summary.inside)
    if summary.usage is not None or summary.cost_usd is not None:
        facts.append(("tokens", _tokens(summary.usage, summary.cost_usd)))
    if usage is not None or cost_usd is not None:
        first = f"; of the first {len(summary.inside) - summary.inside_unread:,}"
        facts.append(("runs inside", _tokens(usage, cost_usd) + (first if summary.inside_unread else "")))
    width = max(10, min(LABEL_COLUMNS - 2, max(len(page.safe(name)) for name, _ in facts)))
    for name, value in facts:
        label = shorten(page.safe(name), width, ellipsis=page.ellipsis).ljust(width)
        page.line(page.paint(label, "dim"), "  ", _cut(page, value, used=width + 2))
    missing = f"lost {summary.lost:,}, redacted {summary.redacted:,}, truncated {summary.truncated:,}"
    page.line(
        page.paint("record".ljust(width), "dim"),
        "  ",
        page.paint(_cut(page, missing, used=width + 2), "yellow" if summary.lost else None),
    )


def _ending(summary: RunSummary) -> str:
    duration = format_duration(summary.duration_ns)
    match summary.status:
        case "completed":
            return f"completed in {duration}" if summary.duration_ns is not None else "completed"
        case "failed":
            return f"failed after {duration}" if summary.duration_ns is not None else "failed"
        case "interrupted":
            lived = _lived(summary.started_at, summary.last_event_at)
            reason = f": {summary.interrupted_by}" if summary.interrupted_by else ""
            return f"interrupted{f'; last heard of after {lived}' if lived else ''}{reason}"
    return "running"


def _lived(start: datetime | None, last: datetime | None) -> str | None:
    if start is None or last is None:
        return None
    return format_duration((last - start) // timedelta(microseconds=1) * 1000)


def _executions(summary: RunSummary) -> str:
    if not summary.sampled and not summary.executions:
        return "not recorded"
    nodes = len(summary.nodes)
    text = f"{format_count(summary.executions)} of {nodes} node{'' if nodes == 1 else 's'}"
    others = [f"{count:,} {status}" for status, count in summary.statuses.items() if status != "completed"]
    if others:
        text += f": {', '.join(others)}"
    if summary.orphans:
        text += f"; the parents of {summary.orphans:,} are not in the log"
    return text


def _tokens(usage: Usage | None, cost_usd: float | None) -> str:
    parts = []
    if usage is not None:
        parts.append(f"{format_count(usage.input_tokens)} in, {format_count(usage.output_tokens)} out")
        if usage.cached_tokens is not None:
            parts.append(f"{usage.cached_tokens:,} of the input cached")
        if usage.reasoning_tokens is not None:
            parts.append(f"{usage.reasoning_tokens:,} of the output reasoning")
    parts.append(f"cost {format_usd(cost_usd)}")
    return ", ".join(parts)


# --- what went wrong ---------------------------------------------------------------------------------


def _print_failure(page: Page, failure: Failure, *, whole_stack: bool) -> None:
    head = failure.node_id or "the run itself"
    _print_head(page, head, failure.error_type or "error", style="red", indent=2)
    lines = (failure.message or "").splitlines()
    wrapped = [part for line in lines for part in _wrap(page, line, indent=4)]
    for line in wrapped if whole_stack else wrapped[:_MESSAGE_LINES]:
        page.line("    ", line)
    if len(wrapped) > _MESSAGE_LINES and not whole_stack:
        _print_wrapped(
            page, f"{len(wrapped) - _MESSAGE_LINES} more lines; --stacks prints them", style="dim", indent=4
        )
    _print_wrapped(page, _circumstances(failure), style="dim", indent=4)
    stack = failure.stack or ""
    for line in stack.rstrip().splitlines() if whole_stack else stack_end(stack):
        page.line("    ", page.paint(_cut(page, line, used=4), "dim"))


def _circumstances(failure: Failure) -> str:
    parts = []
    if failure.count > 1:
        parts.append(f"{failure.count:,} times")
    if failure.retried:
        parts.append("then tried again" if failure.count == 1 else f"{failure.retried:,} of them tried again")
    if failure.ended_run and failure.node_id is not None:
        parts.append("ended the run")
    elif failure.ended_run is False:
        parts.append("did not end the run")
    if failure.path:
        parts.append(f"in {' > '.join(failure.path)}")
    return ", ".join(parts)


def _print_open(page: Page, execution: ListedExecution) -> None:
    line = "open"
    if execution.open_ns is not None:
        took = format_duration(execution.open_ns)
        was_cut = execution.status == "interrupted"
        line = f"last heard of {took} after its start" if was_cut else f"open for {took}"
    _print_head(page, execution.node_id, line, style=STATUS_STYLES.get(execution.status), indent=2)
    tags = page.safe(_tags(execution))
    if tags:
        room = len(tags) * 2 if page.width is None else page.width - 4
        page.line("    ", shorten_end(tags, room, ellipsis=page.ellipsis))
    if execution.inputs is not None:
        page.line("    ", page.paint("inputs ", "dim"), _cut(page, _compact(execution.inputs), used=11))
    if execution.path:
        page.line("    ", page.paint(_cut(page, f"in {' > '.join(execution.path)}", used=4), "dim"))


# --- tables ------------------------------------------------------------------------------------------


def _print_times(page: Page, nodes: Sequence[NodeSummary]) -> None:
    any_errors = any(node.failed for node in nodes)
    titles = ("TOTAL", "SELF", "MEAN", "P50", "P95", "P99", "MAX")
    missable = (0, 0, 3, 4, 2, 5, 1)
    columns = [Column(title="NODE", least=12), Column(title="COUNT", right=True)]
    columns += [Column(title=t, right=True, missable=m) for t, m in zip(titles, missable, strict=True)]
    columns += [Column(title="ERR", right=True)] if any_errors else []
    rows = []
    for node in nodes:
        times = (
            node.total_ns,
            node.self_ns,
            node.mean_ns,
            node.p50_ns,
            node.p95_ns,
            node.p99_ns,
            node.max_ns,
        )
        row = [Cell(node.node_id), Cell(format_count(node.count))]
        row += [Cell(_brief(time if node.timed else None)) for time in times]
        if any_errors:
            row.append(Cell(format_count(node.failed), "red" if node.failed else None))
        rows.append(row)
    print_table(page, columns, rows, indent="  ")


def _print_tokens(page: Page, nodes: Sequence[NodeSummary]) -> None:
    """Print tokens and costs of the nodes that have any: most runs have none, and then there is no table."""
    fields = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    spent = [
        node
        for node in nodes
        if node.cost_usd is not None or any(getattr(node, field) is not None for field in fields)
    ]
    if not spent:
        return
    page.heading("Where the tokens went")
    columns = [Column(title="NODE", least=12)]
    columns += [
        Column(title=field.removesuffix("_tokens").upper(), right=True, missable=m)
        for field, m in zip(fields, (0, 0, 1, 2), strict=True)
    ]
    columns.append(Column(title="COST", right=True))
    rows = [
        [
            Cell(node.node_id),
            *(Cell(format_count(getattr(node, field))) for field in fields),
            Cell(format_usd(node.cost_usd)),
        ]
        for node in spent
    ]
    print_table(page, columns, rows, indent="  ")


def _print_slowest(page: Page, executions: Sequence[ListedExecution]) -> None:
    columns = [
        Column(title="DURATION", right=True),
        Column(title="SELF", right=True, missable=2),
        Column(title="NODE", least=12),
        Column(title="STATUS"),
        Column(title="TAGS", least=10, loses_end=True, missable=1),
    ]
    rows = [
        [
            Cell(_brief(execution.duration_ns)),
            Cell(_brief(execution.self_ns)),
            Cell(execution.node_id),
            Cell(execution.status, STATUS_STYLES.get(execution.status)),
            Cell(_tags(execution)),
        ]
        for execution in executions
    ]
    print_table(page, columns, rows, indent="  ")


def _print_scores(page: Page, summary: RunSummary) -> None:
    columns = [
        Column(title="NAME", least=12),
        *(Column(title=title, right=True) for title in ("COUNT", "MEAN")),
        *(Column(title=title, right=True, missable=1) for title in ("MIN", "MAX")),
    ]
    rows = [
        [
            Cell(name),
            Cell(format_count(score.count)),
            *(Cell(_number(n)) for n in (score.mean, score.min, score.max)),
        ]
        for name, score in summary.scores.items()
    ]
    print_table(page, columns, rows, indent="  ")


# --- words -------------------------------------------------------------------------------------------


def _tags(execution: ListedExecution) -> str:
    parts = []
    if execution.attempt is not None and execution.attempt > 1:
        parts.append(f"attempt={execution.attempt}")
    if execution.iteration is not None:
        parts.append(f"iteration={execution.iteration}")
    parts += [f"{name}={_compact(value)}" for name, value in execution.attributes.items()]
    parts += [f"{name}={_number(value)}" for name, value in execution.metrics.items()]
    return " ".join(parts)


def _compact(value: Any) -> str:
    """Return a value on one line: text bare, everything else as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value, enc_hook=str).decode("utf-8", "backslashreplace")


def _brief(ns: int | None) -> str:
    """Return a duration without spaces, for the columns of a table."""
    return format_duration(ns).replace(" ", "")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _cut(page: Page, text: str, *, used: int) -> str:
    """Return harmless text that fits behind `used` columns."""
    safe = page.safe(text)
    return safe if page.width is None else shorten(safe, page.width - used, ellipsis=page.ellipsis)


def _print_head(page: Page, name: str, said: str, *, style: str | None, indent: int = 0) -> None:
    """Print a name and what is said of it; where both do not fit, the name is cut first."""
    gap = " " * indent
    room = None if page.width is None else page.width - indent - 2
    name, said = page.safe(name), page.safe(said)
    if room is not None:
        name = shorten(name, max(room - cell_width(said), min(12, room // 2)), ellipsis=page.ellipsis)
        said = shorten(said, room - cell_width(name), ellipsis=page.ellipsis)
    page.line(gap, page.paint(name, "bold"), "  ", page.paint(said, style))


def _print_wrapped(page: Page, text: str, *, style: str, indent: int) -> None:
    for line in _wrap(page, text, indent=indent):
        page.line(" " * indent, page.paint(line, style))


def _wrap(page: Page, text: str, *, indent: int) -> list[str]:
    return textwrap.wrap(page.safe(text), max(20, (page.width or _READABLE) - indent), break_on_hyphens=False)


def _print_left_out(page: Page, count: int, what: str, hint: str = "") -> None:
    if count > 0:
        plural = "" if count == 1 else "s"
        _print_wrapped(
            page, f"{count:,} {what}{plural} not listed{f'; {hint}' if hint else ''}", style="dim", indent=2
        )
