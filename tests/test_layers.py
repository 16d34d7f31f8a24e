"""The shape of the source: what may import what, how long a piece may be, and what it may be called.

Read from the syntax trees, so that an import inside a function or under TYPE_CHECKING counts like any other.
"""

from __future__ import annotations

import ast
import importlib.util
import itertools
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "errors extras version",  # they import nothing of ours but errors
        "model",
        "journal",
        "config",  # settings are plain values: what is above may read them, none of it is read by them
        "store stream record",
        "analyze export view",  # view draws what analyze laid out
        "workflow optimize integrations",
        "session",
        "testing",  # may use everything up to the session, and nothing uses it
        "server",
        "cli __main__",
    )
)
"""Lowest first. What stands in one row may import each other, as long as no circle comes out of it."""

FORBIDDEN_WORDS = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "base",
    "core",
    "manager",
    "managers",
}
MOST_LINES_IN_A_FILE = 400
MOST_LINES_IN_A_FUNCTION = 60

REPOSITORY = Path(__file__).parent.parent
OTHER_SOURCE = ("tests", "examples", "benchmarks")


@dataclass(frozen=True)
class Module:
    """One source file of the package, or of a package made up by a test below."""

    name: str
    tree: ast.Module
    is_package: bool = False
    line_count: int = 0


@dataclass(frozen=True)
class Import:
    """One module naming another."""

    importer: str
    imported: str
    line: int = field(compare=False)


def rank(module: str) -> int:
    unit = module.split(".")[1] if "." in module else ""
    for height, names in enumerate(LAYERS):
        if unit in names:
            return height
    raise LookupError(f"{module} stands in no layer: give {unit!r} a place in tests/test_layers.py")


def package_modules() -> dict[str, Module]:
    """Return every module of the installed `clew`, which is the checkout or the built wheel."""
    spec = importlib.util.find_spec("clew")
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    modules = {}
    for path in sorted(root.rglob("*.py")):
        parts = ("clew", *path.relative_to(root).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = path.read_text(encoding="utf-8")
        modules[name] = Module(name, ast.parse(text, path), is_package, len(text.splitlines()))
    return modules


def imported_names(node: ast.AST, module: Module) -> list[str]:
    """Return the dotted names that one node of a tree imports: as a statement, or by name at run time."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            origin = node.module or ""
            if node.level:
                parts = module.name.split(".")
                above = parts[: len(parts) - node.level + (1 if module.is_package else 0)]
                origin = ".".join([*above, origin]).strip(".")
            if origin == "clew":
                return ["clew"]  # whatever is taken from it, the facade is what is named
            return [f"{origin}.{alias.name}" for alias in node.names]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def imports_of(module: Module, known: dict[str, Module]) -> list[Import]:
    """Return the imports of `module` that stay inside the package, each resolved to a module of it."""
    found = []
    for node in ast.walk(module.tree):
        for name in imported_names(node, module):
            if name.split(".")[0] != "clew":
                continue
            parts = name.split(".")
            while len(parts) > 1 and ".".join(parts) not in known:
                parts.pop()  # the last name was a class or a function of the module before it
            target = ".".join(parts)
            if target != module.name:
                found.append(Import(module.name, target, getattr(node, "lineno", 0)))
    return found


def all_imports(modules: dict[str, Module]) -> list[Import]:
    return [edge for module in modules.values() for edge in imports_of(module, modules)]


def upward(edges: list[Import]) -> list[str]:
    """Return a sentence for each import that goes up, or to the facade, or out of the testing module."""
    faults = []
    for edge in edges:
        where = f"{edge.importer}:{edge.line} imports {edge.imported}"
        if edge.imported == "clew":
            faults.append(f"{where}: nothing inside imports the facade")
        elif edge.importer == "clew":
            if rank(edge.imported) > rank("clew.session"):
                faults.append(f"{where}: the facade stops at the session")
        elif edge.imported == "clew.testing":
            faults.append(f"{where}: only tests do")
        elif rank(edge.imported) > rank(edge.importer):
            faults.append(f"{where}, which is above it")
    return faults


def circle(edges: list[tuple[str, str]]) -> list[str]:
    """Return the names along one circle of imports, or nothing."""
    graph: dict[str, set[str]] = {}
    for importer, imported in edges:
        graph.setdefault(importer, set()).add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def long_functions(tree: ast.Module) -> list[str]:
    return [
        f"{node.name} on line {node.lineno}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MOST_LINES_IN_A_FUNCTION
    ]


def source_files() -> list[Path]:
    python = [path for folder in OTHER_SOURCE for path in (REPOSITORY / folder).rglob("*.py")]
    return sorted([*python, *(REPOSITORY / "src" / "native").glob("*.[ch]")])


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    return package_modules()


def test_imports_go_downhill_only(modules: dict[str, Module]) -> None:
    faults = upward(all_imports(modules))
    assert not faults, "\n".join(faults)


def test_no_module_is_part_of_a_circle_of_imports(modules: dict[str, Module]) -> None:
    found = circle([(edge.importer, edge.imported) for edge in all_imports(modules)])
    assert not found, " -> ".join(found)


def test_no_two_packages_import_each_other(modules: dict[str, Module]) -> None:
    pairs = [
        (edge.importer.split(".")[1], edge.imported.split(".")[1])
        for edge in all_imports(modules)
        if edge.importer != "clew" and edge.imported != "clew"
    ]
    found = circle([(one, other) for one, other in pairs if one != other])
    assert not found, " -> ".join(found)


def test_every_module_has_a_layer(modules: dict[str, Module]) -> None:
    for name in modules:
        assert name == "clew" or rank(name) >= 0


def test_every_import_is_absolute(modules: dict[str, Module]) -> None:
    relative = [
        f"{module.name}:{node.lineno}"
        for module in modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_no_file_has_a_name_that_says_nothing(modules: dict[str, Module]) -> None:
    names = {
        *modules,
        *(".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in source_files()),
    }
    words = {name: set(itertools.chain(*(part.split("_") for part in name.split(".")))) for name in names}
    assert [name for name in sorted(words) if words[name] & FORBIDDEN_WORDS] == []


def test_no_file_is_longer_than_400_lines(modules: dict[str, Module]) -> None:
    lengths = {name: module.line_count for name, module in modules.items()}
    for path in source_files():
        lengths[str(path.relative_to(REPOSITORY))] = len(path.read_text(encoding="utf-8").splitlines())
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_IN_A_FILE} == {}


def test_no_function_is_longer_than_60_lines(modules: dict[str, Module]) -> None:
    faults = {name: long_functions(module.tree) for name, module in modules.items()}
    for path in source_files():
        if path.suffix != ".py":
            continue
        faults[str(path.relative_to(REPOSITORY))] = long_functions(
            ast.parse(path.read_text(encoding="utf-8"))
        )
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import clew.session",
        "from clew.session import Session",
        "from clew import session",
        "def late():\n    from clew.cli.main import main",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import clew.record",
        "from ..record import recorder",
        "import importlib\nimportlib.import_module('clew.cli.main')",
        "import clew",
        "from clew import errors",
        "import clew.testing",
    ],
)
def test_an_import_that_goes_up_is_seen_however_it_is_written(source: str) -> None:
    names = (
        "clew clew.model clew.record clew.record.recorder clew.session clew.cli clew.cli.main clew.testing"
    )
    known = {name: Module(name, ast.parse("")) for name in names.split()}
    known["clew.model.trace"] = Module("clew.model.trace", ast.parse(source))
    assert len(upward(all_imports(known))) == 1


def test_a_circle_that_closes_inside_a_function_is_seen() -> None:
    known = {
        "clew": Module("clew", ast.parse("")),
        "clew.model": Module("clew.model", ast.parse("")),
        "clew.model.a": Module("clew.model.a", ast.parse("from clew.model.b import B")),
        "clew.model.b": Module("clew.model.b", ast.parse("def f():\n    from clew.model import a")),
    }
    edges = [(edge.importer, edge.imported) for edge in all_imports(known)]
    assert set(circle(edges)) == {"clew.model.a", "clew.model.b"}
