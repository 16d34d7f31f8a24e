"""Writes docs/reference/commands.md and settings.md from the commands and settings themselves.

python docs/make_reference.py            write them
python docs/make_reference.py --check    say whether they are up to date
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import typing
from pathlib import Path

import click

from clew import config
from clew.cli.main import COMMANDS, commands
from clew.config import ENVIRONMENT, SETTING_NAMES, Settings

REFERENCE = Path(__file__).parent / "reference"

COMMANDS_HEAD = """\
# Commands

<!-- Written by docs/make_reference.py; change the commands, not this page. -->

A run is named by the start of its id, by its name (its latest run), or as `latest`, `latest~1` (the one before) and
so on. What a command prints is for people, fits the window, and has colours only on a terminal; with `--json` it is
one JSON document for programs. Notes and errors go to standard error.

| exit code | means |
|---|---|
| 0 | done, also where the reader of a pipe left early (`clew runs \\| head -1`) |
| 1 | what was asked for failed: `doctor` found damage, a disk is full |
| 2 | used in a way that cannot work: no such run, a bad option, a file that is not what it should be |
| 130 | interrupted with Ctrl-C |

`clew run` has the exit code of the program that it runs.

| variable | does |
|---|---|
| `NO_COLOR` | no colours, ever |
| `FORCE_COLOR` | colours also where the output is no terminal |
| `COLUMNS` | how wide the output may be; without it the window's width, and no limit in a pipe |
| `CLEW_DEBUG` | a fault of Clew itself shows its traceback |
| `CLEW_COMPILED` | `false` records with Python alone, also where the compiled module was built; `clew config` shows which is at work |

Every [setting](settings.md) has a variable as well.

Commands and options complete with the tab key after `eval "$(_CLEW_COMPLETE=bash_source clew)"` in `~/.bashrc`
(`zsh_source` and `fish_source` for those shells).
"""

SETTINGS_HEAD = """\
# Settings

<!-- Written by docs/make_reference.py; change the settings, not this page. -->

A flag beats the environment, which beats the project file, which beats the default. The project file is the nearest
one in the working directory or above it: `clew.toml`, or `pyproject.toml` with a table `[tool.clew]`. Of two in the
same folder `clew.toml` counts. `clew config` shows every value and where it comes from.

```toml
[tool.clew]
capture = "full"
redact = ["iban", "ssn"]
telemetry_filter = "node,error"
```

Sizes are bytes, or texts such as `"64KiB"` (powers of 1024) and `"5GB"` (powers of 1000). Relative paths start at the
working directory, those in a project file at that file's folder. A list in a variable has commas: `CLEW_REDACT=iban,ssn`.
A program that records never fails for a setting: what cannot be used is told on standard error, and the default is used.
A command of `clew` that needs the setting ends with exit code 2.
"""


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def option_row(option: click.Parameter) -> str:
    assert isinstance(option, click.Option)
    context = click.Context(click.Command("any"))
    record = option.get_help_record(context)
    assert record is not None, f"{option.name} has no help"
    names, text = record
    return f"| `{cell(names)}` | {cell(text)} |"


def paragraphs(help_text: str | None) -> str:
    text = inspect.cleandoc(help_text or "")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def command_section(name: str) -> str:
    context = click.Context(commands, info_name="clew")
    command = commands.get_command(context, name)
    assert command is not None
    inner = click.Context(command, info_name=name, parent=context)
    usage = " ".join(["clew", name, *command.collect_usage_pieces(inner)])
    lines = [f"## clew {name}", "", f"`{usage}`", "", paragraphs(command.help), ""]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    if options:
        lines += ["| option | does |", "|---|---|", *map(option_row, options), ""]
    return "\n".join(lines)


def commands_page() -> str:
    return "\n".join([COMMANDS_HEAD, *(command_section(name) for name in COMMANDS)])


def documentation() -> dict[str, str]:
    """Return the docstring under each field of the settings."""
    body = ast.parse(inspect.getsource(config.Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(text.value, ast.Constant)
            found[field.target.id] = str(text.value.value)
    return found


def values_of(kind: object) -> str:
    choices = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in choices)
    names = {bool: "true or false", int: "number", float: "number", Path: "path", str: "text"}
    if isinstance(kind, type) and kind in names:
        return names[kind]
    return "list of texts" if typing.get_origin(kind) is tuple else values_of(choices[0])


def default_of(name: str) -> str:
    if name == "home":
        return "the nearest `.clew` upward, else `.clew`"
    value = getattr(Settings(home=Path()), name)
    if value is None or value == ():
        return "none"
    if isinstance(value, int) and name.endswith("_bytes"):
        mebibytes = value >= 1 << 20
        return f"{value >> (20 if mebibytes else 10)} {'MiB' if mebibytes else 'KiB'}"
    return f"`{str(value).lower()}`"


def settings_page() -> str:
    kinds = typing.get_type_hints(Settings)
    texts = documentation()
    rows = ["| setting | variable | values | default | what it does |", "|---|---|---|---|---|"]
    for name in SETTING_NAMES:
        variables = ", ".join(f"`{variable}`" for variable in ENVIRONMENT[name])
        rows.append(
            f"| `{name}` | {variables} | {'size' if name.endswith('_bytes') else values_of(kinds[name])} | {default_of(name)} | {cell(texts[name])} |"
        )
    return "\n".join([SETTINGS_HEAD, *rows, ""])


def pages() -> dict[Path, str]:
    """Return what each page of the reference must hold."""
    texts = {REFERENCE / "commands.md": commands_page(), REFERENCE / "settings.md": settings_page()}
    return {path: re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n" for path, text in texts.items()}


def main() -> int:
    stale = []
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
            if "--check" not in sys.argv:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv and stale:
        names = ", ".join(path.name for path in stale)
        sys.stderr.write(f"{names}: out of date; run python docs/make_reference.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
