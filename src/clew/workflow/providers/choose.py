"""Finds out whom to ask for a model: `openai/gpt-4o`, `anthropic/claude-sonnet-5`, `scripted`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from clew.errors import ProviderError
from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ChatRequest
from clew.workflow.providers.anthropic_chat import AnthropicChat
from clew.workflow.providers.dry_run import DryRunModel
from clew.workflow.providers.openai_chat import OFFICIAL_URL, OpenAIChat
from clew.workflow.providers.prices import Prices, load_prices
from clew.workflow.providers.script_file import read_script

PROVIDERS: Final = ("openai", "anthropic", "scripted")
TIMEOUT_S: Final = 600.0
_FAMILIES: Final = {
    "gpt": "openai",
    "chatgpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude": "anthropic",
}
_NO_KEY: Final = "none"
"""What is sent to an endpoint of one's own for which no key is set; such servers seldom want one."""

_LONGEST_WORD: Final = 20
"""Keys are longer, or have digits in them."""


class ModelChooser:
    """A ChatModel that hands each request to the provider of its model, whose client is made on first use."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        base_url: str | None,
        scripted: ChatModel | None,
        is_dry_run: bool,
        timeout_s: float,
        prices: Prices,
        hide: Callable[[str], None],
    ) -> None:
        """See `open_models`, which is how one is made."""
        self._environ = environ
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._prices = prices
        self._hide = hide
        self._dry_run = DryRunModel() if is_dry_run else None
        self._open: dict[str, ChatModel] = {} if scripted is None else {"scripted": scripted}

    async def answer(
        self,
        request: ChatRequest,
        *,
        place: CallPlace,
        on_text: Callable[[str], None] | None = None,
    ) -> ChatAnswer:
        """Ask the provider of `request.model`.

        Raises: ProviderError, also where no provider is known or a key is missing; MissingExtraError.
        """
        model = self._dry_run or self._model(request.model)
        return await model.answer(request, place=place, on_text=on_text)

    async def close(self) -> None:
        """Close every client that was made."""
        while self._open:
            _, model = self._open.popitem()
            await model.close()

    def _model(self, name: str) -> ChatModel:
        provider = provider_of(name)
        found = self._open.get(provider)
        if found is None:
            found = self._open[provider] = self._new_model(provider, name)
        return found

    def _new_model(self, provider: str, name: str) -> ChatModel:
        environ = self._environ
        if provider == "scripted":
            raise ProviderError(
                f"{name} has no script: name a file of answers as `script` in the manifest's defaults",
                kind="bad_request",
            )
        if provider == "openai":
            base_url = self._base_url or environ.get("OPENAI_BASE_URL") or OFFICIAL_URL
            key = environ.get("OPENAI_API_KEY")
            if not key and base_url != OFFICIAL_URL:
                key = _NO_KEY
            if not key:
                raise _no_key("OPENAI_API_KEY", name)
            self._keep_out(key)
            return OpenAIChat(api_key=key, base_url=base_url, timeout_s=self._timeout_s, prices=self._prices)
        key, token = environ.get("ANTHROPIC_API_KEY"), environ.get("ANTHROPIC_AUTH_TOKEN")
        if not key and not token:
            raise _no_key("ANTHROPIC_API_KEY", name)
        self._keep_out(key or token or "")
        return AnthropicChat(
            api_key=key or None,
            auth_token=None if key else token,
            base_url=environ.get("ANTHROPIC_BASE_URL"),
            timeout_s=self._timeout_s,
            prices=self._prices,
        )

    def _keep_out(self, key: str) -> None:
        """Have a key removed from the log, unless it is a word like `not-needed`, which answers may have in them too."""
        if len(key) >= _LONGEST_WORD or any(character.isdigit() for character in key):
            self._hide(key)


def open_models(
    *,
    environ: Mapping[str, str],
    base_url: str | None = None,
    script: Path | None = None,
    dry_run: bool = False,
    timeout_s: float = TIMEOUT_S,
    prices: Path | None = None,
    hide: Callable[[str], None] = lambda _secret: None,
) -> ModelChooser:
    """Return what asks models for a run. Nothing is loaded and no connection made before the first request.

    Args:
        environ: where keys and addresses are looked up: OPENAI_API_KEY, OPENAI_BASE_URL, ANTHROPIC_API_KEY or
            ANTHROPIC_AUTH_TOKEN, ANTHROPIC_BASE_URL, and CLEW_PRICES.
        base_url: of an endpoint that speaks like OpenAI's, in place of OPENAI_BASE_URL.
        script: the answers of models named `scripted` and `scripted/...`.
        dry_run: answer everything from the schema that is asked for, whatever the model is.
        timeout_s: how long a provider may be silent.
        prices: a file of prices, in place of CLEW_PRICES.
        hide: told of each key before it is used, so that a server that repeats it does not get it into the log.

    Raises: ProjectError where the script cannot be used, ConfigError where the prices cannot.
    """
    if prices is None and environ.get("CLEW_PRICES"):
        prices = Path(environ["CLEW_PRICES"])
    return ModelChooser(
        environ=environ,
        base_url=base_url,
        scripted=None if script is None else read_script(script),
        is_dry_run=dry_run,
        timeout_s=timeout_s,
        prices=load_prices(prices),
        hide=hide,
    )


def provider_of(model: str) -> str:
    """Return `openai`, `anthropic` or `scripted`.

    Raises: ProviderError, with a suggestion, where the name has no provider and none can be told from it.
    """
    provider, slash, name = model.partition("/")
    if provider in PROVIDERS and (name or provider == "scripted"):
        return provider
    if not slash:
        for family, found in _FAMILIES.items():
            if model.startswith(family):
                return found
    close = difflib.get_close_matches(provider, PROVIDERS, n=1) if slash else []
    if close and name:
        hint = f"did you mean {close[0]}/{name}?"
    elif not model or provider in PROVIDERS:
        hint = "name one, such as openai/gpt-4o"
    else:
        hint = f"write openai/{model} and a base URL for a server that speaks like OpenAI's, or one of openai/, anthropic/"
    raise ProviderError(f"no provider is known for the model {model!r}: {hint}", kind="bad_request")


def _no_key(variable: str, model: str) -> ProviderError:
    return ProviderError(
        f"{variable} is not set, and without it {model} cannot be asked: set it, or put it in the project's .env",
        kind="authentication",
    )
