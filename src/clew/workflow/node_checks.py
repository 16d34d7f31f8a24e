"""What can be wrong with one node, whatever the edges do."""

from __future__ import annotations

from typing import Final

import msgspec

from clew.errors import ProjectError, ProviderError
from clew.workflow.boundary import confined, tool_file
from clew.workflow.project import AgentNode, AnyNode, Doubt, Problem, Project, PromptNode, ToolNode
from clew.workflow.providers.choose import provider_of
from clew.workflow.table import listed, suggestion
from clew.workflow.template import names
from clew.workflow.tool_source import Signature, functions_of

SCRIPTED: Final = "scripted"
"""The provider that answers from a file."""
ANTHROPIC: Final = "anthropic"


def check_node(project: Project, node: AnyNode) -> list[Problem]:
    """Return the problems of a node: of its prompt and model, its tools, its command, its code.

    What a node lacks, and so has by default, says nothing where it may only be misspelt.
    """
    match node:
        case AgentNode():
            return [*_asking(project, node), *_agent_tools(project, node)]
        case PromptNode():
            return _asking(project, node)
        case ToolNode(type="python"):
            return _python(project, node)
        case ToolNode(type="shell"):
            return _shell(project, node)
        case ToolNode(type="http") if node.url and not node.url.startswith(
            ("http://", "https://", "${", "{{")
        ):
            return [Problem(node.place, f"the URL of {node.id!r} begins with neither http:// nor https://")]
    return []


def _asking(project: Project, node: PromptNode | AgentNode) -> list[Problem]:
    prompt = project.prompts.get(node.prompt)
    is_doubtful = Doubt("node", node.id) in project.doubts
    if prompt is None:
        is_misspelt = is_doubtful and "prompt" not in node.definition
        if is_misspelt or Doubt("prompt", node.prompt) in project.doubts:
            return []
        near = suggestion(node.prompt, project.prompts)
        return [
            Problem(
                node.place, f"{node.id!r} uses the prompt {node.prompt!r}, which is not in prompts/{near}"
            )
        ]
    model = node.model or prompt.model or project.defaults.model
    is_default_doubtful = Doubt("section", "defaults") in project.doubts
    if model is None:
        if is_doubtful or is_default_doubtful or Doubt("prompt", node.prompt) in project.doubts:
            return []
        message = f"{node.id!r} has no model; name one there, in its prompt or under 'defaults:'"
        return [Problem(node.place, message, project.trident is None)]
    try:
        provider_of(model)
    except ProviderError as error:
        return [Problem(node.place, str(error), project.trident is None)]
    if model.partition("/")[0] == SCRIPTED and project.defaults.script is None and not is_default_doubtful:
        return [
            Problem(
                node.place, f"{node.id!r} has the model {model}, and 'script' under 'defaults:' names no file"
            )
        ]
    return []


def _agent_tools(project: Project, node: AgentNode) -> list[Problem]:
    if Doubt("section", "tools") in project.doubts:
        return []
    tools = [
        name
        for name, other in project.nodes.items()
        if isinstance(other, ToolNode) or Doubt("unread", name) in project.doubts
    ]
    servers = {server.name for server in node.mcp_servers}
    found = []
    for name in node.tools:
        server = name.removeprefix("mcp__").partition("__" if name.startswith("mcp__") else ".")[0]
        if name in tools or server in servers:
            continue
        if server != name and not servers and Doubt("node", node.id) in project.doubts:
            continue
        near = suggestion(name, [*tools, *(f"{server}.*" for server in sorted(servers))])
        message = f"agent {node.id!r} may use the tool {name!r}, which is neither under 'tools:' nor of an MCP server"
        found.append(Problem(node.place, message + near, project.trident is None))
    return found


def _python(project: Project, node: ToolNode) -> list[Problem]:
    if not node.module:  # which was told
        return []
    try:
        path = tool_file(project.root, node.module)
    except ProjectError as error:
        return [Problem(node.place, f"tool {node.id!r}: {error}")]
    if not path.is_file():
        shown = path.relative_to(project.root.resolve())
        if path.exists():
            return [Problem(node.place, f"tool {node.id!r} is in {shown}, which is no file")]
        near = suggestion(node.module, [other.stem for other in path.parent.glob("*.py")])
        return [Problem(node.place, f"tool {node.id!r} is in {shown}, and there is no such file{near}")]
    found: list[Problem] = []
    functions = functions_of(path, found=found)
    if functions is None or not node.function:
        return found
    if node.function not in functions:
        near = suggestion(node.function, functions)
        found.append(
            Problem(node.place, f"tool {node.id!r}: {path.name} has no function {node.function!r}{near}")
        )
    else:
        found += _called(node, functions[node.function])
    return found


def _called(node: ToolNode, signature: Signature) -> list[Problem]:
    """Say why every call of a function would fail."""
    found = []
    if signature.unreachable:
        shown = " and ".join(map(repr, signature.unreachable))
        message = (
            f"tool {node.id!r}: {node.function} takes {shown} by position only, and tools are called by name"
        )
        found.append(Problem(node.place, message))
    for name, field in node.parameters.items():
        if field.default is not msgspec.UNSET and name not in signature.names and not signature.takes_any:
            near = suggestion(name, signature.names)
            message = (
                f"tool {node.id!r} has a default for {name!r}, which {node.function} does not take{near}"
            )
            found.append(Problem(field.place, message))
    return found


def _shell(project: Project, node: ToolNode) -> list[Problem]:
    found = []
    program = node.command[0] if node.command else ""
    allowed = project.defaults.allow_commands
    if names(program):
        found.append(
            Problem(node.place, f"tool {node.id!r}: which program runs may not come from a variable")
        )
    elif (
        program and program not in allowed and (allowed or Doubt("section", "defaults") not in project.doubts)
    ):
        which = f"those are {listed(allowed)}" if allowed else "there are none"
        message = (
            f"tool {node.id!r} starts {program!r}, which is not in allow_commands under 'defaults:'; {which}"
        )
        found.append(Problem(node.place, message))
    try:
        confined(project.root, node.cwd, what="its folder")
    except ProjectError as error:
        found.append(Problem(node.place, f"tool {node.id!r}: {error}"))
    return found


def check_base_url(project: Project) -> list[Problem]:
    """Say that `base_url` does not reach the models of Anthropic, once, with a node that has one."""
    place = project.defaults.base_url_place
    if project.defaults.base_url is None or place is None:
        return []
    for node in project.nodes.values():
        if not isinstance(node, PromptNode | AgentNode):
            continue
        prompt = project.prompts.get(node.prompt)
        model = node.model or (prompt and prompt.model) or project.defaults.model or ""
        try:
            if provider_of(model) != ANTHROPIC:
                continue
        except ProviderError:
            continue
        message = (
            f"base_url is only for models that speak like OpenAI's, so {node.id!r} asks {model} at "
            "ANTHROPIC_BASE_URL, or at Anthropic itself where that is not set"
        )
        return [Problem(place, message, is_error=False)]
    return []
