"""What can be wrong with one edge: its condition, what it takes from one node, and what it gives to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clew.workflow.condition_checks import check_condition
from clew.workflow.offers import (
    UNKNOWN,
    Inner,
    Missing,
    Offer,
    arriving,
    follow,
    given,
    mapping_steps,
    mismatch,
    parameters_of,
    wanted,
)
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    Doubt,
    Edge,
    InputNode,
    Problem,
    Project,
    PromptNode,
    ToolNode,
    TriggerNode,
)
from clew.workflow.table import listed, suggestion

_MOST_SHOWN: Final = 5
"""Fields too many that a message names."""


def check_edge(
    project: Project, edge: Edge, inner: Inner, *, into: Sequence[Edge], inputs: Offer
) -> list[Problem]:
    """Return the problems of an edge.

    Args:
        project: what it is in.
        edge: both its ends are nodes.
        inner: gives the workflows of branches and triggers.
        into: all edges into its target, in the order of the manifest.
        inputs: what all inputs declare together: each hands on all that the run was given.
    """
    source, target = project.nodes[edge.source], project.nodes[edge.target]
    gives = given(project, source, inner)
    strict = project.trident is None
    what = f"the condition of edge {edge.id!r}"
    found = check_condition(edge.condition, gives, edge.place, what=what, strict=strict)
    if isinstance(target, InputNode):
        message = f"{edge.target!r} is an input, which takes nothing from {edge.source!r}"
        return [*found, Problem(edge.place, message, is_error=False)]
    takes = wanted(project, target, inner)
    if edge.mapping:
        said, wrong = _mapped(edge, target, gives, takes)
    elif Doubt("edge", edge.id) in project.doubts or (
        isinstance(target, TriggerNode) and not target.pass_outputs
    ):
        said, wrong = [], {}
    else:
        carried = inputs if isinstance(source, InputNode) else gives
        said = _too_many(edge, carried, _accepted(project, target, inner))
        wrong = _misfits(target, gives, takes)
    # What a later edge gives counts instead.
    later = arriving(project, into[into.index(edge) + 1 :], inner) if wrong else UNKNOWN
    misfits = [
        f"edge {edge.id!r} gives {edge.target!r} for {name!r} {reason}"
        for name, reason in wrong.items()
        if not later.is_open and name not in later.fields
    ]
    said = [*misfits, *said]
    return [*found, *(Problem(edge.place, message, strict) for message in said)]


def _mapped(edge: Edge, target: AnyNode, gives: Offer, takes: Offer) -> tuple[list[str], dict[str, str]]:
    """Say which of the fields that an edge names do not exist or are not taken, and which do not fit, and why."""
    said, misfits = [], {}
    for name, path in edge.mapping.items():
        found = follow(gives, mapping_steps(path), whole="output")
        if isinstance(found, Missing):
            said.append(f"edge {edge.id!r} takes {path!r} from {edge.source!r}: {found.reason}")
        field = takes.fields.get(name)
        if field is None and not takes.is_open:
            near = suggestion(name, takes.fields)
            said.append(f"edge {edge.id!r} gives {edge.target!r} {name!r}, which it does not take{near}")
        elif field is not None and not isinstance(found, Missing):
            wrong = mismatch(found, field, into_text=_is_text(target))
            if wrong:
                misfits[name] = wrong
    return said, misfits


def _misfits(target: AnyNode, gives: Offer, takes: Offer) -> dict[str, str]:
    """Return which fields of an edge that carries all of them do not fit, and why."""
    return {
        name: wrong
        for name, field in takes.fields.items()
        if name in gives.fields and (wrong := mismatch(gives.fields[name], field, into_text=_is_text(target)))
    }


def _accepted(project: Project, node: AnyNode, inner: Inner) -> Offer:
    """Return what can be given to a node without making it fail. Most nodes pass over what they do not use."""
    match node:
        case ToolNode(type="python"):
            return parameters_of(project, node)
        case TriggerNode(mode="fire-and-forget"):
            inside = inner(node)
            return UNKNOWN if inside is None or not inside.is_strict else inside.takes
    return UNKNOWN


def _too_many(edge: Edge, carried: Offer, accepted: Offer) -> list[str]:
    """Say which fields of an edge that carries all of them its target would fail for."""
    if accepted.is_open:
        return []
    names = [repr(name) for name in carried.fields if name not in accepted.fields]
    if not names:
        return []
    shown = listed(names, most=_MOST_SHOWN)
    message = (
        f"edge {edge.id!r} gives {edge.target!r} all fields of {edge.source!r}, and it does not take {shown}"
    )
    return [f"{message}; name those that it takes in a 'mapping'"]


def _is_text(node: AnyNode) -> bool:
    """Whether what a node gets becomes part of a text."""
    return isinstance(node, PromptNode | AgentNode)
