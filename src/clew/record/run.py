"""The run: what the user would name. Its first line is in the log before its first statement runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from clew.model.events import SCHEMA_VERSION
from clew.model.ids import NO_RUN
from clew.record.clock import milliseconds
from clew.record.context import RunScope, Scope, ambient, current
from clew.record.plain import safe_str
from clew.record.propagation import follow, unfollow
from clew.record.unusual import exit_code, message_of, stack_of

if TYPE_CHECKING:
    from types import TracebackType

    from clew.model.trace import ExecutionTrace, RunStatus
    from clew.record.recorder import Recorder

_SAMPLE_SPACE: Final = 16**8
_TEXTS: Final = frozenset(
    {"name", "type", "thread_id", "entrypoint", "reason", "error", "error_type", "stack"}
)


class Run:
    """One execution that the user would name. Use it with `with`; several may be open, also within another."""

    def __init__(
        self,
        recorder: Recorder,
        name: str,
        *,
        kind: str | None = None,
        start: dict[str, Any] | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        """Prepare a run; nothing is written before it is entered.

        Args:
            recorder: what writes it.
            name: what the user calls it.
            kind: script, module, function, workflow, job ...
            start: further fields of `workflow_started`: thread_id, inputs, params, entrypoint ...
            attributes: whatever the user says of it.
        """
        self.name = name
        self.run_id = recorder.ids.run_id()
        self.exit_code: int | None = None
        self._recorder = recorder
        self._kind = kind
        self._start = start or {}
        self._attributes = attributes or {}
        self._later: dict[str, Any] = {}
        self._end: dict[str, Any] = {}
        self._scope: Scope | None = None
        self.outer: Scope | None = None
        """The place in which this run was begun."""
        self._started_ns = 0
        self._writer_id = ""

    @property
    def sampled(self) -> bool:
        """Whether the inside of this run is recorded; decided by the id, so that every process agrees."""
        ratio = self._recorder.sample_ratio
        return ratio >= 1 or int(self.run_id[-8:], 16) < ratio * _SAMPLE_SPACE

    @property
    def trace(self) -> ExecutionTrace:
        """What the run did so far, read back from the log."""
        return self._recorder.read_trace(self.run_id)

    def set(self, **attributes: object) -> None:
        """Set attributes, written with the end."""
        self._later.update(attributes)

    def output(self, value: object) -> None:
        """Say what the run gave back; kept as far as the capture setting wants payloads."""
        self._end["outputs"] = value

    def __enter__(self) -> Self:
        recorder = self._recorder
        self.outer = current.get()
        # A run that another thread has open is not this one's parent: two requests of a server are two runs.
        outer = self.outer or ambient.inherited
        parent = None if outer is None else outer.run
        run = RunScope(
            recorder,
            self.run_id,
            root_run_id=self.run_id if parent is None else parent.root_run_id,
            depth=0 if parent is None else parent.depth + 1,
            sampled=self.sampled and (parent is None or parent.sampled),
        )
        run.handle = self
        self._scope = scope = Scope(run)
        self._writer_id = recorder.writer.id
        try:
            self._started_ns = recorder.now()
            start = {
                "name": self.name,
                "type": self._kind,
                "schema_version": SCHEMA_VERSION,
                "parent_run_id": None if parent is None else parent.run_id,
                "root_run_id": None if parent is None else parent.root_run_id,
                "depth": run.depth or None,
                "sampled": None if run.sampled else False,
                **self._start,
                "attributes": self._attributes or None,
            }
            self._write("workflow_started", start)
        except BaseException as error:
            recorder.caught(error, run_id=self.run_id)
        current.set(scope)
        ambient.enter(scope)
        follow(scope)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        recorder, scope = self._recorder, self._scope
        if scope is None or scope.run.ended:
            return
        scope.run.ended = True
        unfollow(scope)
        ambient.leave(scope)
        here = current.get()
        if here is not None and here.run is scope.run:  # also where a generator left one of its spans open
            current.set(self.outer)
        if self._writer_id != recorder.writer.id:
            return  # a forked child leaves the block that its parent entered: the end is the parent's to write
        try:
            name, data = self._ending(error)
            recorder.settle(scope)
            self._write(name, {"name": self.name, **data, **self._end, "attributes": self._later or None})
            recorder.settle(scope)
        except BaseException as fault:
            recorder.caught(fault, run_id=self.run_id)

    def _ending(self, error: BaseException | None) -> tuple[str, dict[str, Any]]:
        """Return which event ends the run, and what it says."""
        data: dict[str, Any] = {}
        if self.exit_code is not None:
            data["exit_code"] = self.exit_code
        if isinstance(error, KeyboardInterrupt):
            return "run_interrupted", {**data, "reason": "KeyboardInterrupt"}
        if isinstance(error, SystemExit):
            code = exit_code(error)
            data["exit_code"] = code
            if code == 0:
                return "workflow_completed", data
            message = safe_str(error.code) if isinstance(error.code, str) else f"exit code {code}"
            return "workflow_failed", {**data, "error": message, "error_type": "SystemExit"}
        if error is None:
            return "workflow_completed", data
        failure = {"error": message_of(error), "error_type": type(error).__name__, "stack": stack_of(error)}
        return "workflow_failed", {**data, **failure}

    def _write(self, name: str, data: dict[str, Any]) -> None:
        scope, recorder = self._scope, self._recorder
        if scope is None:
            return
        parts = []
        if name != "workflow_started":
            parts.append(f'"duration_ms":{milliseconds(recorder.now() - self._started_ns)}')
        for field, value in data.items():
            if value is None:
                continue
            if field in {"inputs", "outputs"}:
                encoded = recorder.values.payload(field, value)
                if encoded is None:
                    continue
                text = f'"{field}":{encoded.text}'
            elif field in _TEXTS:
                encoded = recorder.values.texts({field: value})
                text = encoded.text[1:-1]
            else:
                encoded = recorder.values.fields({field: value})
                text = encoded.text[1:-1]
            if encoded.redacted or encoded.truncated:
                recorder.pending.append((scope, encoded))
            parts.append(text)
        level = "INFO"
        if name not in {"workflow_completed", "workflow_started"}:
            level = "ERROR" if name == "workflow_failed" else "WARNING"
        recorder.write(scope, name, f"{{{','.join(parts)}}}", level=level)
        recorder.write_pending()


class NoopRun:
    """A run that is not recorded, because recording is switched off."""

    run_id: Final = None
    exit_code: int | None = None

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._status: RunStatus = "running"

    @property
    def trace(self) -> ExecutionTrace:
        """A trace with nothing in it but how it ended, so that a program that reads its own needs not ask."""
        from clew.model.trace import ExecutionTrace  # a program that records nothing seldom asks

        return ExecutionTrace(run_id=NO_RUN, name=self.name, status=self._status, exit_code=self.exit_code)

    def __enter__(self) -> Self:
        self._status = "running"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._status = "interrupted"
        elif error is None or (isinstance(error, SystemExit) and exit_code(error) == 0):
            self._status = "completed"
        else:
            self._status = "failed"

    def set(self, **attributes: object) -> None:
        """Do nothing."""

    def output(self, value: object) -> None:
        """Do nothing."""
