"""What every test gets: a journal of its own, none of the caller's settings, and no silent skip."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# Read before any fixture clears the environment.
REQUIRE_ALL = os.environ.get("CLEW_TEST_REQUIRE") == "all"
AGAINST_WHEEL = os.environ.get("CLEW_TEST_WHEEL") == "1"

# Two busy cores are slow at times, which says nothing about the code under test.
settings.register_profile("clew", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clew")

EXTRA_MODULES = {
    "optuna": ("optuna", "scipy", "numpy"),
    "plot": ("matplotlib",),
    "workflow": ("yaml",),
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "mcp": ("mcp",),
    "dev": ("build", "jsonpatch", "opentelemetry", "psutil"),
}


def is_installed(extra: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in EXTRA_MODULES[extra])


def is_left_out(item: pytest.Item) -> bool:
    """Whether a test belongs to the other of the two environments that `make test` uses.

    In the development environment no test is left out for a missing extra: there it fails.
    """
    if item.get_closest_marker("wheel_only") is not None:
        return not AGAINST_WHEEL
    needed = [name for marker in item.iter_markers("needs_extra") for name in marker.args]
    missing = [name for name in needed if not is_installed(name)]
    if missing and REQUIRE_ALL and not AGAINST_WHEEL:
        raise pytest.UsageError(f"{item.nodeid} needs the extra {missing[0]!r}, which is not installed")
    return bool(missing)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        kept = set(items) - set(left_out)
        items[:] = [item for item in items if item in kept]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and CLEW_TEST_REQUIRE=all allows no skip: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if REQUIRE_ALL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"a whole file skipped, and CLEW_TEST_REQUIRE=all allows no skip: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the test, and every program that it starts, an empty journal and no setting from outside."""
    for name in list(os.environ):
        if (name.startswith("CLEW_") and name != "CLEW_COMPILED") or name in {"TRACEPARENT", "TRACESTATE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLEW_HOME", str(tmp_path / ".clew"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
