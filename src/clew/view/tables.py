"""The tables of a page about one run: what failed, what was open, what each node came to, what was slowest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from clew.view.durations import UNKNOWN, format_count, format_duration, format_usd
from clew.view.labels import FAILED_MARK, error_text, markup, place_text, shortened
from clew.view.preview import preview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.analyze.failures import Failure
    from clew.analyze.runs_inside import RunInside
    from clew.analyze.summary import ListedExecution, NodeSummary, RunSummary

MOST_NODES: Final = 500
"""Rows of the table of nodes; a run with more names than that is told so."""
_NAME_LENGTH: Final = 120
_INSIDE: Final = " › "  # noqa: RUF001 - the sign itself is meant


class _Cell(NamedTuple):
    text: str
    value: float | str | None = None
    """What the cell is sorted by; None for a text that is sorted as it stands."""
    is_alarm: bool = False


def facts_list(summary: RunSummary) -> str:
    """Return the facts of a run that its heading does not have, as a list of terms."""
    usage = summary.usage
    facts = [
        ("Run", summary.run_id),
        ("Kind", summary.kind),
        ("Exit code", None if summary.exit_code is None else str(summary.exit_code)),
        ("Processes", format_count(len(summary.writers)) if len(summary.writers) > 1 else None),
        ("Input tokens", None if usage is None else format_count(usage.input_tokens)),
        ("Output tokens", None if usage is None else format_count(usage.output_tokens)),
        ("Cost", None if summary.cost_usd is None else format_usd(summary.cost_usd)),
        ("Events lost", format_count(summary.lost) if summary.lost else None),
        ("Secrets removed", format_count(summary.redacted) if summary.redacted else None),
        ("Payloads cut", format_count(summary.truncated) if summary.truncated else None),
        ("Parent run", summary.parent_run_id),
        *((name, preview(value, 80)) for name, value in list(summary.attributes.items())[:12]),
    ]
    items = [
        f"<div><dt>{markup(shortened(name, 60))}</dt><dd>{markup(shortened(value, 120))}</dd></div>"
        for name, value in facts
        if value is not None
    ]
    return f"<dl>{''.join(items)}</dl>"


def failures_list(failures: Sequence[Failure], left_out: int) -> str:
    """Return the causes of failure, each with its place and its stack."""
    items = []
    for failure in failures:
        facts = [f"in {place_text(failure)}"]
        if failure.count > 1:
            facts.append(f"{format_count(failure.count)} times")
        if failure.passed_on_by:
            facts.append(f"passed on by {shortened(', '.join(failure.passed_on_by[:8]), 200)}")
        if failure.ended_run is False:
            facts.append("the run went on" if not failure.retried else "was tried again")
        stack = ""
        if failure.stack:
            text = "\n".join(markup(line) for line in failure.stack[-4000:].split("\n"))
            stack = f"<details><summary>Stack</summary><pre>{text}</pre></details>"
        kind = "handled" if failure.ended_run is False else "cause"
        what = error_text(failure.error_type, failure.message, 1000)
        items.append(
            f'<li class="{kind}"><strong>{FAILED_MARK} {markup(what)}</strong>'
            f"<span>{markup(' · '.join(facts))}</span>{stack}</li>"
        )
    if left_out:
        items.append(f"<li>and {format_count(left_out)} more</li>")
    return f"<ul>{''.join(items)}</ul>"


def nodes_table(nodes: Sequence[NodeSummary], *, most: int = MOST_NODES, is_sortable: bool = True) -> str:
    """Return one row a node_id: how often, how long, how it ended, tokens and cost where there are any."""
    has_tokens = any(node.input_tokens is not None or node.output_tokens is not None for node in nodes)
    has_cost = any(node.cost_usd is not None for node in nodes)
    heads = ["Node", "Count", "Total", "Self", "Mean", "p50", "p95", "p99", "Max"]
    heads += ["Failed"] if any(node.failed for node in nodes) else []
    heads += ["Open"] if any(node.running or node.interrupted for node in nodes) else []
    heads += ["Skipped"] if any(node.skipped for node in nodes) else []
    heads += ["Tokens in", "Tokens out"] if has_tokens else []
    heads += ["Cost"] if has_cost else []
    rows = []
    for node in nodes[:most]:
        cells = {
            "Node": _Cell(shortened(node.node_id, _NAME_LENGTH)),
            "Count": _Cell(format_count(node.count), node.count),
            "Total": _time(node.total_ns if node.timed else None),
            "Self": _time(node.self_ns if node.timed else None),
            "Mean": _time(node.mean_ns),
            "p50": _time(node.p50_ns),
            "p95": _time(node.p95_ns),
            "p99": _time(node.p99_ns),
            "Max": _time(node.max_ns),
            "Failed": _Cell(format_count(node.failed) if node.failed else "", node.failed, is_alarm=True),
            "Open": _number(node.running + node.interrupted),
            "Skipped": _number(node.skipped),
            "Tokens in": _Cell(format_count(node.input_tokens), _sortable(node.input_tokens)),
            "Tokens out": _Cell(format_count(node.output_tokens), _sortable(node.output_tokens)),
            "Cost": _Cell(format_usd(node.cost_usd), _sortable(node.cost_usd)),
        }
        rows.append([cells[head] for head in heads])
    more = ""
    if len(nodes) > most:
        more = f"<p>{format_count(len(nodes) - most)} more nodes took less time and are not listed.</p>"
    return _table(heads, rows, is_sortable=is_sortable) + more


def inside_table(runs: Sequence[RunInside], *, most: int = MOST_NODES) -> str:
    """Return one row a run inside the run: how it ended, its executions, its own tokens and cost where there are any."""
    heads = ["Name", "Run", "Status", "Executions"]
    heads += ["Tokens in", "Tokens out"] if any(run.usage is not None for run in runs) else []
    heads += ["Cost"] if any(run.cost_usd is not None for run in runs) else []
    rows = []
    for run in runs[:most]:
        usage = run.usage
        tokens = (None, None) if usage is None else (usage.input_tokens, usage.output_tokens)
        mark = f"{FAILED_MARK} " if run.status == "failed" else ""
        cells = {
            "Name": _Cell(shortened(run.name or UNKNOWN, _NAME_LENGTH)),
            "Run": _Cell(shortened(run.run_id, _NAME_LENGTH)),
            "Status": _Cell(f"{mark}{run.status}"),
            "Executions": _Cell(format_count(run.nodes), run.nodes),
            "Tokens in": _Cell(format_count(tokens[0]), _sortable(tokens[0])),
            "Tokens out": _Cell(format_count(tokens[1]), _sortable(tokens[1])),
            "Cost": _Cell(format_usd(run.cost_usd), _sortable(run.cost_usd)),
        }
        rows.append([cells[head] for head in heads])
    more = f"<p>and {format_count(len(runs) - most)} more</p>" if len(runs) > most else ""
    return _table(heads, rows, is_sortable=True) + more


def executions_table(executions: Sequence[ListedExecution], *, are_open: bool) -> str:
    """Return one row an execution: the slowest ones with their tags, or the open ones with their inputs."""
    heads = [
        "Node",
        "In",
        _time_head(executions) if are_open else "Duration",
        "Tags",
        "Inputs" if are_open else "Metrics",
    ]
    rows = []
    for execution in executions:
        name = shortened(execution.node_id, _NAME_LENGTH)
        if execution.status == "failed":
            name = f"{FAILED_MARK} {name}"
        rest = execution.inputs if are_open else execution.metrics
        rows.append(
            [
                _Cell(name),
                _Cell(shortened(_INSIDE.join(execution.path[-8:]), _NAME_LENGTH) or UNKNOWN),
                _time(execution.open_ns if are_open else execution.duration_ns),
                _Cell(_tags(execution)),
                _Cell(preview(rest, 200) if rest not in (None, {}) else UNKNOWN),
            ]
        )
    return _table(heads, rows, is_sortable=False)


def _time_head(executions: Sequence[ListedExecution]) -> str:
    return "Open for" if any(e.status == "running" for e in executions) else "Last heard of after"


def _tags(execution: ListedExecution) -> str:
    tags = [] if execution.iteration is None else [f"iteration={execution.iteration}"]
    if execution.attempt is not None and execution.attempt > 1:
        tags.append(f"attempt={execution.attempt}")
    tags += [
        f"{shortened(name, 40)}={preview(value, 60)}"
        for name, value in list(execution.attributes.items())[:12]
    ]
    return shortened(", ".join(tags), 300) or UNKNOWN


def _time(ns: int | None) -> _Cell:
    return _Cell(format_duration(ns), _sortable(ns))


def _number(count: int) -> _Cell:
    return _Cell(format_count(count) if count else "", count)


def _sortable(value: float | None) -> float:
    return -1 if value is None else value


def _table(heads: Sequence[str], rows: Sequence[Sequence[_Cell]], *, is_sortable: bool) -> str:
    numeric = [any(row[place].value is not None for row in rows) for place in range(len(heads))]
    head = "".join(
        f'<th scope="col"{_kind(is_number=number)}>{_head(name, is_sortable=is_sortable)}</th>'
        for name, number in zip(heads, numeric, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_data, row))}</tr>" for row in rows)
    kind = ' class="sortable"' if is_sortable else ""
    return f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _data(cell: _Cell) -> str:
    if cell.value is None:
        return f"<td>{markup(cell.text)}</td>"
    kind = ' class="number alarm"' if cell.is_alarm else ' class="number"'
    return f'<td{kind} data-value="{cell.value}">{markup(cell.text)}</td>'


def _kind(*, is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _head(name: str, *, is_sortable: bool) -> str:
    return f'<button type="button">{name}</button>' if is_sortable else name
