"""Whether a replay gave what the run gave that it replays, as far as the log can say."""

from __future__ import annotations

from typing import Any

from clew.record.redact import REDACTED
from clew.workflow.wholeness import OBJECTS, SECRETS, Payloads, holds

_MOST_NAMED = 5


def compared(then: Payloads, now: dict[str, Any]) -> str:
    """Say in a sentence whether outputs are what a run gave then; what the log does not have whole is named."""
    old, lack = then.outputs()
    if lack is not None and lack != SECRETS:
        return f"the outputs cannot be compared: those of the old run are not whole in the log ({lack})"
    objects = then.with_objects()
    unknown: dict[str, str] = {}
    if isinstance(old, dict) and set(objects) <= old.keys():
        unknown = dict.fromkeys(objects, OBJECTS)
    elif objects:
        return f"the outputs cannot be compared: those of {', '.join(objects)} are {OBJECTS}"
    hidden: list[str] = []
    is_same = _same(old, now, place=(), unknown=unknown, hidden=hidden if lack == SECRETS else None)
    if not is_same:
        return "the outputs are others"
    reasons = [f"{name}: {why}" for name, why in unknown.items()]
    if hidden:
        more = ", ..." if len(hidden) > _MOST_NAMED else ""
        reasons.append(f"{', '.join(hidden[:_MOST_NAMED])}{more}: {SECRETS}")
    if reasons:
        return (
            f"the outputs can only be compared in part, and that part is the same; not {'; '.join(reasons)}"
        )
    return "the outputs are the same"


def _same(
    old: Any, now: Any, *, place: tuple[str, ...], unknown: dict[str, str], hidden: list[str] | None
) -> bool:
    """Compare what can be compared. Where `hidden` is a list, it is told where secrets were removed."""
    if len(place) == 1 and place[0] in unknown:
        return True
    if hidden is not None and isinstance(old, str) and REDACTED in old:
        hidden.append(".".join(place))
        return True
    if type(old) is not type(now):
        return False
    if isinstance(old, dict):
        if hidden is not None and any(holds(name, REDACTED) for name in old):
            hidden.append(".".join(place))
            return True
        return old.keys() == now.keys() and all(
            _same(old[name], now[name], place=(*place, name), unknown=unknown, hidden=hidden) for name in old
        )
    if isinstance(old, list):
        return len(old) == len(now) and all(
            _same(one, other, place=(*place, str(at)), unknown=unknown, hidden=hidden)
            for at, (one, other) in enumerate(zip(old, now, strict=True))
        )
    return bool(old == now)
