"""The span: the live handle of a piece of work. Its two lines in the log are made here, on the hot path.

A line is put together with an f-string from parts that were encoded once for each name, the attributes are
encoded by msgspec, and the append is one `mmap.write`. What is unusual (an odd value, an error, outputs)
leaves the hot path for `clew.record.unusual`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self, cast

from clew.record.clock import DIGITS, MICROSECONDS, SECOND_NS
from clew.record.context import Scope, ambient, get_current, set_current
from clew.record.encode import quick_fields
from clew.record.noop import NOOP_SPAN, NoopSpan
from clew.record.unusual import end_line, error_fields, start_data
from clew.record.work import Work

if TYPE_CHECKING:
    from types import TracebackType

    from clew.record.context import RunScope
    from clew.record.recorder import Recorder


class Span(Work):
    """A piece of work in progress. Open it with `with`: it is written when it begins and when it ends.

    What is put into `metrics` and `attributes`, and what `output`, `usage`, `fail` and `skip` are told, is
    written with the end.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        run = self.run
        recorder = run.recorder
        try:
            name = self._name
            template = run.templates.get(name) or recorder.make_template(run, name)
            start, self._tail, text, _ = template
            attributes = self._attributes
            if self._start is not None:
                text = start_data(self, text, self._start)
            elif attributes:
                plain = quick_fields(attributes, recorder)
                if plain is None:
                    text = start_data(self, text, {})
                else:
                    text = f'{text},"attributes":{plain}' if text else f'"attributes":{plain}'
            writer = recorder.writer
            seq = writer.next_seq()
            self.span_id = span_id = f"{recorder.span_prefix}{recorder.first_span + seq}"
            self._ids = ids = f'{span_id}","parent_id":"{self._parent.span_id}{recorder.writer_part}'
            self._started_ns = now = recorder.now()
            base, stamp = recorder.stamper.second
            past = now - base
            if not 0 <= past < SECOND_NS:
                base, stamp = recorder.stamper.advance(now)
                past = now - base
            line = f'{stamp}{DIGITS[past // 1_000_000]}{MICROSECONDS[past // 1000 % 1000]}{start}{ids}{seq},"data":{{{text}}}}}\n'.encode()
            try:
                writer.write(line)
            except (ValueError, OSError):
                writer.rescue(line)
        except BaseException as error:
            self._tail = ""
            recorder.caught(error, run_id=run.run_id)
        try:
            set_current(self)
        except BaseException:  # a signal handler raised: the block is not entered, and so never left
            set_current(self._outer)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        recorder = self.run.recorder
        try:
            now = recorder.now()
            self._duration_ns = took = now - self._started_ns
            tail = self._tail
            if error is None and self._extra is None and tail:
                base, stamp = recorder.stamper.second
                past = now - base
                if not 0 <= past < SECOND_NS:
                    base, stamp = recorder.stamper.advance(now)
                    past = now - base
                writer = recorder.writer
                line = (
                    f"{stamp}{DIGITS[past // 1_000_000]}{MICROSECONDS[past // 1000 % 1000]}{tail}{self._ids}{writer.next_seq()},"
                    f'"data":{{"duration_ms":{took // 1_000_000}.'
                    f"{DIGITS[took // 1000 % 1000]}{DIGITS[took % 1000]}}}}}\n"
                ).encode()
                try:
                    writer.write(line)
                except (ValueError, OSError):
                    writer.rescue(line)
            elif tail:  # else its start is not in the log, or it belongs to the process that forked this one
                if error is not None:
                    error_fields(self, error)
                end_line(self, now)
        except BaseException as fault:
            recorder.caught(fault, run_id=self.run.run_id)
        finally:
            # A generator may be closed from another task, whose place in the run is none of our business.
            if get_current() is self:
                set_current(self._outer)

    def where(self) -> str:
        """Return the part of an event's line that says where it happened."""
        try:
            return self._where
        except AttributeError:  # the first event in this span
            run = self.run
            template = run.templates.get(self._name) or run.recorder.make_template(run, self._name)
            self._where = f"{template.where}{self.span_id}"
            return self._where

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.run.run_id

    @property
    def node_id(self) -> str:
        """Name of the node."""
        return self._name if isinstance(self._name, str) else self._name[0]

    @property
    def metrics(self) -> dict[str, Any]:
        """Numbers that the work measures, written with its end."""
        return self._later("metrics")

    @property
    def attributes(self) -> dict[str, Any]:
        """Tags given when it was opened; what is set or changed here is written with its end."""
        extra = self._extra
        if extra is None or "attributes" not in extra:
            self._later("attributes").update(self._attributes)
        return self._later("attributes")

    tags = attributes

    def set(self, **attributes: object) -> None:
        """Set attributes, written with the end."""
        self.attributes.update(attributes)

    def output(self, value: object) -> None:
        """Say what the work gave back; kept as far as the capture setting wants payloads."""
        self._more()["outputs"] = value

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cost_usd: float | None = None,
        model: str | None = None,
    ) -> None:
        """Say what the work's own model calls used. Cached and reasoning tokens are parts of the others."""
        given = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cached_tokens": cached_tokens,
            "reasoning_tokens": reasoning_tokens,
            "cost_usd": cost_usd,
            "model": model,
        }
        self._more().update({name: value for name, value in given.items() if value is not None})

    def fail(
        self, error: BaseException | str, *, error_type: str | None = None, retried: bool | None = None
    ) -> None:
        """Mark the work as failed, for hosts that report a failure in a result instead of raising it."""
        if issubclass(type(error), BaseException):  # not isinstance, which asks the value what it is
            error_fields(self, cast("BaseException", error))
        else:
            self._more().update({"error": error, "error_type": error_type})
        if retried is not None:
            self._more()["retried"] = retried

    def note_stack(self, stack: str) -> None:
        """After `fail`: say where it failed, where that is known better than by the error's own traceback."""
        self._more()["stack"] = stack

    def skip(
        self, reason: str, *, condition: str | None = None, values: dict[str, Any] | None = None
    ) -> None:
        """Say that the node did not run after all, and why."""
        self._more()["skipped"] = {"reason": reason, "condition": condition, "values": values}


_new = object.__new__


def span(name: str, /, *, kind: str | None = None, **attributes: Any) -> Span | NoopSpan:
    """Return a span to be entered with `with`: a piece of work, under the one that is open here.

    Args:
        name: the node's name.
        kind: prompt, tool, retrieval, simulation ...
        attributes: its tags.
    Outside a run, or with `CLEW_ENABLED=false`, it is the shared `NOOP_SPAN`.
    """
    parent = get_current()
    if parent is None:
        if not ambient._runs and ambient.inherited is None:
            return NOOP_SPAN
        return open_span(name if kind is None else (name, kind), attributes)
    run = parent.run
    if not run.sampled:
        return NOOP_SPAN
    made: Span = _new(Span)
    made.run = run
    made._name = name if kind is None else (name, kind)
    made._attributes = attributes
    made._parent = made._outer = parent
    made._start = made._extra = None
    return made


def open_span(
    name: str | tuple[str, str],
    attributes: dict[str, Any],
    *,
    start: dict[str, Any] | None = None,
) -> Span | NoopSpan:
    """Return a span under what is current, like `span`.

    Args:
        name: the node's name, or its name and kind.
        attributes: its tags; kept, not copied.
        start: further fields of `node_started`, such as inputs.
    """
    parent = outer = get_current()
    if parent is None:
        parent = ambient.find()
        if parent is not None and parent is not ambient.inherited:
            attributes["orphan"] = True  # in a thread that knows of no run
    if parent is None or not parent.run.sampled:
        return NOOP_SPAN
    made: Span = _new(Span)
    made.run = parent.run
    made._name = name
    made._attributes = attributes
    made._parent = parent
    made._outer = outer
    made._start = start
    made._extra = None
    return made


def disown(recorder: Recorder) -> None:
    """In a forked child: spans and runs that were open are the parent's to end, and the child goes on below them.

    The places that lead up from here get a scope of the run that is the child's. Whatever else holds a span of
    before the fork, such as a generator, keeps the old scope, and what it writes goes nowhere.
    """
    mine: dict[RunScope, RunScope] = {}
    waiting: list[Scope | None] = [get_current(), ambient.inherited, *ambient.open_runs()]
    seen: set[int] = set()
    while waiting:
        scope = waiting.pop()
        if scope is None or id(scope) in seen or scope.run.recorder is not recorder:
            continue
        seen.add(id(scope))
        if isinstance(scope, Span):
            scope._tail = ""
            waiting += [scope._parent, scope._outer]
        else:
            waiting.append(getattr(scope.run.handle, "outer", None))
        if scope.run not in mine:
            mine[scope.run] = copy.copy(scope.run)
        scope.run = mine[scope.run]
    silent = recorder.silenced()
    for run in mine:
        run.recorder = silent
