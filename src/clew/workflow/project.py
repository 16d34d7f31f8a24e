"""A workflow project as it was read from its files: plain records, each with the place where it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

FieldType = Literal["string", "number", "integer", "boolean", "array", "object", "any"]
MAX_TURNS = 50
MAX_ITERATIONS = 10


class Place(NamedTuple):
    """Where something was written."""

    path: Path
    """The file."""
    line: int
    """From 1."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    place: Place


class Field(_Record, frozen=True, kw_only=True):
    """One field of a schema: of a node's input, or of what a prompt gives."""

    type: FieldType = "any"
    description: str = ""
    required: bool = True
    default: Any = msgspec.UNSET
    """What it is where nothing is given."""
    fields: dict[str, Field] = {}
    """Of an object."""
    items: Field | None = None
    """Of an array."""
    choices: list[Any] = []
    """The only values that it may have; empty: any."""


Schema = dict[str, Field]


class Prompt(_Record, frozen=True, kw_only=True):
    """A prompt file: front matter and a body with `{{variables}}`."""

    id: str
    body: str
    name: str = ""
    description: str = ""
    system: str = ""
    """A system message, with variables too."""
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    inputs: Schema = {}
    format: Literal["text", "json"] = "text"
    output: Schema = {}
    """Empty: whatever the model says."""


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often a node is tried again."""

    attempts: int = 1
    """In all, the first one included."""
    delay_s: float = 1.0
    """Before the second attempt."""
    factor: float = 2.0
    """By which the delay grows with every further attempt."""
    max_delay_s: float = 60.0


class Node(_Record, frozen=True, kw_only=True, tag_field="kind"):
    """What all kinds of nodes have."""

    id: str
    definition: dict[str, Any] = {}
    """What was written in the manifest, plain, for the hash that says whether it changed."""
    timeout_s: float | None = None
    """None: that of the defaults, for nodes that are single steps."""
    retry: Retry | None = None
    """None: as with `timeout_s`."""


class InputNode(Node, frozen=True, kw_only=True, tag="input"):
    """Hands the run's inputs on."""

    schema: Schema = {}


class OutputNode(Node, frozen=True, kw_only=True, tag="output"):
    """What it gets is an output of the run."""

    format: Literal["text", "json"] = "json"


class PromptNode(Node, frozen=True, kw_only=True, tag="prompt"):
    """Asks a model once."""

    prompt: str
    """Id of the prompt."""
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


class McpServer(_Record, frozen=True, kw_only=True):
    """A program that offers tools over the Model Context Protocol on its standard input and output."""

    name: str
    command: str
    args: list[str] = []
    env: dict[str, str] = {}


class AgentNode(Node, frozen=True, kw_only=True, tag="agent"):
    """Lets a model call tools until it has an answer."""

    prompt: str
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    tools: list[str] = []
    """Names of the project's tools that it may call, and `server.tool` or `server.*` of MCP servers."""
    mcp_servers: list[McpServer] = []
    max_turns: int = MAX_TURNS
    token_budget: int | None = None
    """Input and output tokens of all turns; the agent fails where the next turn would begin above it."""
    cost_budget_usd: float | None = None


class BranchNode(Node, frozen=True, kw_only=True, tag="branch"):
    """Runs another workflow, once or in a loop."""

    workflow: str
    """A path below the project, or `self`."""
    condition: str | None = None
    """Looked at before; false: skipped."""
    loop_while: str | None = None
    """Looked at after every round, with the round's outputs."""
    max_iterations: int = MAX_ITERATIONS


class TriggerNode(Node, frozen=True, kw_only=True, tag="trigger"):
    """Starts another workflow."""

    workflow: str
    mode: Literal["fire-and-forget", "wait"] = "fire-and-forget"
    pass_outputs: bool = True
    emit_signal: bool = False
    condition: str | None = None


class ToolNode(Node, frozen=True, kw_only=True, tag="tool"):
    """Calls a tool: also what agents may call by its name."""

    type: Literal["python", "http", "shell"]
    description: str = ""
    parameters: Schema = {}
    """Empty: from the function's signature."""
    module: str = ""
    """`python`: name of a file in `tools/`, without its ending, or a path below the project."""
    function: str = ""
    method: str = "GET"
    """`http`."""
    url: str = ""
    headers: dict[str, str] = {}
    """`http`: values may have `${VARIABLES}` of the environment."""
    command: list[str] = []
    """`shell`: program and arguments, each a template; never a shell's line."""
    cwd: str = "."


AnyNode = InputNode | OutputNode | PromptNode | AgentNode | BranchNode | TriggerNode | ToolNode


class Edge(_Record, frozen=True, kw_only=True):
    """What goes from one node to another, and when."""

    id: str
    source: str
    target: str
    mapping: dict[str, str] = {}
    """Variable of the target: dotted path into the source's output. Empty: the whole output."""
    condition: str | None = None
    """Sees the source's output; false: nothing goes this way."""


class Entrypoint(_Record, frozen=True, kw_only=True):
    """A named part of the workflow that can be run alone."""

    id: str
    nodes: list[str] = []
    """Where it begins; only what can be reached from there runs."""


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What prompts and nodes that say nothing else have."""

    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout_s: float | None = None
    """Of one attempt at a single step, and of each tool call; branches and triggers have only their own."""
    retry: Retry = Retry()
    """Of single steps, as above."""
    concurrency: int = 16
    """Nodes that run at the same time."""
    on_error: Literal["finish", "cancel"] = "finish"
    """What the nodes that are running do when another one failed."""
    base_url: str | None = None
    """Of an endpoint that speaks like OpenAI's."""
    base_url_place: Place | None = None
    script: str | None = None
    """A file of answers for the model `scripted`, relative to the project."""
    script_place: Place | None = None
    """Where the manifest names it."""
    allow_commands: list[str] = []
    """Programs that shell tools may start."""


class Orchestration(msgspec.Struct, frozen=True, kw_only=True):
    """How this workflow and others speak to each other."""

    emit_signals: bool = False
    publish: str | None = None
    """Where the outputs are written as well, relative to the project."""
    publish_place: Place | None = None
    """Where the manifest says so; None as for `alias_place`: nowhere."""
    alias: str | None = None
    """A name that leads to the latest outputs."""
    alias_place: Place | None = None


class Doubt(NamedTuple):
    """Something that had an error when it was read: what it lacks may only be misspelt, so nothing is concluded from that."""

    kind: Literal["section", "node", "unread", "edge", "guessed", "prompt"]
    """`unread`: a name that edges have for a node of which nothing is known; it stands among the nodes as an output.
    `guessed`: an edge that leads to or from the node whose name is most like the one that it has."""
    name: str
    """Of the section, node, edge or prompt; the `unread` one without a name is where an edge with one end leads."""


class Problem(NamedTuple):
    """Something wrong in a project's files."""

    place: Place
    message: str
    """One sentence: what is wrong, and what to do or what may have been meant."""
    is_error: bool = True
    """False: it runs all the same."""


class Project(_Record, frozen=True, kw_only=True):
    """One workflow and what belongs to it."""

    name: str
    root: Path
    """The folder of the project; nothing outside of it is read for it."""
    version: str = ""
    description: str = ""
    defaults: Defaults = Defaults()
    nodes: dict[str, AnyNode] = {}
    """In the order of the manifest, tools last, then the inputs and outputs that only edges name."""
    edges: list[Edge] = []
    prompts: dict[str, Prompt] = {}
    entrypoints: dict[str, Entrypoint] = {}
    env: dict[str, str] = {}
    orchestration: Orchestration = Orchestration()
    trident: str | None = None
    """Version of the Trident format, where the manifest is in it: what its own runner lets pass is a warning then."""
    warnings: list[Problem] = []
    """What is doubtful in the files and was found while they were read; of a project that was read in spite of errors, those too."""
    doubts: frozenset[Doubt] = frozenset()
    """Only of a project that was read in spite of errors."""

    @property
    def is_sound(self) -> bool:
        """Whether it was read without an error."""
        return not any(problem.is_error for problem in self.warnings)
