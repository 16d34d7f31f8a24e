"""Manifests: found in a folder, read with all their files, and refused with every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from clew.errors import ProjectError
from clew.workflow.boundary import has_plain_characters, is_plain_name
from clew.workflow.declarations import read_edge, read_node, read_retry, read_tool
from clew.workflow.document import Value, in_order, read_document, refusal
from clew.workflow.env_file import read_env
from clew.workflow.manifest_names import MANIFESTS
from clew.workflow.nearness import nearest
from clew.workflow.project import (
    AgentNode,
    AnyNode,
    Defaults,
    Doubt,
    Edge,
    Entrypoint,
    InputNode,
    Orchestration,
    OutputNode,
    Place,
    Problem,
    Project,
    Prompt,
    PromptNode,
)
from clew.workflow.prompts import PromptFiles
from clew.workflow.table import Table, listed

_MOST_NAME_CHARS: Final = 60
_NEAR: Final = 0.75  # above what `start` and `sort` have in common
_MOST_PAIRS: Final = 100_000
"""Of names that edges have and names of nodes, compared as wholes; beyond, one letter may be wrong."""


def find_manifest(path: Path) -> Path:
    """Return the manifest that a path means: the file itself, or the first known name in a folder.

    Raises: ProjectError: there is none.
    """
    try:
        if path.is_dir():
            for name in MANIFESTS:
                if (path / name).is_file():
                    return path / name
            raise ProjectError(
                f"there is no workflow in {path}: it has no {listed(MANIFESTS)}; clew init {path} writes one"
            )
        if path.exists():
            return path
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ProjectError(f"{str(path)!r} cannot be read: {reason}") from None
    raise ProjectError(f"there is no file or folder {path}")


def load_project(path: Path, *, environ: Mapping[str, str]) -> Project:
    """Read a project: its manifest, prompts and `.env`.

    Args:
        path: a manifest, or a folder with one.
        environ: variables that there are; those of `.env` do not override them.

    Returns: the project. What is doubtful, but no error, stands in its `warnings`.
    Raises: ProjectError: with all errors of all files that were read, a sentence each.
    """
    project, found = read_project(path, environ=environ)
    if project is None or not project.is_sound:
        raise refusal(found)
    return project


def read_project(path: Path, *, environ: Mapping[str, str]) -> tuple[Project | None, list[Problem]]:
    """Read a project as far as it can be read, for those who want to know everything that is wrong with it.

    Args:
        path: as for `load_project`.
        environ: as there.

    Returns: the project, None where the manifest has no values at all; and its problems, which are its `warnings`.
    Raises: ProjectError: there is no manifest.
    """
    manifest = find_manifest(path)
    root = manifest.parent.resolve()
    manifest = root / manifest.name
    found: list[Problem] = []
    value = read_document(manifest, found=found)
    if value is None:
        if not found:
            found.append(Problem(Place(manifest, 1), "the file is empty"))
        return None, found
    if not isinstance(value.data, dict):
        return None, [*found, Problem(value.place, "a manifest is a mapping: name, nodes, edges and so on")]
    project = _Reader(manifest, found, environ).project(
        Table(value, what="a manifest", found=found, strict="trident" not in value.data)
    )
    found = in_order(found, first=[manifest])
    return msgspec.structs.replace(project, warnings=found), found


class _Reader:
    """Reads one project."""

    def __init__(self, manifest: Path, found: list[Problem], environ: Mapping[str, str]) -> None:
        self._manifest = manifest
        self._root = manifest.parent
        self._found = found
        self._environ = environ
        self._doubts: set[Doubt] = set()

    def project(self, table: Table) -> Project:
        name = table.text("name")
        if not name:
            table.wrong(table.place_of("name"), "a manifest needs a 'name'")
        elif not is_plain_name(name):  # files of signals and runs are called after it
            is_long = has_plain_characters(name)
            why = "is too long" if is_long else "has characters that no file's name may have"
            table.wrong(table.place_of("name"), f"the name {name[:_MOST_NAME_CHARS]!r} {why}")
        before = len(self._found)
        env = read_env(self._root / ".env", environ=self._environ, found=self._found)
        self._doubt_since(before, Doubt("section", ".env"))
        self._check_env(table, env)
        before = len(self._found)
        defaults = _defaults(table)
        self._doubt_since(before, Doubt("section", "defaults"))
        entrypoints, orchestration = _entrypoints(table), _orchestration(table)
        version, description, trident = (table.text(key) for key in ("version", "description", "trident"))
        table.ignore("clew", "nodes", "tools", "edges")
        table.finish()
        self._doubts.update(Doubt("section", key) for key in table.meant)
        prompts = PromptFiles(self._root, found=self._found, strict=table.strict)
        edges = self._edges(table)
        nodes = self._nodes(table, edges, prompts)
        self._doubts.update(Doubt("section", key) for key in table.meant)
        self._doubts.update(Doubt("prompt", name) for name in prompts.doubtful)
        edges = self._joined(edges, nodes, prompts.by_id, strict=table.strict)
        return Project(
            place=Place(self._manifest, 1),
            name=name or "",
            root=self._root,
            version=version or "",
            description=description or "",
            trident=trident,
            defaults=defaults,
            nodes=nodes,
            edges=edges,
            prompts=prompts.by_id,
            entrypoints=entrypoints,
            env=env,
            orchestration=orchestration,
            doubts=frozenset(self._doubts),
        )

    def _check_env(self, table: Table, env: Mapping[str, str]) -> None:
        """Read what the manifest says about variables of the environment, and say which are not set."""
        for name, value in table.entries("env"):
            declared = Table(value, what=f"the variable {name!r}", found=self._found, strict=table.strict)
            declared.ignore("description", "default")
            is_set = name in env or name in self._environ or Doubt("section", ".env") in self._doubts
            if declared.flag("required") and not is_set:
                message = f"the variable {name} is not set; set it, or write it into .env"
                table.wrong(value.place, message, is_error=False)
            declared.finish()

    def _edges(self, table: Table) -> list[Edge]:
        edges = []
        for name, value in table.entries("edges"):
            before = len(self._found)
            edges.append(read_edge(name, value, found=self._found, strict=table.strict))
            self._doubt_since(before, Doubt("edge", name))
        return edges

    def _nodes(self, table: Table, edges: list[Edge], prompts: PromptFiles) -> dict[str, AnyNode]:
        nodes: dict[str, AnyNode] = {}
        for section, read in (("nodes", read_node), ("tools", read_tool)):
            for name, value in table.entries(section):
                before = len(self._found)
                node = read(name, value, found=self._found, strict=table.strict)
                self._doubt_since(before, Doubt("node", name))
                if not name.strip() or not name.isprintable():
                    table.wrong(value.place, f"{name!r} is no name of a node")
                    self._unread(nodes, name, value.place)
                elif name in nodes:
                    table.wrong(value.place, f"{name!r} is the name of a node already")
                elif node is None:
                    self._unread(nodes, name, value.place)
                elif isinstance(node, (PromptNode, AgentNode)):
                    nodes[name] = msgspec.structs.replace(node, prompt=prompts.id_of(node))
                else:
                    nodes[name] = node
            if section == "nodes":
                self._add_prompt_nodes(nodes, edges, prompts.by_id)
        return nodes

    def _doubt_since(self, before: int, *doubts: Doubt) -> None:
        """Note a doubt where an error was found since there were so many problems."""
        if any(problem.is_error for problem in self._found[before:]):
            self._doubts.update(doubts)

    def _unread(self, nodes: dict[str, AnyNode], name: str, place: Place) -> None:
        """Let a name stand for a node of which nothing is known."""
        nodes[name] = OutputNode(place=place, id=name)
        self._doubts.add(Doubt("unread", name))

    def _add_prompt_nodes(
        self, nodes: dict[str, AnyNode], edges: Iterable[Edge], prompts: Mapping[str, Prompt]
    ) -> None:
        """Add the prompts that only edges name: each is a node of its own name."""
        for edge in edges:
            for name in (edge.source, edge.target):
                if name in prompts and name not in nodes:
                    nodes[name] = PromptNode(place=prompts[name].place, id=name, prompt=name)

    def _joined(
        self, edges: list[Edge], nodes: dict[str, AnyNode], prompts: Mapping[str, Prompt], *, strict: bool
    ) -> list[Edge]:
        """Add what only edges name, and return the edges. A source becomes an input, a target an output.

        A misspelt end leads to the node that was meant, so that this one is not said to lack what the edge brings.
        """
        known = {*nodes, *prompts}
        is_known = not self._doubts & {Doubt("section", "nodes"), Doubt("section", "tools")}
        meant: dict[str, str] = {}
        ends: list[tuple[Edge, str, type[InputNode | OutputNode]]] = [
            *((edge, edge.source, InputNode) for edge in edges),
            *((edge, edge.target, OutputNode) for edge in edges),
        ]
        unknown = {name for _, name, _ in ends} - nodes.keys()
        joined: dict[str, set[str]] = {name: set() for name in unknown}
        for edge in edges:
            joined.get(edge.source, set()).add(edge.target)
            joined.get(edge.target, set()).add(edge.source)
        most = _MOST_PAIRS // (len(unknown) or 1)
        for edge, name, kind in ends:
            if name in nodes or name in meant:
                continue
            if not name or not is_known or Doubt("prompt", name) in self._doubts:
                self._unread(nodes, name, edge.place)
                continue
            near = nearest(name, known, cutoff=_NEAR, most=most)
            if near is not None and strict:
                # Nobody means an edge from a node to itself.
                if near in joined[name]:
                    near = nearest(name, known - joined[name], cutoff=_NEAR, most=most)
                hint = "" if near is None else f"did you mean {near!r}? If not, "
                self._found.append(
                    Problem(edge.place, f"no node is called {name!r}; {hint}declare it under 'nodes:'")
                )
                if near is None:
                    self._unread(nodes, name, edge.place)
                else:
                    meant[name] = near
                continue
            if near is not None:
                what = "an input" if kind is InputNode else "an output"
                message = f"no node is called {name!r}, so it becomes {what}; did you mean {near!r}?"
                self._found.append(Problem(edge.place, message, is_error=False))
            nodes[name] = kind(place=edge.place, id=name)
        if not meant:
            return edges
        self._doubts.update(
            Doubt("guessed", edge.id) for edge in edges if edge.source in meant or edge.target in meant
        )
        edges = [
            msgspec.structs.replace(
                edge, source=meant.get(edge.source, edge.source), target=meant.get(edge.target, edge.target)
            )
            for edge in edges
        ]
        self._add_prompt_nodes(nodes, edges, prompts)
        return edges


def _defaults(table: Table) -> Defaults:
    value = table.value("defaults")
    if value is None:
        return Defaults()
    inner = Table(value, what="defaults", found=table.found, strict=table.strict)
    on_error = inner.word("on_error", ("finish", "cancel"))
    defaults = Defaults(
        model=inner.text("model"),
        temperature=inner.number("temperature"),
        max_tokens=inner.whole("max_tokens"),
        timeout_s=inner.number("timeout_s", above=True),
        retry=read_retry(inner) or Defaults().retry,
        concurrency=inner.whole("concurrency") or Defaults().concurrency,
        on_error="cancel" if on_error == "cancel" else "finish",
        base_url=inner.text("base_url"),
        base_url_place=inner.place_of("base_url"),
        script=inner.text("script"),
        script_place=inner.place_of("script"),
        allow_commands=inner.texts("allow_commands"),
    )
    inner.ignore("execution_mode")
    inner.finish()
    return defaults


def _entrypoints(table: Table) -> dict[str, Entrypoint]:
    value = table.value("entrypoints")
    entrypoints: dict[str, Entrypoint] = {}
    match value:
        case None:
            return {}
        case Value(data=dict() as entries):
            names = Table(value, what="entrypoints", found=table.found)
            for name, entry in entries.items():
                if isinstance(entry.data, dict):
                    inner = Table(entry, what=f"entrypoint {name!r}", found=table.found, strict=table.strict)
                    nodes = inner.texts("nodes")
                    inner.ignore("description")
                    inner.finish()
                else:
                    nodes = names.texts(name)
                entrypoints[name] = Entrypoint(place=entry.place, id=name, nodes=nodes)
        case _:
            for name in table.texts("entrypoints"):
                entrypoints[name] = Entrypoint(place=value.place, id=name, nodes=[name])
    return entrypoints


def _orchestration(table: Table) -> Orchestration:
    value = table.value("orchestration")
    if value is None:
        return Orchestration()
    inner = Table(value, what="orchestration", found=table.found, strict=table.strict)
    emit_signals = inner.flag("emit_signals")
    if signals := inner.value("signals"):
        enabled = Table(signals, what="signals", found=table.found, strict=table.strict)
        emit_signals = enabled.flag("enabled") if emit_signals is None else emit_signals
    publish, alias, alias_place = inner.value("publish"), inner.text("alias"), inner.place_of("alias")
    path = path_place = None
    if publish is not None and isinstance(publish.data, dict):
        to = Table(publish, what="publish", found=table.found, strict=table.strict)
        path, path_place = to.text("path"), to.place_of("path")
        if name := to.text("alias"):
            alias, alias_place = name, to.place_of("alias")
        to.finish()
    elif publish is not None:
        path, path_place = inner.text("publish"), publish.place
    inner.finish()
    return Orchestration(
        emit_signals=emit_signals is True,
        publish=path,
        publish_place=path_place,
        alias=alias,
        alias_place=alias_place,
    )
