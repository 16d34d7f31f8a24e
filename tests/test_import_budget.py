"""What `import clew` may load: it stands in every program that records, so it stays out of its way."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "asyncio",
    "click",
    "concurrent.futures.process",
    "duckdb",
    "email",
    "http",
    "importlib.metadata",
    "matplotlib",
    "multiprocessing",
    "numpy",
    "rich",
    "socketserver",
    "sqlite3",
    "ssl",
    "starlette",
    "unittest",
    "urllib.request",
    "xml",
)
"""Each costs milliseconds or a library of its own, and recording needs none of them."""


def modules_loaded_by(code: str) -> set[str]:
    """Return the names that a new interpreter has loaded after `code`."""
    report = f"{code}\nimport sys\nprint(chr(10).join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", report], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def added() -> set[str]:
    """The modules that `import clew` adds to those of a bare interpreter."""
    return modules_loaded_by("import clew") - modules_loaded_by("")


@pytest.mark.parametrize("name", HEAVY)
def test_importing_clew_does_not_load(name: str, added: set[str]) -> None:
    assert sorted(module for module in added if module == name or module.startswith(f"{name}.")) == []


def test_importing_clew_loads_no_command_exporter_or_test_fake(added: set[str]) -> None:
    late = ("clew.cli", "clew.export", "clew.testing")
    assert sorted(module for module in added if module.startswith(late)) == []


def test_recording_a_run_loads_no_command_line_or_database_module() -> None:
    """What the import does not load, the first span must not load either."""
    loaded = modules_loaded_by("import clew\nwith clew.run('r'):\n    with clew.span('s'):\n        pass")
    heavy = {"asyncio", "click", "duckdb", "http", "rich", "sqlite3", "ssl"}
    assert loaded & heavy == set()


def test_every_public_name_is_there() -> None:
    """A name that is loaded late and does not resolve would be found by the user."""
    code = "import clew\nprint([name for name in clew.__all__ if not hasattr(clew, name)])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
