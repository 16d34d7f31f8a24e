"""Modules of two projects, and the paths that lead to them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from clew.errors import ToolError
from clew.workflow.project import Place, ToolNode
from clew.workflow.tools.python_tool import PythonTool

HERE = Place(Path("clew.yaml"), 1)


def tool(root: Path, module: str, function: str = "f", *, folder: Path | None = None) -> PythonTool:
    node = ToolNode(place=HERE, id="t", type="python", module=module, function=function)
    return PythonTool(node, root=root, folder=folder or root, timeout_s=20)


async def call_all(*tools: PythonTool) -> list[Any]:
    try:
        return [(await one.call({}))["output"] for one in tools]
    finally:
        for one in tools:
            await one.close()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "statement",
    [
        "from shared import NAME",
        "import shared\nNAME = shared.NAME",
        "import pack.inner\nNAME = pack.inner.NAME",
        "from pack import inner\nNAME = inner.NAME",
        "from pack.inner import NAME",
        "import pack.inner as i\nNAME = i.NAME",
        "from tools.shared import NAME",
        "from . import shared\nNAME = shared.NAME",
        "from beside import NAME",
        "import bare.deep\nNAME = bare.deep.NAME",
    ],
)
def test_two_projects_with_the_same_names_have_each_their_own_modules(tmp_path: Path, statement: str) -> None:
    for name in ("one", "two"):
        root = tmp_path / name
        write(root / "tools/t.py", f"{statement}\ndef f(): return NAME")
        write(root / "tools/shared.py", f"NAME = '{name}'")
        write(root / "tools/pack/__init__.py", "")
        write(root / "tools/pack/inner.py", "from shared import NAME")
        write(root / "tools/bare/deep.py", "from shared import NAME")
        write(root / "beside.py", f"NAME = '{name}'")
    path, names, finders = list(sys.path), set(sys.modules), list(sys.meta_path)
    assert asyncio.run(call_all(tool(tmp_path / "one", "t"), tool(tmp_path / "two", "t"))) == ["one", "two"]
    assert sys.path == path
    assert sys.meta_path == finders
    assert {
        name for name in set(sys.modules) - names if "shared" in name or name.startswith("clew_tools")
    } == set()
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_import_inside_a_function_finds_the_folder_too(tmp_path: Path) -> None:
    write(tmp_path / "tools/t.py", "def f():\n    import shared\n    return shared.NAME")
    write(tmp_path / "tools/shared.py", "NAME = 'mine'")
    assert asyncio.run(call_all(tool(tmp_path, "t"))) == ["mine"]


def test_a_file_does_not_stand_in_for_the_library_of_its_name(tmp_path: Path) -> None:
    write(tmp_path / "tools/msgspec.py", "import msgspec\ndef f(): return msgspec.json.encode(1).decode()")
    write(tmp_path / "tools/json.py", "")
    write(tmp_path / "tools/t.py", "import json\ndef f(): return json.dumps(1)")
    assert asyncio.run(call_all(tool(tmp_path, "msgspec"), tool(tmp_path, "t"))) == ["1", "1"]


def test_two_tools_of_one_module_share_its_state_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "tools/t.py", "seen = []\ndef f():\n    seen.append(1)\n    return len(seen)\ng = f")
    assert asyncio.run(call_all(tool(tmp_path, "t"), tool(tmp_path, "t", "g"))) == [1, 2]
    write(tmp_path / "tools/t.py", "seen = []\ndef f():\n    seen.append(1)\n    return -len(seen)\ng = f")
    assert asyncio.run(call_all(tool(tmp_path, "t"))) == [-1]


def test_dataclasses_and_annotations_of_a_tool_work_as_in_any_module(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport pickle\n"
        "@dataclass\nclass A:\n    n: int = 1\ndef f(a: A | None = None): return pickle.loads(pickle.dumps(A())).n"
    )
    write(tmp_path / "tools/t.py", source)
    assert asyncio.run(call_all(tool(tmp_path, "t"))) == [1]


@pytest.mark.parametrize("module", ["lib/deep/t.py", "lib/deep/t", "./lib/deep/t.py"])
def test_a_path_names_any_file_below_the_project_with_its_own_neighbours(tmp_path: Path, module: str) -> None:
    write(tmp_path / "lib/deep/t.py", "import near\ndef f(): return near.NAME")
    write(tmp_path / "lib/deep/near.py", "NAME = 'near'")
    assert asyncio.run(call_all(tool(tmp_path, module))) == ["near"]


def test_a_workflow_deeper_in_the_project_has_its_own_tools_before_those_of_the_root(tmp_path: Path) -> None:
    write(tmp_path / "tools/t.py", "def f(): return 'root'")
    write(tmp_path / "tools/only.py", "def f(): return 'only root'")
    write(tmp_path / "deep/tools/t.py", "def f(): return 'deep'")
    both = [tool(tmp_path, name, folder=tmp_path / "deep") for name in ("t", "only")]
    assert asyncio.run(call_all(*both)) == ["deep", "only root"]


@pytest.mark.parametrize(
    "module, message",
    [
        ("../outside.py", "leaves the project's folder"),
        ("tools/../../outside.py", "leaves the project's folder"),
        ("./link.py", "leaves the project's folder"),
        ("linked", "leaves the project's folder"),
        ("away/outside.py", "leaves the project's folder"),
        ("/etc/passwd", "not relative to the project's folder"),
        ("a\0b", "no path"),
        ("missing", "there is no file .*tools/missing.py"),
        ("..outside", "there is no file"),
    ],
)
def test_a_path_that_leads_out_of_the_project_or_nowhere_is_refused(
    tmp_path: Path, module: str, message: str
) -> None:
    root = tmp_path / "project"
    write(tmp_path / "outside.py", "def f(): return 'outside'")
    write(root / "tools/t.py", "")
    (root / "link.py").symlink_to(tmp_path / "outside.py")
    (root / "tools/linked.py").symlink_to(tmp_path / "outside.py")
    (root / "away").symlink_to(tmp_path)
    with pytest.raises(ToolError, match=message):
        tool(root, module)
