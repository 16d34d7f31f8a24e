"""The wheel with the compiled module, the wheel where nothing can be compiled, and that both record."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
RECORD = """
import clew
from clew.record.hot import IS_COMPILED
with clew.run("r") as run:
    for number in range(3):
        with clew.span("s", k=number):
            clew.event("e", k=number)
print(IS_COMPILED, [(n.node_id, n.attributes, [e.event for e in n.events]) for n in run.trace.nodes])
"""
RECORDED = [("s", {"k": number}, ["e"]) for number in range(3)]


def build(folder: Path, **variables: str) -> Path:
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(REPOSITORY),
    ]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def modules_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if "_hotpath" in name and not name.endswith(".pyi")]


def recorded_with(wheel: Path, folder: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    env = {name: value for name, value in os.environ.items() if name != "CLEW_COMPILED"}
    env["PYTHONPATH"] = str(folder)
    return subprocess.check_output([sys.executable, "-c", RECORD], env=env, text=True)


@pytest.mark.needs_extra("dev")
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_wheel_has_the_compiled_module_and_the_tag_of_its_platform(tmp_path: Path) -> None:
    wheel = build(tmp_path / "dist")
    assert f"-cp{sys.version_info.major}{sys.version_info.minor}-" in wheel.name
    assert len(modules_in(wheel)) == 1
    assert recorded_with(wheel, tmp_path / "site") == f"True {RECORDED}\n"


@pytest.mark.needs_extra("dev")
def test_without_a_compiler_the_wheel_is_pure_python_and_records_the_same(tmp_path: Path) -> None:
    wheel = build(tmp_path / "dist", CC="/nowhere/cc")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert modules_in(wheel) == []
    assert recorded_with(wheel, tmp_path / "site") == f"False {RECORDED}\n"
