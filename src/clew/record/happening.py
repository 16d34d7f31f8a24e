"""The event: something that happened at one moment. Its line is made here, on the hot path."""

from __future__ import annotations

from typing import Any

from clew.model.levels import FAMILIES
from clew.record.clock import DIGITS, MICROSECONDS, SECOND_NS
from clew.record.context import ambient, get_current
from clew.record.encode import quick_fields


def event(name: str, /, *, level: str = "INFO", node: str | None = None, **data: Any) -> None:
    """Record that something happened, in the span that is open here or else in the run.

    Args:
        name: one of the events of the reference, or any name of your own.
        level: DEBUG, INFO, WARNING or ERROR.
        node: name of the node that it is about, where that is not the open one.
        data: what to say of it.
    Does nothing outside a run. Never raises.
    """
    place = get_current() or ambient.find()
    if place is None:
        return
    run = place.run
    recorder = run.recorder
    try:
        head = run.events.get((name, level))
        text = quick_fields(data, recorder) if data else "{}"
        if head is None or text is None or node is not None or not run.sampled:
            if run.sampled or name in FAMILIES["resource"]:  # counters are never sampled
                recorder.event(place, name, data, level=level, node=node)
            return
        now = recorder.now()
        base, stamp = recorder.stamper.second
        past = now - base
        if not 0 <= past < SECOND_NS:
            base, stamp = recorder.stamper.advance(now)
            past = now - base
        writer = recorder.writer
        line = (
            f"{stamp}{DIGITS[past // 1_000_000]}{MICROSECONDS[past // 1000 % 1000]}{head}{place.where()}{recorder.writer_part}{writer.next_seq()},"
            f'"data":{text}}}\n'
        ).encode()
        try:
            writer.write(line)
        except (ValueError, OSError):
            writer.rescue(line)
    except BaseException as error:
        recorder.caught(error, run_id=run.run_id)
