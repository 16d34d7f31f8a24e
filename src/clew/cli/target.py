"""What `clew run` runs: a script, a directory with `__main__.py`, or `module:function`, as Python would run it."""

from __future__ import annotations

import asyncio
import builtins
import importlib
import importlib.util
import inspect
import os
import re
import sys
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from clew.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence


_SUFFIXES: Final = frozenset({"", ".py", ".pyw", ".pyc", ".pyz", ".zip"})
_PYTHON_LINE: Final = re.compile(rb"#!.*python")


class Target(Protocol):
    """A program that can be run once."""

    name: str
    """What the run is called."""
    kind: str
    """`script` or `function`."""
    entrypoint: str
    """The file or function that is started."""
    given: object
    """Its input; UNSET where it has none."""

    def execute(self) -> Any:
        """Run the program to its end in this process; whatever it raises comes out.

        Returns: the function's result; None for a script.
        """
        ...


class Script:
    """A file or directory that becomes `__main__`, with `sys.argv` and `sys.path` as Python sets them."""

    kind = "script"
    given: object = msgspec.UNSET

    def __init__(self, path: Path, arguments: Sequence[str], *, given: str) -> None:
        """Compile nothing yet; `given` is the path as the user wrote it, for `sys.argv[0]`.

        Raises: TargetError where the path holds no Python program.
        """
        self._is_directory = path.is_dir()
        # As Python makes it: absolute, and otherwise as it was given. A Path would tidy it up.
        self._given = os.path.join(os.getcwd(), given)  # noqa: PTH109, PTH118
        self._file = os.path.join(self._given, "__main__.py") if self._is_directory else self._given  # noqa: PTH118
        self._path = path / "__main__.py" if self._is_directory else path
        self._argv = [given, *arguments]
        self.name = path.resolve().name if self._is_directory else path.stem
        self.entrypoint = given
        if not self._path.is_file():
            raise TargetError(
                f"{given} has neither __main__.py nor clew.yaml, so there is nothing in it to run"
                if self._is_directory
                else f"{given} is neither a file nor a directory; give a .py file, a directory or module:function"
            )
        try:
            self._source = self._path.read_bytes()
        except OSError as error:
            raise TargetError(f"{given} cannot be read: {error.strerror}") from None
        if path.suffix != ".py" and not self._is_directory and not self._is_python(path.suffix.lower()):
            raise TargetError(
                f"{given} is not a Python program; give a .py file, a directory or module:function"
            )

    def _is_python(self, suffix: str) -> bool:
        """A file that does not end in .py may be anything: look before it is taken for a program.

        A text of one word compiles, so what ends in .txt has to say in its first line that it is Python.
        """
        if suffix not in _SUFFIXES and not _PYTHON_LINE.match(self._source):
            return False
        try:
            compile(self._source, self._given, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return False
        return True

    def execute(self) -> None:
        """Run it as `__main__`."""
        main = ModuleType("__main__")
        path = self._file
        main.__file__ = path
        main.__builtins__ = builtins  # type: ignore[attr-defined]
        main.__loader__ = SourceFileLoader("__main__", path)
        if sys.version_info < (3, 14):
            main.__annotations__ = {}
        if self._is_directory:
            main.__spec__ = importlib.util.spec_from_file_location("__main__", path)
            main.__package__ = ""
        else:
            main.__spec__ = None
            main.__dict__["__cached__"] = None
        sys.argv[:] = self._argv
        folder = self._given if self._is_directory else str(Path(path).resolve().parent)
        _first_on_path(folder)
        sys.modules["__main__"] = main
        # The program is the user's own, and this is how it becomes `__main__`.
        exec(compile(self._source, path, "exec", dont_inherit=True), main.__dict__)  # noqa: S102


class Function:
    """A function of a module, called with what `-i` gives."""

    kind = "function"

    def __init__(self, reference: str, *, given: object = msgspec.UNSET) -> None:
        """Name `module:function`; nothing is imported yet. `given` is its input; UNSET for none."""
        self._module, _, self._name = reference.partition(":")
        self.given = given
        self.name = self.entrypoint = reference

    def execute(self) -> Any:
        """Import the module and call the function; a coroutine or a generator is run to its end.

        Returns: what it returned; of a generator the list of what it yielded.
        Raises: TargetError where there is no such module or function, or it cannot take the input.
        """
        _first_on_path("")
        function = self._find()
        arguments, keywords = self._arguments()
        try:
            inspect.signature(function).bind(*arguments, **keywords)
        except TypeError as error:
            raise TargetError(f"{self.name} cannot be called with this input: {error}") from None
        except ValueError:
            pass  # a builtin that does not say what it takes
        result = function(*arguments, **keywords)
        if inspect.isasyncgen(result):
            result = _all_of(result)
        if inspect.iscoroutine(result):
            return asyncio.run(result)
        return list(result) if inspect.isgenerator(result) else result

    def _find(self) -> Callable[..., Any]:
        try:
            found: Any = importlib.import_module(self._module)
        except ModuleNotFoundError as error:
            if error.name is not None and (
                self._module == error.name or self._module.startswith(f"{error.name}.")
            ):
                raise TargetError(
                    f"there is no module {self._module!r} on the path or in this directory"
                ) from None
            raise
        for part in self._name.split("."):
            names = [n for n in dir(found) if not n.startswith("_")]
            found = getattr(found, part, None)
            if found is None:
                near = get_close_matches(part, names, n=1)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                raise TargetError(f"module {self._module!r} has no {self._name!r}{meant}")
        if not callable(found):
            raise TargetError(f"{self.name} is a {type(found).__name__}, not a function")
        return found  # type: ignore[no-any-return]

    def _arguments(self) -> tuple[Sequence[Any], dict[str, Any]]:
        if self.given is msgspec.UNSET:
            return (), {}
        if isinstance(self.given, dict):
            return (), self.given
        return (self.given if isinstance(self.given, list) else (self.given,)), {}


async def _all_of(generator: AsyncGenerator[Any, Any]) -> list[Any]:
    return [item async for item in generator]


def find_target(given: str, arguments: Sequence[str], *, given_input: object = msgspec.UNSET) -> Target:
    """Return what a user means by TARGET.

    Raises: TargetError where it is nothing that can be run.
    """
    path = Path(given)
    if os.path.exists(path):  # noqa: PTH110 - Path's raises for a name that is too long
        if given_input is not msgspec.UNSET:
            raise TargetError(f"-i is for module:function; give a script its arguments after {given}")
        return Script(path, arguments, given=given)
    module, colon, function = given.partition(":")
    if colon and all(part.isidentifier() for part in [*module.split("."), *function.split(".")]):
        if arguments:
            raise TargetError(
                f"{given} takes its input from -i, not from further arguments: {arguments[0]!r}"
            )
        return Function(given, given=given_input)
    near = get_close_matches(path.name, _programs_in(path.parent), n=1)
    meant = f"; did you mean {path.parent / near[0]}?" if near else ""
    raise TargetError(f"there is no file or directory {given!r}, and it is not module:function{meant}")


def _programs_in(folder: Path) -> list[str]:
    try:
        return [p.name for p in folder.iterdir() if p.suffix == ".py" or (p / "__main__.py").is_file()]
    except OSError:
        return []


def _first_on_path(folder: str) -> None:
    """Put a folder where Python puts the script's own, in place of the one of the `clew` command."""
    if sys.flags.safe_path:
        return
    command = str(Path(sys.modules["__main__"].__file__ or "").resolve().parent) if _has_file() else None
    if sys.path and (sys.path[0] == command or sys.path[0] == ""):
        sys.path[0] = folder
    else:
        sys.path.insert(0, folder)


def _has_file() -> bool:
    return getattr(sys.modules.get("__main__"), "__file__", None) is not None
