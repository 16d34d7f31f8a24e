"""What a node of each kind does, once its inputs are there."""

from __future__ import annotations

from typing import Any

from clew.errors import ToolError
from clew.workflow.asking import ask_agent, ask_once
from clew.workflow.json_text import why_unusable
from clew.workflow.nesting import run_branch, run_trigger
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    BranchNode,
    InputNode,
    OutputNode,
    PromptNode,
    ToolNode,
    TriggerNode,
)
from clew.workflow.services import Executing
from clew.workflow.shape import complaint, with_defaults


async def run_node(execution: Executing, node: AnyNode, inputs: dict[str, Any]) -> dict[str, Any]:
    """Do what a node does and return its outputs.

    Raises: WorkflowError and whatever else goes wrong in it; asyncio.CancelledError.
    """
    match node:
        case InputNode():
            return _inputs(execution, node)
        case OutputNode():
            return inputs
        case PromptNode():
            return await ask_once(execution, node, inputs)
        case AgentNode():
            return await ask_agent(execution, node, inputs)
        case BranchNode():
            return await run_branch(execution, node, inputs)
        case TriggerNode():
            return await run_trigger(execution, node, inputs)
        case ToolNode():
            return await _tool(execution, node, inputs)


def _inputs(execution: Executing, node: InputNode) -> dict[str, Any]:
    values = with_defaults(execution.inputs, node.schema)
    wrong = None if execution.project.trident else complaint(values, node.schema)
    if wrong is not None:
        raise ToolError(f"the input of {execution.project.name} does not fit: {wrong}")
    return values


async def _tool(execution: Executing, node: ToolNode, inputs: dict[str, Any]) -> dict[str, Any]:
    found = await execution.services.call_tool(node.id, inputs, toolbox=execution.toolbox)
    wrong = why_unusable(found)
    if wrong is not None:
        raise ToolError(f"tool {node.id}: its result {wrong}")
    return found if isinstance(found, dict) else {"output": found}
