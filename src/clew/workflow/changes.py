"""Settings of single nodes, given for one run: `--param node.field=value`, `--set model=...`."""

from __future__ import annotations

import typing
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from clew.errors import UsageError
from clew.workflow.plan import known_node
from clew.workflow.project import AgentNode, Project, Prompt, PromptNode

_FIXED: Final = frozenset({"id", "place", "definition", "kind"})


def read_assignment(text: str, *, option: str) -> tuple[str, Any]:
    """Split `name=value`; the value is JSON where it can be read as such, else a text.

    Raises: UsageError: there is no `=`.
    """
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"{option}: {text!r} is not NAME=VALUE")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def with_param(project: Project, name: str, value: Any, *, option: str = "--param") -> Project:
    """Return the project with one field of one node changed.

    Args:
        project: as it was read.
        name: `node.field`; `prompt_text` of a prompt node or an agent is the body of its prompt.
        value: as JSON has it.
        option: how the user gave it, for what is said of a mistake.

    Raises: UsageError: no such node or field, or the value does not fit.
    """
    node_id, dot, field = name.rpartition(".")
    if not dot:
        raise UsageError(f"{option}: {name!r} names no field; write NODE.FIELD=VALUE")
    node = project.nodes[known_node(project, node_id, what=option)]
    if field == "prompt_text" and isinstance(node, PromptNode | AgentNode):
        return _with_prompt(project, node, value)
    types = typing.get_type_hints(type(node))
    allowed = [each for each in node.__struct_fields__ if each not in _FIXED]
    if field not in allowed:
        close = get_close_matches(field, allowed, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(allowed)}"
        raise UsageError(f"{option}: node {node_id} has no field {field!r}; {hint}")
    try:
        converted = msgspec.convert(value, types[field], strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{option}: {name} cannot be {value!r}: {error}") from None
    definition = {**node.definition, field: value}
    changed = msgspec.structs.replace(node, definition=definition, **{field: converted})
    return msgspec.structs.replace(project, nodes={**project.nodes, node_id: changed})


def _with_prompt(project: Project, node: PromptNode | AgentNode, body: Any) -> Project:
    """Give one node a prompt of its own, so that others that use the same one are not changed."""
    prompt: Prompt = project.prompts[node.prompt]
    own = f"{node.prompt} for {node.id}"
    changed = msgspec.structs.replace(node, prompt=own, definition={**node.definition, "prompt_text": body})
    return msgspec.structs.replace(
        project,
        nodes={**project.nodes, node.id: changed},
        prompts={**project.prompts, own: msgspec.structs.replace(prompt, id=own, body=str(body))},
    )
