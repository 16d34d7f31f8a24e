"""A node runs again where anything has changed that its tool is made of: its file, and what that imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clew.workflow.tool_imports import files_behind
from tests.workflow.running import run_project, write_project

pytestmark = pytest.mark.needs_extra("workflow")
FILES = {
    "tools/t.py": "import json, shared\nfrom tools.deep import leaf\nfrom . import near\ndef run(): return {}",
    "tools/shared.py": "def late():\n    import lazily\n",
    "tools/lazily.py": "",
    "tools/near.py": "import broken",
    "tools/broken.py": "def (",
    "tools/json.py": "not the one of the standard library",
    "tools/deep/__init__.py": "",
    "tools/deep/leaf.py": "import shared, common.words",
    "tools/deep/other.py": "",
    "common/__init__.py": "",
    "common/words.py": "import t",
    "unrelated.py": "",
}


def test_what_a_tool_imports_is_found_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = files_behind(tmp_path / "tools" / "t.py", root=tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "common/__init__.py",
        "common/words.py",
        "tools/broken.py",
        "tools/deep/__init__.py",
        "tools/deep/leaf.py",
        "tools/lazily.py",
        "tools/near.py",
        "tools/shared.py",
        "tools/t.py",
    ]


MANIFEST = """
    clew: "1"
    name: sums
    nodes:
      input: {type: input}
      output: {type: output}
    tools:
      add: {type: python, module: t, function: add}
      fail: {type: python, module: t, function: fail}
    edges:
      e1: {from: input, to: add, mapping: {n: n}}
      e2: {from: add, to: fail, mapping: {n: n}}
      e3: {from: fail, to: output}
"""


@pytest.mark.parametrize("where", ["tools", "."])
def test_a_changed_helper_makes_the_node_run_again(tmp_path: Path, where: str) -> None:
    project = write_project(
        tmp_path / "p",
        clew_yaml=MANIFEST,
        tools__t_py="""
            import helper
            def add(n): return {"n": n + helper.STEP}
            def fail(n): raise ValueError(n)
        """,
    )
    helper = project / where / "helper.py"
    helper.write_text("STEP = 1\n")
    first = run_project(project, {"n": 1})
    again = run_project(project, resume=first.trace.run_id)
    assert again.told[0].endswith(": input, add")
    helper.write_text("STEP = 10\n")
    third = run_project(project, resume=again.trace.run_id)
    assert "add runs again: its definition has changed" in third.told
    assert "11" in str(third.error)


def test_nothing_is_hashed_where_nothing_is_recorded(tmp_path: Path) -> None:
    """What costs time for the record alone is left out without one."""
    project = write_project(
        tmp_path / "p",
        clew_yaml=MANIFEST.replace("fail}", "add}"),
        tools__t_py="def add(n): return {'n': n}\n",
    )
    program = f"""
import clew.workflow.definition as definition
definition.digest = None  # any use raises
import sys
from clew.cli.main import main
sys.argv = ["clew", "run", {str(project)!r}, "-i", '{{"n": 1}}', "-o", "text"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"CLEW_ENABLED": "false", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
