"""With `fsync = "checkpoint"` the disk has what was recorded before a checkpoint once the call returns."""

from __future__ import annotations

import pytest

import clew
from clew.testing import recording


@pytest.mark.parametrize("sync", [True, False])
def test_a_checkpoint_waits_for_the_disk_where_the_setting_asks_for_it(sync: bool) -> None:
    synced: list[int] = []
    with recording(sync_checkpoints=sync) as log:
        log.recorder.writer.sync = lambda: synced.append(len(log.lines()))  # type: ignore[method-assign]
        with clew.run("r"), clew.span("s"):
            for number in range(3):
                clew.event("checkpoint_saved", number=number)
                clew.event("decision_made", number=number)
            before_the_end = list(synced)
        assert before_the_end == ([3, 5, 7] if sync else [])
        assert bool(synced) == sync
