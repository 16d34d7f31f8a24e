"""Lines of spans that carry more than plain attributes: payloads, metrics, usage, errors."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Final

from clew.record.clock import milliseconds
from clew.record.encode import encode_json, quick_fields
from clew.record.plain import safe_str

if TYPE_CHECKING:
    from clew.record.encode import Encoded
    from clew.record.span import Span

_STACK_FRAMES: Final = 30
_MESSAGE_CHARS: Final = 10_000
_AS_THEY_ARE: Final = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
    "error_type",
    "retried",
)


def start_data(span: Span, kind: str, start: dict[str, Any]) -> str:
    """Return the data of a `node_started` line, without its braces.

    kind: its `type` field as JSON text, or nothing. start: further fields of the payload.
    """
    recorder = span.run.recorder
    parts = [kind] if kind else []
    attributes = span._attributes
    if attributes:
        quick = quick_fields(attributes, recorder.plain_names)
        parts.append(f'"attributes":{quick or _fields_text(span, attributes)}')
    for name, value in start.items():
        if name == "inputs":
            payload = recorder.values.payload(name, value)
            if payload is not None:
                _take_note(span, payload)
                parts.append(f'"inputs":{payload.text}')
        elif value is not None:
            parts.append(_fields_text(span, {name: value})[1:-1])
    return ",".join(parts)


def error_fields(span: Span, error: BaseException) -> None:
    """Note an error that ended the work, or let it pass where it is a way of ending well."""
    if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and error.code in {None, 0}):
        return
    span._more().update(
        {"error": safe_str(error), "error_type": type(error).__name__, "stack": stack_of(error)},
    )


def stack_of(error: BaseException) -> str | None:
    """Return where an error was raised, innermost call last; None where it was never raised."""
    if error.__traceback__ is None:
        return None
    try:
        return "".join(traceback.format_tb(error.__traceback__, limit=-_STACK_FRAMES)).rstrip()
    except Exception:
        return None


def end_line(span: Span, now_ns: int) -> None:
    """Write the end of a span that has more to say than how long it took."""
    recorder = span.run.recorder
    extra = span._extra or {}
    tail = span._tail
    skipped = extra.get("skipped")
    if skipped is not None:
        given = {name: value for name, value in skipped.items() if value is not None}
        data, tail = (
            f"{{{_fields_text(span, given)[1:-1]}}}",
            tail.replace("node_completed", "node_skipped", 1),
        )
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


def _end_data(span: Span, extra: dict[str, Any]) -> str:
    """Return what else the end says, each field after a comma."""
    recorder = span.run.recorder
    parts = [""]
    metrics = extra.get("metrics")
    if metrics:
        quick = quick_fields(metrics, recorder.plain_names)
        parts.append(f'"metrics":{quick or _fields_text(span, metrics)}')
    changed = _changed(span, extra)
    if changed:
        parts.append(f'"attributes":{_fields_text(span, changed)}')
    if "outputs" in extra:
        payload = recorder.values.payload("outputs", extra["outputs"])
        if payload is not None:
            _take_note(span, payload)
            parts.append(f'"outputs":{payload.text}')
    known = {name: extra[name] for name in _AS_THEY_ARE if extra.get(name) is not None}
    texts = {name: extra[name] for name in ("model", "error", "stack") if extra.get(name) is not None}
    if "error" in texts:
        texts["error"] = _shortened(texts["error"])
    if known:
        parts.append(encode_json(known).decode()[1:-1])
    if texts:
        parts.append(_fields_text(span, texts)[1:-1])
    return ",".join(parts)


def _changed(span: Span, extra: dict[str, Any]) -> dict[str, Any]:
    later = extra.get("attributes")
    if not later:
        return {}
    before = span._attributes
    return {name: value for name, value in later.items() if name not in before or before[name] is not value}


def _fields_text(span: Span, values: dict[str, Any]) -> str:
    recorder = span.run.recorder
    encoded = recorder.values.fields(values)
    recorder.learn_names(values)
    _take_note(span, encoded)
    return encoded.text


def _take_note(span: Span, encoded: Encoded) -> None:
    if encoded.redacted or encoded.truncated:
        span.run.recorder.pending.append((span, encoded))


def _shortened(message: str) -> str:
    if len(message) <= _MESSAGE_CHARS:
        return message
    return f"{message[:_MESSAGE_CHARS]}… ({len(message)} characters)"
