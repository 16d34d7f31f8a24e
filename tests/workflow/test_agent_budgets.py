"""What an agent may use of turns, tokens and money, and what is said where it is used up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clew.errors import BudgetError
from clew.model.usage import Usage
from clew.workflow.chat import ChatAnswer
from tests.workflow.agent_parts import Model, Observer, Run, agent_in, logged, wants


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return agent_in(tmp_path, Observer())


def endless(**more: Any) -> Model:
    return Model(*(wants(("add", {"a": n, "b": 0}), **more) for n in range(100)))


def test_an_agent_ends_where_its_turns_are_used_up_and_calls_nothing_in_vain(
    run: Run, tmp_path: Path
) -> None:
    model = endless()
    with pytest.raises(BudgetError, match="agent agent has no answer after 3 turns, and max_turns is 3"):
        run(model, max_turns=3)
    assert len(model.asked) == 3
    assert len(logged(tmp_path, "add")) == 2


def test_an_agent_ends_where_its_next_turn_would_begin_above_its_tokens(run: Run, tmp_path: Path) -> None:
    model = endless(usage=Usage(input_tokens=40, output_tokens=10))
    with pytest.raises(
        BudgetError, match="used 150 tokens in 3 turns without an answer, and token_budget is 100"
    ):
        run(model, token_budget=100)
    assert len(logged(tmp_path, "add")) == 2


def test_an_agent_ends_where_its_next_turn_would_begin_above_its_money(run: Run) -> None:
    with pytest.raises(BudgetError, match=r"cost 0\.75 USD in 3 turns .* cost_budget_usd is 0\.5"):
        run(endless(cost_usd=0.25), cost_budget_usd=0.5)


def test_an_answer_counts_although_it_goes_above_the_budget(run: Run) -> None:
    answer = ChatAnswer(text="dear", usage=Usage(input_tokens=1000), cost_usd=9.0)
    assert run(Model(answer), token_budget=10, cost_budget_usd=1.0).text == "dear"


def test_a_budget_that_cannot_be_kept_because_nobody_counts_ends_the_agent(run: Run) -> None:
    with pytest.raises(BudgetError, match="gpt-x does not say how many tokens it used"):
        run(endless(model="gpt-x"), token_budget=100)
    with pytest.raises(BudgetError, match="the price of gpt-x is unknown; add it to the price table"):
        run(endless(model="gpt-x"), cost_budget_usd=1.0)


def test_answers_that_cost_nothing_because_no_model_was_asked_keep_a_budget(run: Run) -> None:
    model = Model(
        wants(("add", {"a": 1, "b": 1}), source="scripted"), ChatAnswer(text="done", source="scripted")
    )
    assert run(model, token_budget=1, cost_budget_usd=0.01).cost_usd is None


def test_tokens_and_money_of_all_turns_are_added_and_one_unknown_price_makes_the_sum_unknown(
    run: Run,
) -> None:
    usage = Usage(input_tokens=10, output_tokens=2, cached_tokens=4)
    call = wants(("add", {"a": 1, "b": 1}), usage=usage, cost_usd=0.5)
    known = run(Model(call, ChatAnswer(text="x", usage=usage, cost_usd=0.25)))
    assert known.usage == Usage(input_tokens=20, output_tokens=4, cached_tokens=8)
    assert known.cost_usd == 0.75
    unknown = run(Model(call, ChatAnswer(text="x")))
    assert unknown.usage == usage
    assert unknown.cost_usd is None
