"""Finding the lines of one run among those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from clew.model.events import decode_event

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUN: Final = b'","run_id":"'


class RunFilter:
    """Finds the lines of one run among others."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._mine = b'","run_id":%b,' % msgspec.json.encode(run_id)

    def __call__(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return those lines that are events of the run."""
        mine, found = self._mine, []
        for line in lines:
            if line.startswith(mine, 41):
                found.append(line)
            elif not _names_another_run(line):
                event = decode_event(line)
                if event is not None and event.run_id == self._run_id:
                    found.append(line)
        return found


def _names_another_run(line: bytes) -> bool:
    """Say whether a line that is not of the run has the form that Clew writes, so that this is certain."""
    return line.startswith(_RUN, 41) and b"\\" not in line[53 : line.find(b'"', 53)]
