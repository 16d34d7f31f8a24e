"""What a tool takes is read from its text, and guessed nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.commands import run
from tests.workflow.written_projects import judged, write

pytestmark = pytest.mark.needs_extra("workflow")

MANIFEST = (
    "name: n\nnodes: {i: {type: input, schema: {a: integer, b: integer}}, o: {type: output}}\n"
    "tools: {t: {type: python, module: t, function: f}}\n"
    "edges:\n  a: {from: i, to: t}\n  b: {from: t, to: o}\n"
)
RIGHT = "(lambda a, b: {'r': a + b})"


def project(folder: Path, text: str) -> Path:
    helper = "def f(a, b): return {'r': a + b}\n"
    return write(folder, {"clew.yaml": MANIFEST, "tools/t.py": text + "\n", "tools/beside.py": helper})


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    from beside import f\nexcept ImportError:\n    def f(a): ...",
        "if 1:\n    from beside import f\nelse:\n    def f(a): ...",
        f"try:\n    def f(a): ...\nfinally:\n    f = {RIGHT}",
        "def f(a): return {'r': a}\ndef wrap(g): return lambda **kw: g(kw['a'])\nf = wrap(f)",
        f"def f(a): ...\ndef change():\n    global f\n    f = {RIGHT}\nchange()",
        f"f, g = {RIGHT}, 1",
        f"for f in [{RIGHT}]: pass",
        f"for _ in 'a':\n    def f(a): ...\nelse:\n    f = {RIGHT}",
        f"while True:\n    f = {RIGHT}\n    break",
        "match 1:\n    case 1:\n        def f(a, b): return {'r': a + b}",
        f"match {RIGHT}:\n    case f: pass",
        f"(f := {RIGHT})",
        f"print(*[f := {RIGHT} for _ in 'a'])",
        "from beside import *",
        f"for name in 'f':\n    globals()[name] = {RIGHT}",
        f"import sys\nsetattr(sys.modules[__name__], 'f', {RIGHT})",
        f"def __getattr__(name): return {RIGHT}",
    ],
)
def test_a_function_that_the_text_does_not_tell_for_sure_is_not_guessed(tmp_path: Path, text: str) -> None:
    folder = project(tmp_path, text)
    assert judged(folder) == []
    done = run(folder, "-i", '{"a": 1, "b": 2}', CLEW_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "g = lambda a, b: a",
        "print([f for f in 'ab'])",
        "def g():\n    f = 1\n    return locals()",
        "class C:\n    def f(a, b): ...",
    ],
)
def test_a_function_that_is_nowhere_is_missed(tmp_path: Path, text: str) -> None:
    assert any("t.py has no function 'f'" in said for said in judged(project(tmp_path, text)))


def test_a_function_that_is_there_once_is_held_to_its_signature(tmp_path: Path) -> None:
    said = judged(project(tmp_path, "def f(a): ...\ndef g(f): return [f for f in f]"))
    assert len(said) == 1
    assert "does not take 'b'" in said[0]


def test_what_can_only_be_given_by_position_can_never_be_given(tmp_path: Path) -> None:
    said = judged(project(tmp_path / "needed", "def f(a, /, b): ..."))
    assert said == ["clew.yaml:3: tool 't': f takes 'a' by position only, and tools are called by name"]
    assert judged(project(tmp_path / "optional", "def f(a=1, /, **more): ...")) == []
