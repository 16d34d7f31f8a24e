"""Python tools as their source text shows them: nothing of a project is imported to check it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from clew.workflow.document import read_text
from clew.workflow.project import Place, Problem


class Signature(NamedTuple):
    """What a function takes."""

    names: list[str]
    required: set[str]
    takes_any: bool
    """Whether it takes names that it does not list, or cannot be read."""
    unreachable: Sequence[str] = ()
    """What it needs, and takes by position only."""


ANYTHING = Signature([], set(), takes_any=True)


def signature_in(path: Path, function: str) -> Signature | None:
    """Return what a function of a module takes; None where it is not there."""
    functions = functions_of(path, found=[])
    return None if functions is None else functions.get(function)


def functions_of(path: Path, *, found: list[Problem]) -> dict[str, Signature] | None:
    """Return what can be called in a module; None where it cannot be read, `found` then says why, or does not tell.

    Functions of the module itself are listed, and with unknown signatures what it assigns or imports, or binds twice
    or only under a condition. A module that many tools are in is read once.
    """
    try:
        status = path.stat()
    except OSError:
        functions, problems = _read(path)
    else:
        functions, problems = _read_once(path, status.st_mtime_ns, status.st_size)
    found += problems
    return functions


@lru_cache(maxsize=256)
def _read_once(
    path: Path, mtime_ns: int, size_bytes: int
) -> tuple[dict[str, Signature] | None, list[Problem]]:
    del mtime_ns, size_bytes  # another time or size is another text
    return _read(path)


def _read(path: Path) -> tuple[dict[str, Signature] | None, list[Problem]]:
    found: list[Problem] = []
    text = read_text(path, found=found)
    if text is None:
        return None, found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a user's string is no matter of ours
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        found.append(Problem(_place(path, line), f"this is no Python: {reason}"))
        return None, found
    return _functions(tree), found


def _place(path: Path, line: int | None) -> Place:
    return Place(path, line or 1)


def _functions(tree: ast.Module) -> dict[str, Signature] | None:
    """Return what a module binds; None where its text does not tell. What is bound once and for sure has a signature."""
    if any(_hides_names(node) for node in ast.walk(tree)):
        return None
    functions: dict[str, Signature] = {}
    for name, signature in _bindings(tree):
        functions[name] = ANYTHING if name in functions else signature
    return functions


def _hides_names(node: ast.AST) -> bool:
    """Whether a module with this in it may have names that its text does not show."""
    match node:
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            return True
        case ast.FunctionDef(name="__getattr__") | ast.Attribute(value=ast.Name(id="sys"), attr="modules"):
            return True
        case ast.Name(id="globals" | "exec"):
            return True
        case ast.Module(body=body):  # inside functions, these are about something else
            return any(
                isinstance(inner, ast.Name) and inner.id in ("locals", "vars", "setattr")
                for inner in _outside_functions(body)
            )
    return False


def _bindings(tree: ast.Module) -> Iterator[tuple[str, Signature]]:
    """Return every binding of a name of the module, with what the name then is as far as that is sure."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from ((name, ANYTHING) for name in node.names)
    always = set(tree.body)
    for node in _outside_functions(tree.body):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                is_sure = node in always and not node.decorator_list
                yield name, _signature(node.args) if is_sure else ANYTHING
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                for alias in aliases:
                    yield alias.asname or alias.name.partition(".")[0], ANYTHING
            case (
                ast.ClassDef(name=str(name))
                | ast.Name(id=name, ctx=ast.Store())
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
            ):
                yield name, ANYTHING


def _outside_functions(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Return all nodes of a module that are in no scope of their own."""
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                waiting += [*node.decorator_list, node.args]
            case ast.ClassDef():
                waiting += [*node.decorator_list, *node.bases, *node.keywords]
            case ast.Lambda():
                waiting.append(node.args)
            case ast.comprehension():
                waiting += [node.iter, *node.ifs]
            case _:
                waiting += ast.iter_child_nodes(node)


def _signature(arguments: ast.arguments) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    required = {argument.arg for argument in positional[: len(positional) - len(arguments.defaults)]}
    required.update(
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    )
    names = [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)]
    unreachable = [argument.arg for argument in arguments.posonlyargs if argument.arg in required]
    return Signature(names, required & {*names}, arguments.kwarg is not None, unreachable)
