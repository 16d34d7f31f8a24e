"""How answers of models end: by themselves, cut off, filtered or refused."""

from __future__ import annotations

from typing import Final

from clew.errors import ProviderError
from clew.workflow.chat import ChatAnswer, ChatRequest
from clew.workflow.providers.answer_parts import json_object

_MOST_CHARACTERS: Final = 300
_REFUSED: Final = "content_filter"


def why_unfinished(request: ChatRequest, answer: ChatAnswer) -> str | None:
    """Return why an answer is not all that the model had to say, in few words; None where it is."""
    if answer.finish_reason == "length":
        bound = request.max_tokens
        return "cut off at " + (
            "the bound that holds without max_tokens" if bound is None else f"max_tokens ({bound})"
        )
    return "refused, or stopped by a filter" if answer.finish_reason == _REFUSED else None


def check_not_refused(request: ChatRequest, answer: ChatAnswer) -> None:
    """Refuse a refusal where JSON was asked for: that it is none says nothing.

    Raises: ProviderError, with the model's words.
    """
    if answer.finish_reason != _REFUSED or (answer.text.strip() and json_object(answer.text) is not None):
        return
    words = " ".join("".join(one if one.isprintable() else " " for one in answer.text).split())
    if len(words) > _MOST_CHARACTERS:
        words = words[: _MOST_CHARACTERS - 1] + "…"
    said = f": {words}" if words else ""
    raise ProviderError(f"{request.model} refused to answer, or a filter stopped it{said}", kind="bad_answer")
