"""`clew run`: what it takes for a program, what it records of it, and what it says of its own options."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from clew.model.trace import ExecutionTrace
from clew.record.redact import REDACTED
from clew.store.store import Store
from tests.cli.conftest import Done, program

MODULE = """
import asyncio

def shout(a=None, **more):
    return str(a).upper()

def count(n):
    for number in range(n):
        yield number
    print("done")

async def tick(n):
    for number in range(n):
        await asyncio.sleep(0)
        yield {"tick": number}

def fails(n):
    yield 1
    raise ValueError("after the first")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the programs of a test are."""
    (tmp_path / "parts.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, **environ: str) -> Done:
    return program(["run", *arguments], environ=environ)


def latest() -> ExecutionTrace:
    store = Store(Path(os.environ["CLEW_HOME"]))
    return store.trace(store.resolve("latest"))


@pytest.mark.parametrize("capture", ["full", "summary"])
@pytest.mark.parametrize("given", [{"a": "hello"}, ["hello"], "hello", {"a": "x", "password": "y"}])
def test_the_input_of_a_function_is_the_input_of_its_run(given: Any, capture: str) -> None:
    done = run("-i", json.dumps(given), "parts:shout", CLEW_CAPTURE=capture)
    assert done.code == 0, done.err
    expected = {**given, "password": REDACTED} if "password" in given else given
    assert latest().inputs == expected
    assert latest().outputs in {"HELLO", "X"}


def test_no_input_is_none_in_the_record_and_capture_none_keeps_none() -> None:
    assert run("parts:shout").code == 0
    assert latest().inputs is None
    assert run("-i", '"x"', "parts:shout", CLEW_CAPTURE="none").code == 0
    assert latest().inputs is None


def test_a_generator_is_run_to_its_end_and_its_result_is_what_it_yields() -> None:
    done = run("-i", '{"n": 3}', "parts:count")
    assert (done.code, done.err) == (0, "")
    first, rest = done.out.split("\n", 1)
    assert (first, json.loads(rest)) == ("done", [0, 1, 2])
    assert latest().outputs == [0, 1, 2]


def test_an_asynchronous_generator_too() -> None:
    done = run("-i", "[2]", "parts:tick")
    assert (done.code, json.loads(done.out)) == (0, [{"tick": 0}, {"tick": 1}])
    assert latest().outputs == [{"tick": 0}, {"tick": 1}]


def test_a_generator_that_fails_fails_the_run() -> None:
    done = run("-i", "[2]", "parts:fails")
    assert (done.code, done.out) == (1, "")
    assert "ValueError: after the first" in done.err
    error = latest().error
    assert error is not None
    assert error.message == "after the first"


@pytest.mark.parametrize(
    "name,content",
    [
        ("a.txt", "hello"),
        ("a.TXT", "print(1)"),
        ("a.json", "{}"),
        ("a.sh", "#!/bin/sh\nls"),
        ("a.pyc", "\0"),
        ("a", "hello world"),
    ],
)
def test_what_is_no_program_is_refused_in_one_sentence(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    done = run(name)
    sentence = f"clew: {name} is not a Python program; give a .py file, a directory or module:function\n"
    assert done == Done(2, "", sentence)
    assert not Path(os.environ["CLEW_HOME"]).exists()


@pytest.mark.parametrize(
    "name,first", [("a", ""), ("a.pyw", ""), (".hidden", ""), ("a.txt", "#!/usr/bin/env python3\n")]
)
def test_what_may_be_a_program_is_run(folder: Path, name: str, first: str) -> None:
    (folder / name).write_text(f"{first}print(6 * 7)\n", encoding="utf-8")
    assert run(name) == Done(0, "42\n", "")


def test_a_device_is_no_program() -> None:
    done = run("/dev/null")
    assert done == Done(
        2,
        "",
        "clew: /dev/null is neither a file nor a directory; give a .py file, a directory or module:function\n",
    )


NO_STREAM = "without --telemetry, --telemetry-file or --telemetry-stdout nothing is streamed"
OFF = "recording is switched off, so there is nothing to stream"


@pytest.mark.parametrize(
    "flags,environ,told",
    [
        (["--telemetry-format", "human"], {}, f"--telemetry-format has no effect: {NO_STREAM}"),
        (
            ["--telemetry-level", "debug", "--telemetry-filter", "node"],
            {},
            f"--telemetry-filter, --telemetry-level have no effect: {NO_STREAM}",
        ),
        (["--telemetry-stdout"], {"CLEW_ENABLED": "false"}, f"--telemetry-stdout has no effect: {OFF}"),
        (["--telemetry"], {"CLEW_ENABLED": "false"}, f"--telemetry has no effect: {OFF}"),
    ],
)
def test_options_without_effect_are_told(flags: list[str], environ: dict[str, str], told: str) -> None:
    assert run(*flags, "parts.py", **environ) == Done(0, "", f"clew: {told}\n")


@pytest.mark.parametrize(
    "flags,environ",
    [
        (["--no-telemetry"], {}),
        ([], {"CLEW_TELEMETRY_FORMAT": "human"}),
        (["--telemetry-format", "human", "--telemetry-file", "x.log"], {}),
        (["--telemetry-format", "human"], {"CLEW_TELEMETRY_FILE": "x.log"}),
        (["--no-telemetry"], {"CLEW_ENABLED": "false"}),
    ],
)
def test_nothing_is_told_where_they_have_one_or_come_from_elsewhere(
    flags: list[str], environ: dict[str, str]
) -> None:
    assert run(*flags, "parts.py", **environ) == Done(0, "", "")
