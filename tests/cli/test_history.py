"""Which events were seen: every one of them, and no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clew.cli.history import SeenEvents


def line(writer: str, seq: int) -> bytes:
    return (
        f'{{"timestamp":"2026-11-21T00:00:00Z","writer":"{writer}","seq":{seq},"data":{{"seq":7}}}}'.encode()
    )


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30))))
def test_an_event_is_seen_exactly_if_it_was_added(events: list[tuple[str, int]]) -> None:
    seen = SeenEvents()
    for writer, seq in events:
        seen.add(line(writer, seq))
    for writer in "ab":
        for seq in range(32):
            assert (line(writer, seq) in seen) == ((writer, seq) in events)


def test_a_row_of_events_takes_no_more_memory_than_one() -> None:
    seen = SeenEvents()
    for seq in range(1, 1000):
        seen.add(line("a", seq))
    assert len(seen._starts["a"]) == 1


def test_an_event_without_a_number_is_never_taken_for_another() -> None:
    seen = SeenEvents()
    for text in (
        b'{"writer":"a"}',
        b'{"seq":1}',
        b"torn",
        b"\xff",
        b'{"writer":1,"seq":"x"}',
        b"[" * 100_000,
    ):
        seen.add(text)
        assert text not in seen
