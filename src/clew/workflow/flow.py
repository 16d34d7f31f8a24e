"""What goes along the edges: whether something does, and what arrives at a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from clew.errors import ExpressionError, NodeError
from clew.workflow.expression import Expression
from clew.workflow.project import Edge


class Verdict(NamedTuple):
    """What a condition came to."""

    holds: bool
    values: dict[str, Any]
    """The values that it saw."""
    error: str | None = None
    """Why it could not be worked out, which counts as false."""


def look_at(condition: Expression, outputs: Mapping[str, Any]) -> Verdict:
    """Work a condition out for the outputs of a node: each by its own name, and all of them as `output`."""
    values = {"output": outputs, **outputs}
    try:
        return Verdict(condition.evaluate(values), condition.seen(values))
    except ExpressionError as error:
        return Verdict(holds=False, values=condition.seen(values), error=str(error))


def arriving(
    edges: list[Edge], outputs: Mapping[str, Mapping[str, Any]], *, is_lenient: bool = False
) -> dict[str, Any]:
    """Return what arrives at a node.

    Args:
        edges: those into the node, in the order of the manifest; a later one wins.
        outputs: of each node that has some; an edge from any other carries nothing.
        is_lenient: a field that the source did not give is left out, as in the original, whose projects count on it.

    Raises: NodeError: a field is mapped that the source did not give.
    """
    values: dict[str, Any] = {}
    for edge in edges:
        found = outputs.get(edge.source)
        if found is None:
            continue
        if not edge.mapping:
            values.update(found)
        for name, path in edge.mapping.items():
            try:
                values[name] = pick(found, path, edge=edge)
            except NodeError:
                if not is_lenient:
                    raise
    return values


def pick(outputs: Mapping[str, Any], path: str, *, edge: Edge) -> Any:
    """Return the field at a dotted path of a node's outputs; `output` is all of them.

    Raises: NodeError: there is none.
    """
    value: Any = {"output": outputs, **outputs}
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            there = ", ".join(map(str, outputs)) or "nothing"
            raise NodeError(
                f"edge {edge.id} maps {path!r}, which {edge.source} did not give; it gave {there}",
                node_id=edge.target,
            )
    return value
