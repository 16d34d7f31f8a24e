"""Python tools as their source text shows them: nothing of a project is imported to check it."""

from __future__ import annotations

import ast
import warnings
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


ANYTHING = Signature([], set(), takes_any=True)


def signature_in(path: Path, function: str) -> Signature | None:
    """Return what a function of a module takes; None where it is not there."""
    functions = functions_of(path, found=[])
    return None if functions is None else functions.get(function)


def functions_of(path: Path, *, found: list[Problem]) -> dict[str, Signature] | None:
    """Return what can be called in a module; None where it cannot be read, `found` then says why.

    Functions of the module itself are listed, and with unknown signatures what it assigns or imports. A module that
    many tools are in is read once.
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
    functions: dict[str, Signature] = {}
    for statement in _statements(tree):
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                is_plain = not statement.decorator_list
                functions[statement.name] = _signature(statement.args) if is_plain else ANYTHING
            case ast.ClassDef():
                functions[statement.name] = ANYTHING
            case ast.Import() | ast.ImportFrom():
                for alias in statement.names:
                    functions[alias.asname or alias.name.partition(".")[0]] = ANYTHING
            case ast.Assign(targets=targets):
                functions.update({target.id: ANYTHING for target in targets if isinstance(target, ast.Name)})
            case ast.AnnAssign(target=ast.Name(id=name)):
                functions[name] = ANYTHING
    return functions, found


def _place(path: Path, line: int | None) -> Place:
    return Place(path, line or 1)


def _statements(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements of a module, those inside `if` and `try` included."""
    waiting, found = list(tree.body), []
    while waiting:
        statement = waiting.pop(0)
        found.append(statement)
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            waiting += statement.body
            waiting += getattr(statement, "orelse", [])
            for handler in getattr(statement, "handlers", []):
                waiting += handler.body
    return found


def _signature(arguments: ast.arguments) -> Signature:
    positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    keyword_only = [argument.arg for argument in arguments.kwonlyargs]
    required = set(positional[: len(positional) - len(arguments.defaults)])
    required.update(
        name for name, default in zip(keyword_only, arguments.kw_defaults, strict=True) if default is None
    )
    return Signature([*positional, *keyword_only], required, takes_any=arguments.kwarg is not None)
