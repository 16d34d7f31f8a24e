"""The tree is whole whatever the log has lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from clew.analyze.tree import NO_PARENT, build_tree
from clew.model.records import NodeExecution
from tests.analyze.generated_runs import calibration, interrupted

ANY_SPEED = settings(deadline=None)  # a busy machine is no failure


def nodes_with_parents(parents: list[int | None]) -> list[NodeExecution]:
    return [
        NodeExecution(
            index=index,
            node_id=f"n{index}",
            span_id=f"s{index}",
            parent_id=None if parent is None else f"s{parent}",
        )
        for index, parent in enumerate(parents)
    ]


def test_parents_are_those_that_the_program_had() -> None:
    log = calibration()
    trace = log.trace()
    tree = build_tree(trace.nodes)
    for position, node in enumerate(trace.nodes):
        assert node.span_id is not None
        parent = tree.parents[position]
        expected = log.done[node.span_id].parent_id
        assert (None if parent == NO_PARENT else trace.nodes[parent].span_id) == expected
    assert not tree.orphans


def test_an_execution_whose_parent_is_lost_stands_at_the_top_as_an_orphan() -> None:
    trace = interrupted().trace()
    tree = build_tree(trace.nodes)
    assert [trace.nodes[position].node_id for position in tree.orphans] == ["heartbeat"]
    assert all(tree.parents[position] == NO_PARENT for position in tree.orphans)


@ANY_SPEED
@given(st.lists(st.none() | st.integers(0, 14), max_size=12))
def test_any_links_between_executions_make_a_tree(parents: list[int | None]) -> None:
    """Parents that do not exist, that come later, that are the execution itself, and circles of any length."""
    tree = build_tree(nodes_with_parents(parents))
    place = {position: number for number, position in enumerate(tree.order)}
    assert sorted(tree.order) == list(range(len(parents)))
    for position, parent in enumerate(tree.parents):
        assert position in tree.children[parent]
        if parent == NO_PARENT:
            assert (parents[position] is None) == (position not in tree.orphans)
        else:
            assert parents[position] == parent
            assert place[parent] < place[position]
    assert sum(len(below) for below in tree.children.values()) == len(parents)


def test_only_one_execution_of_a_circle_loses_its_parent() -> None:
    tree = build_tree(nodes_with_parents([3, 0, 1, 2, 1]))
    assert tree.parents == [NO_PARENT, 0, 1, 2, 1]
    assert tree.orphans == {0}


def test_depths_and_ancestors_count_from_the_top() -> None:
    tree = build_tree(nodes_with_parents([None, 0, 1, None]))
    assert tree.depths() == [0, 1, 2, 0]
    assert tree.ancestors(2) == [0, 1]


def test_a_chain_of_a_hundred_thousand_is_no_deeper_than_the_stack() -> None:
    tree = build_tree(nodes_with_parents([None, *range(99_999)]))
    assert tree.depths()[-1] == 99_999
