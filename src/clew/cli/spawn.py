"""Workflows that go on by themselves: each is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from clew.errors import ToolError


def spawn(path: Path, inputs: dict[str, Any], *, emit_signal: bool, depth: int) -> int:
    """Start a workflow that goes on by itself, and return its process's id; its run is a child of this one.

    Its inputs are in a file that has no name any more: of any size, seen by nobody else, and gone with the process.

    Args: path: of its manifest. emit_signal: whether it tells others how it stands. depth: how many workflows it is in.
    Raises: ToolError: there is no place for the inputs, or the process cannot be started.
    """
    from clew.workflow.runner import DEPTH  # a run that starts no other does without

    command = [sys.executable, "-m", "clew.cli.main", "run", str(path)]
    if emit_signal:
        command.append("--emit-signal")
    quiet = subprocess.DEVNULL
    try:
        with tempfile.TemporaryFile() as file:
            file.write(msgspec.json.encode(inputs, enc_hook=str))
            file.seek(0)
            number = file.fileno()
            return subprocess.Popen(
                [*command, "-f", f"/dev/fd/{number}"],
                stdin=quiet,
                stdout=quiet,
                stderr=quiet,
                pass_fds=[number],
                env={**os.environ, DEPTH: str(depth)},
                start_new_session=True,
            ).pid
    except OSError as error:
        raise ToolError(f"{path.name} cannot be started: {error}") from None
