"""What is said of the runs inside a run: the run itself may have no executions, and still not be empty."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.cli import runs_inside
from clew.cli.runs import unique_digits
from clew.store.store import Store
from tests.cli.conftest import Done, program

Call = Callable[..., Done]

OUTER = """
import clew

def ask(tokens, cost):
    with clew.span("ask"):
        clew.event("token_usage", input_tokens=tokens, output_tokens=1)
        if cost is not None:
            clew.event("cost_incurred", cost_usd=cost)

with clew.run("hello"):
    for number in range(5):
        with clew.run(f"inner {number}"):
            ask(10, 0.25 if number < 2 else None)
            if number == 4:
                with clew.run("innermost"):
                    ask(100, None)
"""


@pytest.fixture
def outer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Record a run with five runs inside it, and one inside the last of these."""
    home = tmp_path / ".clew"
    monkeypatch.setenv("CLEW_HOME", str(home))
    script = tmp_path / "outer.py"
    script.write_text(OUTER, encoding="utf-8")
    assert program(["run", script]).code == 0
    return home


def shown(home: Path, names: list[str]) -> list[str]:
    ids = {row.name: row.run_id for row in Store(home).runs()}
    return [ids[name][: unique_digits(list(ids.values()))] for name in names]


def test_a_run_without_executions_of_its_own_says_which_runs_are_inside(call: Call, outer: Path) -> None:
    first, second, third = shown(outer, ["hello", "inner 0", "inner 1"])
    told = f"7: {first} hello, 0 executions; {second} inner 0, 1 execution; {third} inner 1, 1 execution; and 4 more"
    out = call("show", "outer").out
    assert "executions   0 of 0 nodes\n" in out
    assert f"runs inside  {told}; clew show {first}\n" in out
    drawn = call("timeline", "outer", "--width", "200")
    assert drawn.out.endswith(f"\n\nruns inside {told}; clew show {first}\n")
    exported = call("export", "outer", "--to", "jsonl")
    assert exported.err == f"clew: not in it are the runs inside {told}; clew show {first}\n"


def test_pictures_and_the_timeline_in_json_name_the_runs_inside(
    call: Call, outer: Path, tmp_path: Path
) -> None:
    runs = [row for row in Store(outer).runs() if row.name != "outer"]
    listed = json.loads(call("timeline", "outer", "--json").out)["runs_inside"]
    assert {one["run_id"] for one in listed} == {row.run_id for row in runs}
    page = tmp_path / "page.html"
    written = call("timeline", "outer", "--html", page)
    assert "\nclew: runs inside are pictures of their own: 7: " in written.err
    body = page.read_text(encoding="utf-8")
    assert "<h2>Runs inside</h2>" in body
    assert all(f"<td>{row.run_id}</td>" in body for row in runs)


def test_in_a_narrow_window_fewer_runs_are_named_and_it_is_still_said_how_to_look_at_one(
    call: Call, outer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    [first] = shown(outer, ["hello"])
    told = f"7: {first} hello, 0 executions; and 6 more; clew show {first}\n"
    assert f"runs inside  {told}" in call("show", "outer").out
    assert call("timeline", "outer").out.endswith(f"runs inside {told}")


def test_tokens_and_costs_of_the_runs_inside_are_a_line_of_their_own(call: Call, outer: Path) -> None:
    assert "runs inside  150 in, 6 out, cost $0.5" in call("show", "outer").out
    assert "\nrun " in call("show", "innermost").out
    assert "runs inside" not in call("show", "innermost").out


def test_json_lists_the_runs_inside_and_what_is_unknown_stays_unknown(call: Call, outer: Path) -> None:
    document = json.loads(call("show", "outer", "--json").out)
    traces = {row.name: Store(outer).trace(row.run_id) for row in Store(outer).runs()}
    assert [run["name"] for run in document["inside"]] == [
        "hello",
        *(f"inner {number}" for number in range(5)),
        "innermost",
    ]
    for run in document["inside"]:
        trace = traces[run["name"]]
        assert (run["run_id"], run["status"]) == (trace.run_id, "completed")
        assert (run["nodes"], run["cost_usd"]) == (len(trace.nodes), trace.cost_usd)
        assert (run["usage"] is None) == (trace.usage is None)
        if trace.usage is not None:
            assert run["usage"]["input_tokens"] == trace.usage.input_tokens
    assert document["inside_unread"] == 0


def test_tokens_are_looked_up_for_a_limited_number_of_runs_and_that_is_said(
    call: Call, outer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_inside, "MOST_READ", 3)
    assert "runs inside  20 in, 2 out, cost $0.50; of the first 3\n" in call("show", "outer").out
    document = json.loads(call("show", "outer", "--json").out)
    assert (len(document["inside"]), document["inside_unread"]) == (7, 4)
