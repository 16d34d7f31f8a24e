"""The reference pages say what the commands and settings are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import click
import pytest

from clew.cli.main import COMMANDS, commands
from clew.config import SETTING_NAMES

SCRIPT = Path(__file__).parent.parent.parent / "docs" / "make_reference.py"


@pytest.fixture(scope="module")
def make_reference() -> Any:
    spec = importlib.util.spec_from_file_location("make_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_would_be_written_now(make_reference: Any) -> None:
    """Where this fails: python docs/make_reference.py."""
    for path, text in make_reference.pages().items():
        assert path.read_text(encoding="utf-8") == text, path.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_on_the_page(make_reference: Any, name: str) -> None:
    page = (make_reference.REFERENCE / "commands.md").read_text(encoding="utf-8")
    section = page.split(f"## clew {name}\n")[1].split("\n## ")[0]
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    spellings = [
        spelling for option in command.params if isinstance(option, click.Option) for spelling in option.opts
    ]
    assert [spelling for spelling in spellings if spelling not in section] == []


def test_every_setting_is_on_the_page(make_reference: Any) -> None:
    page = (make_reference.REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert [name for name in SETTING_NAMES if f"| `{name}` |" not in page] == []
