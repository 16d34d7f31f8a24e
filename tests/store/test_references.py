"""How a person names a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clew.errors import AmbiguousRunError, NoSuchRunError
from clew.store.index import RunRow
from clew.store.references import resolve

HOME = Path("/home/you/.clew")
NOW = datetime.now(UTC)


def row(
    run_id: str,
    name: str | None = None,
    *,
    parent: str | None = None,
    age_s: float = 60,
    original: str | None = None,
) -> RunRow:
    return RunRow(
        run_id=run_id,
        name=name,
        kind=None,
        status="completed",
        started_at=NOW - timedelta(seconds=age_s),
        last_event_at=None,
        duration_ns=None,
        events=1,
        nodes=0,
        failed_nodes=0,
        lost=0,
        parent_run_id=parent,
        depth=0 if parent is None else 1,
        host=None,
        exit_code=None,
        original_run_id=original,
    )


ROWS = [
    row("0193514c5d2a0003", "inner", parent="0193514c5d2a0002"),
    row("0193514c5d2a0002", "nightly", age_s=90),
    row("0193514cffff0001", "nightly", age_s=7200),
    row("0093514cffff0001", "Nightly ingest", age_s=172800, parent="a run of another journal"),
]


@pytest.mark.parametrize(
    "reference, run_id",
    [
        ("0193514c5d2a0002", "0193514c5d2a0002"),
        ("0193514c5", None),
        ("0193514cf", "0193514cffff0001"),
        ("0193514CF", "0193514cffff0001"),
        ("00", "0093514cffff0001"),
        ("latest", "0193514c5d2a0002"),
        ("latest~0", "0193514c5d2a0002"),
        ("latest~1", "0193514cffff0001"),
        ("latest~2", "0093514cffff0001"),
        ("nightly", "0193514c5d2a0002"),
        ("inner", "0193514c5d2a0003"),
        ("Nightly ingest", "0093514cffff0001"),
    ],
)
def test_a_reference_names_one_run(reference: str, run_id: str | None) -> None:
    if run_id is None:
        with pytest.raises(AmbiguousRunError):
            resolve(reference, ROWS, home=HOME)
    else:
        assert resolve(reference, ROWS, home=HOME) == run_id


def test_a_run_that_is_named_like_the_beginning_of_an_id_is_found_by_its_name() -> None:
    assert resolve("cafe", [row("cafe0001"), row("beef0001", "cafe")], home=HOME) == "beef0001"


def test_a_run_whose_id_is_latest_is_found_by_its_id() -> None:
    assert resolve("latest", [row("x"), row("latest")], home=HOME) == "latest"


def test_an_ambiguous_prefix_lists_a_few_of_the_runs_that_it_fits() -> None:
    rows = [row(f"0193514c{n:08x}", f"run {n}" if n else None, age_s=5 + n * 4000) for n in range(8)]
    with pytest.raises(AmbiguousRunError) as caught:
        resolve("0193", rows, home=HOME)
    message = str(caught.value)
    assert message.startswith("'0193' is the beginning of 8 run ids: 0193514c00000000 (no name, ")
    assert "0193514c00000004 (run 4, 4 h ago) and 3 more; give more digits." in message
    assert "\n" not in message


@pytest.mark.parametrize("reference", ["latest~3", "latest~999999999"])
def test_a_position_beyond_the_oldest_run_says_which_is_the_oldest(reference: str) -> None:
    with pytest.raises(NoSuchRunError, match=r"it has 3 runs, so latest~2 is the oldest"):
        resolve(reference, ROWS, home=HOME)


@pytest.mark.parametrize("reference", ["nope", "latest~x", "latest~-1", "", "ffff", "*", "~1"])
def test_a_reference_that_fits_nothing_says_where_was_looked(reference: str) -> None:
    with pytest.raises(
        NoSuchRunError, match=r"There is no run .* in /home/you/\.clew.*`clew runs` lists them"
    ):
        resolve(reference, ROWS, home=HOME)


def test_half_a_name_leads_to_the_whole_one() -> None:
    with pytest.raises(NoSuchRunError, match=r"did you mean 'nightly' or 'Nightly ingest'\?"):
        resolve("night", ROWS, home=HOME)


def test_an_empty_journal_says_how_to_record() -> None:
    with pytest.raises(
        NoSuchRunError, match=r"no runs in /home/you/\.clew; record one with `clew run SCRIPT`"
    ):
        resolve("latest", [], home=HOME)


IMPORTED = [
    row("0193514c5d2a0004", "hello", original="loop1"),
    row("0193514c5d2a0003", "hello", original="loop1"),
    row("0193514c5d2a0002", "loop2"),
    row("0193514c5d2a0001", "other", original="loop2"),
    row("abc3514c5d2a0001", "other", original="Train-7"),
    row("0183514c5d2a0001", "other", original="abc"),
    row("0173514c5d2a0001", "other", original="0173514c5d2a0002"),
]


@pytest.mark.parametrize(
    "reference, run_id",
    [
        ("loop1", "0193514c5d2a0004"),  # the newest of several, like a name
        ("loop2", "0193514c5d2a0002"),  # a name comes first
        ("Train-7", "abc3514c5d2a0001"),
        ("train", "abc3514c5d2a0001"),
        ("abc", "0183514c5d2a0001"),  # whole, before what is only a beginning
        ("abc3", "abc3514c5d2a0001"),
        ("0173514c5d2a0001", "0173514c5d2a0001"),
        ("0173514c5d2a0002", "0173514c5d2a0001"),
    ],
)
def test_an_imported_run_is_found_by_what_the_other_system_called_it(reference: str, run_id: str) -> None:
    assert resolve(reference, IMPORTED, home=HOME) == run_id


def test_a_beginning_of_several_ids_of_another_system_is_told() -> None:
    with pytest.raises(AmbiguousRunError, match=r"2 run ids: .*imported as loop1.*imported as loop2"):
        resolve("loo", IMPORTED, home=HOME)
