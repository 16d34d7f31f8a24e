"""The only place where the layers are joined: settings, recorder, journal and store of this process."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from clew.config import SETTING_NAMES, load_settings
from clew.errors import NoSuchRunError
from clew.journal.layout import usable_home
from clew.journal.sentences import say
from clew.journal.writer import JournalWriter
from clew.model.ids import new_run_id, new_span_prefix, new_writer_id
from clew.model.trace import ExecutionTrace, set_html_drawer
from clew.record.clock import SystemClock
from clew.record.context import ambient, current
from clew.record.noop import NOOP_SPAN, NoopSpan
from clew.record.propagation import inherit, set_process_hooks
from clew.record.recorder import Recorder
from clew.record.run import NoopRun, Run
from clew.record.span import Span, disown
from clew.record.traced import trace_function

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clew.config import Settings
    from clew.stream.options import Pumps, StreamOptions

_F = TypeVar("_F")
_SYNC_INTERVAL_S: Final = 1.0


class SystemIds:
    """Random identifiers, as W3C trace context wants them."""

    run_id = staticmethod(new_run_id)
    writer_id = staticmethod(new_writer_id)
    span_prefix = staticmethod(new_span_prefix)


class Session:
    """What this process records with. There is one; a forked child goes on with a writer of its own."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._home: Path | None = None
        self._recorder: Recorder | None = None
        self._lock = threading.RLock()  # a signal handler may begin a run while its thread makes the recorder

    @property
    def settings(self) -> Settings:
        """The settings, read when they are first needed. A bad value is told on stderr and is the default."""
        if self._settings is None:
            self.configure(load_settings(strict=False))
            for complaint in self.settings.complaints:
                rest = "; the default is used" if complaint.setting in SETTING_NAMES else ""
                say(f"clew: {complaint.message}{rest}")
        assert self._settings is not None
        return self._settings

    def configure(self, settings: Settings) -> None:
        """Use these settings for whatever is recorded from now on."""
        self._settings = settings
        self._recorder = self._home = None

    @property
    def home(self) -> Path:
        """Where this process records: the setting, or what stands in for it. Told once where that is another place."""
        if self._home is None:
            wanted = self.settings.home
            self._home = home = usable_home(wanted)
            if home != wanted:
                say(f"clew: {wanted} cannot be written; recording to {home} instead")
        return self._home

    def recorder(self) -> Recorder | None:
        """Return the recorder of this process; None where recording is switched off. Never raises."""
        if self._recorder is None and self.settings.enabled:
            with self._lock:
                if self._recorder is None:
                    made = self._new_recorder(self.settings)
                    self._recorder = self._recorder or made  # type: ignore[redundant-expr] # see the lock
        return self._recorder

    def _new_recorder(self, settings: Settings) -> Recorder:
        clock = SystemClock()
        ids = SystemIds()
        home = settings.home if settings.journal == "memory" else self.home

        def new_writer() -> JournalWriter:
            return JournalWriter(
                home,
                clock,
                ids=ids,
                mode=settings.journal,
                segment_bytes=settings.segment_bytes,
            )

        recorder = Recorder(
            new_writer,
            ids=ids,
            clock=clock,
            home=home,
            capture=settings.capture,
            inline_limit_bytes=settings.inline_limit_bytes,
            max_payload_bytes=settings.max_payload_bytes,
            redact=settings.redact,
            sample_ratio=settings.sample_ratio,
            sync_checkpoints=settings.fsync == "checkpoint",
        )
        if settings.journal != "memory":
            recorder.read_trace = self.read_trace
        if settings.fsync == "interval":
            _Syncing(recorder).start()
        return recorder

    def read_trace(self, run_id: str) -> ExecutionTrace:
        """Return the trace of a run of this home directory, as far as it is recorded."""
        from clew.store.own import own_trace

        recorder = self._recorder
        own = None if recorder is None else own_trace(self.home, run_id, writer=recorder.writer.id)
        if own is not None:
            return own
        from clew.store.store import Store  # sqlite is loaded only where it must be

        try:
            return Store(self.home).trace(run_id)
        except NoSuchRunError:  # the disk took nothing: what is known of it is in memory, if anywhere
            return ExecutionTrace(run_id=run_id) if recorder is None else recorder.trace_in_memory(run_id)

    def start_stream(
        self,
        run_id: str | None,
        options: StreamOptions,
        *,
        report: Callable[[str], None],
    ) -> Pumps:
        """Carry the events of a run, and of the runs in it, to where the options say while it runs.

        Call it before the run is entered. Returns the pumps, to be closed after it.
        """
        from clew.journal.follow import JournalFollower  # a program without a stream loads neither
        from clew.stream.options import Pumps, start_pumps

        recorder = self.recorder()
        if recorder is None or run_id is None:
            return Pumps()
        if self.settings.journal == "memory" and options.enabled:
            report("telemetry is read from the journal, and this one is in memory: nothing is streamed")
            return Pumps()
        home, writer = self.home, recorder.writer
        return start_pumps(
            options,
            new_source=lambda: JournalFollower(
                home, runs={run_id}, own_writer=writer.id, own_place=writer.place
            ),
            report=report,
        )

    def close(self) -> None:
        """Seal what this process wrote. Never raises; what is recorded later opens another segment."""
        if self._recorder is not None:
            self._recorder.writer.close()

    def after_fork_in_child(self) -> None:
        """Go on with a writer of one's own, and leave to the parent what is the parent's."""
        self._lock = threading.RLock()
        recorder = self._recorder
        if recorder is None:
            return
        with contextlib.suppress(Exception):
            disown(recorder)
            recorder.writer.abandon()
            recorder.renew_writer()
            if self.settings.fsync == "interval":
                _Syncing(recorder).start()


class _Syncing(threading.Thread):
    """Waits for the disk once a second, so that a power cut costs at most that second."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(name="clew-sync", daemon=True)
        self._recorder = recorder

    def run(self) -> None:
        """Sync until the process ends."""
        pause = threading.Event()
        while not pause.wait(_SYNC_INTERVAL_S):
            self._recorder.writer.sync()


session: Final = Session()


def run(name: str, *, kind: str | None = None, **attributes: Any) -> Run | NoopRun:
    """Return a run to be entered with `with`: everything recorded inside belongs to it.

    Args:
        name: what you call it; `clew show NAME` finds it again.
        kind: script, job, workflow ...
        attributes: whatever you want to say of it. `thread_id`, `params` and `inputs` have places of their own.
    Inside another run it is a nested run, with its own id and the other as its parent.
    """
    recorder = session.recorder()
    if recorder is None:
        return NoopRun(name)
    start: dict[str, Any] = {
        field: attributes.pop(field) for field in ("thread_id", "params", "inputs") if field in attributes
    }
    return Run(recorder, name, kind=kind, start=start, attributes=attributes)


@overload
def traced(function: _F, /, *, name: str | None = None, kind: str | None = None) -> _F: ...
@overload
def traced(*, name: str | None = None, kind: str | None = None) -> Callable[[_F], _F]: ...
def traced(function: Any = None, /, *, name: str | None = None, kind: str | None = None) -> Any:
    """Record every call of a function, coroutine, generator or async generator as a span.

    Use it as `@traced` or `@traced(kind="retrieval")`. Where recording is switched off when the function is
    defined, the result is the function itself. So it is, always, for what a program uses otherwise than by calls: a
    class, a property (trace the function below `@property`), an object with attributes of its own.
    """
    if function is None:
        return lambda f: traced(f, name=name, kind=kind)
    if not session.settings.enabled:
        return function
    return trace_function(function, name=name, kind=kind)


def current_span() -> Span | NoopSpan:
    """Return the span that is open here; `NOOP_SPAN` where there is none."""
    place = current.get()
    return place if isinstance(place, Span) else NOOP_SPAN


def current_run() -> Run | None:
    """Return the run of this process that is open here; None outside a run."""
    place = current.get() or ambient.find()
    handle = None if place is None else place.run.handle
    return handle if isinstance(handle, Run) else None


def _draw(trace: ExecutionTrace) -> str:
    from clew.view.html import trace_repr_html  # only a notebook shows one

    return trace_repr_html(trace)


atexit.register(session.close)
set_html_drawer(_draw)
set_process_hooks(recorder=session.recorder, at_end=session.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=session.after_fork_in_child)
inherit()
