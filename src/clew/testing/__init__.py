"""For tests of programs that record: time and ids in your hands, a journal in memory, and contracts.

def test_the_node_that_failed_is_in_the_trace():
    with recording() as log:
        my_program()
    assert log.trace().nodes[0].status == "failed"
"""

from __future__ import annotations

from clew.testing.contracts import SegmentContract, SinkContract, SourceContract, contract_line
from clew.testing.recording import (
    FakeClock,
    MemoryJournal,
    Recording,
    SequentialIds,
    installed,
    memory_recorder,
    nothing_left_behind,
    recording,
    using,
)

__all__ = [
    "FakeClock",
    "MemoryJournal",
    "Recording",
    "SegmentContract",
    "SequentialIds",
    "SinkContract",
    "SourceContract",
    "contract_line",
    "installed",
    "memory_recorder",
    "nothing_left_behind",
    "recording",
    "using",
]
