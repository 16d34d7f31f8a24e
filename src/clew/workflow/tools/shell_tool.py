"""A program of the machine as a tool. No shell ever reads the line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from clew.errors import ToolError
from clew.workflow.chat import ToolSpec
from clew.workflow.project import ToolNode
from clew.workflow.shape import with_defaults
from clew.workflow.tools.children import STARTING, ending_with_us
from clew.workflow.tools.placeholders import begins_with_variable, fill, variables
from clew.workflow.tools.signature import schema_of_fields

MOST_OUTPUT_BYTES: Final = 5 * 1024 * 1024
"""Of stdout; a program that writes more is stopped."""
KEPT_STDERR_BYTES: Final = 64 * 1024
_CHUNK_BYTES: Final = 65536
_GRACE_S: Final = 0.5
"""Between asking a program to end and killing it, and for its last output when it has ended."""
_POLL_S: Final = 0.05
_ERROR_LINES: Final = 10
_NUMBER: Final = re.compile(r"-\d+(\.\d+)?")


class ShellTool:
    """Starts one of the allowed programs, each call in a process group of its own."""

    def __init__(
        self,
        node: ToolNode,
        *,
        root: Path,
        environ: Mapping[str, str],
        allow_commands: frozenset[str],
        timeout_s: float | None,
    ) -> None:
        """Args: root: nothing runs outside of it; allow_commands: programs as they may stand in the command."""
        self._node = node
        self._root = root
        self._environ = dict(environ)
        self._allow_commands = allow_commands
        self._timeout_s = timeout_s

    @property
    def spec(self) -> ToolSpec:
        """What the manifest says; without parameters there, the variables of the command."""
        node = self._node
        parameters = schema_of_fields(node.parameters)
        if not node.parameters:
            names = sorted(variables(*node.command))
            schema: dict[str, Any] = {name: {"type": "string"} for name in names}
            parameters = {"type": "object", "properties": schema, "required": names}
        return ToolSpec(name=node.id, description=node.description, parameters=parameters)

    async def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return `{"stdout": text, "stderr": text, "exit_code": 0}`.

        Raises: ToolError: not allowed; an exit code other than 0, with the last lines of stderr; too much output; too
            slow, in which case the whole process group is killed.
        """
        arguments = with_defaults(arguments, self._node.parameters)
        started: list[asyncio.subprocess.Process] = []
        with ending_with_us(lambda: started[0].pid if started else STARTING):
            return await self._run(self._command(arguments), started)

    async def _run(self, command: list[str], started: list[asyncio.subprocess.Process]) -> dict[str, Any]:
        directory = self._directory()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=directory,
                env=self._environ,
                start_new_session=True,  # a group of its own, that can be killed whole
            )
        except (OSError, ValueError) as error:
            raise ToolError(f"tool {self._node.id}: {command[0]} cannot be started: {error}") from None
        started.append(process)
        output = _Output(process)
        try:
            async with asyncio.timeout(self._timeout_s):
                await output.collect()
        except TimeoutError:
            raise ToolError(
                f"tool {self._node.id}: {command[0]} took longer than {self._timeout_s or 0:g} s and was killed"
                f"{output.last_words()}"
            ) from None
        finally:
            await _end(process)
        if output.is_too_much:
            raise ToolError(
                f"tool {self._node.id}: {command[0]} wrote more than {MOST_OUTPUT_BYTES} bytes and was killed"
            )
        if process.returncode:
            raise ToolError(
                f"tool {self._node.id}: {command[0]} {_ending(process.returncode)}{output.last_words()}"
            )
        return {"stdout": output.stdout(), "stderr": output.stderr(), "exit_code": 0}

    async def close(self) -> None:
        """Do nothing: each call ends what it started."""

    def _command(self, arguments: dict[str, Any]) -> list[str]:
        node = self._node
        templates = node.command
        command = [fill(template, arguments, tool=node.id) for template in templates]
        if not command or command[0] not in self._allow_commands:
            named = repr(command[0]) if command else "nothing"
            raise ToolError(
                f"tool {node.id}: {named} may not be started; write it into allow_commands of the manifest's defaults"
            )
        for position, (template, value) in enumerate(zip(templates, command, strict=True)):
            is_option = value.startswith("-") and value != "-" and not _NUMBER.fullmatch(value)
            if is_option and begins_with_variable(template) and "--" not in templates[:position]:
                raise ToolError(
                    f"tool {node.id}: the argument {value[:40]!r} would be an option of {command[0]}; write -- before it"
                )
        return command

    def _directory(self) -> Path:
        root = self._root.resolve()
        directory = (root / self._node.cwd).resolve()
        if not directory.is_relative_to(root):
            raise ToolError(f"tool {self._node.id}: cwd {self._node.cwd!r} lies outside of the project")
        return directory


class _Output:
    """What a process writes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._dropped_bytes = 0
        self.is_too_much = False

    async def collect(self) -> None:
        """Read until the process has ended, or writes too much."""
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        reading = {asyncio.create_task(self._keep(stdout)), asyncio.create_task(self._keep_end(stderr))}
        try:
            pending = reading
            while pending and not self.is_too_much:
                _, pending = await asyncio.wait(pending, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
                if pending and self._process.returncode is not None:
                    # It has ended, and something that it started holds its pipes open.
                    _signal(self._process, signal.SIGKILL)
                    await asyncio.wait(pending, timeout=_GRACE_S)
                    return
            if not self.is_too_much:
                await self._process.wait()
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    def stdout(self) -> str:
        return self._stdout.decode(errors="replace")

    def stderr(self) -> str:
        text = self._stderr.decode(errors="replace")
        return (
            f"[{self._dropped_bytes} bytes before this were left out]\n{text}"
            if self._dropped_bytes
            else text
        )

    def last_words(self) -> str:
        lines = self._stderr.decode(errors="replace").strip().splitlines()[-_ERROR_LINES:]
        return ": " + "\n".join(lines) if lines else ""

    async def _keep(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(_CHUNK_BYTES):
            self._stdout += chunk
            if len(self._stdout) > MOST_OUTPUT_BYTES:
                self.is_too_much = True
                return

    async def _keep_end(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(_CHUNK_BYTES):
            self._stderr += chunk
            excess = len(self._stderr) - KEPT_STDERR_BYTES
            if excess > 0:
                del self._stderr[:excess]
                self._dropped_bytes += excess


async def _end(process: asyncio.subprocess.Process) -> None:
    """See to it that nothing of the process group is left."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        await _wait_a_little(process)
    _signal(process, signal.SIGKILL)
    await _wait_a_little(process)
    process._transport.close()  # type: ignore[attr-defined]  # nothing public closes the pipes


async def _wait_a_little(process: asyncio.subprocess.Process) -> None:
    for _ in range(int(_GRACE_S / _POLL_S)):
        if process.returncode is not None:
            return
        with contextlib.suppress(asyncio.CancelledError):  # what was killed is waited for all the same
            await asyncio.sleep(_POLL_S)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}"
    return f"was ended by signal {-code} ({signal.strsignal(-code) or 'unknown'})"
