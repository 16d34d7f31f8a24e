"""What every provider does, whatever is behind it; the two SDKs are the real ones, on servers of our own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from clew.workflow.chat import ChatAnswer, ChatModel, ChatRequest
from clew.workflow.providers.anthropic_chat import AnthropicChat
from clew.workflow.providers.choose import open_models
from clew.workflow.providers.dry_run import DryRunModel
from clew.workflow.providers.openai_chat import OpenAIChat
from clew.workflow.providers.script_file import read_script
from tests.workflow.model_answers import Body, Says
from tests.workflow.model_servers import AnthropicServer, ModelServer, OpenAIServer
from tests.workflow.providers.asked import PLACE, VERDICT, ask, request

VERDICT_TEXT = '{"category":"rain","score":1}'


def by_schema(body: Body) -> Says:
    """Answer as asked for, slowly enough to be interrupted where the test wants that."""
    wants_json = "response_format" in body or "output_config" in body
    slow = "slowly" in json.dumps(body["messages"])
    return Says(VERDICT_TEXT if wants_json else "It is raining.", delay_s=20.0 if slow else 0.0)


class ChatModelContract:
    """What `ChatModel` promises."""

    name = ""
    server: ModelServer | None = None

    def open(self, folder: Path) -> AbstractContextManager[ChatModel]:
        """Return a model that answers anything, and a schema with JSON."""
        raise NotImplementedError

    def test_an_answer_has_text_a_reason_to_stop_and_says_who_gave_it(self, tmp_path: Path) -> None:
        with self.open(tmp_path) as model:
            answer = ask(model, request(self.name))
        assert answer.text
        assert answer.finish_reason == "stop"
        assert answer.model
        assert answer.tool_calls == []

    def test_what_comes_piece_by_piece_is_the_text(self, tmp_path: Path) -> None:
        pieces: list[str] = []
        with self.open(tmp_path) as model:
            answer = ask(model, request(self.name), on_text=pieces.append)
        assert "".join(pieces) == answer.text != ""

    def test_streamed_or_not_the_answer_is_the_same(self, tmp_path: Path) -> None:
        with self.open(tmp_path) as model:
            whole = ask(model, request(self.name))
        with self.open(tmp_path) as model:
            assert ask(model, request(self.name), on_text=lambda _: None) == whole

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_schema_is_answered_with_json_that_fits_it(self, tmp_path: Path, stream: bool) -> None:
        asked = request(self.name, schema=VERDICT)
        with self.open(tmp_path) as model:
            answer = ask(model, asked, on_text=(lambda _: None) if stream else None)
        assert set(json.loads(answer.text)) == {"category", "score"}

    def test_parts_of_the_usage_are_not_more_than_the_whole(self, tmp_path: Path) -> None:
        with self.open(tmp_path) as model:
            usage = ask(model, request(self.name)).usage
        if usage is not None:
            assert (usage.cached_tokens or 0) <= (usage.input_tokens or 0)
            assert (usage.reasoning_tokens or 0) <= (usage.output_tokens or 0)

    def test_one_object_answers_many_at_the_same_time(self, tmp_path: Path) -> None:
        async def many(model: ChatModel) -> list[ChatAnswer]:
            try:
                asked = [model.answer(request(self.name), place=PLACE) for _ in range(12)]
                return await asyncio.gather(*asked)
            finally:
                await model.close()

        with self.open(tmp_path) as model:
            answers = asyncio.run(many(model))
        assert len(answers) == 12
        assert all(answer == answers[0] for answer in answers)

    def test_closing_twice_or_unused_is_no_fault(self, tmp_path: Path) -> None:
        async def close(model: ChatModel) -> None:
            await model.close()
            await model.close()

        with self.open(tmp_path) as model:
            asyncio.run(close(model))

    @pytest.mark.parametrize("stream", [False, True])
    def test_an_answer_that_is_cancelled_ends_at_once(self, tmp_path: Path, stream: bool) -> None:
        on_text: Callable[[str], None] | None = (lambda _: None) if stream else None

        async def cancelled(model: ChatModel, asked: ChatRequest) -> bool:
            task = asyncio.create_task(self.answer_of(model, asked, on_text))
            if self.server is not None:
                await asyncio.to_thread(self.server.wait_for, 1)
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 10)
            await model.close()
            return task.done()

        with self.open(tmp_path) as model:
            assert asyncio.run(cancelled(model, request(self.name, "slowly")))

    @staticmethod
    async def answer_of(
        model: ChatModel, asked: ChatRequest, on_text: Callable[[str], None] | None
    ) -> ChatAnswer:
        return await model.answer(asked, place=PLACE, on_text=on_text)

    def test_what_a_listener_raises_is_its_own(self, tmp_path: Path) -> None:
        def listen(_: str) -> None:
            raise KeyError("mine")

        with self.open(tmp_path) as model, pytest.raises(KeyError, match="mine"):
            ask(model, request(self.name), on_text=listen)


@pytest.mark.needs_extra("openai")
class TestOpenAI(ChatModelContract):
    name = "openai/gpt-4o"

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[ChatModel]:
        with OpenAIServer(by_schema) as server:
            self.server = server
            yield OpenAIChat(api_key="k", base_url=server.url)


@pytest.mark.needs_extra("anthropic")
class TestAnthropic(ChatModelContract):
    name = "anthropic/claude-sonnet-5"

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[ChatModel]:
        with AnthropicServer(by_schema) as server:
            self.server = server
            yield AnthropicChat(api_key="k", base_url=server.url)


@pytest.mark.needs_extra("workflow")
class TestScripted(ChatModelContract):
    name = "scripted"

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[ChatModel]:
        path = folder / "answers.yaml"
        path.write_text(
            f"answers:\n  - match: slowly\n    text: a\n    delay_s: 20\n  - json: {VERDICT_TEXT}\n"
        )
        yield read_script(path)


class TestDryRun(ChatModelContract):
    name = "openai/gpt-4o"

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[ChatModel]:
        yield DryRunModel()


@pytest.mark.needs_extra("openai")
class TestChosenOpenAI(ChatModelContract):
    name = "gpt-4o"

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[ChatModel]:
        with OpenAIServer(by_schema) as server:
            self.server = server
            yield open_models(environ={"OPENAI_BASE_URL": server.url})


@pytest.mark.needs_extra("anthropic")
class TestChosenAnthropic(ChatModelContract):
    name = "claude-sonnet-5"

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[ChatModel]:
        with AnthropicServer(by_schema) as server:
            self.server = server
            environ: dict[str, Any] = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_AUTH_TOKEN": "t"}
            yield open_models(environ=environ)
