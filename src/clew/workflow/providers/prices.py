"""What tokens cost.

The table is of 2026-11-27: standard rates in USD per million tokens, without batch, priority and regional rates. Those
of Claude are from Anthropic's documentation (https://platform.claude.com/docs/en/about-claude/pricing), those of GPT
from what was publicly reported of OpenAI's page (https://developers.openai.com/api/docs/pricing). Prices change: a file
of one's own goes before the table.

    [models."gpt-4o"]
    input = 2.5
    cached_input = 1.25   # left out: cached tokens cost what others do
    output = 10.0
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from clew.errors import ConfigError
from clew.model.usage import Usage

PRICES_DATE: Final = "2026-11-27"
"""When the table was written down."""


class LongPrompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request above a size costs more, all of it."""

    over_tokens: int
    """Input tokens up to which the plain price holds."""
    input_ratio: float
    """By which every price of input grows."""
    output_ratio: float


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens of one model."""

    input: float
    output: float
    cached_input: float | None = None
    """Of input read from a cache; None: like other input."""
    cache_write: float | None = None
    """Of input that is put into a cache; None: like other input."""
    long_prompt: LongPrompt | None = None

    def cost_usd(self, usage: Usage, *, cache_write_tokens: int = 0) -> float | None:
        """Return what the tokens of one request cost, or None where it is not known how many there were."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        written = min(cache_write_tokens, usage.input_tokens - cached)
        sent = (
            (usage.input_tokens - cached - written) * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
        )
        received = usage.output_tokens * self.output
        if self.long_prompt is not None and usage.input_tokens > self.long_prompt.over_tokens:
            sent *= self.long_prompt.input_ratio
            received *= self.long_prompt.output_ratio
        return (sent + received) / 1_000_000


class Prices:
    """Prices by the name of a model, in which a dated name is its family's, and no other name is."""

    def __init__(self, models: Mapping[str, Price], *, otherwise: Prices | None = None) -> None:
        """Args: otherwise: where a model is looked for that is not in `models`."""
        self._models = dict(models)
        self._otherwise = otherwise

    def find(self, model: str) -> Price | None:
        """Return the price of `gpt-4o`, `openai/gpt-4o` or `gpt-4o-2024-08-06`; None where it is unknown."""
        for name in (model, _PROVIDER.sub("", model)):
            price = self._models.get(name) or self._models.get(_DATE.sub("", name))
            if price is not None:
                return price
        return None if self._otherwise is None else self._otherwise.find(model)

    def cost_usd(self, model: str, usage: Usage | None, *, cache_write_tokens: int = 0) -> float | None:
        """Return what one request cost, in USD; None where the price or the number of tokens is unknown."""
        price = self.find(model)
        if price is None or usage is None:
            return None
        return price.cost_usd(usage, cache_write_tokens=cache_write_tokens)


_PROVIDER: Final = re.compile(r"^(?:openai|anthropic)/")
_DATE: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")


def load_prices(path: Path | None) -> Prices:
    """Return the table, with a user's file in front of it.

    Raises: ConfigError, in one sentence, where the file cannot be read or is not of the form above.
    """
    if path is None:
        return BUILT_IN
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"the price file {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML, which says the line itself
        raise ConfigError(f"the price file {path} is not TOML: {error}") from error
    try:
        return Prices(_prices_in(document), otherwise=BUILT_IN)
    except ValueError as error:
        raise ConfigError(f"the price file {path} cannot be used: {error}") from error


def cost_usd(model: str, usage: Usage | None) -> float | None:
    """Return what one request cost by the built-in table, in USD; None where price or tokens are unknown."""
    return BUILT_IN.cost_usd(model, usage)


def _prices_in(document: dict[str, Any]) -> dict[str, Price]:
    """Raises: ValueError, which says what is wrong and where."""
    tables = document.get("models")
    if document.keys() != {"models"} or not isinstance(tables, dict):
        known = ", ".join(sorted(document.keys() - {"models"})) or "nothing"
        raise ValueError(f"prices stand in tables such as [models.gpt-4o], and it has {known}")
    found = {}
    for name, table in tables.items():
        try:
            price = found[name] = msgspec.convert(table, Price)
        except msgspec.ValidationError as error:
            said = str(error).replace("Object", "it").replace("it missing", "it is missing the")
            quotes = "; a name with a dot in it stands in quotes" if _is_split_name(table) else ""
            raise ValueError(f"[models.{name}]: {said.replace('`$.', '`')}{quotes}") from error
        rates = (price.input, price.output, price.cached_input or 0.0, price.cache_write or 0.0)
        if not all(0 <= rate < math.inf for rate in rates):
            raise ValueError(f"[models.{name}]: a price is below 0, or no number")
    return found


def _is_split_name(table: Any) -> bool:
    return isinstance(table, dict) and any(isinstance(inner, dict) for inner in table.values())


def _listed(*rates: float, write: float | None = None, long_prompt: LongPrompt | None = None) -> Price:
    """Return a price from `input, output` or `input, cached input, output`, as the pages list them."""
    cached = rates[1] if len(rates) == 3 else None
    return Price(
        input=rates[0], cached_input=cached, output=rates[-1], cache_write=write, long_prompt=long_prompt
    )


_LONG: Final = LongPrompt(over_tokens=272_000, input_ratio=2.0, output_ratio=1.5)
_SONNET: Final = _listed(3, 0.3, 15, write=3.75)
_OPUS: Final = _listed(5, 0.5, 25, write=6.25)
_FIRST_OPUS: Final = _listed(15, 1.5, 75, write=18.75)
_FABLE: Final = _listed(10, 1, 50, write=12.5)
_FABLE_5_1: Final = _listed(10, 0.25, 50, write=12.5)

BUILT_IN: Final = Prices(
    {
        "gpt-6.2-astra": _listed(8, 0.4, 40, write=10, long_prompt=_LONG),
        "gpt-6.2-sol": _listed(2, 0.1, 10, write=2.5, long_prompt=_LONG),
        "gpt-6.1-sol": _listed(2, 0.1, 10, write=2.5, long_prompt=_LONG),
        "gpt-6.1-terra": _listed(1, 0.05, 5, write=1.25, long_prompt=_LONG),
        "gpt-6-astra": _listed(10, 1, 50, write=12.5, long_prompt=_LONG),
        "gpt-6-sol": _listed(2, 0.2, 10, write=2.5, long_prompt=_LONG),
        "gpt-6-luna": _listed(0.1, 0.01, 0.5, write=0.125, long_prompt=_LONG),
        "gpt-5.6": _listed(4, 0.4, 20, long_prompt=_LONG),
        "gpt-5.6-sol": _listed(4, 0.4, 20, long_prompt=_LONG),
        "gpt-5.6-terra": _listed(2, 0.2, 12, long_prompt=_LONG),
        "gpt-5.6-luna": _listed(0.2, 0.02, 1.2, long_prompt=_LONG),
        "gpt-5.5": _listed(5, 0.5, 30, long_prompt=_LONG),
        "gpt-5.4": _listed(2.5, 0.25, 15, long_prompt=_LONG),
        "gpt-5.4-mini": _listed(0.75, 0.075, 4.5),
        "gpt-5.4-nano": _listed(0.2, 0.02, 1.25),
        "gpt-5.2": _listed(1.75, 0.175, 14),
        "gpt-5.2-pro": _listed(21, 168),
        "gpt-5.1": _listed(1.25, 0.125, 10),
        "gpt-5.1-codex": _listed(1.25, 0.125, 10),
        "gpt-5.1-codex-mini": _listed(0.25, 0.025, 2),
        "gpt-5": _listed(1.25, 0.125, 10),
        "gpt-5-chat": _listed(1.25, 0.125, 10),
        "gpt-5-codex": _listed(1.25, 0.125, 10),
        "gpt-5-mini": _listed(0.25, 0.025, 2),
        "gpt-5-nano": _listed(0.05, 0.005, 0.4),
        "gpt-5-pro": _listed(15, 120),
        "gpt-4.1": _listed(2, 0.5, 8),
        "gpt-4.1-mini": _listed(0.4, 0.1, 1.6),
        "gpt-4.1-nano": _listed(0.1, 0.025, 0.4),
        "gpt-4o": _listed(2.5, 1.25, 10),
        "gpt-4o-2024-05-13": _listed(5, 15),
        "gpt-4o-mini": _listed(0.15, 0.075, 0.6),
        "gpt-4-turbo": _listed(10, 30),
        "gpt-4": _listed(30, 60),
        "gpt-4-0613": _listed(30, 60),
        "gpt-3.5-turbo": _listed(0.5, 1.5),
        "gpt-3.5-turbo-0125": _listed(0.5, 1.5),
        "o1": _listed(15, 7.5, 60),
        "o1-mini": _listed(1.1, 0.55, 4.4),
        "o1-pro": _listed(150, 600),
        "o3": _listed(2, 0.5, 8),
        "o3-mini": _listed(1.1, 0.55, 4.4),
        "o3-pro": _listed(20, 80),
        "o4-mini": _listed(1.1, 0.275, 4.4),
        "claude-fable-5-1": _FABLE_5_1,
        "claude-mythos-5-1": _FABLE_5_1,
        "claude-fable-5": _FABLE,
        "claude-mythos-5": _FABLE,
        "claude-opus-5-5": _listed(4, 0.2, 20, write=5),
        "claude-opus-5": _OPUS,
        "claude-opus-4-8": _OPUS,
        "claude-opus-4-7": _OPUS,
        "claude-opus-4-6": _OPUS,
        "claude-opus-4-5": _OPUS,
        "claude-opus-4-1": _FIRST_OPUS,
        "claude-opus-4-0": _FIRST_OPUS,
        "claude-opus-4": _FIRST_OPUS,
        "claude-3-opus": _FIRST_OPUS,
        "claude-sonnet-5-5": _listed(2, 0.1, 10, write=2.5),
        "claude-sonnet-5": _listed(2, 0.2, 10, write=2.5),
        "claude-sonnet-4-6": _SONNET,
        "claude-sonnet-4-5": _SONNET,
        "claude-sonnet-4-0": _SONNET,
        "claude-sonnet-4": _SONNET,
        "claude-3-7-sonnet": _SONNET,
        "claude-3-5-sonnet": _SONNET,
        "claude-haiku-5-5": _listed(
            0.1,
            0.01,
            0.5,
            write=0.125,
            long_prompt=LongPrompt(over_tokens=100_000, input_ratio=5.0, output_ratio=5.0),
        ),
        "claude-haiku-4-5": _listed(1, 0.1, 5, write=1.25),
        "claude-3-5-haiku": _listed(0.8, 0.08, 4, write=1),
        "claude-3-haiku": _listed(0.25, 0.03, 1.25, write=0.3),
    }
)
