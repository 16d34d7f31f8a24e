from __future__ import annotations

from pathlib import Path

import pytest

from clew.errors import ProjectError, ProviderError
from clew.model.usage import Usage
from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ToolCall
from clew.workflow.project import Problem
from clew.workflow.providers.script_file import read_script
from tests.workflow.providers.asked import ask, request

pytestmark = pytest.mark.needs_extra("workflow")

SCRIPT = """\
answers:
  - {node: classify, match: refund, json: {category: billing, score: 1}, usage: {input_tokens: 12, output_tokens: 3}}
  - {node: agent, turn: 1, text: Let me look., tool_calls: [{name: search, arguments: {query: rain}}, {name: now}]}
  - {node: loop, iteration: 2, text: second}
  - {node: flaky, times: 2, error: {kind: rate_limit, message: slow down, status: 429, retry_after_s: 0.5}}
  - {node: flaky, text: at last}
  - {node: once, times: 1, text: only once}
  - {node: classify, text: "other, and more"}
"""


@pytest.fixture
def script(tmp_path: Path) -> ChatModel:
    path = tmp_path / "answers.yaml"
    path.write_text(SCRIPT)
    return read_script(path)


def at(
    model: ChatModel, node: str, text: str = "", *, turn: int = 1, iteration: int | None = None
) -> ChatAnswer:
    place = CallPlace(node_id=node, turn=turn, iteration=iteration)
    return ask(model, request("scripted", text), place=place)


def test_the_first_answer_that_fits_is_given(script: ChatModel) -> None:
    billing = at(script, "classify", "I want a refund")
    assert billing == ChatAnswer(
        text='{"category":"billing","score":1}',
        model="scripted",
        finish_reason="stop",
        usage=Usage(input_tokens=12, output_tokens=3),
        source="scripted",
    )
    assert at(script, "classify", "hello").text == "other, and more"
    assert at(script, "loop", iteration=2).text == "second"


def test_tool_calls_have_ids_that_are_the_same_in_every_run(script: ChatModel) -> None:
    answer = at(script, "agent")
    assert answer.text == "Let me look."
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == [
        ToolCall(id="call-1-1", name="search", arguments={"query": "rain"}, raw='{"query":"rain"}'),
        ToolCall(id="call-1-2", name="now", arguments={}, raw="{}"),
    ]


def test_an_error_of_the_script_is_what_the_provider_would_raise(script: ChatModel) -> None:
    for _ in range(2):
        with pytest.raises(ProviderError, match="scripted: slow down") as caught:
            at(script, "flaky")
        error = caught.value
        assert (error.kind, error.status, error.retry_after_s, error.may_retry) == (
            "rate_limit",
            429,
            0.5,
            True,
        )
    assert at(script, "flaky").text == "at last"


def test_where_no_answer_fits_the_error_names_node_turn_and_file(script: ChatModel, tmp_path: Path) -> None:
    with pytest.raises(ProviderError) as caught:
        at(script, "loop", turn=3, iteration=1)
    message = str(caught.value)
    assert f"no answer of {tmp_path / 'answers.yaml'} fits node 'loop', turn 3, iteration 1:" in message
    assert not caught.value.may_retry
    at(script, "once")
    with pytest.raises(ProviderError, match=r"1 would, but were given as often as `times` says"):
        at(script, "once")


def test_text_comes_in_pieces_that_are_the_text(script: ChatModel) -> None:
    pieces: list[str] = []
    answer = ask(script, request("scripted", "hello"), on_text=pieces.append)
    assert "".join(pieces) == answer.text
    assert len(pieces) == 3


@pytest.mark.parametrize(
    "content,line,said",
    [
        ("", 1, "a list `answers`"),
        ("- a\n", 1, "a list `answers`"),
        ("answers: 3\n", 1, "a list `answers`"),
        ("answer: []\n", 1, "Did you mean `answers`?"),
        ("answers:\n  - hello\n", 2, "an answer is a mapping"),
        ("answers:\n  - node: a\n", 2, "an answer has `text`, `json`, `tool_calls` or `error`"),
        ("answers:\n  - text: a\n    nod: b\n", 3, "did you mean 'node'?"),
        ("answers:\n  - text: a\n    json: {}\n", 3, "either `text` or `json`"),
        ("answers:\n  - text: a\n    turn: one\n", 3, "`turn`: Expected `int | null`, got `str`"),
        ("answers:\n  - text: a\n    times: 0\n", 3, "`times` is at least 1"),
        ("answers:\n  - text: a\n    delay_s: -1\n", 3, "`delay_s` is a number of seconds from 0 on"),
        ("answers:\n  - text: a\n    delay_s: .nan\n", 3, "`delay_s` is a number of seconds from 0 on"),
        ("answers:\n  - error: {retry_after_s: .inf}\n", 2, "`error.retry_after_s` is a number of seconds"),
        (
            "answers:\n  - text: a\n    usage: {input_tokens: -5}\n",
            3,
            "`usage.input_tokens` is a number of tokens",
        ),
        (
            f"answers:\n  - text: a\n    usage: {{output_tokens: 1{'0' * 400}}}\n",
            3,
            "`usage.output_tokens` is a number of tokens",
        ),
        (
            "answers:\n  - text: a\n    usage: {input_tokens: 10, cached_tokens: 50}\n",
            3,
            "`usage.cached_tokens` is a part of `input_tokens`, and larger",
        ),
        (
            "answers:\n  - text: a\n    usage: {output_tokens: 1, reasoning_tokens: 2}\n",
            3,
            "`usage.reasoning_tokens` is a part of `output_tokens`, and larger",
        ),
        ("answers:\n  - error: {kind: bad}\n", 2, "`error.kind` is one of rate_limit"),
        ("answers:\n  - tool_calls: [{arguments: {}}]\n", 2, "missing required field `name`"),
        ("answers:\n  - text: a\n  - [\n", 4, "this is not YAML"),
        ("answers:\n  - json: 2024-99-99\n", 2, "cannot be read"),
        ("answers:\n  - json: !!python/object:os.system {}\n", 2, "this is not YAML"),
    ],
)
def test_what_is_wrong_in_a_script_is_told_with_its_line(
    tmp_path: Path, content: str, line: int, said: str
) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(content)
    with pytest.raises(ProjectError) as caught:
        read_script(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


def test_all_problems_of_a_script_are_carried_at_once(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text("answers:\n  - nod: a\n  - text: a\n  - turn: x\n    text: b\n")
    with pytest.raises(ProjectError, match=r"\(and 2 more\)") as caught:
        read_script(path)
    problems = [problem for problem in caught.value.problems if isinstance(problem, Problem)]
    assert [problem.place.line for problem in problems] == [2, 2, 4]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"answers: " + b"[" * 50_000,
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 108))
        + b"answers: [*k]\n",
        b"answers: &a [*a]\n",
        b"answers:\n" + b"  - text: x\n" * 100_000,
        b"answers:\n  - text: \x00\n",
    ],
    ids=["not UTF-8", "deep", "bomb", "in itself", "too large", "control character"],
)
def test_a_hostile_script_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.yaml"
    path.write_bytes(content)
    with pytest.raises(ProjectError) as caught:
        read_script(path)
    assert "\n" not in str(caught.value)


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"none\.yaml:1: the script cannot be read: No such file"):
        read_script(tmp_path / "none.yaml")
