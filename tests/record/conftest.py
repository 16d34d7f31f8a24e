"""What the tests of recording share: a recorder in memory, and the check that nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clew.testing import FakeClock, Recording, nothing_left_behind, recording


@pytest.fixture(autouse=True)
def _tidy(own_settings: None) -> Iterator[None]:
    """No test may leave a wrap, a variable or an open run behind."""
    with nothing_left_behind():
        yield


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(clock: FakeClock) -> Iterator[Recording]:
    """Record into memory, payloads whole, time only moved by `clock`."""
    with recording(clock=clock, capture="full") as journal:
        yield journal
