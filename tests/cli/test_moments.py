"""How times are read and written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clew.cli.moments import format_age, parse_moment, parse_span

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text,span",
    [
        ("90s", timedelta(seconds=90)),
        ("15 min", timedelta(minutes=15)),
        ("2m", timedelta(minutes=2)),
        ("1.5h", timedelta(minutes=90)),
        ("3D", timedelta(days=3)),
        ("1w", timedelta(days=7)),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert parse_span(text) == span
    assert parse_moment(text, NOW) == NOW - span


@pytest.mark.parametrize("text", ["", "3", "h", "-2h", "2 fortnights", "2h30", "nan h", "99999999999999w"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a span|longer than"):
        parse_span(text)


def test_a_span_from_before_all_dates_means_everything() -> None:
    assert parse_moment("300000w", NOW) == datetime.min.replace(tzinfo=UTC)


def test_a_date_with_a_zone_is_that_moment() -> None:
    assert parse_moment("2026-11-21T03:00:00+02:00", NOW) == datetime(2026, 11, 21, 1, tzinfo=UTC)


def test_a_date_without_a_zone_is_local() -> None:
    assert parse_moment("2026-11-21", NOW) == datetime(2026, 11, 21).astimezone()


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "21.11.2026", "0001-01-01T00:00+23:59"])
def test_what_is_neither_span_nor_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a span"):
        parse_moment(text, NOW)


@pytest.mark.parametrize(
    "before,text",
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(hours=48), "2 d"),
    ],
)
def test_an_age_has_one_unit(before: timedelta, text: str) -> None:
    assert format_age(NOW - before, NOW) == text


def test_an_unknown_age_is_a_dash() -> None:
    assert format_age(None, NOW) == "-"
