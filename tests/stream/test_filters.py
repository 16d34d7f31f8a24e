from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.errors import ConfigError
from clew.model.events import decode_event
from clew.model.levels import FAMILIES, FAMILY_OF, LEVELS, Verbosity
from clew.stream.filters import MOST_DECISIONS_KEPT, EventFilter
from tests.stream.fakes import RUN_ID, event_line

ALL_NAMES = [*FAMILY_OF, "my_event", "job_failed"]


def names_shown(filter_text: str | None, level_text: str | None = None, *, level: str = "INFO") -> set[str]:
    """The event names of ALL_NAMES that pass, asked through real lines."""
    chosen = EventFilter.parse(filter_text, level_text)
    lines = [event_line(name, level) for name in ALL_NAMES]
    return {json.loads(line)["event"] for line in chosen.select(lines)}


def test_a_filter_that_passes_everything_returns_the_same_sequence_undecoded() -> None:
    lines = [b"not even JSON", event_line()]
    for chosen in (EventFilter(), EventFilter.parse(None, "debug"), EventFilter.parse("*", None)):
        assert chosen.select(lines) is lines


def test_without_settings_verbosity_is_normal() -> None:
    assert names_shown(None) == names_shown(None, "normal")
    assert "node_completed" in names_shown(None)
    assert "my_event" in names_shown(None)
    assert names_shown(None).isdisjoint({"state_changed", "token_usage", "input_received"})


def test_verbosities_show_more_and_more() -> None:
    sets = [names_shown(None, word) for word in ("minimal", "normal", "verbose", "debug")]
    assert sets[0] < sets[1] < sets[2] < sets[3] == set(ALL_NAMES)
    assert sets[0] == {*FAMILIES["lifecycle"], "node_failed", "events_lost"}


@pytest.mark.parametrize(
    "text, shown",
    [
        ("node_started", {"node_started"}),
        ("NODE_STARTED", {"node_started"}),
        ("node_*", set(FAMILIES["node"])),
        ("node", set(FAMILIES["node"])),
        ("lifecycle,agent", {*FAMILIES["lifecycle"], *FAMILIES["agent"]}),
        (" lifecycle , agent ,", {*FAMILIES["lifecycle"], *FAMILIES["agent"]}),
        ("user", {"my_event", "job_failed"}),
        ("error", {"workflow_failed", "node_failed", "job_failed"}),
        ("node,!node_started", {"node_completed", "node_failed", "node_skipped"}),
        ("!node_started,node", {"node_completed", "node_failed", "node_skipped"}),
        ("node,! error", {"node_started", "node_completed", "node_skipped"}),
        ("[nt]o*", {*FAMILIES["node"], "token_usage"}),
        ("a_name_of_the_user", set()),
    ],
)
def test_patterns_choose_events(text: str, shown: set[str]) -> None:
    assert names_shown(text) == shown


def test_error_also_means_every_event_of_level_error() -> None:
    assert names_shown("error", level="ERROR") == set(ALL_NAMES)


def test_patterns_replace_the_set_that_the_verbosity_names() -> None:
    """Whoever asks for an event by name gets it, whatever verbosity is configured."""
    assert names_shown("token_usage", "minimal") == {"token_usage"}
    assert names_shown("state_changed") == {"state_changed"}


def test_a_pattern_that_takes_away_leaves_the_rest_of_the_verbosity() -> None:
    assert names_shown("!node", "normal") == names_shown(None, "normal") - set(FAMILIES["node"])


@pytest.mark.parametrize("least", LEVELS)
def test_a_level_is_the_least_one_shown_for_every_name(least: str) -> None:
    chosen = EventFilter.parse(None, least.lower())
    for rank, level in enumerate(LEVELS):
        shown = chosen.select([event_line("state_changed", level)])
        assert bool(shown) == (rank >= LEVELS.index(least))


def test_a_level_bounds_patterns_too() -> None:
    assert names_shown("node_*", "warning") == set()
    assert names_shown("node_*", "warning", level="ERROR") == set(FAMILIES["node"])


def test_an_unknown_level_counts_as_info() -> None:
    assert EventFilter.parse(None, "info").passes("x", "FATAL")
    assert not EventFilter.parse(None, "warning").passes("x", "FATAL")


def test_only_debug_shows_payloads_whole() -> None:
    words = ("debug", "verbose", "info", "normal", None)
    assert [EventFilter.parse(None, word).whole_payloads for word in words] == [True, *[False] * 4]


@pytest.mark.parametrize(
    "word, suggestion",
    [("verbos", "verbose"), ("eror", "error"), ("warn", "warning"), ("WARNNING", "warning")],
)
def test_a_misspelt_level_is_refused_with_the_word_it_is_close_to(word: str, suggestion: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{suggestion}'\\?$"):
        EventFilter.parse(None, word)


def test_a_level_that_is_close_to_nothing_is_refused_without_a_guess() -> None:
    with pytest.raises(ConfigError, match=r"^telemetry level 'xyz' is neither .*\)$"):
        EventFilter.parse(None, "xyz")


def test_an_exclamation_mark_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="write a name after '!'"):
        EventFilter.parse("node,!", None)


@pytest.mark.parametrize("text", ["[[", "node,[ab", "!tool[", "[a,b]", "x[a]y["])
def test_a_bracket_that_nothing_closes_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="opens a '\\[' that no '\\]' closes"):
        EventFilter.parse(text, None)


def test_brackets_that_are_closed_are_taken() -> None:
    assert EventFilter.parse("node_[cs]*,[!n]*,x[]]", None).passes("node_started", "INFO")


def test_settings_that_are_empty_are_settings_that_are_not_given() -> None:
    assert names_shown("", "") == names_shown(None, None)
    assert names_shown(" , ", " ") == names_shown(None, None)


FORGED = '","event":"node_failed","level":"ERROR","data":{"x":"'
texts = st.one_of(st.text(max_size=20), st.sampled_from([*ALL_NAMES, FORGED, "a\\", '"', ""]))
run_ids = st.one_of(st.just(RUN_ID), texts, st.text("0123456789abcdef", min_size=32, max_size=32))


@st.composite
def lines_of_all_kinds(draw: st.DrawFn) -> bytes:
    fields: dict[str, Any] = {
        "timestamp": "2026-11-21T03:59:12.123456Z",
        "run_id": draw(run_ids),
        "event": draw(texts),
        "level": draw(st.one_of(st.sampled_from(LEVELS), st.just("FATAL"), texts)),
        "node_id": draw(texts),
        "data": draw(st.dictionaries(texts, texts, max_size=3)),
        "unknown": {"a": "b", "event": draw(texts), "level": "ERROR"},
    }
    if draw(st.booleans()):
        fields = {name: fields[name] for name in draw(st.permutations(list(fields)))}
    dropped = draw(st.sampled_from(["", "", "level", "run_id", "event", "unknown"]))
    fields.pop(dropped, None)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    text = json.dumps(fields, separators=separators, ensure_ascii=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass")


filters = st.sampled_from(
    [
        EventFilter.parse("node_*,user", "info"),
        EventFilter.parse("error", None),
        EventFilter.parse("!error", "verbose"),
        EventFilter.parse(None, "minimal"),
        EventFilter.parse(None, "error"),
    ],
)  # shared by all examples, so that decisions remembered for one line meet other lines


@settings(deadline=None)
@given(filters, st.lists(st.one_of(lines_of_all_kinds(), st.binary(max_size=200)), max_size=6))
def test_the_quick_look_decides_as_decoding_does(chosen: EventFilter, lines: list[bytes]) -> None:
    expected = []
    for line in lines:
        event = decode_event(line)
        if event is not None and chosen.passes(event.event, event.level):
            expected.append(line)
    assert list(chosen.select(lines)) == expected
    assert list(chosen.select(lines)) == expected, "the remembered decisions differ from the first ones"


def test_text_in_a_payload_that_looks_like_an_envelope_decides_nothing() -> None:
    forged = event_line("node_started", data={"x": FORGED, "event": "node_failed", "level": "ERROR"})
    real = event_line("node_failed", "ERROR")
    assert EventFilter.parse("error", None).select([forged, real, forged]) == [real]


def test_a_program_that_numbers_its_event_names_does_not_fill_the_memory() -> None:
    chosen = EventFilter(verbosity=Verbosity.NORMAL)
    lines = [event_line(f"step_{number}") for number in range(2 * MOST_DECISIONS_KEPT + 10)]
    assert chosen.select(lines) == lines
    assert len(chosen._decisions) <= MOST_DECISIONS_KEPT


def nested(event: str, head: str) -> bytes:
    """A line of another system that has, inside an object, what Clew writes at the same place."""
    inside = '","event":"node_failed","level":"ERROR"'
    start = (head + "p" * 85)[:85]
    return f'{start}{inside}}},"run_id":"r","event":"{event}"}}'.encode()


@pytest.mark.parametrize(
    "head",
    [
        '{"timestamp":"2026-11-21T03:59:12.123456Z","x":{"a":"',
        '{"timestamp":"2026-11-21T03:59:12Z","x":{"run_id":"',
    ],
)
def test_an_event_inside_an_object_is_not_taken_for_the_event(head: str) -> None:
    real, foreign = event_line("node_failed", "ERROR"), nested("node_started", head)
    assert foreign.find(b'","event":"') == real.find(b'","event":"')
    for lines in ([real, foreign], [foreign, real]):
        assert EventFilter.parse("error", None).select(lines) == [real]


def test_a_decision_is_not_remembered_for_what_another_line_would_look_like() -> None:
    foreign = nested("node_started", '{"x":{"timestamp":"2026-11-21T03:59:12Z","run_id":"').replace(
        b'"run_id":"r"', b'"timestamp":"2026-11-21T03:59:12Z","run_id":"r"'
    )
    assert decode_event(foreign) is not None
    real = event_line("node_failed", "ERROR")
    assert EventFilter.parse("error", None).select([foreign, real]) == [real]
