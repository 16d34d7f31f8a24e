"""The Python files of one folder as modules of their own, apart from those of every other project.

Two projects may both have `tools/t.py` that says `import shared`, and each means its own. So the files of a folder
become the modules of a package with a made-up name, and an `import` statement in them looks there first. Neither
`sys.path` nor the plain names in `sys.modules` are touched.
"""

from __future__ import annotations

import builtins
import importlib
import itertools
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from clew.workflow.tools.tool_loop import ToolLoop

_PREFIX: Final = "clew_tools_"


class ToolFolder:
    """One folder, shared by all who have it open: the same file is one module, with one state."""

    def __init__(self, path: Path, root: Path) -> None:
        """Use `ToolFolder.open`."""
        self.loop = ToolLoop()
        """Where its asynchronous functions run."""
        self._path = path
        self._root = root
        self._users = 0
        self._package = f"{_PREFIX}{next(_numbers)}"
        self._own: dict[str, bool] = {}
        self._loaded: dict[str, ModuleType] = {}
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}

    @classmethod
    def open(cls, path: Path, *, root: Path) -> ToolFolder:
        """Return the folder `path` of a project; whoever opens it closes it.

        Args:
            path: absolute, resolved.
            root: of the project; its Python files can be imported too.
        """
        with _lock:
            folder = _open.get((path, root))
            if folder is None:
                folder = _open[path, root] = cls(path, root)
                folder._enter()
            folder._users += 1
            return folder

    async def close(self) -> None:
        """Give it back; the last one forgets the modules."""
        with _lock:
            self._users -= 1
            if self._users:
                return
            del _open[self._path, self._root]
            self._leave()
        await self.loop.close()

    def load(self, name: str) -> ModuleType:
        """Return the module `name`, which is dotted where it lies deeper.

        Raises: whatever its code raises.
        """
        module = self._loaded[name] = importlib.import_module(f"{self._package}.{name}")
        return module

    def loaded(self, name: str) -> ModuleType | None:
        """Return the module `name` where it was loaded before, so that none of its code runs now."""
        return self._loaded.get(name)

    def _enter(self) -> None:
        package = ModuleType(self._package)
        package.__path__ = [str(self._path), str(self._root)]
        sys.modules[self._package] = package
        _folders[self._package] = self
        if len(_folders) == 1:
            sys.meta_path.insert(0, _finder)

    def _leave(self) -> None:
        del _folders[self._package]
        if not _folders and _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == self._package]:
            del sys.modules[name]

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names are Python's
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Stand in for `__import__` in the modules of the folder."""
        top = name.partition(".")[0]
        if level or not self._has(top) or (globals or {}).get("__name__") == f"{self._package}.{top}":
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        own = f"{self._package}.{name}"
        if fromlist:
            return builtins.__import__(own, globals, locals, fromlist)
        importlib.import_module(own)
        return sys.modules[f"{self._package}.{top}"]

    def _has(self, top: str) -> bool:
        """Whether a name is one of the folder's own. The standard library's names are not."""
        known = self._own.get(top)
        if known is None:
            known = top not in sys.stdlib_module_names and (
                (self._path / f"{top}.py").is_file()
                or any((self._path / top).glob("*.py"))
                or (self._root / f"{top}.py").is_file()
                or (self._root / top / "__init__.py").is_file()
                or self._root / top == self._path  # from tools.shared import ...
            )
            self._own[top] = known
        return known


class _Loader(SourceFileLoader):
    """Loads a file so that its `import` statements look in the folder first."""

    def __init__(self, name: str, path: str, *, folder: ToolFolder) -> None:
        super().__init__(name, path)
        self._folder = folder

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._folder.builtins
        super().exec_module(module)

    def set_data(self, path: Any, data: Any, *, _mode: int = 0o666) -> None:
        """Write no bytecode: a project's folder is its author's."""


class _Finder:
    """Finds the modules under the made-up names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = _folders.get(fullname.partition(".")[0])
        if folder is None or path is None:
            return None
        name = fullname.rpartition(".")[2]
        for place in path:
            for file in (Path(place, name, "__init__.py"), Path(place, f"{name}.py")):
                if file.is_file():
                    return spec_from_file_location(
                        fullname,
                        file,
                        loader=_Loader(fullname, str(file), folder=folder),
                        submodule_search_locations=[str(file.parent)] if file.stem == "__init__" else None,
                    )
        return PathFinder.find_spec(fullname, path, target)  # compiled modules, and folders without __init__


_numbers: Final = itertools.count(1)
_lock: Final = threading.Lock()
_open: Final[dict[tuple[Path, Path], ToolFolder]] = {}
_folders: Final[dict[str, ToolFolder]] = {}
_finder: Final = _Finder()
