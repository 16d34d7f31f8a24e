"""Answers from a file, for demonstrations and tests that ask no model.

    answers:
      - node: classify            # left out: any node; so with turn, iteration and match
        match: refund             # a part of the last message of the user
        json: {category: billing}
        usage: {input_tokens: 120, output_tokens: 8}
      - node: research
        turn: 1
        tool_calls: [{name: search, arguments: {query: clew}}]
      - error: {kind: rate_limit, message: slow down, status: 429}
        times: 2                  # then the next one that fits is used
      - text: Anything else.
        delay_s: 0.2

The first answer that fits and is not used up is given.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from clew.errors import ProviderError
from clew.model.usage import Usage
from clew.workflow.chat import CallPlace, ChatAnswer, ChatRequest, ToolCall
from clew.workflow.providers.failures import MAY_RETRY

SOURCE: Final = "scripted"
_WORD: Final = re.compile(r"\S+\s*|\s+")


class ScriptedCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool that the answer calls."""

    name: str
    arguments: dict[str, Any] = {}


class ScriptedUsage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the answer is said to have taken."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class ScriptedError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Instead of an answer: the error of a provider."""

    kind: str = "provider"
    message: str = "the script wants an error here"
    status: int | None = None
    retry_after_s: float | None = None


class ScriptedAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the file: when it fits, and what is answered then."""

    node: str | None = None
    turn: int | None = None
    iteration: int | None = None
    match: str | None = None
    text: str | None = None
    json: Any = msgspec.UNSET
    tool_calls: list[ScriptedCall] = []
    usage: ScriptedUsage | None = None
    delay_s: float = 0.0
    error: ScriptedError | None = None
    times: int | None = None
    """How often it may be given; None: without end."""

    def fits(self, place: CallPlace, said: str) -> bool:
        """Whether it answers at that place, after the user said that."""
        return (
            self.node in {None, place.node_id}
            and self.turn in {None, place.turn}
            and self.iteration in {None, place.iteration}
            and (self.match is None or self.match in said)
        )


class ScriptedModel:
    """Gives the answers of a script, each as often as it may be given."""

    def __init__(self, answers: Sequence[ScriptedAnswer], *, path: Path) -> None:
        """Args: path: of the file, for what is said when no answer fits."""
        self._answers = list(answers)
        self._path = path
        self._given = [0] * len(self._answers)

    async def answer(
        self,
        request: ChatRequest,
        *,
        place: CallPlace,
        on_text: Callable[[str], None] | None = None,
    ) -> ChatAnswer:
        """Give the first answer that fits; `on_text` gets it word by word.

        Raises: ProviderError where the script wants one, and where no answer fits.
        """
        found = self._take(request, place)
        if found.delay_s:
            await asyncio.sleep(found.delay_s)
        if found.error is not None:
            error = found.error
            raise ProviderError(
                f"{request.model}: {error.message}",
                kind=error.kind,
                status=error.status,
                retry_after_s=error.retry_after_s,
                may_retry=error.kind in MAY_RETRY,
            )
        text = _text_of(found)
        if on_text is not None:
            for piece in _WORD.findall(text):
                on_text(piece)
        return ChatAnswer(
            text=text,
            tool_calls=_calls_of(found, place),
            model=request.model,
            finish_reason="tool_calls" if found.tool_calls else "stop",
            usage=None if found.usage is None else Usage(**msgspec.structs.asdict(found.usage)),
            source=SOURCE,
        )

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def _take(self, request: ChatRequest, place: CallPlace) -> ScriptedAnswer:
        said = next((one.content for one in reversed(request.messages) if one.role == "user"), "")
        used_up = 0
        for number, answer in enumerate(self._answers):
            if not answer.fits(place, said):
                continue
            if answer.times is not None and self._given[number] >= answer.times:
                used_up += 1
                continue
            self._given[number] += 1
            return answer
        round_ = "" if place.iteration is None else f", iteration {place.iteration}"
        spent = f" ({used_up} would, but were given as often as `times` says)" if used_up else ""
        raise ProviderError(
            f"no answer of {self._path} fits node {place.node_id!r}, turn {place.turn}{round_}{spent}:"
            " add one, or one without `node`, `turn` and `match` for everything else"
        )


def _text_of(answer: ScriptedAnswer) -> str:
    if answer.json is not msgspec.UNSET:
        return msgspec.json.encode(answer.json).decode()
    return answer.text or ""


def _calls_of(answer: ScriptedAnswer, place: CallPlace) -> list[ToolCall]:
    """Ids are the same in every run, so that a replay finds what it looks for."""
    return [
        ToolCall(
            id=f"call-{place.turn}-{number}",
            name=call.name,
            arguments=call.arguments,
            raw=msgspec.json.encode(call.arguments).decode(),
        )
        for number, call in enumerate(answer.tool_calls, start=1)
    ]
