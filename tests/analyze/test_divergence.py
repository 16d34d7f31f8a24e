"""What two recorded runs did differently is what the programs were told to do differently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clew
from clew.analyze.alignment import align
from clew.analyze.changes import Change, changes, measure
from clew.analyze.comparison import Comparison, compare
from clew.analyze.divergence import Divergence
from tests.analyze.compared_runs import Log, Recorded, aligned, calls, fan_out, record, review
from tests.analyze.generated_runs import MS, RunLog, S, agent
from tests.model.documents import documents, edited

NOTHING = msgspec.UNSET


def compared(old: Recorded, new: Recorded, **settings: Any) -> Comparison:
    return compare(aligned(old, new), **settings)


def told(divergence: Divergence | None) -> tuple[str, str, dict[str, list[Change]]]:
    assert divergence is not None
    fields = {difference.field: difference.changes for difference in divergence.differences}
    return divergence.what, divergence.place.node_id, fields


# --- one field at a time -----------------------------------------------------------------------------


@clew.traced(kind="tool")
def look_up(query: dict[str, Any]) -> Any:
    return query["answer"]


def step(**given: Any) -> Callable[[Log], None]:
    """A run of one node in one node, told what to record in it."""

    def program(log: Log) -> None:
        with (
            clew.run(
                given.get("name", "one"), params=given.get("params"), **given.get("run_tags", {})
            ) as run,
            log.span("outer", "outer"),
            log.span("step", "step", kind=given.get("kind"), **given.get("tags", {})) as span,
        ):
            if "usage" in given:
                span.usage(**given["usage"])
            if "outputs" in given:
                span.output(given["outputs"])
            if "error" in given:
                span.fail(given["error"], error_type=given.get("error_type"))
            if "skip" in given:
                span.skip(given["skip"])
            span.metrics.update(given.get("metrics", {}))
            if "query" in given:
                look_up(given["query"])
            run.set(**given.get("later", {}))
            if "result" in given:
                run.output(given["result"])

    return program


FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any], str, dict[str, list[Change]]]] = {
    "outputs": (
        {"outputs": {"text": "a", "n": [1, 2, 3]}},
        {"outputs": {"text": "b", "n": [1, 3]}},
        "step",
        {"outputs": [Change(path="/text", old="a", new="b"), Change(path="/n/1", old=2)]},
    ),
    "an output that is new": (
        {},
        {"outputs": 7},
        "step",
        {"outputs": [Change(path="", old=None, new=7)]},
    ),
    "status and error": (
        {},
        {"error": "no", "error_type": "ValueError"},
        "step",
        {
            "status": [Change(path="", old="completed", new="failed")],
            "error": [Change(path="", old=None, new={"type": "ValueError", "message": "no"})],
        },
    ),
    "another error": (
        {"error": "no", "error_type": "E"},
        {"error": "never", "error_type": "E"},
        "step",
        {"error": [Change(path="/message", old="no", new="never")]},
    ),
    "model": (
        {"usage": {"model": "m1"}},
        {"usage": {"model": "m2"}},
        "step",
        {"model": [Change(path="", old="m1", new="m2")]},
    ),
    "attributes": (
        {"tags": {"a": 1, "b/c": True}},
        {"tags": {"a": 1, "b/c": 1}},
        "step",
        {"attributes": [Change(path="/b~1c", old=True, new=1)]},
    ),
    "kind": ({"kind": "x"}, {"kind": "y"}, "step", {"kind": [Change(path="", old="x", new="y")]}),
    "metrics": (
        {"metrics": {"loss": 0.5}},
        {"metrics": {"loss": float("nan")}},
        "step",
        {"metrics": [Change(path="/loss", old=0.5, new="nan")]},
    ),
    "a node that was skipped": (
        {},
        {"skip": "cached"},
        "step",
        {
            "status": [Change(path="", old="completed", new="skipped")],
            "skip": [Change(path="", old=None, new={"reason": "cached"})],
        },
    ),
    "params of the run": (
        {"params": {"t": 0.1}},
        {"params": {"t": 0.2, "k": 3}},
        "one",
        {"params": [Change(path="/k", new=3), Change(path="/t", old=0.1, new=0.2)]},
    ),
    "small values that a patch would replace whole": (
        {"outputs": {"a": {"b": [1, 2]}, "gone": 0, "": {"x": 1}}},
        {"outputs": {"a": {"b": [1, 3]}, "came": 0, "": {"y": 1}}},
        "step",
        {
            "outputs": [
                Change(path="/", old={"x": 1}, new={"y": 1}),
                Change(path="/a/b/1", old=2, new=3),
                Change(path="/came", new=0),
                Change(path="/gone", old=0),
            ]
        },
    ),
    "result of the run": (
        {"result": [1]},
        {"result": [1, 2]},
        "one",
        {"outputs": [Change(path="/-", new=2)]},
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_differs_is_told_with_its_places(name: str) -> None:
    before, after, node_id, expected = FIELDS[name]
    found = compared(record(step(**before)), record(step(**after)))
    what, node, fields = told(found.first)
    assert (what, node) == ("differs", node_id)
    assert {field: sorted(places, key=lambda one: one.path) for field, places in fields.items()} == {
        field: sorted(places, key=lambda one: one.path) for field, places in expected.items()
    }
    assert (found.same, found.differing, found.missing, found.added) == (False, 1, 0, 0)
    assert found.fields == dict.fromkeys(expected, 1)


def test_the_name_of_a_run_does_not_matter() -> None:
    assert compared(record(step(name="monday")), record(step(name="tuesday"))).same


def test_times_tokens_and_costs_are_measured_and_make_no_divergence() -> None:
    old = record(step(usage={"input_tokens": 100, "output_tokens": 10, "cost_usd": 0.5}))
    new = record(step(usage={"input_tokens": 120, "output_tokens": 10, "cost_usd": 0.4}), tick_ns=2_000)
    found = compared(old, new)
    assert found.same
    assert found.first is None
    assert found.input_tokens == measure(100, 120)
    assert found.input_tokens.change_ratio == pytest.approx(0.2)
    assert found.output_tokens.change_ratio == 0
    assert found.cost_usd.change_ratio == pytest.approx(-0.2)
    assert found.duration_ns == measure(old.trace.duration_ns, new.trace.duration_ns)
    assert found.duration_ns.change_ratio == pytest.approx(1)
    [_, inner] = found.nodes
    assert (inner.input_tokens, inner.cost_usd) == (found.input_tokens, found.cost_usd)


def test_what_nobody_reported_stays_unknown_and_never_becomes_zero() -> None:
    old, new = record(step()), record(step(usage={"output_tokens": 0}))
    found = compared(old, new)
    assert (found.input_tokens.old, found.input_tokens.new, found.input_tokens.change_ratio) == (None,) * 3
    assert (found.output_tokens.old, found.output_tokens.new, found.output_tokens.change_ratio) == (
        None,
        0,
        None,
    )
    assert (found.cost_usd.old, found.cost_usd.new) == (None, None)
    open_run = compare(align(agent().trace(), RunLog().trace()))
    assert (open_run.duration_ns.old, open_run.duration_ns.new) == (1975 * MS, None)


# --- what comes first --------------------------------------------------------------------------------


def test_the_node_that_answered_differently_comes_before_what_it_is_a_part_of() -> None:
    """The result of the run differs because the node's does; the tag set at the end differs too."""
    old = record(step(outputs="a", result="a", later={"best": "a"}))
    new = record(step(outputs="b", result="b", later={"best": "b"}))
    found = compared(old, new)
    assert [told(one)[1] for one in found.divergences] == ["step", "one"]


def test_another_input_comes_before_the_output_that_follows_from_it() -> None:
    """The node inside is called with something else, so that comes before what is around it ends."""
    old = record(step(outputs="a", query={"answer": 1}))
    new = record(step(outputs="b", query={"answer": 2}))
    found = compared(old, new)
    (first, second) = found.divergences
    assert told(first)[1].endswith("look_up")
    assert list(told(first)[2]) == ["inputs", "outputs"]
    assert told(first)[2]["inputs"] == [Change(path="/query/answer", old=1, new=2)]
    assert told(second)[1] == "step"


def test_another_setting_of_the_run_comes_before_everything() -> None:
    found = compared(record(step(outputs="a", params={"t": 1})), record(step(outputs="b", params={"t": 2})))
    assert [told(one)[1] for one in found.divergences] == ["one", "step"]


def test_which_round_and_attempt_is_said() -> None:
    drafts = [("a", "one"), ("b", "two"), ("c", "three")]
    found = compared(record(review(drafts)), record(review([*drafts[:2], ("c", "four")])))
    assert found.first is not None
    [around] = found.first.path
    assert (around.node_id, around.occurrence, around.occurrences) == ("round", 3, 3)
    assert told(found.first)[:2] == ("differs", "draft")

    found = compared(record(calls([1])), record(calls([2])))
    assert [(one.place.attempt, told(one)[0]) for one in found.divergences] == [
        ("2", "differs"),
        ("3", "added"),
    ]
    assert found.first is not None
    assert found.first.path[0].node_id == "call"


def test_a_missing_node_stands_where_it_was_and_speaks_for_what_is_inside_it() -> None:
    drafts = [("a", "one"), ("b", "two"), ("c", "three")]
    old, new = record(review(drafts)), record(review([drafts[0], ("c", "other")]))
    found = compared(old, new)
    assert (found.missing, found.added) == (3, 0)
    [missing] = [one for one in found.divergences if one.what == "missing"]
    assert (missing.place.node_id, missing.executions, missing.new_index) == ("round", 3, None)
    assert missing.place.occurrence == 2
    assert [told(one)[:2] for one in found.divergences] == [("missing", "round"), ("differs", "draft")]


def test_an_added_node_is_told_at_its_start() -> None:
    drafts = [("a", "one"), ("b", "two")]
    found = compared(record(review(drafts)), record(review([drafts[0], ("x", "between"), drafts[1]])))
    assert [(told(one)[:2], one.executions) for one in found.divergences] == [(("added", "round"), 3)]
    assert [(node.node_id, node.old_executions, node.new_executions, node.added) for node in found.nodes] == [
        ("round", 2, 3, 1),
        ("draft", 2, 3, 1),
        ("check", 2, 3, 1),
        ("send", 1, 1, 0),
    ]


def test_branches_that_started_in_another_order_did_the_same() -> None:
    answers = {number: f"answer {number}" for number in range(4)}
    old = record(fan_out([0, 1, 2, 3], answers, tagged=True))
    new = record(fan_out([2, 0, 3, 1], answers, tagged=True))
    found = compared(old, new)
    assert (found.same, found.reordered) == (True, 0)


def test_steps_that_ran_one_after_the_other_in_another_order_are_counted() -> None:
    def program(names: str) -> Callable[[Log], None]:
        def run(log: Log) -> None:
            with clew.run("ordered"):
                for name in names:
                    with log.span(name, name):
                        pass

        return run

    found = compared(record(program("abcd")), record(program("bcda")))
    assert (found.same, found.reordered) == (True, 1)


def test_a_run_that_failed_earlier_is_told_from_its_failure_on() -> None:
    """The run of an agent against the same one failing, from public lines and not through our recorder."""
    found = compare(align(agent(failing=False).trace(), agent().trace()))
    assert [told(one)[1] for one in found.divergences] == ["render", "answer", "agent", "support-agent"]
    assert found.fields == {"status": 3, "error": 3, "exit_code": 1}
    assert found.input_tokens == measure(2100, 2100)


def test_a_killed_run_differs_where_it_was_open() -> None:
    whole, killed = RunLog(), RunLog()
    for log in (whole, killed):
        log.span("load", 1 * MS, 2 * MS)
        log.start("fit", 3 * MS)
    whole.end(list(whole.done)[1], 1 * S)
    found = compare(align(whole.finish(2 * S).trace(), killed.interrupt(5 * MS).trace()))
    assert told(found.first) == (
        "differs",
        "fit",
        {"status": [Change(path="", old="completed", new="interrupted")]},
    )


def test_a_replay_is_told_by_its_answers_and_not_by_its_being_one() -> None:
    """Where a project lies and which record gave the answers is no divergence; the same tags of others are."""
    project = {"project_root": "/here", "manifest": "/here/clew.yaml"}
    replay = {"project_root": "/there", "manifest": "/there/clew.yaml", "replay_of": "01a2"}
    old = record(step(run_tags=project, tags={"source": "scripted"}))
    new = record(step(run_tags=replay, tags={"source": "replay"}))
    assert compared(old, new).same
    old, new = record(step(tags={"source": "a"})), record(step(tags={"source": "b"}))
    assert compared(old, new).fields == {"attributes": 1}


def test_a_node_that_was_defined_otherwise_is_the_first() -> None:
    """A workflow keeps a hash of each node's definition with its start."""
    traces = []
    for definition, answer in (("aa", 1), ("bb", 2)):
        log = RunLog()
        log.span("load", 1 * MS, 2 * MS)
        span = log.start("ask", 3 * MS, definition=definition)
        log.span("call", 4 * MS, 5 * MS, parent=span, outputs=answer)
        log.end(span, 6 * MS, outputs=answer)
        traces.append(log.finish(7 * MS).trace())
    found = compare(align(*traces))
    assert [told(one)[1] for one in found.divergences] == ["ask", "call"]
    assert told(found.first)[2]["definition"] == [Change(path="", old="aa", new="bb")]


def test_only_so_many_are_described_and_the_rest_is_counted() -> None:
    old = record(review([(str(number), f"old {number}") for number in range(30)]))
    new = record(review([(str(number), f"new text {number}") for number in range(30)]))
    found = compared(old, new, most=4)
    assert (len(found.divergences), found.divergences_left_out, found.differing) == (4, 56, 60)
    everything = compared(old, new, most=None)
    assert (len(everything.divergences), everything.divergences_left_out) == (60, 0)
    assert everything.divergences[:4] == found.divergences
    assert compared(old, new, most=0).first == found.first


def test_the_comparison_is_json_with_nothing_where_there_is_nothing() -> None:
    found = compared(record(step(outputs=[1])), record(step(outputs=[1, 2])))
    document = msgspec.json.decode(msgspec.json.encode(found))
    [difference] = document["first"]["differences"]
    assert difference["changes"] == [{"path": "/-", "new": 2}]
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found


# --- places ------------------------------------------------------------------------------------------


def at(document: Any, path: str) -> Any:
    """RFC 6901, read again."""
    for token in path.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


@given(st.data())
def test_the_old_value_of_a_change_is_what_stands_at_its_path(data: st.DataObject) -> None:
    old = data.draw(documents)
    new = data.draw(edited(old) | documents)
    found = changes(old, new)
    assert bool(found) == (
        msgspec.json.encode(old, order="sorted") != msgspec.json.encode(new, order="sorted")
    )
    for change in found:
        assert (change.old, change.new) != (NOTHING, NOTHING)
        if change.old is not NOTHING:
            assert msgspec.json.encode(at(old, change.path)) == msgspec.json.encode(change.old)


@given(documents)
def test_a_value_has_no_change_to_itself(document: Any) -> None:
    assert changes(document, document) == []


@given(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9))
def test_a_number_grows_by_a_share_of_the_old_one_or_nobody_knows(old: int | None, new: int | None) -> None:
    ratio = measure(old, new).change_ratio
    if old is None or new is None or old == 0:
        assert ratio is None
    else:
        assert ratio == pytest.approx(new / old - 1)
