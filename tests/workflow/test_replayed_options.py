"""A replay runs what the old run ran, with what was changed for it, and lets nobody else know of it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.workflow.commands import project, run
from tests.workflow.test_replay_command import ANSWERS, COUNT, INNER, OUTER, asked
from tests.workflow.test_whole_answers import ASK, TWO_PROMPTS, USE, outputs, replay, written

pytestmark = pytest.mark.needs_extra("workflow")
SAYS = "answers:\n  - {node: first, text: one, match: hello}\n  - {node: first, text: other}\n  - {node: second, text: two}\n"
TWO = TWO_PROMPTS.replace("{token: token}", "{token: text}")


@pytest.mark.parametrize(
    "options",
    [
        ["--until", "first"],
        ["-e", "second"],
        ["--param", "first.prompt_text=changed"],
        ["--param", "first.retry.attempts=2", "--param", "second.timeout_s=30", "--until", "second"],
    ],
    ids=" ".join,
)
def test_a_run_with_options_is_replayed_with_them(tmp_path: Path, options: list[str]) -> None:
    place = written(tmp_path, TWO, answers=SAYS, prompts__ask_prompt=ASK, prompts__use_prompt=USE)
    first = run(place, "-o", "json", *options)
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
    assert "the outputs are the same" in again.stderr
    assert "that is not in it" not in again.stderr


def test_a_fork_is_replayed_with_its_changes_and_forked_again_on_top_of_them(tmp_path: Path) -> None:
    place = written(tmp_path, OUTER, tools=COUNT, answers=ANSWERS, inner_yaml=INNER, prompts__ask_prompt=ASK)
    assert run(place).returncode == 0
    fork = replay("latest", "--fork", "r.ask", "--set", "prompt=About {{q}}", "-o", "json")
    assert asked(tmp_path / ".clew") == ["About hello"] * 2
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, fork.stdout), again.stderr
    assert asked(tmp_path / ".clew") == ["About hello"] * 2
    assert replay("latest", "--fork", "ask", "--set", "prompt=Now {{q}}").returncode == 0
    assert asked(tmp_path / ".clew") == ["Now hello"] * 2
    assert replay("latest", "--fork", "r", "--set", "max_iterations=9", "-o", "json").returncode == 0
    assert asked(tmp_path / ".clew") == ["Now hello"] * 2


@pytest.mark.parametrize("fork", [[], ["--fork", "first", "--set", "prompt=forked"]], ids=["replay", "fork"])
def test_a_replay_publishes_nothing_and_tells_nobody(tmp_path: Path, fork: list[str]) -> None:
    manifest = TWO + "    orchestration: {publish: {path: out.json, alias: two}, emit_signals: true}\n"
    place = written(tmp_path, manifest, answers=SAYS, prompts__ask_prompt=ASK, prompts__use_prompt=USE)
    assert run(place, "-i", '{"q": "hello"}').returncode == 0
    others = [place / "out.json", tmp_path / ".clew" / "outputs" / "two.json"]
    signal = tmp_path / ".clew" / "signals" / "two.completed"
    assert all(json.loads(path.read_bytes()) for path in [*others, signal])
    for path in [*others, signal]:
        path.write_text("as it was")
    done = replay("latest", "-o", "json", *fork)
    assert outputs(done) == {"output": {"text": "two"}}
    assert {path.read_text() for path in [*others, signal]} == {"as it was"}


def test_a_run_with_a_name_of_its_own_is_the_latest_of_its_project(tmp_path: Path) -> None:
    place = project(tmp_path, function="leave")
    failed = run(
        place, "-i", '{"n": 5}', "--name", "nightly", "--until", "work", "--param", "work.timeout_s=9"
    )
    go_on = f"go on with: clew run {place} --resume latest --until work --param work.timeout_s=9\n"
    assert failed.returncode == 1
    assert failed.stderr.endswith(go_on)
    (place / "tools" / "t.py").write_text("def leave(n):\n    return {'n': n}\n")
    done = run(place, *go_on.split()[6:], "-o", "text")
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr


def test_a_fork_that_failed_goes_on_with_its_changes(tmp_path: Path) -> None:
    tools = """
import os

def gate(text):
    if text == "changed" and not os.environ.get("OPEN"):
        raise ValueError("closed")
    return {"text": text}
"""
    manifest = TWO_PROMPTS.replace(
        "{from: first, to: second, mapping: {token: token}}", "{from: first, to: gate}"
    )
    manifest = manifest.replace(
        "    edges:",
        "    tools: {gate: {type: python, module: t, function: gate}}\n    edges:\n"
        "      e4: {from: gate, to: second, mapping: {token: text}}",
    )
    says = "answers:\n  - {match: it's, text: changed}\n  - {text: as it was}\n"
    place = written(
        tmp_path, manifest, tools=tools, answers=says, prompts__ask_prompt=ASK, prompts__use_prompt=USE
    )
    assert run(place, "--param", "second.timeout_s=30").returncode == 0
    fork = replay("latest", "--fork", "first", "--set", "prompt=it's {{q}}")
    assert fork.returncode == 1
    command = shlex.split(fork.stderr.rpartition("go on with: ")[2])
    assert command[:3] == ["clew", "run", str(place / "clew.yaml")]
    assert command[5:] == ["--param", "second.timeout_s=30", "--param", "first.prompt_text=it's {{q}}"]
    done = run(*command[2:], OPEN="1")
    assert done.returncode == 0, done.stderr
    assert "kept of" in done.stderr
    assert "input, first\n" in done.stderr


def test_a_fork_in_a_branch_that_failed_names_no_command_that_would_lose_its_changes(tmp_path: Path) -> None:
    place = written(tmp_path, OUTER, tools=COUNT, answers=ANSWERS, inner_yaml=INNER, prompts__ask_prompt=ASK)
    assert run(place).returncode == 0
    (place / "answers.yaml").write_text("answers:\n  - {error: {kind: server, message: busy}}\n")
    fork = replay("latest", "--fork", "r.ask", "--set", "prompt=About {{q}}")
    assert fork.returncode == 3
    assert "see: clew show " in fork.stderr
    assert "go on with" not in fork.stderr
