"""Lines of spans that carry more than plain attributes: payloads, metrics, usage, errors."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from clew.journal.signals import let_through
from clew.record.causes import LEFT_OUT, causes_of, notes_of
from clew.record.clock import milliseconds
from clew.record.encode import quick_fields
from clew.record.measured import as_numbers
from clew.record.plain import safe_str
from clew.record.shared import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

    from clew.record.encode import Encoded
    from clew.record.work import Work

_OURS: Final = __file__.rpartition("record")[0]
_STACK_FRAMES: Final = 30
_SOURCE_CHARS: Final = 200  # a line of generated code may be of any length
_CAUSE_CHARS: Final = 1000
_GROUPED: Final = 10
_NUMBERS: Final = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
    "retried",
)
_TEXTS: Final = ("model", "error", "error_type", "stack")


def start_data(span: Work, kind: str, start: dict[str, Any]) -> str:
    """Return the data of a `node_started` line, without its braces.

    kind: its `type` field as JSON text, or nothing. start: further fields of the payload.
    """
    recorder = span.run.recorder
    parts = [kind] if kind else []
    attributes = span._attributes
    if attributes:
        quick = quick_fields(attributes, recorder)
        parts.append(f'"attributes":{quick or _fields_text(span, attributes)}')
    if recorder.captures_whole:
        quick = quick_fields({name: value for name, value in start.items() if value is not None}, recorder)
        if quick is not None:
            return ",".join([*parts, quick[1:-1]] if quick != "{}" else parts)
    for name, value in start.items():
        if name == "inputs":
            parts += _payload(span, name, value)
        elif value is not None:
            parts.append(_fields_text(span, {name: value})[1:-1])
    return ",".join(parts)


def error_fields(span: Work, error: BaseException) -> None:
    """Note an error that ended the work, or let it pass where it is a way of ending well."""
    if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and exit_code(error) == 0):
        return
    span._more().update(
        {"error": message_of(error), "error_type": type(error).__name__, "stack": stack_of(error)},
    )


def exit_code(error: SystemExit) -> int:
    """Return the exit code that a `SystemExit` leads to."""
    if error.code is None:
        return 0
    return int(error.code) if isinstance(error.code, int) else 1


def message_of(error: BaseException, *, depth: int = 0) -> str:
    """Return what an error says, with its notes; a group of errors says what each of its own says too."""
    message = safe_str(error)
    if isinstance(error, BaseExceptionGroup) and depth < _GROUPED:
        inner = [f"{type(e).__name__}: {message_of(e, depth=depth + 1)}" for e in error.exceptions[:_GROUPED]]
        if len(error.exceptions) > _GROUPED:
            inner.append(f"… {len(error.exceptions) - _GROUPED} more")
        message = f"{message}: {'; '.join(inner)}"
    return "\n".join([message, *notes_of(error)])


def stack_of(error: BaseException) -> str | None:
    """Return where an error was raised, innermost call last; None where it was never raised.

    What it was raised from stands before it, each with its own stack, type and message, as Python prints them.
    """
    try:
        causes, more = causes_of(error)
        if error.__traceback__ is None and not causes:
            return None
        parts = []
        room = _STACK_FRAMES
        for number, (one, how) in enumerate([(error, ""), *causes]):
            # Half of the room to each, and what it does not need to those behind it.
            frames = _frames_of(one, room if number == len(causes) else (room + 1) // 2)
            room -= len(frames)
            parts.append([*frames, _named(one), "", how, ""] if how else frames)
        lines = [line for part in reversed(parts) for line in part]
        return "\n".join([LEFT_OUT, "", *lines] if more else lines)
    except Exception as fault:
        let_through(fault)
        return None


def _frames_of(error: BaseException, most: int) -> list[str]:
    # Not `traceback.format_tb`, which parses each source line anew to underline a part of it: an error that
    # leaves fifty spans would take a second.
    found = list(_frames(error.__traceback__))
    theirs = [(frame, line) for frame, line in found if not frame.f_code.co_filename.startswith(_OURS)]
    frames = deque(theirs or found, maxlen=most)  # nobody looks for a fault of theirs in here
    return [_frame_text(frame, line) for frame, line in frames]


def _named(error: BaseException) -> str:
    message = message_of(error)
    if len(message) > _CAUSE_CHARS:
        message = f"{message[:_CAUSE_CHARS]}… ({len(message)} characters)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _frame_text(frame: FrameType, number: int) -> str:
    code = frame.f_code
    place = f'  File "{code.co_filename}", line {number}, in {code.co_name}'
    import linecache  # only an error needs it

    source = linecache.getline(code.co_filename, number, frame.f_globals).strip()
    if len(source) > _SOURCE_CHARS:
        source = f"{source[:_SOURCE_CHARS]}… ({len(source)} characters)"
    return f"{place}\n    {source}" if source else place


def end_line(span: Work, now_ns: int) -> None:
    """Write the end of a span that has more to say than how long it took."""
    recorder = span.run.recorder
    extra = span._extra or {}
    tail = span._tail
    skipped = extra.get("skipped")
    if skipped is not None:
        data = f"{{{_skip_data(span, skipped)}}}"
        tail = tail.replace("node_completed", "node_skipped", 1)
    else:
        data = f'{{"duration_ms":{milliseconds(span.duration_ns or 0)}{_end_data(span, extra)}}}'
        if "error" in extra:
            tail = tail.replace(
                '"event":"node_completed","level":"INFO"', '"event":"node_failed","level":"ERROR"', 1
            )
    writer = recorder.writer
    line = f'{recorder.stamper(now_ns)}{tail}{span._ids}{writer.next_seq()},"data":{data}}}\n'
    writer.append(line.encode())
    recorder.write_pending()


def _end_data(span: Work, extra: dict[str, Any]) -> str:
    """Return what else the end says, each field after a comma."""
    recorder = span.run.recorder
    parts = [""]
    metrics = extra.get("metrics")
    if metrics:
        quick = quick_fields(metrics, recorder)
        parts.append(f'"metrics":{quick or _fields_text(span, as_numbers(metrics))}')
    changed = _changed(span, extra)
    if changed:
        parts.append(f'"attributes":{_fields_text(span, changed)}')
    if "outputs" in extra:
        parts += _payload(span, "outputs", extra["outputs"])
    numbers = {name: extra[name] for name in _NUMBERS if extra.get(name) is not None}
    if numbers:
        quick = quick_fields(numbers, recorder)
        parts.append((quick or _fields_text(span, numbers))[1:-1])
    texts = {name: extra[name] for name in _TEXTS if extra.get(name) is not None}
    if texts:
        parts.append(_texts(span, texts))
    return ",".join(parts)


def _payload(span: Work, name: str, value: object) -> list[str]:
    """Return inputs or outputs as a field; nothing where none are wanted."""
    recorder = span.run.recorder
    is_whole = recorder.captures_whole
    quick = quick_fields({name: value}, recorder) if is_whole else None
    if quick is not None:
        return [quick[1:-1]]
    payload = recorder.values.payload(name, value)
    if payload is None:
        return []
    if is_whole:
        recorder.learn({name: value})
    _take_note(span, payload)
    return [f'"{name}":{payload.text}']


def _skip_data(span: Work, skipped: dict[str, Any]) -> str:
    parts = [_texts(span, {n: skipped[n] for n in ("reason", "condition") if skipped[n] is not None})]
    if skipped["values"] is not None:
        parts.append(_fields_text(span, {"values": skipped["values"]})[1:-1])
    return ",".join(parts)


def _texts(span: Work, values: dict[str, Any]) -> str:
    encoded = span.run.recorder.values.texts(values)
    _take_note(span, encoded)
    return encoded.text[1:-1]


def _changed(span: Work, extra: dict[str, Any]) -> dict[str, Any]:
    later = extra.get("attributes")
    if not later:
        return {}
    before = span._attributes
    return {
        name: value for name, value in entries_of(later) if name not in before or before[name] is not value
    }


def _fields_text(span: Work, values: dict[str, Any]) -> str:
    recorder = span.run.recorder
    encoded = recorder.values.fields(values)
    recorder.learn(values)
    _take_note(span, encoded)
    return encoded.text


def _take_note(span: Work, encoded: Encoded) -> None:
    if encoded.redacted or encoded.truncated:
        span.run.recorder.pending.append((span, encoded))


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next
