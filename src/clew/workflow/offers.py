"""What a node gives to the edges out of it, and what it wants from those into it, as far as the files say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from clew.errors import ProjectError
from clew.workflow.boundary import tool_file
from clew.workflow.plan import edges_into
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    BranchNode,
    Doubt,
    Edge,
    Field,
    FieldType,
    InputNode,
    OutputNode,
    Place,
    Project,
    PromptNode,
    Schema,
    ToolNode,
    TriggerNode,
)
from clew.workflow.syntax import Step
from clew.workflow.table import listed, suggestion
from clew.workflow.template import names
from clew.workflow.tool_source import signature_in


class Offer(NamedTuple):
    """Fields that are given or wanted."""

    fields: Schema
    is_open: bool = False
    """Whether there may be others."""


UNKNOWN: Final = Offer({}, is_open=True)
_NOWHERE: Final = Place(Path(), 1)
_MOST_LISTED: Final = 20
"""Fields that a message names."""


class Inside:
    """A workflow as the branches and triggers that run it see it: worked out once, however many there are."""

    def __init__(self, project: Project) -> None:
        """Look at a workflow without errors."""
        self.takes = inputs_of(project)
        self.gives = outputs_of(project)
        self.is_strict = project.trident is None
        """Whether a run of its own refuses inputs that it does not take."""


Inner = Callable[[BranchNode | TriggerNode], Inside | None]
"""Gives the workflow of a branch or trigger; None where it has none that can be read, or is being looked at."""


class Missing(NamedTuple):
    """Why a path leads to nothing."""

    reason: str


def given(project: Project, node: AnyNode, inner: Inner) -> Offer:
    """Return the outputs of a node."""
    match node:
        case InputNode(schema=schema):
            return Offer(schema, is_open=not schema)
        case PromptNode():
            return _answer(project, node)
        case AgentNode():
            offer = _answer(project, node)
            prompt = project.prompts.get(node.prompt)
            if prompt is None or prompt.format == "json" or offer.is_open:
                return offer
            return Offer({**offer.fields, **_plain(node, {"output": "string", "turns": "integer"})})
        case BranchNode():
            inside = inner(node)
            offer = UNKNOWN if inside is None else inside.gives
            if project.trident is not None:
                offer = Offer({**_plain(node, {"text": "any"}), **offer.fields}, offer.is_open)
            # Where its own condition does not hold, a branch passes on what it got.
            return Offer(offer.fields, offer.is_open or node.condition is not None)
        case TriggerNode():
            return Offer(
                _plain(
                    node, {"triggered": "boolean", "status": "string", "output": "object", "pid": "integer"}
                )
            )
    return UNKNOWN


def wanted(project: Project, node: AnyNode, inner: Inner) -> Offer:
    """Return what a node can take; a field that is required and has no default has to arrive."""
    match node:
        case PromptNode(prompt=name) | AgentNode(prompt=name):
            prompt = project.prompts.get(name)
            if prompt is None or (not prompt.inputs and Doubt("prompt", name) in project.doubts):
                return UNKNOWN
            used = sorted(used.partition(".")[0] for used in names(prompt.body) | names(prompt.system))
            return Offer({**{name: Field(place=prompt.place) for name in used}, **prompt.inputs})
        case ToolNode(type="python") if not node.parameters:
            return parameters_of(project, node)
        case ToolNode(type="shell") if not node.parameters:
            if Doubt("node", node.id) in project.doubts:
                return UNKNOWN
            used = sorted({name.partition(".")[0] for word in node.command for name in names(word)})
            return Offer({name: Field(place=node.place) for name in used})
        case ToolNode(parameters=parameters):
            return Offer(parameters, is_open=not parameters)
        case BranchNode() | TriggerNode():
            inside = inner(node)
            return UNKNOWN if inside is None else inside.takes
    return UNKNOWN


def arriving(project: Project, edges: Iterable[Edge], inner: Inner) -> Offer:
    """Return what may arrive at a node by these edges."""
    fields: Schema = {}
    is_open = False
    for edge in edges:
        source = project.nodes[edge.source]
        offer = given(project, source, inner)
        is_open = is_open or Doubt("edge", edge.id) in project.doubts
        if not edge.mapping:
            fields.update(offer.fields)
            is_open = is_open or offer.is_open
        for name, path in edge.mapping.items():
            found = follow(offer, mapping_steps(path), whole="output")
            fields[name] = found if isinstance(found, Field) else Field(place=edge.place)
    return Offer(fields, is_open)


def inputs_of(project: Project) -> Offer:
    """Return what a workflow takes."""
    schemas = [node.schema for node in project.nodes.values() if isinstance(node, InputNode)]
    fields = {name: field for schema in schemas for name, field in schema.items()}
    return Offer(fields, is_open=not all(schemas) or not schemas)


def outputs_of(project: Project) -> Offer:
    """Return what a workflow gives. What workflows inside of it give is not looked at."""
    into = edges_into(project)
    edges = [
        edge for name, node in project.nodes.items() if isinstance(node, OutputNode) for edge in into[name]
    ]
    return arriving(project, edges, lambda _: None) if edges else UNKNOWN


def mapping_steps(path: str) -> tuple[Step, ...]:
    """Return the steps of a mapping's path, in which a number is a position in a list."""
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))


def follow(offer: Offer, steps: Sequence[Step], *, whole: str | None) -> Field | Missing:
    """Return the field that steps lead to.

    Args:
        offer: where they begin.
        steps: at least one.
        whole: the word that stands for all fields together, where none of them is called so.
    """
    first, *rest = steps
    name = str(first)
    if name not in offer.fields:
        if name == whole:
            if not rest:
                return Field(place=_NOWHERE, type="object")
            return follow(offer, rest, whole=None)
        if offer.is_open:
            return Field(place=_NOWHERE)
        return Missing(_not_there(name, offer.fields))
    field, done = offer.fields[name], name
    for step in rest:
        if field.type == "object" and field.fields:
            if str(step) not in field.fields:
                return Missing(f"{done} has {_not_there(str(step), field.fields)}")
            field = field.fields[str(step)]
        elif field.type == "array" and isinstance(step, int):
            field = field.items or Field(place=field.place)
        elif field.type in ("object", "any"):
            return Field(place=field.place)
        else:
            return Missing(f"{done} is {field.type}, which has no {step!r}")
        done = f"{done}.{step}"
    return field


def _not_there(name: str, fields: Schema) -> str:
    if not fields:
        return f"no field {name!r}, nor any other"
    near = suggestion(name, fields)
    return f"no field {name!r}" + (near or f"; there is {listed(fields, most=_MOST_LISTED)}")


def mismatch(source: Field, target: Field, *, into_text: bool) -> str:
    """Return why what one field has does not fit the other; nothing where it does or may.

    Whole numbers are numbers. Into a prompt's text (`into_text`) everything goes, as JSON where it is no string.
    """
    one, other = source.type, target.type
    if "any" in (one, other) or (into_text and other == "string"):
        return ""
    if one != other and {one, other} != {"integer", "number"}:
        return f"{one} where {other} is wanted"
    if source.items is not None and target.items is not None:
        wrong = mismatch(source.items, target.items, into_text=into_text)
        return wrong and f"an array, and in it {wrong}"
    if not source.fields:
        return ""
    for name, field in target.fields.items():
        if name in source.fields:
            wrong = mismatch(source.fields[name], field, into_text=into_text)
            if wrong:
                return f"an object, and in it for {name!r} {wrong}"
        elif has_to_arrive(field):
            return f"an object, and in it no {name!r}"
    return ""


def has_to_arrive(field: Field) -> bool:
    """Whether a node cannot do without a field."""
    return field.required and field.default is msgspec.UNSET


def _answer(project: Project, node: PromptNode | AgentNode) -> Offer:
    prompt = project.prompts.get(node.prompt)
    if prompt is None or (not prompt.output and Doubt("prompt", node.prompt) in project.doubts):
        return UNKNOWN
    text = _plain(node, {"text": "string"})
    if prompt.format == "text":
        return Offer(text)
    # Trident gives the text of a JSON answer next to its fields.
    return Offer(
        {**(text if project.trident is not None else {}), **prompt.output}, is_open=not prompt.output
    )


def parameters_of(project: Project, node: ToolNode) -> Offer:
    """Return what the function of a Python tool can be called with, whatever the manifest says of it."""
    try:
        signature = signature_in(tool_file(project.root, node.module), node.function)
    except ProjectError:
        return UNKNOWN
    if signature is None or signature.unreachable:  # which is told of the tool itself
        return UNKNOWN
    fields = {name: Field(place=node.place, required=name in signature.required) for name in signature.names}
    return Offer(fields, signature.takes_any)


def _plain(node: AnyNode, types: dict[str, FieldType]) -> Schema:
    return {name: Field(place=node.place, type=field_type) for name, field_type in types.items()}
