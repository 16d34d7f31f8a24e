"""The states of one run as `state_changed` events: a snapshot first, then what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.model.state import StateWriter
from clew.record.context import current
from clew.record.encode import Encoded

if TYPE_CHECKING:
    from clew.record.recorder import Recorder

_encode: Final = msgspec.json.Encoder().encode


class States:
    """The chain of states of one run. Not for several threads at once, nor for several processes."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._writer = StateWriter()

    def record(self, state: Any) -> None:
        """Record what the state is now, in the span or run that is open here. Never raises.

        Secrets are removed first, so that what a reader rebuilds has the hash that is recorded with it. A state that is
        larger than a payload within a line may be is shortened as with `capture=summary`.
        """
        scope = current.get()
        if scope is None or not scope.run.sampled:
            return
        recorder = self._recorder
        try:
            kept = recorder.values.kept(state)
            if kept is None:
                return
            delta = self._writer.record(kept.value)
            recorder.write(scope, "state_changed", _encode(delta).decode(), level="DEBUG")
            if kept.redacted:
                recorder.pending.append((scope, Encoded("", kept.redacted, [])))
                recorder.write_pending()
        except BaseException as error:
            self._writer.reset()
            recorder.caught(error, run_id=scope.run.run_id)
