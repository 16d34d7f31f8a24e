"""What is wrong with a project that could be read: every problem, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from clew.errors import ExpressionError, ProjectError
from clew.workflow.boundary import confined, is_plain_name
from clew.workflow.cycles import circles
from clew.workflow.document import in_order
from clew.workflow.expression import parse
from clew.workflow.manifest import find_manifest, load_project
from clew.workflow.node_checks import check_node
from clew.workflow.offers import (
    Missing,
    Offer,
    arriving,
    follow,
    given,
    has_to_arrive,
    mapping_steps,
    mismatch,
    outputs_of,
    wanted,
)
from clew.workflow.plan import after, before, edges_into, edges_out_of, step_names
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    BranchNode,
    Edge,
    InputNode,
    Place,
    Problem,
    Project,
    PromptNode,
    ToolNode,
    TriggerNode,
)
from clew.workflow.table import near_name, suggestion


def problems(project: Project, *, environ: Mapping[str, str] | None = None) -> list[Problem]:
    """Return everything that is wrong or doubtful, the workflows of branches and triggers included.

    A project in the format of Trident may do what Trident lets pass: fields that nobody gives or takes are
    warnings there.

    Args:
        project: as `load_project` returned it.
        environ: as for `load_project`; None: the environment of this process.

    Reads the files that the project names, and runs nothing.
    """
    workflows = _Workflows(os.environ if environ is None else environ)
    workflows.known[project.place.path] = project
    waiting, checked = [project], {project.place.path}
    found: list[Problem] = []
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


class _Workflows:
    """The workflows of branches and triggers, each read once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.known: dict[Path, Project | None] = {}
        self.found: list[Problem] = []
        self._environ = environ

    def read(self, project: Project, node: BranchNode | TriggerNode) -> Project | None:
        if node.workflow == "self":
            return project
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
            try:
                self.known[manifest] = load_project(manifest, environ=self._environ)
            except ProjectError as error:
                self.known[manifest] = None
                self.found += [problem for problem in error.problems if isinstance(problem, Problem)]
        return self.known[manifest]


class _Check:
    """Looks at one project."""

    def __init__(self, project: Project, workflows: _Workflows) -> None:
        self._project = project
        self._strict = project.trident is None
        self._steps = step_names(project)
        self._found: list[Problem] = []
        self._into = edges_into(project)
        self._inner: dict[str, Project | None] = {
            name: workflows.read(project, node)
            for name, node in project.nodes.items()
            if isinstance(node, BranchNode | TriggerNode)
        }
        self.inside = [inside for inside in self._inner.values() if inside is not None]

    def run(self) -> list[Problem]:
        self._circles()
        for node in self._project.nodes.values():
            self._found += check_node(self._project, node)
            self._needs(node)
            self._conditions(node)
        for edge in self._project.edges:
            self._edge(edge)
        self._reach()
        self._entrypoints()
        self._orchestration()
        return self._found

    def _add(self, place: Place, message: str, *, is_error: bool = True) -> None:
        self._found.append(Problem(place, message, is_error))

    def _inner_of(self, node: BranchNode | TriggerNode) -> Project | None:
        inside = self._inner[node.id]
        return (
            None if inside is self._project else inside
        )  # what a workflow gives to itself is its own matter

    def _circles(self) -> None:
        ways = {name: [edge.target for edge in edges] for name, edges in edges_out_of(self._project).items()}
        for circle in circles(self._project.nodes, ways):
            shown = " -> ".join([*circle, circle[0]])
            edge = next(edge for edge in self._into[circle[0]] if edge.source == circle[-1])
            self._add(edge.place, f"the edges go in a circle: {shown}; a loop is a branch with 'loop_while'")

    def _needs(self, node: AnyNode) -> None:
        """Say which fields a node cannot do without, and nothing gives. A tool that no edge touches is no step."""
        if node.id not in self._steps:
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
                self._add(place, f"nothing gives {node.id!r} its field {name!r}{given_instead}")

    def _conditions(self, node: AnyNode) -> None:
        if not isinstance(node, BranchNode | TriggerNode):
            return
        arrives = arriving(self._project, self._into[node.id], self._inner_of)
        self._condition(node.condition, arrives, node.place, what=f"the condition of {node.id!r}")
        inside = self._inner_of(node)
        if not isinstance(node, BranchNode) or inside is None:
            return
        gives = outputs_of(inside)
        self._condition(node.loop_while, gives, node.place, what=f"loop_while of {node.id!r}")
        if node.loop_while is None or gives.is_open:
            return
        for name, field in wanted(self._project, node, self._inner_of).fields.items():
            if has_to_arrive(field) and name not in gives.fields:
                self._add(
                    node.place,
                    f"the second round of {node.id!r} gets what the first gave, and that has no {name!r}",
                    is_error=self._strict,
                )

    def _condition(self, text: str | None, offer: Offer, place: Place, *, what: str) -> None:
        """Read a condition, and look for its fields among those that there will be."""
        if text is None:
            return
        try:
            paths = parse(text).paths()
        except ExpressionError as error:
            where = f", at character {error.position + 1}" if error.position is not None else ""
            self._add(place, f"{what} cannot be read: {error}{where} of {text[:80]!r}")
            return
        for steps in paths.values():
            found = follow(offer, steps, whole="output")
            if isinstance(found, Missing):
                near = suggestion(str(steps[0]), ("true", "false", "null", "and", "or", "not", "in"))
                self._add(place, f"{what}: {found.reason}{near}", is_error=self._strict)

    def _edge(self, edge: Edge) -> None:
        source, target = self._project.nodes[edge.source], self._project.nodes[edge.target]
        gives = given(self._project, source, self._inner_of)
        takes = wanted(self._project, target, self._inner_of)
        self._condition(edge.condition, gives, edge.place, what=f"the condition of edge {edge.id!r}")
        if isinstance(target, InputNode):
            message = f"{edge.target!r} is an input, which takes nothing from {edge.source!r}"
            self._add(edge.place, message, is_error=False)
            return
        for name, path in edge.mapping.items():
            found = follow(gives, mapping_steps(path), whole="output")
            if isinstance(found, Missing):
                message = f"edge {edge.id!r} takes {path!r} from {edge.source!r}: {found.reason}"
                self._add(edge.place, message, is_error=self._strict)
            field = takes.fields.get(name)
            if field is None and not takes.is_open:
                near = suggestion(name, takes.fields)
                message = f"edge {edge.id!r} gives {edge.target!r} {name!r}, which it does not take{near}"
                self._add(edge.place, message, is_error=self._strict)
            elif field is not None and not isinstance(found, Missing):
                wrong = mismatch(found, field, into_text=isinstance(target, PromptNode | AgentNode))
                if wrong:
                    message = f"edge {edge.id!r} gives {edge.target!r} for {name!r} {wrong}"
                    self._add(edge.place, message, is_error=self._strict)

    def _is_only_for_agents(self, node: ToolNode) -> bool:
        return any(
            isinstance(agent, AgentNode) and node.id in agent.tools for agent in self._project.nodes.values()
        )

    def _reach(self) -> None:
        joined = {name for edge in self._project.edges for name in (edge.source, edge.target)}
        for name, node in self._project.nodes.items():
            if name in joined or len(self._project.nodes) == 1:
                continue
            if isinstance(node, ToolNode) and self._is_only_for_agents(node):
                continue
            self._add(node.place, f"no edge leads to {name!r} or away from it", is_error=False)

    def _entrypoints(self) -> None:
        project = self._project
        reached: set[str] = set()
        for entrypoint in project.entrypoints.values():
            unknown = [name for name in entrypoint.nodes if name not in project.nodes]
            for name in unknown:
                near = suggestion(name, project.nodes)
                self._add(
                    entrypoint.place, f"the entrypoint {entrypoint.id!r}: no node is called {name!r}{near}"
                )
            reached |= after(project, [name for name in entrypoint.nodes if name not in unknown])
        if not reached:
            return
        reached |= before(project, reached)
        joined = {name for edge in project.edges for name in (edge.source, edge.target)}
        for name in project.nodes:
            if name in joined and name not in reached:
                self._add(project.nodes[name].place, f"no entrypoint leads to {name!r}", is_error=False)

    def _orchestration(self) -> None:
        project = self._project
        publish, alias = project.orchestration.publish, project.orchestration.alias
        if publish is not None:
            self._inside(publish, what="the path to publish to")
        if alias is not None and not is_plain_name(alias):
            self._add(project.place, f"the alias {alias!r} is no plain name")
        script = project.defaults.script
        if script is not None:
            path = self._inside(script, what="the script")
            if path is not None and not path.is_file():
                place = project.defaults.script_place or project.place
                self._add(place, f"there is no script {script}{_near_file(path, besides=project.place.path)}")

    def _inside(self, written: str, *, what: str) -> Path | None:
        try:
            return confined(self._project.root, written, what=what)
        except ProjectError as error:
            self._add(self._project.place, str(error))
            return None


def _near_file(path: Path, *, besides: Path) -> str:
    try:
        return suggestion(path.name, [other.name for other in path.parent.iterdir() if other != besides])
    except OSError:
        return ""
