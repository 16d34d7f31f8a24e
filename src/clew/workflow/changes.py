"""Settings of single nodes, given for one run: `--param node.field=value`, `--set model=...`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from clew.errors import ProjectError, UsageError
from clew.workflow.declarations import read_node, read_tool
from clew.workflow.document import Value
from clew.workflow.node_checks import check_node
from clew.workflow.plan import known_node
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    Doubt,
    Place,
    Problem,
    Project,
    Prompt,
    PromptNode,
    ToolNode,
)
from clew.workflow.table import Table
from clew.workflow.validate import problems

PROMPT_TEXT: Final = "prompt_text"
"""Stands for a field: the body of the node's prompt."""
_GIVEN: Final = Place(Path("--param"), 1)
"""Where what was given stands, to tell its problems from those of the manifest."""


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
    except RecursionError:
        raise UsageError(f"{option}: the value of {name} is nested too deeply") from None


def with_params(
    project: Project,
    params: Mapping[str, Any],
    *,
    option: str = "--param",
    environ: Mapping[str, str] | None = None,
) -> Project:
    """Return a project with fields of its nodes changed, read and checked as if the manifest said so.

    Args:
        project: a valid one.
        params: `node.field` or `node.field.inner`, and its value as JSON has it; `prompt_text` of a prompt node or an
            agent is the body of its prompt.
        option: how the user gave them, for what is said of a mistake.
        environ: as for `load_project`; None: the environment of this process.

    Raises: UsageError: there is no such node; ProjectError: with everything that is wrong, a line each.
    """
    if not params:
        return project
    said: list[str] = []
    changed, names = project, []
    for name, value in params.items():
        node_id, field, *inner = _address(project, name, option=option)
        names.append(node_id)
        node = changed.nodes[node_id]
        whole = _put_into(node.definition.get(field), inner, value)
        changed = _with_field(changed, node, field, whole, said=said)
    said += [problem.message for problem in problems(changed, environ=environ) if problem.is_error]
    for node_id in names:  # what the format lets pass in a file is no use where somebody gives it now
        before = check_node(project, project.nodes[node_id])
        now = check_node(changed, changed.nodes[node_id])
        said += [problem.message for problem in now if problem not in before]
    if said:
        found = [Problem(_GIVEN, f"{option}: {message}") for message in dict.fromkeys(said)]
        raise ProjectError("\n".join(problem.message for problem in found), problems=found)
    return changed


def with_param(project: Project, name: str, value: Any, *, option: str = "--param") -> Project:
    """Return a project with one field of one node changed; as `with_params`."""
    return with_params(project, {name: value}, option=option)


def _address(project: Project, name: str, *, option: str) -> list[str]:
    """Return the node and the field, or the way into the field, that `node.field` or `node.field.inner` names.

    Names of nodes may have dots in them: the longest that there is counts.
    """
    steps = name.split(".")
    if len(steps) < 2:
        raise UsageError(f"{option}: {name!r} names no field; write NODE.FIELD=VALUE")
    for length in range(len(steps) - 1, 0, -1):
        node_id = ".".join(steps[:length])
        if node_id in project.nodes:
            return [node_id, *steps[length:]]
    return [known_node(project, steps[0], what=option)]  # which raises


def _put_into(given: Any, steps: list[str], value: Any) -> Any:
    """Return what a field holds with one entry of it changed; without steps, the value itself."""
    if not steps:
        return value
    first, *rest = steps
    entries = given if isinstance(given, dict) else {}
    return {**entries, first: _put_into(entries.get(first), rest, value)}


def _with_field(project: Project, node: AnyNode, field: str, value: Any, *, said: list[str]) -> Project:
    """Return the project with one field of one node changed; `said` gets what is wrong with it."""
    if field == "type":
        said.append(f"the type of {node.id!r} cannot be changed")
        return project
    if field == PROMPT_TEXT and isinstance(node, PromptNode | AgentNode):
        return _with_prompt(project, node, value, said=said)
    written = {
        name: _value(entry, node.place) for name, entry in node.definition.items() if name != PROMPT_TEXT
    }
    written[field] = _value(value, _GIVEN)
    found: list[Problem] = []
    strict = project.trident is None
    changed: AnyNode | None
    if isinstance(node, ToolNode):
        changed = read_tool(node.id, Value(node.place, written), found=found, strict=strict)
    else:
        # A node that only edges name has no entry, and its kind is known all the same.
        written["type"] = Value(node.place, node.__struct_config__.tag)
        changed = read_node(node.id, Value(node.place, written), found=found, strict=strict)
    wrong = [problem.message for problem in found if problem.is_error or problem.place == _GIVEN]
    said += wrong
    if changed is None:
        return project
    if wrong:  # nothing is concluded from what it has instead
        project = msgspec.structs.replace(project, doubts=project.doubts | {Doubt("node", node.id)})
    if isinstance(changed, PromptNode | AgentNode) and isinstance(node, PromptNode | AgentNode):
        prompt = _prompt_id(project, changed.prompt) if field == "prompt" else node.prompt
        changed = msgspec.structs.replace(changed, prompt=prompt)
    changed = msgspec.structs.replace(changed, definition={**node.definition, field: value})
    return msgspec.structs.replace(project, nodes={**project.nodes, node.id: changed})


def _prompt_id(project: Project, written: str) -> str:
    """Return the id of a prompt, which may be named by its file."""
    path = project.root / written.removeprefix("./")
    return next((prompt.id for prompt in project.prompts.values() if prompt.place.path == path), written)


def _with_prompt(project: Project, node: PromptNode | AgentNode, body: Any, *, said: list[str]) -> Project:
    """Give one node a prompt of its own, so that others that use the same one are not changed."""
    found: list[Problem] = []
    given = Value(_GIVEN, {PROMPT_TEXT: _value(body, _GIVEN)})
    text = Table(given, what=f"node {node.id!r}", found=found).text(PROMPT_TEXT)
    said += [problem.message for problem in found]
    if text is None or not text.strip():
        if not found:
            said.append(f"{PROMPT_TEXT} of node {node.id!r} has no text")
        return project
    prompt: Prompt | None = project.prompts.get(node.prompt)
    if prompt is None:
        said += [problem.message for problem in check_node(project, node)]
        return project
    own = f"{node.prompt} for {node.id}"
    changed = msgspec.structs.replace(node, prompt=own, definition={**node.definition, PROMPT_TEXT: body})
    return msgspec.structs.replace(
        project,
        nodes={**project.nodes, node.id: changed},
        prompts={**project.prompts, own: msgspec.structs.replace(prompt, id=own, body=text)},
    )


def _value(data: Any, place: Place) -> Value:
    match data:
        case dict():
            return Value(place, {str(name): _value(entry, place) for name, entry in data.items()})
        case list():
            return Value(place, [_value(member, place) for member in data])
    return Value(place, data)
