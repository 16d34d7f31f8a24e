"""What a program calls most, in the quickest form that this installation has.

The Python of `clew.record.span` and `clew.record.happening` is the reference, and always there. Where the module of
src/native was compiled, it takes over the plain cases, which are nearly all of them, and hands on the rest.
`CLEW_COMPILED=false` does without it.
"""

from __future__ import annotations

import os
from typing import Any, Final

from clew.journal.writer import JournalWriter
from clew.record import encode, happening, unusual
from clew.record import recorder as recorders
from clew.record import span as spans
from clew.record.clock import Stamper
from clew.record.context import Ambient, RunScope, Scope, ambient, current
from clew.record.measured import as_number
from clew.record.noop import NOOP_SPAN
from clew.record.plain import PAIR_PARTS
from clew.record.recorder import Recorder
from clew.record.redact import SHORTEST_SECRET
from clew.record.work import Work

event, span = happening.event, spans.span
quick_fields = REFERENCE_FIELDS = encode.quick_fields
REFERENCE: Final = (spans.Span.__enter__, spans.Span.__exit__, span, event)
FORM: Final = 4
"""Counts up in here and in src/native whenever a line of theirs changes, so that an old module is not used."""
_SWITCH: Final = "CLEW_COMPILED"
_obstacle = ""
_NUMBERS: Final = frozenset({int, float})
_OFF: Final = frozenset({"0", "false", "no", "off"})


def _refused(writer: JournalWriter, line: bytes, error: BaseException) -> None:
    """Rescue a line that the segment did not take, where its error is the one that is being handled."""
    try:
        raise error
    except (ValueError, OSError):
        writer.rescue(line)


def _contain(place: Scope, error: BaseException) -> None:
    place.run.recorder.caught(error, run_id=place.run.run_id)


def _is_unwanted() -> bool:
    return os.environ.get(_SWITCH, "").strip().lower() in _OFF


def compiled_origin() -> str:
    """Say why the compiled module is at work, or is not."""
    if IS_COMPILED:
        return "built when Clew was installed"
    return _obstacle or f"environment {_SWITCH}"


def _install() -> bool:
    """Put the compiled module to work, and say whether there is one that is wanted."""
    global event, quick_fields, span, _obstacle
    if _is_unwanted():
        return False
    try:
        # The one place where methods of Python are replaced: by compiled ones that call them.
        spans.Span.__enter__, spans.Span.__exit__, span, event = _made()  # type: ignore[method-assign]
        from clew.record import _hotpath

        quick_fields = _hotpath.quick_fields
    except ModuleNotFoundError:
        _obstacle = "not built when Clew was installed"
        return False
    except (
        Exception
    ) as error:  # a module of another version or for another Python must not keep anybody from running
        _obstacle = f"not usable: {error}"
        return False
    # They imported it by name, and mypy does not count an imported name among a module's attributes.
    for module in (happening, recorders, spans, unusual):
        module.quick_fields = quick_fields  # type: ignore[attr-defined]
    return True


def _made() -> tuple[Any, Any, Any, Any]:
    from clew.record import _hotpath

    enter, leave, span, event = REFERENCE
    return _hotpath.install(
        form=FORM,
        Span=spans.Span,
        Scope=Scope,
        Work=Work,
        RunScope=RunScope,
        Recorder=Recorder,
        JournalWriter=JournalWriter,
        Stamper=Stamper,
        Ambient=Ambient,
        Template=recorders.Template,
        current=current,
        ambient=ambient,
        noop=NOOP_SPAN,
        encode_json=encode.encode_json,
        shortest_secret=SHORTEST_SECRET,
        pair_parts=PAIR_PARTS,
        enter=enter,
        leave=leave,
        span=span,
        event=event,
        refused=_refused,
        contain=_contain,
        span_doc=f"span(name, /, *, kind=None, **attributes)\n--\n\n{span.__doc__}",
        event_doc=f"event(name, /, *, level='INFO', node=None, **data)\n--\n\n{event.__doc__}",
    )


IS_COMPILED: Final = _install()


def add_metric(name: str, value: float, /) -> None:
    """Record a number of the span that is open here, or else of the run. Does nothing outside a run."""
    event("metric_recorded", name=name, value=value if type(value) in _NUMBERS else as_number(value))
