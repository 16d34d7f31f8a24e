from __future__ import annotations

from pathlib import Path

import pytest

from clew.errors import ConfigError
from clew.model.usage import Usage
from clew.workflow.providers.prices import BUILT_IN, cost_usd, load_prices

MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


def test_cached_tokens_are_priced_apart_and_never_twice() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cached_tokens=400, reasoning_tokens=60)
    assert cost_usd("gpt-4o", usage) == pytest.approx((600 * 2.5 + 400 * 1.25 + 100 * 10) / 1e6)


def test_tokens_put_into_a_cache_have_their_own_price() -> None:
    usage = Usage(input_tokens=1000, output_tokens=0, cached_tokens=400)
    cost = BUILT_IN.cost_usd("claude-sonnet-4-5", usage, cache_write_tokens=500)
    assert cost == pytest.approx((100 * 3 + 400 * 0.3 + 500 * 3.75) / 1e6)


def test_a_long_prompt_costs_more_all_of_it() -> None:
    short = cost_usd("claude-haiku-5-5", Usage(input_tokens=100_000, output_tokens=1000))
    long = cost_usd("claude-haiku-5-5", Usage(input_tokens=100_001, output_tokens=1000))
    assert short == pytest.approx((100_000 * 0.1 + 1000 * 0.5) / 1e6)
    assert long == pytest.approx((100_001 * 0.5 + 1000 * 2.5) / 1e6)


@pytest.mark.parametrize(
    "name,like",
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic/claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("gpt-5-chat-latest", "gpt-5-chat"),
    ],
)
def test_a_dated_name_has_the_price_of_its_family(name: str, like: str) -> None:
    assert BUILT_IN.find(name) is not None
    assert BUILT_IN.find(name) is BUILT_IN.find(like)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-audio-preview",
        "gpt-4o-mini-realtime-preview-2024-12-17",
        "gpt-4.5-preview",
        "gpt-5.9",
        "gpt-51",
        "gpt",
        "claude-sonnet-4-9",
        "claude-opus-50-20990101",
        "o3-deep-research",
        "openai/openai/gpt-4o",
        "llama-3.1-8b",
        "2024-08-06",
        "",
    ],
)
def test_a_name_that_only_begins_like_another_has_no_price(name: str) -> None:
    assert cost_usd(name, MILLION) is None


def test_a_version_with_another_price_is_not_its_familys() -> None:
    assert cost_usd("gpt-4o-2024-05-13", MILLION) == 20.0
    assert cost_usd("claude-opus-4-20250514", MILLION) == 90.0
    assert cost_usd("claude-opus-4-5-20251101", MILLION) == 30.0


@pytest.mark.parametrize("usage", [None, Usage(), Usage(input_tokens=3), Usage(output_tokens=3)])
def test_unknown_tokens_have_an_unknown_price(usage: Usage | None) -> None:
    assert cost_usd("gpt-4o", usage) is None


def test_a_users_file_goes_before_the_table_and_adds_to_it(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(
        '[models.gpt-4o]\ninput = 1\noutput = 2\n[models."my/llama"]\ninput = 0\noutput = 0\ncached_input = 0\n'
    )
    prices = load_prices(path)
    assert prices.cost_usd("openai/gpt-4o-2024-08-06", MILLION) == 3.0
    assert prices.cost_usd("openai/my/llama", MILLION) == 0.0
    assert prices.cost_usd("gpt-4o-mini", MILLION) == cost_usd("gpt-4o-mini", MILLION)


@pytest.mark.parametrize(
    "content,said",
    [
        ("", "it has nothing"),
        ("models = 3", "tables such as [models.gpt-4o]"),
        ("[models.x]\ninput = 1\n", "[models.x]: it is missing the required field `output`"),
        ("[models.x]\ninput = 'a'\noutput = 1\n", "[models.x]: Expected `float`, got `str` - at `input`"),
        ("[models.x]\ninput = 1\noutput = 1\nouput = 2\n", "ouput"),
        ("[models.x]\ninput = -1\noutput = 1\n", "below 0"),
        ("[models.x]\ninput = nan\noutput = 1\n", "no number"),
        ("[models.gpt-4.1]\ninput = 1\noutput = 1\n", "a name with a dot in it stands in quotes"),
        ("[models.x\n", "line 1"),
        ("other = 1\n", "and it has other"),
    ],
)
def test_what_is_wrong_in_a_price_file_is_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_prices(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_price_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_prices(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        load_prices(tmp_path / "bytes.toml")
