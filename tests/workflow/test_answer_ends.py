"""What is said of an answer that is not all that the model had to say."""

from __future__ import annotations

import pytest

from clew.errors import ProviderError
from clew.workflow.answer_ends import check_not_refused, why_unfinished
from clew.workflow.chat import ChatAnswer
from tests.workflow.providers.asked import request


@pytest.mark.parametrize(
    "reason,max_tokens,said",
    [
        ("stop", 5, None),
        ("tool_calls", None, None),
        (None, None, None),
        ("a word of tomorrow", None, None),
        ("length", 5, "cut off at max_tokens (5)"),
        ("length", None, "cut off at the bound that holds without max_tokens"),
        ("content_filter", None, "refused, or stopped by a filter"),
    ],
)
def test_why_an_answer_is_unfinished(reason: str | None, max_tokens: int | None, said: str | None) -> None:
    answer = ChatAnswer(text="a", finish_reason=reason)
    assert why_unfinished(request("openai/m", max_tokens=max_tokens), answer) == said


@pytest.mark.parametrize(
    "text,said",
    [
        ("I will\x1b[31m\nnot.", ": I will [31m not."),
        ("", ""),
        ('{"a": "half', ': {"a": "half'),
        ("no " * 1000, f": {'no ' * 99}no…"),
    ],
)
def test_a_refusal_has_the_words_of_the_model_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ProviderError) as caught:
        check_not_refused(request("openai/m"), ChatAnswer(text=text, finish_reason="content_filter"))
    assert str(caught.value) == f"openai/m refused to answer, or a filter stopped it{said}"
    assert (caught.value.kind, caught.value.may_retry) == ("bad_answer", False)


@pytest.mark.parametrize("text,reason", [("I will not.", "stop"), ('{"a": 1}', "content_filter")])
def test_what_is_no_refusal_or_a_whole_object_is_read_as_usual(text: str, reason: str) -> None:
    check_not_refused(request("openai/m"), ChatAnswer(text=text, finish_reason=reason))
