"""What models answer that is no plain answer, by the real command and the real SDKs: keys, cut texts, refusals."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.workflow.commands import CLEW, run
from tests.workflow.model_answers import Answer, Fails, Says, Sends
from tests.workflow.model_servers import AnthropicServer, OpenAIServer
from tests.workflow.running import write_project

KEY = "gw7_aQ3xT7mW9pLz0vK5bN2c"
PROVIDER_FAILED = 3
MANIFEST = """
    clew: "1"
    name: asking
    defaults: {model: MODEL}
    nodes:
      ask: {type: prompt, prompt: ask, max_tokens: 5}
      output: {type: output}
    edges: {e1: {from: ask, to: output}}
"""
TEXT = "---\nid: ask\n---\nHello.\n"
TYPED = "---\nid: ask\noutput: {format: json, schema: {a: {type: string}}}\n---\nHello.\n"
pytestmark = [
    pytest.mark.needs_extra("workflow"),
    pytest.mark.parametrize(
        "provider",
        [
            pytest.param("openai", marks=pytest.mark.needs_extra("openai")),
            pytest.param("anthropic", marks=pytest.mark.needs_extra("anthropic")),
        ],
    ),
]


class Ended(NamedTuple):
    """How the command ended, and what it left behind."""

    code: int
    out: str
    err: str
    log: str
    """Everything that lies in the home directory."""
    shown: str
    """By `clew show`, `clew tail` and `clew export`."""


def asked(folder: Path, provider: str, answers: Sequence[Answer], *options: str, prompt: str = TEXT) -> Ended:
    server = OpenAIServer(answers) if provider == "openai" else AnthropicServer(answers)
    manifest = MANIFEST.replace("MODEL", f"{provider}/gpt-4o")
    project = write_project(folder / "project", clew_yaml=manifest, prompts__ask_prompt=prompt)
    home = ["--home", str(folder / "home")]
    name = provider.upper()
    with server:
        ran = run(project, *options, *home, **{f"{name}_API_KEY": KEY, f"{name}_BASE_URL": server.url})
    files = (path for path in (folder / "home").rglob("*") if path.is_file())
    log = b"".join(path.read_bytes() for path in files).decode(errors="replace")
    shown = [
        shell("show", "latest", *home),
        shell("tail", "latest", "-n", "all", *home),
        shell("export", "latest", "--to", "jsonl", *home),
    ]
    return Ended(ran.returncode, ran.stdout, ran.stderr, log, "".join(shown))


def shell(*arguments: str) -> str:
    return subprocess.run([*CLEW, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_key_that_a_server_repeats_in_its_error_is_nowhere(tmp_path: Path, provider: str) -> None:
    said = f"Incorrect API key provided: {KEY}, {KEY[:8]}...{KEY[-4:]}"
    ended = asked(tmp_path, provider, [Fails(401, said)], "--telemetry")
    assert ended.code == PROVIDER_FAILED
    assert "Incorrect API key provided: [redacted], [redacted]" in ended.shown
    assert "in answer" in ended.shown, "the stack is there"
    for text in (ended.err, ended.log, ended.shown):
        assert KEY[:8] not in text
        assert KEY[-4:] not in text


def test_a_key_that_a_server_repeats_in_its_answer_is_not_in_the_log(tmp_path: Path, provider: str) -> None:
    ended = asked(tmp_path, provider, [Says(f"your key is {KEY}")], "--telemetry")
    assert ended.code == 0
    assert KEY in ended.out, "the result is whole"
    for text in (ended.err, ended.log, ended.shown):
        assert KEY not in text
        assert "your key is [redacted]" in text


def test_a_date_that_is_none_in_retry_after_is_no_fault(tmp_path: Path, provider: str) -> None:
    date = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
    ended = asked(tmp_path, provider, [Fails(429, "slow down", headers={"retry-after": date})])
    assert ended.code == PROVIDER_FAILED
    assert "wants fewer requests (HTTP 429): slow down" in ended.err


def test_an_answer_that_was_cut_off_is_told_at_the_end_in_the_stream_and_in_the_trace(
    tmp_path: Path, provider: str
) -> None:
    word = "length" if provider == "openai" else "max_tokens"
    ended = asked(tmp_path, provider, [Says("Half a sent", finish_reason=word)], "-o", "text")
    assert (ended.code, ended.out) == (0, "Half a sent\n")
    assert ended.err == "clew: the answer of ask was cut off at max_tokens (5)\n"
    (answered,) = [line for line in ended.shown.splitlines() if "MODEL_ANSWERED" in line]
    assert "[WARNING]" in answered
    assert answered.endswith('reason="cut off at max_tokens (5)"')
    assert "unfinished=cut off at" in ended.shown


def test_a_refusal_where_json_was_wanted_is_told_in_the_words_of_the_model(
    tmp_path: Path, provider: str
) -> None:
    answer: Answer = Says("I will\nnot.", finish_reason="refusal")
    if provider == "openai":
        choice: dict[str, Any] = {
            "finish_reason": "stop",
            "message": {"content": None, "refusal": "I will\nnot."},
        }
        answer = Sends(json.dumps({"model": "m", "choices": [choice]}).encode())
    ended = asked(tmp_path, provider, [answer], prompt=TYPED)
    assert ended.code == PROVIDER_FAILED
    assert f"{provider}/gpt-4o refused to answer, or a filter stopped it: I will not." in ended.err
    assert "MODEL_ANSWERED" in ended.shown, "what it took is in the log all the same"


def test_an_answer_that_came_to_its_end_is_no_warning(tmp_path: Path, provider: str) -> None:
    ended = asked(tmp_path, provider, [Says("Whole.")], "-o", "text")
    assert (ended.code, ended.out, ended.err) == (0, "Whole.\n", "")
    assert "WARNING" not in ended.shown
    assert "unfinished" not in ended.shown
