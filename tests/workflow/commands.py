"""A small project with tools of all manners, and `clew run` as a person types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.workflow.running import write_project

CLEW = [sys.executable, "-m", "clew.cli.main"]
TOOLS = """
    import os, sys, time

    def double(n):
        print("a tool prints")
        os.write(1, b"and writes to the descriptor\\n")
        return {"n": 2 * n}

    def leave(n):
        sys.exit(7)

    def forever(n):
        while True:
            time.sleep(0.05)

    def escape(n):
        raise ValueError("\\x1b[2J\\x1b]0;owned\\x07 gone")
"""
MANIFEST = """
    clew: "1"
    name: doubling
    nodes:
      input: {{type: input, schema: {{n: {{type: integer}}}}}}
      output: {{type: output}}
    tools:
      work: {{type: python, module: t, function: {function}, timeout_s: {timeout}}}
    edges:
      e1: {{from: input, to: work, mapping: {{n: n}}}}
      e2: {{from: work, to: output}}
"""


def project(folder: Path, *, function: str = "double", timeout: float = 10) -> Path:
    manifest = MANIFEST.format(function=function, timeout=timeout)
    return write_project(folder / "project", clew_yaml=manifest, tools__t_py=TOOLS)


def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [*CLEW, "run", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=60
    )
