"""A Python function of the project as a tool."""

from __future__ import annotations

import asyncio
import difflib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from clew.errors import ProjectError, ToolError
from clew.workflow.boundary import tool_files
from clew.workflow.chat import ToolSpec
from clew.workflow.project import ToolNode
from clew.workflow.shape import with_defaults
from clew.workflow.tools.daemon_threads import in_daemon_thread
from clew.workflow.tools.lifeline import Lifeline
from clew.workflow.tools.output import Diversion, diverted
from clew.workflow.tools.signature import (
    check_arguments,
    description_of,
    schema_of_fields,
    schema_of_function,
    signature_of,
)
from clew.workflow.tools.tool_folder import ToolFolder
from clew.workflow.tools.tool_loop import Stepped, end_forked_child

_MESSAGE_CHARS: Final = 10_000
_TIDY_S: Final = 2.0
"""How long an asynchronous tool that was cancelled may still print."""


class ModuleFile(NamedTuple):
    """Where the module of a tool is."""

    folder: Path
    name: str
    root: Path
    """Of the project, resolved as the folder is."""


class PythonTool:
    """Calls a function in a thread, or awaits it on a loop for tools, so that it cannot hold the workflow up.

    The function may do what it likes: raise anything, call `sys.exit`, print, fork, never return.
    """

    def __init__(
        self,
        node: ToolNode,
        *,
        root: Path,
        folder: Path,
        timeout_s: float | None,
        files: dict[str, ModuleFile] | None = None,
    ) -> None:
        """Nothing is imported before the first call.

        Args:
            node: says the module and the function.
            root: of the project; the module lies below it.
            folder: of the workflow; a plain module name means a file in its `tools/`, or in that of the root.
            timeout_s: after which a call is abandoned.
            files: of the modules that tools of the same workflow are in; each is looked for once.

        Raises: ToolError: there is no such file, or it lies outside of the project.
        """
        self._node = node
        self._timeout_s = timeout_s
        known = {} if files is None else files
        if node.module not in known:
            known[node.module] = _find_module(node, root=root, folder=folder)
        self._file = known[node.module]
        self._folder: ToolFolder | None = None
        self._function: Callable[..., Any] | None = None
        self._lifeline: Lifeline | None = None
        self._signature: inspect.Signature | None = None

    @property
    def spec(self) -> ToolSpec:
        """What the manifest says, and after `load` what the function's signature says as well."""
        node, function = self._node, self._function
        description, parameters = node.description, {}
        if node.parameters:
            parameters = schema_of_fields(node.parameters)
        elif function is not None:
            parameters = schema_of_function(function)
        if not description and function is not None:
            description = description_of(function)
        return ToolSpec(name=node.id, description=description, parameters=parameters)

    async def load(self) -> Callable[..., Any]:
        """Import the module, once, and return the function.

        Raises: ToolError: the module failed, or has no such function.
        """
        if self._function is None:
            self._lifeline = Lifeline(asyncio.get_running_loop())
            folder = self._opened()
            module = folder.loaded(self._file.name)
            found = None if module is None else vars(module).get(self._node.function)
            if not callable(found):
                found = await self._in_thread(
                    lambda: self._find_function(folder), Diversion(), doing="loading its module"
                )
            self._function = found
            self._signature = signature_of(self._function)
        return self._function

    async def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call the function with keywords. What is no dict comes back as `{"output": it}`.

        Raises: ToolError: from what the function raised; it took too long; it does not take these arguments.
        """
        function = await self.load()
        arguments = with_defaults(arguments, self._node.parameters)
        check_arguments(self._signature, arguments, tool=self._node.id)
        diversion = Diversion()
        if inspect.iscoroutinefunction(function):
            result = await self._on_loop(lambda: function(**arguments), diversion)
        else:
            result = await self._in_thread(lambda: function(**arguments), diversion, doing="the call")
            if inspect.isawaitable(result):
                waiting = result
                result = await self._on_loop(lambda: _awaited(waiting), diversion)
        return result if isinstance(result, dict) else {"output": result}

    async def close(self) -> None:
        """Forget the module, where no other tool uses it."""
        folder, self._folder, self._function = self._folder, None, None
        if folder is not None:
            await folder.close()

    def _find_function(self, folder: ToolFolder) -> Callable[..., Any]:
        node = self._node
        module = folder.load(self._file.name)
        found = getattr(module, node.function, None)
        if callable(found):
            function: Callable[..., Any] = found
            return function
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        close = difflib.get_close_matches(node.function, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ToolError(f"tool {node.id}: {module.__file__} has no function {node.function!r}{hint}")

    def _opened(self) -> ToolFolder:
        if self._folder is None:
            self._folder = ToolFolder.open(self._file.folder, root=self._file.root)
        return self._folder

    async def _in_thread(self, work: Callable[[], Any], diversion: Diversion, *, doing: str) -> Any:
        try:
            return await in_daemon_thread(lambda: self._shielded(work, diversion), timeout_s=self._timeout_s)
        except TimeoutError:
            diversion.end()
            raise ToolError(
                f"tool {self._node.id}: {doing} did not end within {self._timeout_s:g} s and was abandoned; "
                "its thread goes on until it returns or the process ends"
            ) from None
        except asyncio.CancelledError:
            diversion.end()
            raise

    async def _on_loop(self, begin: Callable[[], Any], diversion: Diversion) -> Any:
        async def work() -> Any:
            with diverted(diversion):
                try:
                    return await Stepped(begin(), after=self._after)
                except asyncio.CancelledError:
                    raise
                except BaseException as error:
                    raise self._failure(error) from error

        try:
            return await self._opened().loop.run(work, timeout_s=self._timeout_s)
        except TimeoutError:
            diversion.end(grace_s=_TIDY_S)
            raise ToolError(
                f"tool {self._node.id}: the call did not end within {self._timeout_s:g} s; it was cancelled and "
                "not waited for"
            ) from None
        except asyncio.CancelledError as error:
            diversion.end(grace_s=_TIDY_S)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._failure(error) from error

    def _shielded(self, work: Callable[[], Any], diversion: Diversion) -> Any:
        """Run code of the user's in a thread: whatever it raises is the tool's failure."""
        pid = os.getpid()
        with diverted(diversion):
            try:
                result = work()
            except ToolError:
                self._after(pid, code=1)
                raise
            except BaseException as error:
                self._after(pid, code=_exit_code(error))
                raise self._failure(error) from error
            self._after(pid)
            return result

    def _after(self, pid: int, *, code: int = 0) -> None:
        """See whether code of the user's left this process as it was."""
        end_forked_child(pid, code=code)
        if self._lifeline is not None:
            self._lifeline.check(self._node.id)

    def _failure(self, error: BaseException) -> ToolError:
        if isinstance(error, SystemExit):
            return ToolError(f"tool {self._node.id} wanted to end the process: sys.exit({error.code!r})")
        try:
            said = str(error)
        except (Exception, SystemExit):
            said = "(its message cannot be read)"
        if len(said) > _MESSAGE_CHARS:
            said = f"{said[:_MESSAGE_CHARS]}... ({len(said)} characters in all)"
        kind = type(error).__name__
        return ToolError(
            f"tool {self._node.id} failed: {kind}: {said}" if said else f"tool {self._node.id} failed: {kind}"
        )


async def _awaited(waiting: Any) -> Any:
    return await waiting


def _exit_code(error: BaseException) -> int:
    if not isinstance(error, SystemExit):
        return 1
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _find_module(node: ToolNode, *, root: Path, folder: Path) -> ModuleFile:
    try:
        files = tool_files(root, folder, node.module)
    except ProjectError as error:
        raise ToolError(f"tool {node.id}: {error}") from None
    for file in files:
        if file.is_file():
            return ModuleFile(file.parent.resolve(), file.stem, root.resolve())
    raise ToolError(f"tool {node.id}: there is no file {files[0]}")
