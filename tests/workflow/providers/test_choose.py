from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from clew.errors import ConfigError, MissingExtraError, ProjectError
from clew.workflow.providers.choose import open_models, provider_of
from tests.workflow.providers.asked import ask, refusal, request


@pytest.mark.parametrize(
    "model,provider",
    [
        ("openai/gpt-4o", "openai"),
        ("openai/org/llama", "openai"),
        ("anthropic/claude-sonnet-4-5", "anthropic"),
        ("scripted", "scripted"),
        ("scripted/gpt-4o", "scripted"),
        ("gpt-4o", "openai"),
        ("o1", "openai"),
        ("o3-mini", "openai"),
        ("o4-mini", "openai"),
        ("claude-haiku-4-5", "anthropic"),
    ],
)
def test_the_provider_is_told_by_the_name(model: str, provider: str) -> None:
    assert provider_of(model) == provider


@pytest.mark.parametrize(
    "model,hint",
    [
        ("opanai/gpt-4o", "did you mean openai/gpt-4o?"),
        ("antropic/claude", "did you mean anthropic/claude?"),
        ("llama3", "write openai/llama3 and a base URL"),
        ("mistral/large", "write openai/mistral/large and a base URL"),
        ("openai/", "such as openai/gpt-4o"),
        ("", "such as openai/gpt-4o"),
    ],
)
def test_an_unknown_provider_is_an_error_with_a_suggestion(model: str, hint: str) -> None:
    error = refusal(open_models(environ={}), request(model))
    assert (error.kind, error.may_retry) == ("bad_request", False)
    assert hint in str(error)


@pytest.mark.parametrize(
    "model,variable", [("openai/gpt-4o", "OPENAI_API_KEY"), ("claude-opus-5", "ANTHROPIC_API_KEY")]
)
def test_a_missing_key_names_its_variable(model: str, variable: str) -> None:
    error = refusal(open_models(environ={}), request(model))
    assert (error.kind, error.may_retry) == ("authentication", False)
    assert str(error).startswith(f"{variable} is not set")


def test_a_dry_run_needs_neither_key_nor_provider() -> None:
    models = open_models(environ={}, dry_run=True)
    for name in ("openai/gpt-4o", "claude-opus-5", "nobody/knows", "scripted"):
        assert ask(models, request(name)).source == "dry-run"


def test_scripted_without_a_script_says_where_one_is_named() -> None:
    assert "`script`" in str(refusal(open_models(environ={}), request("scripted/x")))


@pytest.mark.needs_extra("workflow")
def test_a_script_answers_for_its_models_and_its_faults_are_found_at_once(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text("answers:\n  - text: hello\n")
    assert ask(open_models(environ={}, script=path), request("scripted/gpt-4o")).text == "hello"
    path.write_text("answers:\n  - txt: hello\n")
    with pytest.raises(ProjectError, match="did you mean 'text'"):
        open_models(environ={}, script=path)


def test_a_price_file_of_the_environment_is_read_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none"):
        open_models(environ={"CLEW_PRICES": str(tmp_path / "none.toml")})
    with pytest.raises(ConfigError, match="other"):
        open_models(environ={"CLEW_PRICES": str(tmp_path / "none.toml")}, prices=tmp_path / "other.toml")


def test_closing_twice_or_unused_is_no_fault() -> None:
    async def close() -> None:
        models = open_models(environ={})
        await models.close()
        await models.close()

    asyncio.run(close())


def test_no_sdk_is_loaded_before_it_is_asked() -> None:
    code = (
        "import sys; from clew.workflow.providers.choose import open_models; open_models(environ={});"
        "print([name for name in ('openai', 'anthropic', 'httpx2', 'yaml', 'pydantic') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.wheel_only
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_missing_sdk_is_told_with_the_line_that_gets_it(provider: str) -> None:
    environ = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
    with pytest.raises(MissingExtraError, match=rf"pip install 'clew\[{provider}\]'"):
        ask(open_models(environ=environ), request(f"{provider}/model"))


@pytest.mark.wheel_only
def test_a_script_without_yaml_is_told_with_the_line_that_gets_it(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'clew\[workflow\]'"):
        open_models(environ={}, script=tmp_path / "answers.yaml")


@pytest.mark.needs_extra("openai")
@pytest.mark.parametrize(
    "key, is_hidden",
    [
        ("gsk_9aLongEnough", True),
        ("correcthorsebatterystaple", True),
        ("not-needed", False),
        ("ollama", False),
    ],
)
def test_a_key_is_kept_out_of_the_log_and_a_word_in_its_place_is_not(key: str, is_hidden: bool) -> None:
    hidden: list[str] = []
    environ = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    error = refusal(open_models(environ=environ, hide=hidden.append), request("openai/m"))
    assert "cannot be reached" in str(error)
    assert hidden == ([key] if is_hidden else [])
