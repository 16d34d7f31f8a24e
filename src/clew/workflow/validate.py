"""What is wrong with a project that could be read: every problem, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from clew.errors import ConfigError, ProjectError
from clew.workflow.boundary import confined, is_file, is_plain_name
from clew.workflow.condition_checks import check_condition
from clew.workflow.cycles import circles
from clew.workflow.document import in_order
from clew.workflow.edge_checks import check_edge
from clew.workflow.manifest import find_manifest, read_project
from clew.workflow.node_checks import check_base_url, check_node
from clew.workflow.offers import UNKNOWN, Inside, arriving, has_to_arrive, inputs_of, mismatch, wanted
from clew.workflow.plan import after, before, edges_into, edges_out_of, step_names
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    BranchNode,
    Doubt,
    Edge,
    Place,
    Problem,
    Project,
    ToolNode,
    TriggerNode,
)
from clew.workflow.providers.prices import load_prices
from clew.workflow.providers.script_file import read_script
from clew.workflow.table import near_name, suggestion


def judge(path: Path, *, environ: Mapping[str, str] | None = None) -> tuple[Project | None, list[Problem]]:
    """Return a project as far as it could be read, and everything that is wrong or doubtful in all its files.

    Raises: ProjectError: there is no manifest.
    """
    environ = os.environ if environ is None else environ
    project, found = read_project(path, environ=environ)
    return project, found if project is None else problems(project, environ=environ)


def problems(project: Project, *, environ: Mapping[str, str] | None = None) -> list[Problem]:
    """Return everything that is wrong or doubtful, the workflows of branches and triggers included.

    A project in the format of Trident may do what Trident lets pass: fields that nobody gives or takes are
    warnings there.

    Args:
        project: as `load_project` or `read_project` returned it. What follows from an error that was found while
            it was read is not told.
        environ: as for `load_project`; None: the environment of this process.

    Reads the files that the project names, and runs nothing.
    """
    workflows = _Workflows(os.environ if environ is None else environ)
    workflows.known[project.place.path] = project
    waiting, checked = [project], {project.place.path}
    found = _prices({**project.env, **workflows.environ})
    order: list[Path] = []
    while waiting:
        current = waiting.pop(0)
        order.append(current.place.path)
        check = _Check(current, workflows)
        found += current.warnings
        found += check.run()
        for inside in check.inside:
            if inside.place.path not in checked:
                checked.add(inside.place.path)
                waiting.append(inside)
    return in_order([*found, *workflows.found], first=order)


def _prices(environ: Mapping[str, str]) -> list[Problem]:
    written = environ.get("CLEW_PRICES")
    if not written:
        return []
    try:
        load_prices(Path(written))
    except ConfigError as error:
        return [Problem(Place(Path(written), 1), f"CLEW_PRICES: {error}")]
    return []


class _Workflows:
    """The workflows of branches and triggers, each read once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.known: dict[Path, Project | None] = {}
        self.found: list[Problem] = []
        self.environ = environ
        self._seen: dict[Path, Inside] = {}

    def seen(self, project: Project) -> Inside:
        """Return a workflow as branches and triggers see it."""
        path = project.place.path
        if path not in self._seen:
            self._seen[path] = Inside(project)
        return self._seen[path]

    def read(self, project: Project, node: BranchNode | TriggerNode) -> Project | None:
        if node.workflow == "self":
            return project
        if not node.workflow:  # which was told
            return None
        try:
            path = confined(project.root, node.workflow, what="the workflow")
            manifest = find_manifest(path)
            manifest = manifest.parent.resolve() / manifest.name
            # A folder's manifest may itself be a link that leads away.
            confined(project.root, str(manifest.relative_to(project.root)), what="the workflow")
        except (ProjectError, ValueError) as error:
            self.found.append(Problem(node.place, f"{node.id!r} runs no workflow: {error}"))
            return None
        if manifest not in self.known:
            self.known[manifest], problems_found = read_project(manifest, environ=self.environ)
            if self.known[manifest] is None:
                self.found += problems_found
        return self.known[manifest]


class _Check:
    """Looks at one project."""

    def __init__(self, project: Project, workflows: _Workflows) -> None:
        self._project = project
        self._doubts = project.doubts
        self._strict = project.trident is None
        self._steps = step_names(project)
        self._found: list[Problem] = []
        self._into = edges_into(project)
        inner = {
            name: workflows.read(project, node)
            for name, node in project.nodes.items()
            if isinstance(node, BranchNode | TriggerNode)
        }
        self.inside = [inside for inside in inner.values() if inside is not None]
        self._agents_tools = _tools_of_agents(project)
        # What was not read may be an agent, whose tools nobody knows.
        self._may_be_any_tool = any(doubt.kind == "unread" for doubt in project.doubts) or any(
            isinstance(node, AgentNode) and not node.tools and Doubt("node", name) in project.doubts
            for name, node in project.nodes.items()
        )
        # What a workflow with errors takes and gives is not known before they are mended.
        self._inner = {
            name: workflows.seen(inside) if inside is not None and inside.is_sound else None
            for name, inside in inner.items()
        }

    def run(self) -> list[Problem]:
        self._circles()
        for node in self._project.nodes.values():
            self._found += check_node(self._project, node)
            self._needs(node)
            self._conditions(node)
        inputs = inputs_of(self._project)
        for edge in self._project.edges:
            into = self._into[edge.target]
            self._found += check_edge(self._project, edge, self._inner_of, into=into, inputs=inputs)
        self._filled_twice()
        self._reach()
        self._entrypoints()
        self._orchestration()
        self._script()
        self._found += check_base_url(self._project)
        return self._found

    def _add(self, place: Place, message: str, *, is_error: bool = True) -> None:
        self._found.append(Problem(place, message, is_error))

    def _inner_of(self, node: BranchNode | TriggerNode) -> Inside | None:
        return None if node.workflow == "self" else self._inner[node.id]  # which is its own matter

    def _circles(self) -> None:
        ways = {
            name: [
                edge.target for edge in edges if edge.target and Doubt("guessed", edge.id) not in self._doubts
            ]
            for name, edges in edges_out_of(self._project).items()
            if name
        }
        for circle in circles(self._project.nodes, ways):
            shown = " -> ".join([*circle, circle[0]])
            edge = next(edge for edge in self._into[circle[0]] if edge.source == circle[-1])
            self._add(edge.place, f"the edges go in a circle: {shown}; a loop is a branch with 'loop_while'")

    def _needs(self, node: AnyNode) -> None:
        """Say which fields a node cannot do without, and nothing gives. A tool that no edge touches is no step."""
        if node.id not in self._steps or self._is_an_edge_lost:
            return
        if isinstance(node, TriggerNode) and Doubt("node", node.id) in self._doubts:
            return
        edges = self._into[node.id]
        if isinstance(node, ToolNode) and not edges and self._is_only_for_agents(node):
            return
        if isinstance(node, TriggerNode) and not node.pass_outputs:
            edges = []
        arrives = arriving(self._project, edges, self._inner_of)
        if arrives.is_open:
            return
        into = self._into[node.id]
        place = (
            into[0].place if into else node.place
        )  # of a prompt that only edges name, they are what to change
        for name, field in wanted(self._project, node, self._inner_of).fields.items():
            if has_to_arrive(field) and name not in arrives.fields:
                near = near_name(name, arrives.fields)  # which of the two is misspelt, nobody knows
                given_instead = "" if near is None else f"; it is given {near!r}"
                message = f"nothing gives {node.id!r} its field {name!r}{given_instead}"
                self._add(place, message, is_error=self._strict)

    def _conditions(self, node: AnyNode) -> None:
        if not isinstance(node, BranchNode | TriggerNode):
            return
        arrives = arriving(self._project, self._into[node.id], self._inner_of)
        what = f"the condition of {node.id!r}"
        self._found += check_condition(node.condition, arrives, node.place, what=what, strict=self._strict)
        if not isinstance(node, BranchNode):
            return
        inside = self._inner[node.id]
        gives = UNKNOWN if inside is None else inside.gives
        what = f"loop_while of {node.id!r}"
        self._found += check_condition(node.loop_while, gives, node.place, what=what, strict=self._strict)
        if node.loop_while is None or gives.is_open:
            return
        for name, field in wanted(self._project, node, self._inner_of).fields.items():
            if name in gives.fields:
                wrong = mismatch(gives.fields[name], field, into_text=False)
                lack = wrong and f"for {name!r} that is {wrong}"
            else:
                lack = f"that has no {name!r}" if has_to_arrive(field) else ""
            if lack:
                message = f"the second round of {node.id!r} gets what the first gave, and {lack}"
                self._add(node.place, message, is_error=self._strict)

    @property
    def _is_an_edge_lost(self) -> bool:
        """Whether there is an edge of which nobody knows where it leads: what a node lacks, it may bring."""
        return Doubt("section", "edges") in self._doubts or bool(self._into.get(""))

    def _is_only_for_agents(self, node: ToolNode) -> bool:
        return self._may_be_any_tool or node.id in self._agents_tools

    def _filled_twice(self) -> None:
        """Say which fields two edges fill that both carry something in every run; the later one wins."""
        begins = {
            *(edge.target for edge in self._project.edges if edge.condition is not None),
            *(
                name
                for name, node in self._project.nodes.items()
                if isinstance(node, BranchNode | TriggerNode) and node.condition is not None
            ),
        }
        at_times = after(self._project, begins)
        for name, edges in self._into.items():
            first: dict[str, Edge] = {}
            for edge in edges:
                if edge.condition is not None or edge.source in at_times or not name:
                    continue
                for variable in edge.mapping:
                    other = first.setdefault(variable, edge)
                    if other is not edge:
                        message = f"edge {edge.id!r} gives {name!r} {variable!r}, which edge {other.id!r} gives too; the later one wins"
                        self._add(edge.place, message, is_error=False)

    def _reach(self) -> None:
        if self._project.nodes and not self._steps and not self._doubts:
            message = (
                "nothing would run: a tool runs where an edge leads to it or away from it, and there is none"
            )
            self._add(self._project.place, message, is_error=False)
            return
        joined = {name for edge in self._project.edges for name in (edge.source, edge.target)}
        if "" in joined or Doubt("section", "edges") in self._doubts:
            return
        for name, node in self._project.nodes.items():
            if name in joined or len(self._project.nodes) == 1 or Doubt("unread", name) in self._doubts:
                continue
            if isinstance(node, ToolNode) and self._is_only_for_agents(node):
                continue
            self._add(node.place, f"no edge leads to {name!r} or away from it", is_error=False)

    def _entrypoints(self) -> None:
        project = self._project
        if self._doubts & {Doubt("section", name) for name in ("nodes", "tools", "edges", "entrypoints")}:
            return
        begins: list[str] = []
        is_any_unknown = False
        for entrypoint in project.entrypoints.values():
            unknown = [name for name in entrypoint.nodes if name not in project.nodes]
            is_any_unknown = is_any_unknown or bool(unknown)
            begins += entrypoint.nodes
            for name in unknown:
                near = suggestion(name, project.nodes)
                self._add(
                    entrypoint.place, f"the entrypoint {entrypoint.id!r}: no node is called {name!r}{near}"
                )
        if not begins or is_any_unknown or "" in project.nodes:
            return
        reached = before(project, after(project, begins))
        joined = {name for edge in project.edges for name in (edge.source, edge.target)}
        for name in project.nodes:
            if name in joined and name not in reached:
                self._add(project.nodes[name].place, f"no entrypoint leads to {name!r}", is_error=False)

    def _orchestration(self) -> None:
        project, wanted = self._project, self._project.orchestration
        if wanted.publish is not None:
            place = wanted.publish_place or project.place
            path = self._inside(wanted.publish, place, what="the path to publish to")
            if path is not None and path.is_dir():
                self._add(place, f"the path to publish to {wanted.publish!r} is a folder; name a file in it")
            elif path is not None and any(is_file(above) for above in path.parents):
                self._add(place, f"the path to publish to {wanted.publish!r} leads through a file")
        if wanted.alias is not None and not is_plain_name(wanted.alias):
            self._add(
                wanted.alias_place or project.place, f"the alias {wanted.alias[:60]!r} is no plain name"
            )

    def _script(self) -> None:
        """Say what is wrong with the file of scripted answers, and in it."""
        project, script = self._project, self._project.defaults.script
        if script is None:
            return
        place = project.defaults.script_place or project.place
        path = self._inside(script, place, what="the script")
        if path is None:
            return
        if path.exists() and not path.is_file():
            self._add(place, f"the script {script} is no file")
            return
        if not path.is_file():
            self._add(place, f"there is no script {script}{_near_file(path, besides=project.place.path)}")
            return
        try:
            read_script(path)
        except ProjectError as error:
            self._found += [problem for problem in error.problems if isinstance(problem, Problem)]

    def _inside(self, written: str, place: Place, *, what: str) -> Path | None:
        try:
            return confined(self._project.root, written, what=what)
        except ProjectError as error:
            self._add(place, str(error))
            return None


def _tools_of_agents(project: Project) -> set[str | None]:
    """Return the tools that agents may call; where they misspell one, that which was meant."""
    tools = [name for name, node in project.nodes.items() if isinstance(node, ToolNode)]
    return {
        name if name in project.nodes else near_name(name, tools)
        for node in project.nodes.values()
        if isinstance(node, AgentNode)
        for name in node.tools
    }


def _near_file(path: Path, *, besides: Path) -> str:
    try:
        return suggestion(path.name, [other.name for other in path.parent.iterdir() if other != besides])
    except OSError:
        return ""
